# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import time
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.telemetry import Telemetry
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import Directory
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp

SOCKET = "dpdk_telemetry.v2"
Start = t.Callable[..., FakeApp]


def test_a_session(fake: Start) -> None:
    app = fake(vdevs=["net_null0", "net_null1"])
    with Directory(app.directory) as directory, Telemetry(directory, SOCKET) as session:
        assert session.version == "DPDK 22.11.11"
        assert session.peer_pid == app.pid
        listed, first, none = session.ask("/ethdev/list", "/ethdev/info,0", "/ethdev/info,9")
    assert listed == [0, 1]
    assert first["name"] == "net_null0"
    assert none is None


def test_more_questions_than_a_window(fake: Start) -> None:
    app = fake(vdevs=["net_null0"])
    with Directory(app.directory) as directory, Telemetry(directory, SOCKET) as session:
        answers = session.ask(*(f"/ethdev/info,{number}" for number in range(100)))
    assert [bool(one) for one in answers] == [True] + [False] * 99


BANNERS: list[tuple[str, str]] = [
    ("hung", "in time (the banner)"),
    ("full", "is full"),
    ("text", "in JSON"),
    ("half", "in JSON"),
    ("endless", "without end"),
    ("list", "with an object"),
    ("deep", "in JSON"),
]
ANSWERS: list[tuple[str, str]] = [
    ("silent", "in time (/ethdev/list)"),
    ("breaks", "broke off"),
    ("other", "with something else"),
    ("endless answer", "without end"),
]


def refused(app: FakeApp, *, deadline: float = 0.4) -> HotplugError:
    open_before = len(os.listdir("/proc/self/fd"))
    with Directory(app.directory) as directory, pytest.raises(HotplugError) as error:
        session = Telemetry(directory, SOCKET, deadline=deadline)
        with session:
            session.ask("/ethdev/list")
    assert error.value.reason == "telemetry"
    assert error.value.way_out
    assert len(os.listdir("/proc/self/fd")) == open_before, "a descriptor leaks"
    return error.value


@pytest.mark.parametrize("mode, text", BANNERS + ANSWERS)
def test_hostile(fake: Start, mode: str, text: str) -> None:
    app = fake()
    app.telemetry_mode(mode)
    begin = time.monotonic()
    assert text in str(refused(app, deadline=3.0 if mode == "full" else 0.4))
    assert time.monotonic() - begin < 4


def test_full_once_is_tried_again(fake: Start) -> None:
    app = fake(vdevs=["net_null0"])
    app.telemetry_mode("full once")
    with Directory(app.directory) as directory, Telemetry(directory, SOCKET) as session:
        assert session.ask("/ethdev/list") == [[0]]


def test_ten_clients(fake: Start) -> None:
    app = fake()
    with Directory(app.directory) as directory:
        sessions = [Telemetry(directory, SOCKET) for _number in range(10)]
        assert "is full" in str(refused(app, deadline=3.0))
        for session in sessions:
            session.close()
        Telemetry(directory, SOCKET).close()


def test_full_to_the_end_of_the_time(fake: Start) -> None:
    app = fake()
    app.telemetry_mode("full")
    assert "in time" in str(refused(app, deadline=0.1))


def test_the_deadline_is_for_the_whole_session(fake: Start) -> None:
    app = fake()
    with Directory(app.directory) as directory, Telemetry(directory, SOCKET, deadline=0.1) as session:
        session.ask("/ethdev/list")
        time.sleep(0.12)
        with pytest.raises(HotplugError) as error:
            session.ask("/ethdev/list")
    assert "in time" in str(error.value)


def test_stopped(fake: Start) -> None:
    app = fake()
    app.signal(signal.SIGSTOP)
    assert "in time" in str(refused(app))


def test_queue_of_a_stopped_one_is_full(fake: Start) -> None:
    import socket

    app = fake()
    app.signal(signal.SIGSTOP)
    waiting = []
    for _number in range(17):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        one.setblocking(False)
        try:
            one.connect(f"{app.directory}/{SOCKET}")
        except BlockingIOError:
            pass
        waiting.append(one)
    assert "does not answer" in str(refused(app))
    for one in waiting:
        one.close()


def test_dead(fake: Start) -> None:
    app = fake()
    app.end()
    assert "refuses" in str(refused(app))


def test_dies_between_two_questions(fake: Start) -> None:
    app = fake()
    with Directory(app.directory) as directory, Telemetry(directory, SOCKET) as session:
        app.end()
        with pytest.raises(HotplugError) as error:
            session.ask("/ethdev/list")
    assert "broke off" in str(error.value)


@pytest.mark.parametrize("what", ["link", "file", "none"])
def test_no_socket(fake: Start, what: str) -> None:
    app = fake()
    path = f"{app.directory}/{SOCKET}"
    os.rename(path, path + ".real")
    if what == "link":
        os.symlink(path + ".real", path)
    elif what == "file":
        with open(path, "w"):
            pass
    assert "is not a socket" in str(refused(app))
