# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telemetry sockets that are stale, hung, full, lying, endless or talk nonsense (row 7)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from typing import Any

import pytest
from faults import Liar, args_of, converge, names_all, refused
from hostile_app import _ANSWERS
from releases import Dpdk, Testpmd

from ansible_collections.dpdk.hotplug.plugins.module_utils._state import info

# Each with what an operator must read of it.
HUNG = {"silent": "does not answer", "after_banner": "does not answer in time", "endless": ""}
NONSENSE = dict.fromkeys(_ANSWERS, "") | {"eof": "full"}
BANNERS = {
    "not JSON": (b"\x00\xff\xfe", "JSON"),
    "half": (b'{"version": "DPDK 22.11', "JSON"),
    "a list": (b"[]", "object"),
    "empty object": (b"{}", "22.11"),
    "version is an object": (b'{"version": {}, "pid": 1}', "22.11"),
    "deep": (b"[" * 4000, "JSON"),
    "long": (b'{"version": "' + b"x" * 60_000, ""),
    "a limit of no bytes": (b'{"version": "DPDK 24.11.0", "max_output_len": -5}', "24.11"),
    "a limit without limit": (b'{"version": "DPDK 24.11.0", "max_output_len": 1e300}', "24.11"),
}


@pytest.fixture
def honest(host_dpdk: Dpdk) -> Testpmd:
    return host_dpdk.start_testpmd("honest", ["net_null0,size=64"])


def _seen(prefix: str) -> dict[str, Any]:
    """What is told of one application; the honest one is told in full beside it, and in time."""
    begin = time.monotonic()
    apps = {app["prefix"]: app for app in info.apps()}
    assert time.monotonic() - begin < 4.5
    assert [port["device"] for port in apps["honest"]["ports"]] == ["net_null0"]
    json.dumps(apps).encode("utf-8")
    found: dict[str, Any] = apps[prefix]
    return found


def _refused_in_time(liar: Liar, text: str) -> None:
    begin = time.monotonic()
    error = refused("liar", "net_null5")
    assert time.monotonic() - begin < 8
    assert error.reason in ("unreachable", "telemetry"), error.result()
    names_all(error, "liar", text)
    str(error).encode("utf-8")
    assert liar.requests == [], "something was sent"


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize("mode", HUNG)
def test_hung(mode: str) -> None:
    """An error within its time limit of 3 s, for the one that hangs alone."""
    with Liar(telemetry=mode) as liar:
        seen = _seen("liar")
        assert seen["state"] == "running" and seen["pid"] == liar.pid and seen["ports"] is None
        assert HUNG[mode] in seen["ports_error"]
        _refused_in_time(liar, HUNG[mode])


def test_many_hung_ones_delay_nobody(honest: Testpmd) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(8):
            stack.enter_context(Liar(f"liar{number}", telemetry="silent"))
        _seen("liar0")
        begin = time.monotonic()
        assert not converge(honest, "net_null0")["changed"]
        assert time.monotonic() - begin < 1, "an application that was named waits for no other"


@pytest.mark.usefixtures("honest")
def test_nonsense() -> None:
    """Whatever is said of ports: an error that tells, and nothing is sent. The others are told as ever."""
    for mode, text in NONSENSE.items():
        with Liar(telemetry=mode) as liar:
            seen = _seen("liar")
            assert seen["pid"] == liar.pid and seen["ports"] is None and seen["ports_error"], (mode, seen)
            _refused_in_time(liar, text)


@pytest.mark.usefixtures("honest")
def test_banners() -> None:
    for case, (banner, text) in BANNERS.items():
        with Liar(banner_raw=banner.decode("latin-1")) as liar:
            assert _seen("liar")["ports"] is None, case
            _refused_in_time(liar, text)


@pytest.mark.usefixtures("honest")
def test_a_banner_that_lies_about_its_pid() -> None:
    """It is not believed, nor could it be: in a pid namespace of its own it is another. What the kernel says counts."""
    for pid in (1, -1, "x", 1 << 80):
        with Liar(banner={"pid": pid}) as liar:
            seen = _seen("liar")
            assert seen["pid"] == liar.pid and seen["ports"][0]["device"] == "net_null0"
            assert not converge("liar", "net_null0")["changed"]


@pytest.mark.usefixtures("honest")
def test_a_banner_that_lies_about_its_release() -> None:
    with Liar(banner={"version": "DPDK 25.11.0"}) as liar:
        assert "25.11" in _seen("liar")["ports_error"]
        _refused_in_time(liar, "config file 22.11.")


def test_a_socket_that_another_process_serves() -> None:
    """Never state from a socket whose pid is not that of the lock's owner."""
    with Liar() as liar, Liar("other") as other:
        os.rename(f"{other.directory}/dpdk_telemetry.v2", f"{liar.directory}/dpdk_telemetry.v2")
        seen = [app for app in info.apps() if app["prefix"] == "liar" and app["pid"] == liar.pid]
        assert seen[0]["ports"] is None and str(liar.pid) in seen[0]["ports_error"]
        names_all(refused("liar", "net_null5"), "liar", str(liar.pid), str(other.pid))
        assert liar.requests == [] == other.requests


@pytest.mark.usefixtures("honest")
def test_a_stale_socket(host_dpdk: Dpdk) -> None:
    """That of a killed application, beside a new one that serves no telemetry."""
    host_dpdk.start_testpmd("stale").kill()
    leftover = _seen("stale")
    assert leftover["state"] == "leftover" and leftover["pid"] is None
    error = refused("stale", "net_null0")
    assert error.reason == "no_application"
    names_all(error, "stale", "left by one that ended", "honest")
    app = host_dpdk.start_testpmd("stale", extra=["--no-telemetry"])
    seen = _seen("stale")
    assert seen["pid"] == app.pid and seen["ports"] is None
    names_all(refused("stale", "net_null0"), "stale", str(app.pid), "telemetry")


@pytest.mark.usefixtures("honest")
def test_a_full_socket(dpdk: Dpdk) -> None:
    """DPDK serves 10 clients and closes the eleventh's connection: waited for, then said; the ports are not touched."""
    app = dpdk.start_testpmd("busy", ["net_null0"])
    with contextlib.ExitStack() as stack:
        for _round in range(10):
            link = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            link.connect(app.telemetry)
            link.recv(1024)
        seen = _seen("busy")
        assert seen["pid"] == app.pid and "full" in seen["ports_error"]
        error = refused(app, "net_null1")
        assert error.reason == "unreachable"
        names_all(error, "busy", str(app.pid), "full")
        threading.Timer(0.4, stack.close).start()
        assert converge(app, "net_null1,size=80")["changed"], "a client that leaves in time makes room"
    assert args_of(app)["net_null1"] == "size=80"
