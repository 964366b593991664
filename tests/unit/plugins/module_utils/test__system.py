# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import Directory, Process, System

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make files of others")
_STAT = "{pid} ({name}) {state} 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {start} 999 1 2\n"


def process(tree: Path, pid: int, name: str = "testpmd", *, state: str = "S", start: int = 4711) -> Path:
    """A process in a /proc of the test's own."""
    own = tree / "proc" / str(pid)
    own.mkdir(parents=True)
    (own / "stat").write_text(_STAT.format(pid=pid, name=name, state=state, start=start))
    return own


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path


PROCESSES: list[tuple[str, str]] = [("testpmd", "S"), ("a) R 1 (b", "T"), ("", "Z"), ("with space", "R")]


@pytest.mark.parametrize("name, state", PROCESSES)
def test_process(tree: Path, name: str, state: str) -> None:
    process(tree, 12, name, state=state, start=99)
    assert System(str(tree)).process(12) == Process(12, name, state, 99)


def test_what_is_not_there_is_empty(tree: Path) -> None:
    system = System(str(tree))
    assert system.process(12) is None
    assert system.read("/none") == b""
    assert system.link("/none") == ""
    assert system.names("/none") == []
    assert system.pids() == []
    assert system.command(12) == ()
    assert system.uid(12) == -1


def test_a_process_of_half_a_line_is_none(tree: Path) -> None:
    (process(tree, 12) / "stat").write_text("12 (x) S 1 1")
    assert System(str(tree)).process(12) is None


def test_reads(tree: Path) -> None:
    own = process(tree, 12)
    (own / "cmdline").write_bytes(b"dpdk-testpmd\0--vdev\0net_null0\0\xff\0")
    os.symlink("mnt:[1]", own / "link")
    system = System(str(tree) + "/")
    assert system.command(12) == ("dpdk-testpmd", "--vdev", "net_null0", "\udcff")
    assert system.link("/proc/12/link") == "mnt:[1]"
    assert system.pids() == [12]
    assert system.uid(12) == os.geteuid()
    assert system.names("/proc/12") == ["cmdline", "link", "stat"]
    assert system.read("/proc/12/stat", 2) == b"12"
    assert system.read("/proc/12") == b""


def test_a_pipe_without_a_writer_does_not_block(tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    assert System(str(tree)).read("/fifo") == b""


def test_a_large_file_is_read_up_to_the_limit(tree: Path) -> None:
    (tree / "large").write_bytes(b"x" * 300000)
    assert len(System(str(tree)).read("/large")) == 300000
    assert len(System(str(tree)).read("/large", 200000)) == 200000


def test_the_own_process() -> None:
    found = System().process(os.getpid())
    assert found is not None and found.state == "R" and found.start_time > 0


def foreign(call: t.Callable[[], t.Any]) -> HotplugError:
    with pytest.raises(HotplugError) as error:
        call()
    return error.value


def test_directory_is_no_link_nor_file(tree: Path) -> None:
    (tree / "real").mkdir()
    (tree / "file").write_text("")
    (tree / "link").symlink_to("real")
    assert foreign(lambda: Directory(str(tree / "link"))).reason == "foreign"
    assert foreign(lambda: Directory(str(tree / "file"))).reason == "foreign"
    assert foreign(lambda: Directory(str(tree / "none"))).reason == "unreadable"
    with Directory(str(tree)) as above:
        assert foreign(lambda: Directory("link", parent=above)).reason == "foreign"
        with Directory("real", parent=above) as own:
            assert own.path == f"{tree}/real"


def test_directory_stays_the_same_when_its_name_is_taken_over(tree: Path) -> None:
    (tree / "real").mkdir()
    (tree / "evil").mkdir()
    with Directory(str(tree / "real")) as directory:
        (tree / "real").rename(tree / "moved")
        (tree / "real").symlink_to("evil")
        os.close(directory.open("new", os.O_WRONLY | os.O_CREAT))
        assert directory.names() == ["new"]
        assert os.path.samefile(directory.child("new"), tree / "moved" / "new")
    assert not list((tree / "evil").iterdir())


def test_directory_knows_sockets_and_opens_no_link(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one, Directory(str(tree)) as directory:
        here = os.getcwd()
        os.chdir(tree)
        try:
            one.bind("socket")
        finally:
            os.chdir(here)
        (tree / "link").symlink_to("socket")
        (tree / "passwd").symlink_to("/etc/passwd")
        assert directory.is_socket("socket")
        assert not directory.is_socket("link")
        assert not directory.is_socket("none")
        with pytest.raises(OSError):
            directory.open("passwd")


@pytest.mark.parametrize(
    "mode, why", [(0o700, ""), (0o1777, ""), (0o755, ""), (0o777, "everybody may write"), (0o702, "everybody")]
)
def test_distrust_of_a_mode(tree: Path, mode: int, why: str) -> None:
    tree.chmod(mode)
    with Directory(str(tree)) as directory:
        assert (why in directory.distrust(0)) if why else directory.distrust(0) == ""


@ROOT
@pytest.mark.parametrize(
    "owner, expected, trusted", [(0, 1234, True), (1234, 1234, True), (1234, 0, False), (1234, 99, False)]
)
def test_distrust_of_an_owner(tree: Path, owner: int, expected: int, trusted: bool) -> None:
    os.chown(tree, owner, -1)
    with Directory(str(tree)) as directory:
        assert (directory.distrust(expected) == "") is trusted
