# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secondary processes beside the primary: healthy, stopped, hung, dead (row 18). They need hugepages."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable

import pytest
from faults import converge, document, ipc_lives, names_all, refused, strangers
from releases import Dpdk, Testpmd, count, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine, info

Pages = Callable[[int], None]


def _pair(dpdk: Dpdk, hugepages: Pages, *vdevs: str) -> tuple[Testpmd, Testpmd]:
    """A primary and a secondary, neither of which polls: their ports forward nothing."""
    hugepages(256)
    options = ["--total-num-mbufs=2048", "--num-procs=2"]
    primary = dpdk.start_testpmd("pair", vdevs, huge=True, memory=128, options=[*options, "--proc-id=0"])
    secondary = primary.start_secondary(options=[*options, "--proc-id=1"])
    assert _sockets(primary), "the secondary has no socket: nothing is shown"
    return primary, secondary


def _sockets(primary: Testpmd) -> list[str]:
    return [name for name in os.listdir(primary.directory) if name.startswith("mp_socket_")]


def _ports_in(testpmd: Testpmd) -> set[str]:
    """The devices that a process itself knows, by its console."""
    testpmd.console("show device info all", "show port summary all")
    testpmd.wait_for("Number of available ports")
    said = testpmd.log.read_bytes()[testpmd._read_from :].decode()
    return {name for name in re.findall(r"Infos for device (\S+)", said) if name.startswith("net_")}


def test_a_healthy_secondary_follows(dpdk: Dpdk, hugepages: Pages) -> None:
    """Attached and detached in both processes, repeated."""
    primary, secondary = _pair(dpdk, hugepages)
    (found,) = info.apps(app="pair")
    assert found["secondaries"] == [secondary.pid]
    for _round in range(count(30)):
        assert converge(primary, "net_null0", "net_null1")["changed"]
        assert not converge(primary, "net_null0", "net_null1")["changed"]
        assert _ports_in(primary) == _ports_in(secondary) == {"net_null0", "net_null1"}
        assert converge(primary, absent=("net_null0", "net_null1"))["changed"]
        assert not converge(primary, absent=("net_null0", "net_null1"))["changed"]
        assert _ports_in(primary) == _ports_in(secondary) == set()
    assert secondary.quit() == 0
    assert converge(primary, "net_null0")["changed"] and strangers(primary) == []


def test_a_stopped_secondary_is_refused_before_anything_is_done(dpdk: Dpdk, hugepages: Pages) -> None:
    """DPDK itself would fail the attach of a live port after 5 s and then remove it; here the port is never lost."""
    primary, secondary = _pair(dpdk, hugepages)
    converge(primary, "net_null0")
    secondary.pause()
    for wanted in ({"devices": ("net_null1",)}, {"absent": ("net_null0",)}):
        begin = time.monotonic()
        error = refused(primary, *wanted.get("devices", ()), absent=wanted.get("absent", ()))
        assert error.reason == "secondary_stuck" and time.monotonic() - begin < 3
        names_all(error, "pair", str(secondary.pid), "stopped", "testpmd", "nothing was changed")
        assert error.fields["secondary"] == secondary.pid
    assert not converge(primary, "net_null0")["changed"]  # the live port in a request: nothing to do, nothing sent
    time.sleep(1)
    assert set(primary.ports()) == {"net_null0"}
    for _round in range(count(200)):  # its queue, of 10 or some hundred datagrams, is not filled by looking
        assert refused(primary, "net_null1").reason == "secondary_stuck"
    secondary.resume()
    wait_until(lambda: converge(primary, "net_null1")["changed"], "the secondary's return")
    assert _ports_in(secondary) == {"net_null0", "net_null1"}


def test_a_hung_secondary_is_refused(host_dpdk: Dpdk, hugepages: Pages) -> None:
    """It runs, as far as the kernel knows, and answers nothing: its multi-process thread has ended."""
    primary, secondary = _pair(host_dpdk, hugepages)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.sendto(b"x" * 100, f"{primary.directory}/{_sockets(primary)[0]}")
    begin = time.monotonic()
    error = refused(primary, "net_null0")
    assert error.reason == "secondary_stuck" and time.monotonic() - begin < 8
    names_all(error, "pair", str(secondary.pid), "hung")
    assert primary.ports() == {}
    secondary.kill()
    assert converge(primary, "net_null0")["changed"], "the leftover of a dead secondary is no obstacle"


def test_a_full_queue_of_a_stopped_secondary(host_dpdk: Dpdk, hugepages: Pages) -> None:
    primary, secondary = _pair(host_dpdk, hugepages)
    secondary.pause()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link, contextlib.suppress(BlockingIOError):
        link.setblocking(False)
        while True:
            link.sendto(b"\0" * 332, f"{primary.directory}/{_sockets(primary)[0]}")
    assert refused(primary, "net_null0").reason == "secondary_stuck"
    assert primary.ports() == {}


def test_a_killed_secondary_is_no_obstacle(dpdk: Dpdk, hugepages: Pages) -> None:
    primary, secondary = _pair(dpdk, hugepages)
    converge(primary, "net_null0")
    secondary.kill()
    assert _sockets(primary), "it left no socket: nothing is shown"
    assert converge(primary, "net_null1", absent=("net_null0",))["changed"]
    assert set(primary.ports()) == {"net_null1"} and ipc_lives(primary)
    (found,) = info.apps(app="pair")
    assert found["secondaries"] == []


def test_a_secondary_that_stops_in_the_middle(host_dpdk: Dpdk, hugepages: Pages) -> None:
    """Past the last look: DPDK takes its attach back after 10 s; that is waited for, and told."""
    primary, secondary = _pair(host_dpdk, hugepages)
    steps: list[str] = []

    def stop_it(step: str) -> None:
        steps.append(step)
        if len(steps) == 2:
            secondary.pause()

    with pytest.raises(HotplugError) as caught:
        engine.converge(document(primary, "net_null0", "net_null1", atomic=False), progress=stop_it)
    assert caught.value.reason == "secondary_failed", caught.value.result()
    names_all(caught.value, "pair", "net_null1", "secondary")
    state = set(primary.ports())
    assert state == {"net_null0"}, "what is told must hold: no port comes or goes afterwards"
    time.sleep(1)
    assert set(primary.ports()) == state
    secondary.resume()
    wait_until(lambda: converge(primary, "net_null0", "net_null1"), "the next run")
    assert set(primary.ports()) == {"net_null0", "net_null1"}
