# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots and memory used up (row 13), no hot-unplug (row 15), ports in use (row 19), and devices that DPDK refuses."""

from __future__ import annotations

import pytest
from faults import Liar, args_of, converge, document, ipc_lives, names_all, refused
from releases import Dpdk, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine

SLOTS = 32


# Slots and memory


def test_more_ports_than_slots(dpdk: Dpdk) -> None:
    """The 33rd fails with -12; what came before it in the same run is undone, what was there stays."""
    app = dpdk.start_testpmd("full")
    converge(app, "net_null0,size=80")
    error = refused(app, *(f"net_null{number}" for number in range(SLOTS + 1)))
    assert error.reason == "no_slot", error.result()
    names_all(error, "full", "net_null32", "32 ports", "RTE_MAX_ETHPORTS")
    assert len(error.fields["undone"]) == SLOTS - 1 and error.fields["not_undone"] == []
    assert args_of(app) == {"net_null0": "size=80"}
    assert converge(app, *(f"net_null{number}" for number in range(SLOTS)))["changed"]
    assert refused(app, "net_ring0").reason == "no_slot"
    assert len(app.ports()) == SLOTS
    assert converge(app, "net_ring0", absent=("net_null5",))["changed"], "a slot is made free before it is taken"


def test_not_atomic_keeps_what_was_done(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("full")
    error = refused(app, *(f"net_null{number}" for number in range(SLOTS + 1)), atomic=False)
    assert error.reason == "no_slot" and error.fields["undone"] == [] and len(error.fields["not_undone"]) == SLOTS
    assert len(app.ports()) == SLOTS


def test_memory_used_up(dpdk: Dpdk) -> None:
    """A heap of 24 MiB with room for some net_null: want of memory is not taken for want of a slot."""
    app = dpdk.start_testpmd("poor", memory=24, options=["--total-num-mbufs=2800"])
    error = refused(app, *(f"net_null{number}" for number in range(SLOTS)), atomic=False)
    assert error.reason == "no_memory", error.result()
    names_all(error, "poor", "net_null", "memory", "hugepages")
    left = len(app.ports())
    assert 0 < left < SLOTS and error.fields["errno"] == -12
    assert refused(app, f"net_null{left}").reason == "no_memory"
    assert converge(app, absent=("net_null0",))["changed"]
    assert converge(app, f"net_null{left}")["changed"], "what was given back can be had again"
    assert len(app.ports()) == left


# No hot-unplug


def test_a_bus_that_cannot_detach() -> None:
    """-95, as of a bus without unplug: clear, and unchanged. A stand-in, for want of such a device here."""
    with Liar("fixed", answers=[-95, -95]) as liar:
        error = refused("fixed", absent=("net_null0",))
        assert error.reason == "not_supported" and error.fields["errno"] == -95
        names_all(error, "fixed", "net_null0", "vdev", "cannot detach", "until the application is restarted")
        assert error.fields["undone"] == [] and error.fields["not_undone"] == []
        error = refused("fixed", "net_null1")
        assert error.reason == "not_supported"
        names_all(error, "fixed", "net_null1", "vdev")
        assert [one["kind"] for one in liar.requests if one["kind"] < 9] == [1, 0], "asked once each, never again"


def test_what_came_before_it_is_undone() -> None:
    """A primary that says 0 and does nothing is not believed."""
    with Liar("fixed", answers=[0, -95]):
        error = refused("fixed", "net_null5")
        assert error.reason == "not_effective"
        names_all(error, "fixed", "net_null5")


# Ports in use


def test_a_started_port_is_not_detached(dpdk: Dpdk) -> None:
    """Neither by name nor by number nor by exclusive; force is the only way past."""
    app = dpdk.start_testpmd("busy", ["net_null0", "net_null1"])
    wait_until(lambda: all(port["dev_started"] for port in app.ports().values()), "the start of its ports")
    for wanted in (
        {"absent": ("net_null0",)},
        {"ports": [{"port_id": 0, "state": "absent"}]},
        {"ports": [{"device": "net_null1"}], "exclusive": True},
    ):
        error = refused(app, **wanted)
        assert error.reason == "port_started", error.result()
        names_all(error, "busy", "net_null0", "0 (net_null0)", "force")
    error = refused(app, "net_null5", absent=("net_null0", "net_null1"))
    names_all(error, "busy", "net_null0", "net_null1")  # both, at once
    assert set(app.ports()) == {"net_null0", "net_null1"}
    assert converge(app, absent=("net_null0",), force=True)["changed"]
    assert set(app.ports()) == {"net_null1"} and ipc_lives(app)
    app.console("port stop 1")
    wait_until(lambda: not app.ports()["net_null1"]["dev_started"], "its stop")
    assert converge(app, absent=("net_null1",))["changed"] and app.ports() == {}


def test_a_port_that_is_started_in_between(host_dpdk: Dpdk) -> None:
    """Between the look and the detach somebody starts it: it is looked at again, and stays."""
    app = host_dpdk.start_testpmd("busy", ["net_null0"])
    app.console("port stop 0")
    wait_until(lambda: not app.ports()["net_null0"]["dev_started"], "its stop")

    def start_it(_step: str) -> None:
        app.console("port start 0")
        wait_until(lambda: app.ports()["net_null0"]["dev_started"], "its start")

    with pytest.raises(HotplugError) as caught:
        engine.converge(document(app, absent=("net_null0",)), progress=start_it)
    assert caught.value.reason == "port_started"
    names_all(caught.value, "busy", "net_null0", "was started since")
    assert set(app.ports()) == {"net_null0"}


# What DPDK refuses


@pytest.mark.parametrize(
    "device, reason",
    [
        ("net_none0", "unknown_driver"),
        ("0000:ff:1f.7", "no_such_device"),
        ("net_pcap0,iface=nowhere0", "bad_devargs"),
        ("net_null0,nonsense=1", "bad_devargs"),
        ("net_null0,size", "bad_devargs"),
        ("net_af_packet0,iface=nowhere0", "bad_devargs"),
        ("net_af_packet0", "bad_devargs"),
    ],
)
def test_devices_that_are_refused(dpdk: Dpdk, device: str, reason: str) -> None:
    """Named with the application, errno and a way out; what was attached before in the same run is taken back."""
    app = dpdk.start_testpmd("strict")
    error = refused(app, "net_null7,size=80", device)
    assert error.reason == reason, error.result()
    names_all(error, "strict", device.partition(",")[0])
    assert isinstance(error.fields["errno"], int) and error.fields["undone"] == ["attach net_null7,size=80"]
    assert app.ports() == {} and ipc_lives(app)


def test_absent_of_what_was_never_there(dpdk: Dpdk) -> None:
    app = dpdk.start_testpmd("strict")
    assert not converge(app, absent=("net_null0", "0000:ff:1f.7", "net_none0"))["changed"]
    assert not converge(app, ports=[{"port_id": 31, "state": "absent"}])["changed"]


def test_a_detach_is_undone_with_its_arguments(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("strict")
    converge(app, "net_null0,size=80")
    error = refused(app, "net_none0", absent=("net_null0",))
    assert error.reason == "unknown_driver" and error.fields["undone"] == ["detach net_null0,size=80"]
    assert args_of(app) == {"net_null0": "size=80"}


def test_other_arguments(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("strict")
    converge(app, "net_null0,size=80")
    error = refused(app, "net_null0,size=90")
    assert error.reason == "other_arguments"
    names_all(error, "strict", "net_null0", "size=80", "size=90", "recreate")
    assert converge(app, "net_null0,size=90", recreate=True)["changed"]
    assert args_of(app) == {"net_null0": "size=90"}
    assert not converge(app, "net_null0,size=90", recreate=True)["changed"]


def test_a_device_given_twice(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("strict", ["net_null0"])
    for ports in (
        [{"device": "net_null1"}, {"device": "net_null1"}],
        [{"device": "net_null1,size=80"}, {"device": "vdev:net_null1"}],
        [{"device": "01:00.0"}, {"device": "0000:01:00.0"}],
        [{"device": "net_null0", "state": "absent"}, {"port_id": 0, "state": "absent"}],
    ):
        error = refused(app, ports=ports)
        assert error.reason == "given_twice", error.result()
        names_all(error, "strict", "twice")
    assert set(app.ports()) == {"net_null0"}
