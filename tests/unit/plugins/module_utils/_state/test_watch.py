# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of an application and its ports, look by look."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.discovery import find
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import telemetry
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.watch import Follower, GlancedPorts, Watch
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp

Start = t.Callable[..., FakeApp]
Told = tuple[str, t.Optional[int]]


class Looks:
    """A follower of one application, and what it has told since the last look."""

    def __init__(self, app: App, *, tell: bool = True) -> None:
        self.events: list[dict[str, t.Any]] = []
        self.follower = Follower(app, self.events.append, System(), tell=tell)

    def at(self, now: float) -> list[Told]:
        self.events.clear()
        self.follower.tick(now)
        return [(event["event"], event.get("port_id")) for event in self.events]


def found(app: FakeApp) -> App:
    (one,) = find(System(), runtime_dir=app.runtime_dir, prefixes=[app.prefix])
    return one


def test_look_by_look(fake: Start, place: str) -> None:
    app = fake(vdevs=["net_null0,copy=1"])
    app.start(0)
    looks = Looks(found(app))
    assert looks.at(0.0) == [("port_attached", 0), ("port_started", 0)]
    assert looks.events[0]["devargs"] == "net_null0,copy=1" and looks.events[0]["mac"] == "02:00:00:00:00:00"
    assert looks.at(1.0) == []
    app.stop(0)
    app.attach("vdev:net_null1")
    assert looks.at(2.0) == [("port_stopped", 0), ("port_attached", 1)]
    app.detach("vdev:net_null0")
    app.attach("vdev:net_null7")
    assert looks.at(3.0) == [("port_gone", 0), ("port_attached", 0)]
    assert [event["device"] for event in looks.events] == ["net_null0", "net_null7"]
    app.end()
    assert looks.at(4.0) == [("port_gone", 0), ("port_gone", 1), ("app_down", None)]
    assert looks.follower.ended


def test_ports_with_an_owner_are_seen_in_time(fake: Start, place: str) -> None:
    app = fake(vdevs=["net_null0"])
    looks = Looks(found(app))
    looks.at(0.0)
    app.own(0)
    assert looks.at(1.0) == []
    app.start(0)
    assert looks.at(2.0) == [("port_started", 0)]
    app.attach("vdev:net_null1")
    app.own(1)
    assert looks.at(20.0) == [("port_attached", 1)] and looks.events[0]["owned"]


def test_only_what_changes_is_told(fake: Start, place: str) -> None:
    app = fake(vdevs=["net_null0"])
    looks = Looks(found(app), tell=False)
    assert looks.at(0.0) == []
    app.start(0)
    assert looks.at(1.0) == [("port_started", 0)]


@pytest.mark.parametrize("mode", ["full", "half", "list", "breaks", "other", "hung"])
def test_ports_that_cannot_be_read(mode: str, fake: Start, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry.Telemetry.__init__, "__kwdefaults__", {"deadline": 0.2})
    app = fake(vdevs=["net_null0"])
    looks = Looks(found(app))
    looks.at(0.0)
    app.telemetry_mode(mode)
    assert looks.at(1.0) == []  # it may be starting, or busy
    assert looks.at(1.5) == []
    assert looks.at(9.0) == [("app_unreadable", None)] and looks.events[0]["reason"].startswith("telemetry ")
    assert looks.at(30.0) == []
    app.telemetry_mode("")
    assert looks.at(31.0) == []  # it is asked less and less often
    app.start(0)
    assert looks.at(90.0) == [("app_readable", None), ("port_started", 0)]


def test_nonsense_is_no_end(fake: Start, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(found(fake(vdevs=["net_null0"])))
    looks.at(0.0)
    monkeypatch.setattr(GlancedPorts, "glance", lambda *_: int("x"))
    assert looks.at(1.0) == []
    assert looks.at(7.0) == [("app_unreadable", None)] and "nonsense" in looks.events[0]["reason"]


def test_telemetry_comes_last(fake: Start, place: str) -> None:
    app = fake(vdevs=["net_null0"])
    whole = found(app)
    looks = Looks(whole._replace(telemetry="", telemetry_error="no telemetry socket"))
    assert looks.at(0.0) == []
    assert looks.at(0.5) == []
    looks.follower.renew(whole)
    assert looks.at(0.6) == [("port_attached", 0)]


def test_another_process_of_the_same_pid(fake: Start, place: str) -> None:
    app = fake()
    looks = Looks(found(app)._replace(start_time=1))
    assert looks.at(0.0) == [("app_down", None)]


def test_one_that_hangs_holds_up_nobody(fake: Start, place: str, run: str) -> None:
    events: list[tuple[str, str]] = []
    seen = threading.Condition()

    def emit(event: dict[str, t.Any]) -> None:
        with seen:
            events.append((event["app"], event["event"]))
            seen.notify()

    def wait_for(event: tuple[str, str], seconds: float) -> None:
        with seen:
            assert seen.wait_for(lambda: event in events, seconds), events

    hung, web = fake("hung"), fake("web")
    running = Watch(emit, interval=0.05, runtime_dir=run)
    thread = threading.Thread(target=running.run)
    thread.start()
    wait_for(("web", "app_up"), 5)
    wait_for(("hung", "app_up"), 5)
    hung.telemetry_mode("hung")
    time.sleep(0.3)
    web.attach("vdev:net_null0")
    wait_for(("web", "port_attached"), 1)
    hung.end()
    wait_for(("hung", "app_down"), 5)
    running.stop()
    thread.join(5)
    assert not thread.is_alive()
