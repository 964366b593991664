# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import socket
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import ipc
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import Release
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import Directory
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import Act, FakeApp, FakeSecondary

OLD, NEW = Release(22, 11, 11), Release(25, 11, 4)
Start = t.Callable[..., FakeApp]


def _recorded(gap: str, kind: str, devargs: str, result: str, trail: str) -> bytes:
    """A datagram by its fields in hexadecimal, as they were recorded on the wire of x86 machines."""
    name = b"eal_dev_mp_request".ljust(64, b"\0")
    text = devargs.encode().ljust(128, b"\0")
    middle = bytes.fromhex("88000000 00000000") + bytes.fromhex(kind) + text + bytes.fromhex(result)
    return bytes.fromhex("01000000" + gap) + name + middle + b"\0" * 120 + bytes.fromhex(trail)


LAYOUTS: list[tuple[int, bytes]] = [
    (332, _recorded("", "00000000", "vdev:net_null0", "00000000", "")),
    (340, _recorded("00000000", "00000000", "vdev:net_null0", "00000000", "00000000")),
]
LITTLE = pytest.mark.skipif(__import__("sys").byteorder != "little", reason="recorded on little endian machines")


@LITTLE
@pytest.mark.parametrize("size, data", LAYOUTS)
def test_pack_as_recorded(size: int, data: bytes) -> None:
    assert len(data) == size
    assert ipc.pack(size, ipc.ATTACH, "vdev:net_null0") == data


@LITTLE
@pytest.mark.parametrize("size", [332, 340])
def test_unpack_as_recorded(size: int) -> None:
    gap, trail = ("00000000", "00000000") if size == 340 else ("", "")
    data = _recorded(gap, "00000000", "vdev:net_null0", "f2ffffff", trail)
    assert ipc.unpack(size, data) is None, "a request is no answer"
    assert ipc.unpack(size, b"\2" + data[1:]) == (2, -14)
    assert ipc.unpack(size, b"\3" + data[1:]) == (3, -14)
    assert ipc.unpack(size, b"\4" + data[1:]) is None
    assert ipc.unpack(size, b"\2" + data[1:-1]) is None
    assert ipc.unpack(size, b"\2" + data[1:] + b"\0") is None
    assert ipc.unpack(size, (b"\2" + data[1:]).replace(b"eal_dev", b"eal_vev")) is None
    assert ipc.unpack(size, (b"\2" + data[1:]).replace(b"\x88", b"\x87", 1)) is None


@given(st.sampled_from([332, 340]), st.binary(min_size=300, max_size=400))
def test_unpack_takes_any_bytes(size: int, data: bytes) -> None:
    ipc.unpack(size, data)
    ipc.unpack(size, data[:size].ljust(size, b"\0"))


@given(st.sampled_from([332, 340]), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=127))
def test_pack_keeps_size_and_text(size: int, devargs: str) -> None:
    data = ipc.pack(size, ipc.DETACH, devargs)
    assert len(data) == size
    assert devargs.encode() + b"\0" in data


@pytest.mark.parametrize("text", ["x" * 128, "vdev:ä"])
def test_pack_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        ipc.pack(332, ipc.ATTACH, text)


@pytest.fixture
def reached(fake: Start) -> t.Iterator[t.Callable[..., tuple[FakeApp, ipc.Primary]]]:
    directories: list[Directory] = []

    def start(**options: t.Any) -> tuple[FakeApp, ipc.Primary]:
        app = fake(**options)
        directories.append(Directory(app.directory))
        return app, ipc.Primary(directories[-1], app.release, pid=app.pid, uid=os.geteuid())

    yield start
    for directory in directories:
        directory.close()


Reached = t.Callable[..., tuple[FakeApp, ipc.Primary]]


@pytest.mark.parametrize("release", [OLD, NEW])
def test_attach_ping_detach(reached: Reached, release: Release) -> None:
    app, primary = reached(release=release)
    before = sorted(os.listdir(app.directory))
    assert primary.attach("vdev:net_null0,size=64", timeout=5) == 0
    assert app.attached == {"net_null0": "size=64"}
    assert primary.attach("vdev:net_nope0", timeout=5) == -14
    assert primary.attach("pci:0000:01:00.0", timeout=5) == -19
    assert primary.ping(timeout=5)
    assert primary.detach("vdev:net_null0", timeout=5) == 0
    assert primary.detach("vdev:net_null0", timeout=5) == -2
    assert app.attached == {}
    assert sorted(os.listdir(app.directory)) == before, "the reply sockets are gone"


def test_our_socket_is_no_secondary_s(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    app, primary = reached()
    names: list[str] = []
    original = ipc.Primary._await

    def await_(self: ipc.Primary, connection: socket.socket, timeout: float) -> int:
        names.extend(os.listdir(app.directory))
        return original(self, connection, timeout)

    monkeypatch.setattr(ipc.Primary, "_await", await_)
    primary.ping(timeout=0)
    assert [name for name in names if name.startswith("hotplug_")]
    assert not [name for name in names if name.startswith("mp_socket_")]


ANSWERS: list[tuple[Act, str, bool]] = [
    (Act(reply="none"), "timeout", True),
    (Act(delay=0.5), "timeout", False),
    (Act(result=0, reply="ignore"), "not_ready", False),
    (Act(reply="short"), "timeout", True),
    (Act(reply="other"), "timeout", True),
    (Act(dies="before"), "primary_gone", False),
    (Act(dies="after"), "primary_gone", False),
    (Act(delay=0.1, dies="before"), "primary_gone", False),
]


@pytest.mark.parametrize("act, reason, done", ANSWERS)
def test_bad_answers(reached: Reached, act: Act, reason: str, done: bool) -> None:
    app, primary = reached()
    app.script(act)
    with pytest.raises(HotplugError) as error:
        primary.attach("vdev:net_null0", timeout=0.3)
    assert error.value.reason == reason
    assert error.value.way_out
    assert not [name for name in os.listdir(app.directory) if name.startswith("hotplug_")]
    if act.dies:
        app.gone()
    else:
        assert ("net_null0" in app.attached) is done


def test_late_answer_is_waited_for(reached: Reached) -> None:
    app, primary = reached()
    app.script(Act(delay=0.3))
    assert primary.attach("vdev:net_null0", timeout=5) == 0


def test_ping_is_answered_after_what_came_before(reached: Reached) -> None:
    app, primary = reached()
    app.script(Act(delay=0.4))
    with pytest.raises(HotplugError):
        primary.attach("vdev:net_null0", timeout=0.05)
    assert not primary.ping(timeout=0.05)
    assert primary.ping(timeout=5)
    assert app.attached == {"net_null0": ""}


def test_wrong_length_would_end_the_primary_s_thread(reached: Reached) -> None:
    """The negative control: why an unknown release is refused."""
    app, primary = reached(release=OLD)
    with Directory(app.directory) as directory:
        wrong = ipc.Primary(directory, NEW, pid=app.pid, uid=os.geteuid())
        assert not wrong.ping(timeout=0.1)
    assert not primary.ping(timeout=0.1)


def test_stopped_primary_does_not_answer(reached: Reached) -> None:
    app, primary = reached()
    app.signal(signal.SIGSTOP)
    assert not primary.ping(timeout=0.1)
    app.signal(signal.SIGCONT)
    assert primary.ping(timeout=5)


def test_full_queue_of_a_stopped_primary_is_a_timeout(reached: Reached) -> None:
    app, primary = reached()
    app.signal(signal.SIGSTOP)
    for _number in range(600):
        with pytest.raises(HotplugError, match="no answer") as error:
            primary._request("mp_socket", ipc.PING, "", 0.001)
        assert error.value.reason == "timeout"


def test_unknown_release(reached: Reached) -> None:
    app, _primary = reached()
    with Directory(app.directory) as directory, pytest.raises(HotplugError) as error:
        ipc.Primary(directory, Release(26, 11), pid=app.pid, uid=os.geteuid())
    assert error.value.reason == "unknown_release"
    assert "26.11" in str(error.value) and "26.07" in str(error.value)


def test_a_link_to_a_socket_is_refused(reached: Reached) -> None:
    app, primary = reached()
    os.rename(f"{app.directory}/mp_socket", f"{app.directory}/real")
    os.symlink("real", f"{app.directory}/mp_socket")
    with pytest.raises(HotplugError) as error:
        primary.attach("vdev:net_null0", timeout=1)
    assert error.value.reason == "no_mp_socket"
    assert app.requests == []


def test_a_socket_of_a_dead_one(reached: Reached) -> None:
    app, primary = reached()
    app.end()
    with pytest.raises(HotplugError) as error:
        primary.attach("vdev:net_null0", timeout=1)
    assert error.value.reason == "primary_gone"


def test_no_place_for_a_reply(run: str) -> None:
    os.makedirs(f"{run}/{'x' * 90}", mode=0o700)
    with Directory(f"{run}/{'x' * 90}") as directory:
        socket_path = directory.child("mp_socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.bind(socket_path)
            primary = ipc.Primary(directory, OLD, pid=os.getpid(), uid=os.geteuid())
            with pytest.raises(HotplugError) as error:
                primary.attach("vdev:net_null0", timeout=1)
    assert error.value.reason == "no_reply_socket"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as another user")
def test_reply_socket_is_made_as_the_application_s_user(run: str, fake: Start) -> None:
    app = fake()
    os.chmod(run, 0o755)
    os.chown(app.directory, 1234, -1)
    with Directory(app.directory) as directory:
        primary = ipc.Primary(directory, app.release, pid=app.pid, uid=1234)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
            primary._bind(made, "hotplug_1")
            assert os.stat(f"{app.directory}/hotplug_1").st_uid == 1234
        assert os.geteuid() == 0
        os.chown(app.directory, 0, -1)
        with pytest.raises(HotplugError) as error:
            primary.attach("vdev:net_null0", timeout=1)
    assert error.value.reason == "no_reply_socket"
    assert os.geteuid() == 0
    assert app.requests == []


def test_secondaries(reached: Reached) -> None:
    app, primary = reached()
    assert primary.secondaries() == []
    works = FakeSecondary(app.directory, 11, answers=True)
    hangs = FakeSecondary(app.directory, 12, answers=False)
    assert primary.secondaries() == [works.name, hangs.name]
    assert primary.ping(works.name, timeout=5)
    assert not primary.ping(hangs.name, timeout=0.1)
    works.close()
    hangs.close()
    with pytest.raises(HotplugError) as error:
        primary.ping(works.name, timeout=1)
    assert error.value.reason == "primary_gone"


def test_without_a_descriptor_of_the_process_the_answer_is_still_awaited(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, primary = reached()

    def none(_pid: int) -> int:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(os, "pidfd_open", none, raising=False)
    assert primary.attach("vdev:net_null0", timeout=5) == 0
    assert app.attached == {"net_null0": ""}


def test_reply_sockets_of_killed_runs_are_swept(reached: Reached) -> None:
    app, primary = reached()
    for name in ("hotplug_1_dead", "hotplug_2_alive", "mp_socket_3_dead"):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.bind(f"{app.directory}/{name}")
        if "dead" in name:
            one.close()
        else:
            alive = one
    with open(f"{app.directory}/hotplug_file", "w"):
        pass
    primary.sweep()
    assert sorted(name for name in os.listdir(app.directory) if "_" in name and "dpdk" not in name) == [
        "hotplug_2_alive",
        "hotplug_file",
        "mp_socket",
        "mp_socket_3_dead",
    ]
    alive.close()
    assert not primary.listens("none")


class _Refusing(socket.socket):
    """A socket of a user who may not."""

    error: OSError = PermissionError(13, "Permission denied")

    def sendto(self, *_args: t.Any) -> int:
        raise self.error

    def connect(self, _address: t.Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error, reason",
    [
        (PermissionError(13, "Permission denied"), "no_mp_socket"),
        (FileNotFoundError(2, "No such file"), "primary_gone"),
        (BlockingIOError(11, "again"), "timeout"),
    ],
)
def test_what_sending_may_answer(
    reached: Reached, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    app, primary = reached()
    monkeypatch.setattr(_Refusing, "error", error)
    monkeypatch.setattr(socket, "socket", _Refusing)
    with pytest.raises(HotplugError) as caught:
        primary.attach("vdev:net_null0", timeout=1)
    assert caught.value.reason == reason
    if reason == "no_mp_socket":
        with pytest.raises(HotplugError, match="takes no requests"):
            primary.listens("mp_socket")
    monkeypatch.undo()
    assert app.requests == []


def test_a_reply_socket_that_is_gone_already(reached: Reached) -> None:
    _app, primary = reached()
    primary._unlink("hotplug_none")
