# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import multiprocessing
import os
import time
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import home

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def test_key_is_of_the_directory_however_it_is_written(run: str) -> None:
    os.makedirs(f"{run}/real/web")
    os.symlink("real", f"{run}/link")
    assert home.key(App("web", f"{run}/real")) == home.key(App("web", f"{run}/link"))
    assert home.key(App("web", f"{run}/real")) != home.key(App("web", f"{run}/other"))
    assert home.key(App("web", f"{run}/real")).startswith("web@")


PLACES: list[tuple[int, str, str]] = [
    (0, "/run/user/0/dpdk", "/run/dpdk-hotplug"),
    (1000, "/run/user/1000/dpdk", "/run/user/1000/dpdk-hotplug"),
    (1000, "/run/router/dpdk", "/run/router/dpdk-hotplug"),
    (1000, "/tmp/dpdk", "/tmp/dpdk-hotplug-1000"),
]


@pytest.mark.parametrize("user, runtime_dir, path", PLACES)
@pytest.mark.parametrize("environment", [None, "/run/user/7"])
def test_place(
    monkeypatch: pytest.MonkeyPatch, user: int, runtime_dir: str, path: str, environment: str | None
) -> None:
    """Whoever is that user has the same locks, from a login as well as by sudo; and the console is there too."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    if environment is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", environment)
    app = App("web", runtime_dir)
    assert home.place(app) == path
    assert home.directory_of("web", runtime_dir, user) == f"{path}/{home.key(app)}"
    contained = home.place(app._replace(root="/proc/7/root"))
    assert contained == (path if user == 0 else f"/proc/7/root{path}")
    assert home.place() == "/run/dpdk-hotplug"


def test_open_home_makes_what_is_missing(place: str) -> None:
    for _time in range(2):
        with home.open_home("web@1") as directory:
            assert directory.path == f"{place}/web@1"
    assert os.stat(place).st_mode & 0o777 == 0o700
    assert os.stat(f"{place}/web@1").st_mode & 0o777 == 0o700


def refused(name: str = "web@1") -> HotplugError:
    with pytest.raises(HotplugError) as error:
        home.open_home(name)
    return error.value


@pytest.mark.parametrize("part", ["", "/web@1"])
@pytest.mark.parametrize("how", ["group", "link", "file", "owner"])
def test_a_home_that_is_not_ours_alone_is_refused(place: str, run: str, part: str, how: str) -> None:
    if how == "owner" and os.geteuid():
        pytest.skip("needs root to give files away")
    if part:
        os.mkdir(place, 0o700)
    path = place + part
    if how == "link":
        os.symlink(run, path)
    elif how == "file":
        with open(path, "w"):
            pass
    else:
        os.mkdir(path)
        os.chmod(path, 0o720 if how == "group" else 0o700)
    if how == "owner":
        os.chown(path, 1234, -1)
    error = refused()
    assert error.reason in ("no_journal", "foreign")
    assert error.way_out
    assert os.listdir(run) == []


def test_no_room_for_a_home(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        raise OSError(28 if dir_fd is not None or path == place else 2, "No space left on device")

    monkeypatch.setattr(os, "mkdir", full)
    assert refused().reason == "no_journal"
    monkeypatch.undo()


def test_no_room_below_the_place(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "place", lambda _app=None: place)
    os.mkdir(place, 0o700)
    real = os.mkdir

    def full(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if dir_fd is None:
            real(path, mode)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "mkdir", full)
    error = refused()
    assert error.reason == "no_journal"
    assert "No space left" in str(error)


def hold(place: str, seconds: float, started: t.Any) -> None:
    home.place = lambda app=None: place
    with home.open_home("web@1") as directory:
        lock = home.Lock(directory, "web", timeout=5)
        started.set()
        time.sleep(seconds)
        lock.close()


@pytest.fixture
def holder(place: str) -> t.Iterator[t.Callable[[float], int]]:
    context = multiprocessing.get_context("fork")
    held = []

    def start(seconds: float) -> int:
        event = context.Event()
        process = context.Process(target=hold, args=(place, seconds, event))
        process.start()
        held.append(process)
        assert event.wait(10)
        assert process.pid is not None
        return process.pid

    yield start
    for process in held:
        process.kill()
        process.join()


def test_a_lock_is_waited_for(holder: t.Callable[[float], int]) -> None:
    holder(0.3)
    with home.open_home("web@1") as directory:
        lock = home.Lock(directory, "web", timeout=5)
        assert lock.waited
        lock.close()
        assert not home.Lock(directory, "web", timeout=0).waited


def test_a_lock_that_is_not_given_up_is_an_error_that_names_its_holder(holder: t.Callable[[float], int]) -> None:
    pid = holder(60)
    before = len(os.listdir("/proc/self/fd"))
    with home.open_home("web@1") as directory:
        with pytest.raises(HotplugError) as error:
            home.Lock(directory, "web", timeout=0.1)
        assert error.value.reason == "locked"
        assert f"(pid {pid}, since " in str(error.value)
        with open(f"{directory.path}/lock", "w"):
            pass
        with pytest.raises(HotplugError, match="does not say"):
            home.Lock(directory, "web", timeout=0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_ends_with_its_holder(holder: t.Callable[[float], int]) -> None:
    import signal

    pid = holder(60)
    os.kill(pid, signal.SIGKILL)
    with home.open_home("web@1") as directory:
        home.Lock(directory, "web", timeout=5).close()


def test_no_room_for_a_lock(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: t.Any) -> int:
        raise OSError(28, "No space left on device")

    before = len(os.listdir("/proc/self/fd"))
    with home.open_home("web@1") as directory:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(HotplugError) as error:
            home.Lock(directory, "web", timeout=0)
        assert error.value.reason == "no_journal"
        monkeypatch.undo()
        os.unlink(f"{directory.path}/lock")
        os.symlink("/etc/passwd", f"{directory.path}/lock")
        with pytest.raises(HotplugError) as error:
            home.Lock(directory, "web", timeout=0)
        assert error.value.reason == "no_journal"
    assert len(os.listdir("/proc/self/fd")) == before
