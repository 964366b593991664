# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _devices
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import multiprocess
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.discovery import find
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.multiprocess import Multiprocess
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.reach import reaches
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import eal_channel, joinable
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import Release
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import Process, System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import Act, FakeApp, FakeSecondary

NULL = _devices.parse("net_null0,size=64")
Start = t.Callable[..., FakeApp]
GOOD = App(
    "web", "/run/dpdk", pid=7, uid=os.geteuid(), release=Release(22, 11, 11), shared=True, mp_socket=True, telemetry="x"
)

REACH: list[tuple[dict[str, t.Any], str]] = [
    ({}, ""),
    ({"pid": 0}, "not running"),
    ({"distrust": "it is a link"}, "it is a link"),
    ({"shared": False}, "--in-memory"),
    ({"root": "/proc/7/root"}, "mount namespace"),
    ({"mp_socket": False}, "no multi-process socket"),
    ({"release": None}, "release is not known"),
    ({"release": Release(26, 11)}, "layout of DPDK 26.11 is not known"),
    ({"release": Release(25, 11, 0, 1)}, "layout of DPDK 25.11-rc1 is not known"),
    ({"release": Release(21, 8)}, "tells nothing of ports"),
    ({"telemetry_error": "it hangs"}, "it hangs"),
]


@pytest.mark.parametrize("changes, why", REACH)
def test_reach(monkeypatch: pytest.MonkeyPatch, changes: dict[str, t.Any], why: str) -> None:
    def refused(_app: App, *, system: System) -> list[HotplugError]:
        return [HotplugError("no_library", "no library"), HotplugError("no_hugepages", "no hugepages")]

    monkeypatch.setattr(joinable, "eal_preconditions", refused)
    ipc, eal, _command = reaches(GOOD._replace(**changes), System())
    assert (ipc.channel, ipc.usable, eal.channel, eal.usable) == ("ipc", not why, "eal", False)
    assert why in ipc.reason
    assert eal.reason == "no library; no hugepages" or (why and why in eal.reason)


def test_reach_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "runs as user 0" in next(iter(reaches(GOOD._replace(uid=0), System()))).reason
    assert next(iter(reaches(GOOD._replace(uid=1000), System()))).usable


def test_eal_needs_ports_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joinable, "eal_preconditions", lambda _app, *, system: [])
    cases: list[tuple[dict[str, t.Any], str]] = [
        ({}, ""),
        ({"telemetry_error": "it hangs"}, "it hangs"),
        ({"release": Release(20, 11)}, "ports"),
    ]
    for changes, why in cases:
        _ipc, eal, _command = reaches(GOOD._replace(**changes), System())
        assert (eal.usable, why in eal.reason) == (not why, True)


@pytest.fixture
def adapter(fake: Start, patient: None) -> t.Iterator[t.Callable[..., tuple[FakeApp, Multiprocess]]]:
    made: list[Multiprocess] = []

    def start(**options: t.Any) -> tuple[FakeApp, Multiprocess]:
        app = fake(**options)
        (found,) = find(System(), runtime_dir=app.runtime_dir)
        made.append(Multiprocess(found, "ipc", System(), timeout=0.3))
        return app, made[-1]

    yield start
    for one in made:
        one.close()


Adapted = t.Callable[..., tuple[FakeApp, Multiprocess]]


def reason_of(call: t.Callable[[], t.Any]) -> HotplugError:
    with pytest.raises(HotplugError) as error:
        call()
    assert error.value.way_out or error.value.reason == "not_supported"
    return error.value


def test_attach_and_detach(adapter: Adapted) -> None:
    app, multi = adapter()
    multi.precheck()
    multi.attach(NULL)
    multi.detach(NULL, [0])
    assert app.requests == [("attach", "vdev:net_null0,size=64"), ("detach", "vdev:net_null0")]


ATTACH: list[tuple[int, str]] = [
    (-1, "bad_devargs"),
    (-2, "no_such_device"),
    (-12, "no_memory"),
    (-14, "unknown_driver"),
    (-17, "exists"),
    (-19, "no_such_device"),
    (-22, "bad_devargs"),
    (-95, "not_supported"),
    (-42, "secondary_failed"),
    (-5, "failed"),
    (-4096, "failed"),
]
DETACH: list[tuple[int, str]] = [
    (-2, "no_such_device"),
    (-16, "busy"),
    (-19, "no_such_device"),
    (-95, "not_supported"),
    (-42, "secondary_failed"),
    (-1, "failed"),
]


@pytest.mark.parametrize("result, reason", ATTACH)
def test_attach_errors(adapter: Adapted, result: int, reason: str) -> None:
    app, multi = adapter()
    app.script(Act(result=result))
    error = reason_of(lambda: multi.attach(NULL))
    assert (error.reason, error.fields["errno"]) == (reason, result)
    assert "net_null0" in str(error)


@pytest.mark.parametrize("result, reason", DETACH)
def test_detach_errors(adapter: Adapted, result: int, reason: str) -> None:
    app, multi = adapter()
    app.script(Act(result=result))
    error = reason_of(lambda: multi.detach(NULL, [0]))
    assert (error.reason, error.fields["errno"]) == (reason, result)


def test_not_supported_names_driver_and_bus(adapter: Adapted) -> None:
    app, multi = adapter()
    app.script(Act(result=-95))
    text = str(reason_of(lambda: multi.detach(NULL, [0])))
    assert "net_null0" in text and "bus vdev" in text


def test_it_neither_starts_nor_stops(adapter: Adapted) -> None:
    _app, multi = adapter()
    assert reason_of(lambda: multi.start(0)).reason == "not_supported"
    assert reason_of(lambda: multi.stop(0)).reason == "not_supported"


def test_stopped_primary_is_refused_before_acting(adapter: Adapted) -> None:
    app, multi = adapter()
    app.signal(signal.SIGSTOP)
    assert reason_of(multi.precheck).reason == "primary_stuck"


def test_answering_secondary_is_fine(adapter: Adapted) -> None:
    app, multi = adapter()
    secondary = FakeSecondary(app.directory, os.getpid(), answers=True)
    multi.precheck()
    secondary.close()
    multi.precheck()
    assert os.path.exists(f"{app.directory}/{secondary.name}"), (
        "the leftover of a dead one is no hindrance, and is kept"
    )


STATES: list[tuple[str, str]] = [("T", "stopped"), ("t", "traced"), ("Z", "dead but not reaped"), ("S", "hung")]


@pytest.mark.parametrize("state, word", STATES)
def test_silent_secondary_is_refused_before_acting(
    adapter: Adapted, monkeypatch: pytest.MonkeyPatch, state: str, word: str
) -> None:
    app, multi = adapter()
    secondary = FakeSecondary(app.directory, 4242, answers=False)
    monkeypatch.setattr(System, "process", lambda _self, pid: Process(pid, "dump", state, 1))
    error = reason_of(multi.precheck)
    assert (error.reason, error.fields["secondary"]) == ("secondary_stuck", 4242)
    assert f"4242 (dump) of application 'web' is {word}" in str(error)
    assert app.requests == []
    secondary.close()


def test_stopped_secondary_with_a_full_queue(adapter: Adapted, monkeypatch: pytest.MonkeyPatch) -> None:
    app, multi = adapter()
    secondary = FakeSecondary(app.directory, 4242, answers=False)
    monkeypatch.setattr(System, "process", lambda _self, pid: Process(pid, "dump", "T", 1))
    for _number in range(600):
        assert reason_of(multi.precheck).reason == "secondary_stuck"
    secondary.close()


def test_secondary_of_an_odd_name(adapter: Adapted) -> None:
    app, multi = adapter()
    secondary = FakeSecondary(app.directory, 4242, answers=False)
    os.rename(f"{app.directory}/{secondary.name}", f"{app.directory}/mp_socket_odd")
    error = reason_of(multi.precheck)
    assert (error.reason, error.fields["secondary"]) == ("secondary_stuck", 0)
    secondary.close()


def test_what_looks_like_a_secondary_and_is_no_socket(adapter: Adapted) -> None:
    app, multi = adapter()
    with open(f"{app.directory}/mp_socket_12_1f", "w"):
        pass
    multi.precheck()


def test_settle(adapter: Adapted, monkeypatch: pytest.MonkeyPatch) -> None:
    app, multi = adapter()
    app.script(Act(delay=0.6))
    assert reason_of(lambda: multi.attach(NULL)).reason == "timeout"
    assert multi.settle()
    assert "net_null0" in app.attached
    app.signal(signal.SIGSTOP)
    monkeypatch.setattr(multiprocess, "_SETTLE", 0.1)
    assert not multi.settle()


class FakeChannel:
    """What the channel eal offers."""

    calls: t.ClassVar[list[tuple[str, str]]] = []

    def __init__(self, app: App, *, timeout: float, keep: t.Sequence[int], system: System) -> None:
        self.calls.clear()

    def attach(self, device: _devices.Devargs) -> None:
        self.calls.append(("attach", device.wire))

    def detach(self, device: _devices.Devargs) -> None:
        self.calls.append(("detach", device.wire))


def test_channel_eal(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eal_channel, "EalChannel", FakeChannel)
    monkeypatch.setattr(multiprocess, "_SETTLE", 0.05)
    app = fake(release=Release(26, 11))  # no known layout: not even to look at secondaries
    (found,) = find(System(), runtime_dir=app.runtime_dir)
    multi = Multiprocess(found, "eal", System(), timeout=0.3)
    multi.precheck()
    multi.attach(NULL)
    multi.detach(NULL, [0])
    assert FakeChannel.calls == [("attach", "vdev:net_null0,size=64"), ("detach", "vdev:net_null0,size=64")]
    assert multi.settle()
    multi.close()
    ipc = Multiprocess(found, "ipc", System(), timeout=0.3)
    with pytest.raises(HotplugError, match="not known"):
        ipc.attach(NULL)
    ipc.close()
    assert app.requests == []


def test_a_secondary_that_ends_while_it_is_asked(adapter: Adapted, monkeypatch: pytest.MonkeyPatch) -> None:
    app, multi = adapter()
    secondary = FakeSecondary(app.directory, 4242, answers=False)
    ends = HotplugError("primary_gone", "it ended", way_out="None.")
    hinders = HotplugError("no_reply_socket", "no room", way_out="None.")
    for error, refused in ((ends, False), (hinders, True)):

        def asked(_self: t.Any, name: str = "mp_socket", *, timeout: float, error: HotplugError = error) -> bool:
            if name != "mp_socket":
                raise error
            return True

        monkeypatch.setattr("ansible_collections.dpdk.hotplug.plugins.module_utils._binding.ipc.Primary.ping", asked)
        if refused:
            assert reason_of(multi.precheck).reason == "no_reply_socket"
        else:
            multi.precheck()
    secondary.close()
