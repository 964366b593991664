# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that the kernel answers, refuses, and never answers."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.writes import Writer
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import home, host_acts
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card

NIC = "0000:01:00.0"


@pytest.fixture
def writer(tmp_path: Path) -> t.Iterator[Writer]:
    one = Writer(System(str(tmp_path)), limit=0.3)
    yield one
    one.close()


def test_what_is_written_arrives_and_what_the_kernel_refuses_is_an_oserror(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    writer.write("/a", "7")
    assert (tmp_path / "a").read_text() == "7"
    os.symlink(tmp_path / "a", tmp_path / "link")
    for path, code in (("/nothing", errno.ENOENT), ("/link", errno.ELOOP), ("/", errno.EISDIR)):
        with pytest.raises(OSError) as caught:
            writer.write(path, "1")
        assert (caught.value.errno, caught.value.filename) == (code, path)


def test_what_is_read_comes_whole_and_what_the_kernel_refuses_is_an_oserror(writer: Writer, tmp_path: Path) -> None:
    for text in (b"", b"vfio-pci\n"):
        (tmp_path / "a").write_bytes(text)
        assert writer.read("/a") == text
    with pytest.raises(FileNotFoundError):
        writer.read("/nothing")


def test_the_child_holds_no_lock_of_ours(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    writer.write("/a", "7")
    os.close(lock)
    again = os.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(again)


def test_a_write_that_hangs_is_given_up_at_the_limit_and_the_next_one_has_a_child_of_its_own(
    writer: Writer, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "a").touch()
    with pytest.raises(HotplugError) as caught:
        writer.write("/fifo", "1")
    error = caught.value
    assert error.reason == "kernel_stuck" and "'1', written to /fifo" in error.message
    pid = error.fields["pid"]
    os.kill(pid, 0)  # it is left to the kernel
    writer.write("/a", "7")
    assert (tmp_path / "a").read_text() == "7"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_child_that_somebody_kills_is_said_and_replaced(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    writer.write("/a", "1")
    os.kill(writer._pid, signal.SIGKILL)
    with pytest.raises(HotplugError) as caught:
        while True:  # the pipe may take one before it is known to be broken
            writer.write("/a", "2")
    assert caught.value.reason == "write_failed"
    assert writer._pid == 0
    writer.write("/a", "3")
    assert (tmp_path / "a").read_text() == "3"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path, monkeypatch)
    one.tree.add(Card(NIC, driver="e1000e", group=1))
    return one


def test_a_run_whose_write_hangs_keeps_its_journal_and_the_next_is_told_while_it_does(host: Host) -> None:
    host.kernel.hangs_at = 1
    error = host.fails("kernel_stuck", {"device": NIC, "driver": "vfio-pci"})
    assert error.device == NIC and host.journal
    host.tree.process(4711, "python3", state="D", start_time=0)
    host.kernel.hangs_at = -1
    error = host.fails("kernel_stuck", {"device": NIC, "driver": "vfio-pci"})
    assert "the kernel still hangs over what an earlier run asked of" in error.message
    host.tree.gone("/proc/4711")
    host.converge({"device": NIC, "driver": "vfio-pci"})
    assert host.driver(NIC) == "vfio-pci" and not host.journal


def test_the_engine_s_own_writer_gives_up_a_file_that_nobody_reads(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS 17 from end to end: a real child, and a file that blocks."""
    monkeypatch.setattr(host_acts, "Writer", lambda system: Writer(system, limit=0.3))
    with host.silent(NIC):
        error = host.fails("kernel_stuck", {"device": NIC, "driver": "vfio-pci"})
        assert f"to a read of /sys/bus/pci/devices/{NIC}/driver_override" in error.message
        os.kill(error.fields["pid"], 0)  # it is left to the kernel
    os.waitpid(error.fields["pid"], 0)
    assert host.journal and host.driver(NIC) == "e1000e"
    assert home.place() == str(host.home)
