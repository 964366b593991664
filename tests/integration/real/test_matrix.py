# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The legacy hotplug test plan's matrix with every kind of virtual device that this machine has.

Attach and detach from one process and across two, repeated, with kill and quit.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import args_of, converge, ipc_lives, names_all, refused, strangers
from releases import HOST, Dpdk, Testpmd, count

Wire = Callable[[str, str], None]

DEVICES = {
    "net_null": "net_null0,size=80",
    "net_ring": "net_ring0",
    "net_tap": "net_tap0,iface=ours0",
    "net_pcap": "net_pcap0,iface=va",
    "net_af_packet": "net_af_packet0,iface=va",
}


@pytest.fixture
def tun() -> Iterator[None]:
    """/dev/net/tun, which a run with a /dev of its own may lack."""
    if not Path("/dev/net/tun").exists():
        pytest.skip("the kernel has no /dev/net/tun")
    yield


@pytest.mark.usefixtures("tun")
@pytest.mark.parametrize("kind", DEVICES)
def test_one_process(dpdk: Dpdk, veth: Wire, kind: str) -> None:
    veth("va", "vb")
    device = DEVICES[kind]
    name = device.partition(",")[0]
    app = dpdk.start_testpmd("plan")
    for _round in range(count(20)):
        answer = converge(app, device)
        assert answer["changed"] and [port["device"] for port in answer["ports"]] == [name]
        assert not converge(app, device)["changed"]
        assert args_of(app) == {name: device.partition(",")[2]}
        assert converge(app, absent=(name,))["changed"]
        assert not converge(app, absent=(name,))["changed"]
        assert app.ports() == {}
    if dpdk.release == HOST or os.environ.get("DPDK_HOTPLUG_SOAK"):
        _then(app, dpdk, device)


def _then(app: Testpmd, dpdk: Dpdk, device: str) -> None:
    """Detach by port id; quit and kill with it attached, and attach again in the next one."""
    name = device.partition(",")[0]
    port_id = converge(app, device)["ports"][0]["port_id"]
    assert converge(app, ports=[{"port_id": port_id, "state": "absent"}])["changed"]
    assert converge(app, device)["changed"]
    assert app.quit() == 0
    again = dpdk.start_testpmd("plan")
    assert converge(again, device)["changed"]
    again.kill()
    assert refused(again, device).reason == "no_application"
    last = dpdk.start_testpmd("plan")
    assert converge(last, device)["changed"] and set(last.ports()) == {name}
    assert converge(last, absent=(name,))["changed"]
    assert ipc_lives(last) and strangers(last) == []


@pytest.mark.usefixtures("tun")
def test_all_kinds_at_once(dpdk: Dpdk, veth: Wire) -> None:
    veth("va", "vb")
    veth("vc", "vd")
    devices = [*DEVICES.values(), "net_null1", "net_pcap1,iface=vc"]
    names = tuple(device.partition(",")[0] for device in devices)
    app = dpdk.start_testpmd("plan")
    for _round in range(count(10)):
        assert converge(app, *devices)["changed"] and set(app.ports()) == set(names)
        assert converge(app, *devices[:2], exclusive=True)["changed"] and set(app.ports()) == set(names[:2])
        assert converge(app, absent=names[:2])["changed"]
        assert app.ports() == {}


@pytest.mark.parametrize("kind", ["net_null", "net_ring"])
def test_two_processes(dpdk: Dpdk, hugepages: Callable[[int], None], kind: str) -> None:
    """Primary and secondary: what is attached shows in both; the secondary quits or is killed with it attached."""
    hugepages(256)
    options = ["--total-num-mbufs=2048", "--num-procs=2"]
    device = DEVICES[kind]
    name = device.partition(",")[0]
    primary = dpdk.start_testpmd("plan", huge=True, memory=128, options=[*options, "--proc-id=0"])
    for end in ("quit", "kill"):
        secondary = primary.start_secondary(options=[*options, "--proc-id=1"])
        for _round in range(count(20)):
            assert converge(primary, device)["changed"] and not converge(primary, device)["changed"]
            secondary.console("show device info all", "show port summary all")
            secondary.wait_for("Infos for device " + name)
            secondary.wait_for("Number of available ports: 1")
            assert converge(primary, absent=(name,))["changed"] and not converge(primary, absent=(name,))["changed"]
            secondary.console("show port summary all")
            secondary.wait_for("Number of available ports: 0")
        converge(primary, device)
        getattr(secondary, end)()
        assert converge(primary, absent=(name,))["changed"] and primary.ports() == {}
    assert ipc_lives(primary)


def test_an_interface_that_is_gone(host_dpdk: Dpdk, veth: Wire) -> None:
    """The wire is pulled: the port is detached all the same, and cannot be attached until it is back."""
    veth("va", "vb")
    app = host_dpdk.start_testpmd("plan")
    converge(app, "net_af_packet0,iface=va")
    subprocess.run(["ip", "link", "del", "va"], check=True)
    assert converge(app, absent=("net_af_packet0",))["changed"]
    error = refused(app, "net_af_packet0,iface=va")
    names_all(error, "plan", "net_af_packet0")
    veth("va", "vb")
    assert converge(app, "net_af_packet0,iface=va")["changed"]
