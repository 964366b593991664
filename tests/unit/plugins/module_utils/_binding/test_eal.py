# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import eal, ethdev
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._binding import fake_dpdk


def both(dpdk: fake_dpdk.Dpdk) -> tuple[eal.Eal, ethdev.EthDev]:
    return eal.Eal("librte_eal.so.23", opener=dpdk.opener), ethdev.EthDev("librte_ethdev.so.23", opener=dpdk.opener)


def test_the_fake_keeps_its_claims() -> None:
    dpdk = fake_dpdk.Dpdk()
    assert fake_dpdk.walk(*both(dpdk)) == fake_dpdk.EXPECTED
    assert dpdk.opened == ["librte_eal.so.23", "librte_ethdev.so.23"]


def test_every_function_has_a_signature_and_the_fake_every_function() -> None:
    dpdk = fake_dpdk.Dpdk()
    for table, checkers in ((eal.SIGNATURES, eal.CHECKERS), (ethdev.SIGNATURES, ethdev.CHECKERS)):
        assert set(checkers) <= set(table)
        for symbol, (_result, arguments) in table.items():
            assert isinstance(arguments, tuple)
            assert getattr(dpdk, symbol)


@pytest.mark.parametrize(
    ("name", "abi", "expected"), [("eal", 21, "librte_eal.so.21"), ("ethdev", 26, "librte_ethdev.so.26")]
)
def test_soname(name: str, abi: int, expected: str) -> None:
    assert eal.soname(name, abi) == expected


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(HotplugError) as caught:
        eal.Eal("absent.so", opener=fake_dpdk.Dpdk().opener)
    assert (caught.value.reason, caught.value.fields["library"]) == ("no_library", "absent.so")
    with pytest.raises(HotplugError):
        ethdev.EthDev("/nonexistent/librte_ethdev.so.23")


def test_dlopen_of_a_real_library() -> None:
    handle = eal.open_library("libc.so.6")
    with pytest.raises(ValueError):
        handle.variable("no_such_symbol")
    assert handle.getpid() > 0


def test_a_symbol_of_another_release_is_an_error_on_use() -> None:
    env, _dev = both(fake_dpdk.Dpdk(missing=("rte_version", "per_lcore__rte_errno")))
    assert not env.library.has("rte_version") and env.library.has("rte_eal_init")
    with pytest.raises(HotplugError) as caught:
        env.version()
    assert (caught.value.reason, caught.value.fields["call"]) == ("missing_symbol", "rte_version")
    assert env.errno() == 0


def test_what_eal_tells_of_itself() -> None:
    env, _dev = both(fake_dpdk.Dpdk())
    assert env.version() == "DPDK 22.11.11"
    assert env.iova_mode() == ""
    assert env.init(eal.arguments(prefix="web", lcores="15@(0,1)")) == 6
    assert (env.process_type(), env.runtime_dir(), env.iova_mode()) == ("secondary", "/var/run/dpdk/web", "va")
    assert env.has_hugepages() and env.has_pci()
    assert env.primary_alive() and not env.primary_alive("/var/run/dpdk/other/config")
    assert env.strerror(errno.ENODEV) == "No such device"
    env.cleanup()


def test_a_failed_start_tells_the_errno() -> None:
    env, _dev = both(fake_dpdk.Dpdk())
    with pytest.raises(eal.EalError) as caught:
        env.init(eal.arguments(prefix="web", lcores="127@(0)"))
    assert (caught.value.reason, caught.value.code, env.errno()) == ("eal_failed", -errno.EINVAL, errno.EINVAL)
    assert "Invalid argument" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "--proc-type=secondary --file-prefix p --no-telemetry"),
        ({"allow": []}, "--proc-type=secondary --file-prefix p --no-telemetry -a ffff:ff:1f.7"),
        (
            {"allow": ["0000:01:00.0", "0000:02:00.0,a=b"], "lcores": "127@(0,1)"},
            "--proc-type=secondary --file-prefix p --lcores 127@(0,1) --no-telemetry "
            "-a 0000:01:00.0 -a 0000:02:00.0,a=b",
        ),
        (
            {"role": "primary", "hugepages": False, "shared": False, "pci": False, "memory_mb": 64, "allow": []},
            "--proc-type=primary --file-prefix p --no-telemetry --no-huge --no-shconf -m 64 --no-pci",
        ),
        (
            {"role": "primary", "shared": False, "telemetry": True, "vdevs": ["net_null0", "net_ring0"]},
            "--proc-type=primary --file-prefix p --in-memory --vdev net_null0 --vdev net_ring0",
        ),
        (
            {"iova_mode": "va", "vf_token": "t", "log_level": "lib.eal:debug"},
            "--proc-type=secondary --file-prefix p --no-telemetry --iova-mode va --vfio-vf-token t "
            "--log-level lib.eal:debug",
        ),
    ],
)
def test_arguments(options: dict[str, Any], expected: str) -> None:
    assert eal.arguments(prefix="p", **options) == expected.split()


@pytest.mark.parametrize("prefix", ["", "a\0b"])
def test_arguments_that_are_none(prefix: str) -> None:
    with pytest.raises(ValueError):
        eal.arguments(prefix=prefix)


@pytest.mark.parametrize(
    ("call", "code", "reason"),
    [
        ("rte_eal_hotplug_add", -errno.EPERM, "bad_devargs"),
        ("rte_eal_hotplug_add", -errno.EINVAL, "bad_devargs"),
        ("rte_eal_hotplug_add", -errno.EFAULT, "unknown_driver"),
        ("rte_eal_hotplug_add", -errno.ENODEV, "no_such_device"),
        ("rte_eal_hotplug_add", -errno.ENOMEM, "no_memory"),
        ("rte_eal_hotplug_add", -errno.EEXIST, "exists"),
        ("rte_eal_hotplug_add", -errno.ENOTSUP, "not_supported"),
        ("rte_eal_hotplug_add", -errno.ENOMSG, "timeout"),
        ("rte_eal_hotplug_add", 1, "not_supported"),
        ("rte_eal_hotplug_add", -errno.EIO, "failed"),
        ("rte_eal_hotplug_remove", -errno.ENOENT, "no_such_device"),
        ("rte_eal_hotplug_remove", -errno.EINVAL, "no_such_device"),
        ("rte_eal_hotplug_remove", -errno.ENOTSUP, "not_supported"),
        ("rte_eal_hotplug_remove", -errno.EBUSY, "busy"),
        ("rte_eal_hotplug_remove", -errno.ENOMSG, "timeout"),
        ("rte_dev_probe", -errno.EFAULT, "unknown_driver"),
        ("rte_eth_dev_stop", -errno.ENOTSUP, "not_supported"),
        ("rte_eth_dev_close", -errno.EINVAL, "refused"),
        ("rte_eth_dev_stop", -errno.EIO, "removed_underneath"),
    ],
)
def test_errors(call: str, code: int, reason: str) -> None:
    dpdk = fake_dpdk.Dpdk()
    env, dev = both(dpdk)
    dpdk.answers[call] = code
    acts: dict[str, Callable[[], None]] = {
        "rte_eal_hotplug_add": lambda: env.hotplug_add("vdev", "net_null0"),
        "rte_eal_hotplug_remove": lambda: env.hotplug_remove("vdev", "net_null0"),
        "rte_dev_probe": lambda: env.probe("vdev:net_null0"),
        "rte_eth_dev_stop": lambda: dev.stop(0),
        "rte_eth_dev_close": lambda: dev.close(0),
    }
    with pytest.raises(eal.EalError) as caught:
        acts[call]()
    error = caught.value
    assert (error.reason, error.call, error.code) == (reason, call, -errno.ENOTSUP if code > 0 else code)
    assert call in str(error) and error.result()["error"]["code"] == error.code


def test_a_port_in_full() -> None:
    env, dev = both(fake_dpdk.Dpdk())
    env.init(eal.arguments(prefix="web"))
    env.probe("vdev:net_null0")
    assert dev.link(0) == ethdev.Link(False, 10000, False, False)
    assert dev.owner(0) == ethdev.Owner(0, "")
    assert (dev.mac(0), dev.mtu(0), dev.numa_node(0)) == ("02:00:00:00:00:00", 1500, 0)
    dev.stop(0)
    dev.close(0)
    assert dev.ports() == []
