# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hugepages of this kernel, reserved and given back at run time, and mounts of them.

The machine's number is the same after each test. A kernel that runs out is not provoked here, where others need the
memory too: what it says is told by a file of our own, and in a guest of tests/fleet by a real one.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import releases

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import hugepages, mounts
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.states import Mount
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine, host_info
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

SIZE = 2048  # KiB
KNOB = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


@pytest.fixture
def had() -> Iterator[int]:
    """How many pages of 2 MiB the machine has. It has as many afterwards; other runs wait meanwhile."""
    with open(releases.__file__) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = int(KNOB.read_text())
        KNOB.write_text(str(before + 1))
        possible = int(KNOB.read_text()) == before + 1
        KNOB.write_text(str(before))
        if not possible:
            pytest.fail("this kernel gives no hugepages at run time")
        yield before
        KNOB.write_text(str(before))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A path for a mount, which is not there yet."""
    path = tmp_path / "huge"
    yield path
    while path.is_mount():
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def total() -> int:
    return int(KNOB.read_text())


def pages(count: int, size: str = "2M", **more: Any) -> dict[str, Any]:
    return {"hugepages": {"pages": [{"size": size, "count": count, **more}]}}


def mount(path: Path, **more: Any) -> dict[str, Any]:
    return {"hugepages": {"mounts": [{"path": str(path), **more}]}}


def refused(document: dict[str, Any], *, check: bool = False) -> HotplugError:
    with pytest.raises(HotplugError) as caught:
        engine.converge(document, check=check)
    assert caught.value.way_out
    return caught.value


@contextlib.contextmanager
def used(number: int, *, touched: bool) -> Iterator[None]:
    """Pages that this process has mapped."""
    path = Path("/dev/hugepages/test")
    with open(path, "w+b") as file:
        os.ftruncate(file.fileno(), number * SIZE * 1024)
        with mmap.mmap(file.fileno(), number * SIZE * 1024) as memory:
            for page in range(number if touched else 0):
                memory[page * SIZE * 1024] = 1
            try:
                yield
            finally:
                path.unlink()


def mount_id(path: Path) -> str:
    (line,) = [one for one in Path("/proc/self/mountinfo").read_text().splitlines() if one.split()[4] == str(path)]
    return line.split()[0]


# Pages


def test_pages_are_reserved_and_given_back_and_a_second_run_changes_nothing(had: int) -> None:
    answer = engine.converge(pages(had + 8), check=True)
    assert answer["changed"] and total() == had, "check mode tells what it would do, and does nothing"
    (predicted,) = answer["host"]["actions"]
    assert (predicted["action"], predicted["size"], predicted["after"] - predicted["before"]) == ("reserve", "2M", 8)

    done = engine.converge(pages(had + 8))
    assert done["changed"] and total() == had + 8
    assert done["host"]["diff"] == answer["host"]["diff"], "what was predicted is what was done"
    assert not done["host"]["reboot_required"]

    again = engine.converge(pages(had + 8))
    assert not again["changed"] and again["host"]["actions"] == []
    told = [one for one in host_info.hugepages()["pages"] if one["size"] == "2M"]
    assert sum(one["count"] for one in told) == had + 8

    assert engine.converge(pages(had))["changed"] and total() == had


def test_a_node_has_a_number_of_its_own(had: int) -> None:
    (pool, *_others) = [one for one in hugepages.pools(System()) if one.size == SIZE]
    assert engine.converge(pages(pool.total + 3, node=pool.node))["changed"]
    (now, *_others) = [one for one in hugepages.pools(System()) if one.size == SIZE]
    assert now.total == pool.total + 3 and now.node == pool.node


@pytest.mark.parametrize(
    "asked, reason, said",
    [
        (pages(1, size="4M"), "hugepages_size", "it has 1G, 2M"),
        (pages(1, size="two"), "hugepages_size", "'two' is no size"),
        (pages(1, node=999), "no_node", "no node 999"),
        (pages(-1), "bad_document", "-1"),
    ],
    ids=["a size the kernel has not", "no size", "no such node", "fewer than none"],
)
@pytest.mark.parametrize("check", [True, False])
def test_what_cannot_be_is_refused_and_nothing_is_touched(
    had: int, asked: dict[str, Any], reason: str, said: str, check: bool
) -> None:
    error = refused(asked, check=check)
    assert error.reason == reason and said in error.message
    assert total() == had


@pytest.mark.parametrize("touched", [True, False], ids=["touched", "promised"])
@pytest.mark.parametrize("check", [True, False])
def test_pages_in_use_are_not_taken_away(had: int, touched: bool, check: bool) -> None:
    """Mapped and not touched yet is in use as well: the process would die when it does."""
    engine.converge(pages(had + 6))
    free = sum(one.free - one.promised for one in hugepages.pools(System()) if one.size == SIZE)
    with used(free, touched=touched):
        error = refused(pages(had + 5), check=check)
        assert error.reason == "hugepages_in_use" and f"{had + 6} hugepages of 2M" in error.message
        assert f"asked for are {had + 5}" in error.message
        assert total() == had + 6
    assert engine.converge(pages(had))["changed"], "once they are free they are given back"


def test_more_than_a_node_has_memory_for_is_refused_at_once(had: int) -> None:
    """The kernel would take all that is free before it gave up."""
    error = refused(pages(1 << 28, node=0))
    assert error.reason == "hugepages_short" and total() == had
    assert f"gave {had} of {1 << 28} hugepages of 2M on node 0" in error.message and "in all" in error.way_out


def test_a_failure_later_in_the_run_gives_the_pages_back(had: int, place: Path) -> None:
    place.write_text("x")  # nothing can be mounted on a file
    document = {"hugepages": {**pages(had + 4)["hugepages"], **mount(place)["hugepages"]}}
    error = refused(document)
    assert error.reason == "mount_failed"
    assert total() == had and not place.is_mount()
    assert any("hugepages of 2M" in one for one in error.fields["undone"])


class Stingy:
    """A kernel that gives ``most`` pages; ``after`` it has tidied up its memory it gives more."""

    def __init__(self, system: System, *, most: int, after: int, refuses: int = 0) -> None:
        self.system, self.most, self.after, self.refuses = system, most, after, refuses
        self.writes: list[tuple[str, str]] = []

    def read(self, path: str) -> bytes:
        return self.system.read(path)

    def write(self, path: str, text: str) -> None:
        self.writes.append((path.rpartition("/")[2], text))
        if path.endswith("compact_memory"):
            self.most = self.after
            return
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        Path(self.system.path(path)).write_text(f"{min(int(text), self.most)}\n")

    def close(self) -> None:
        pass


def node_of(root: Path, total: int, used: int) -> System:
    place = root / "sys/devices/system/node/node1/hugepages/hugepages-2048kB"
    place.mkdir(parents=True)
    for name, number in (("nr_hugepages", total), ("free_hugepages", total - used), ("surplus_hugepages", 0)):
        (place / name).write_text(f"{number}\n")
    return System(str(root))


def test_what_the_kernel_gave_is_told_and_given_back(tmp_path: Path) -> None:
    system = node_of(tmp_path, 2, 1)
    kernel = Stingy(system, most=5, after=7)
    with pytest.raises(HotplugError, match="the kernel gave 7 of 9 hugepages of 2M on node 1") as caught:
        hugepages.set_count(system, kernel, size=SIZE, node=1, before=2, count=9)
    assert (caught.value.fields["gave"], caught.value.fields["asked"], caught.value.fields["node"]) == (7, 9, 1)
    assert kernel.writes[-1] == ("nr_hugepages", "2")


def test_memory_that_is_scattered_is_tidied_up_once(tmp_path: Path) -> None:
    system = node_of(tmp_path, 2, 1)
    kernel = Stingy(system, most=5, after=9)
    hugepages.set_count(system, kernel, size=SIZE, node=1, before=2, count=9)
    assert kernel.writes == [("nr_hugepages", "9"), ("compact_memory", "1"), ("nr_hugepages", "9")]


def test_a_kernel_that_refuses_the_number_is_told(tmp_path: Path) -> None:
    system = node_of(tmp_path, 2, 1)
    with pytest.raises(HotplugError, match="does not take 9 hugepages of 2M on node 1: Invalid argument"):
        hugepages.set_count(system, Stingy(system, most=9, after=9, refuses=22), size=SIZE, node=1, before=2, count=9)


# Mounts


def test_a_mount_comes_with_its_owner_and_mode_and_goes_with_its_directory(place: Path) -> None:
    wanted = mount(place, size="2M", mode="1770", owner="nobody", group=12)
    answer = engine.converge(wanted, check=True)
    assert answer["changed"] and not place.exists(), "check mode makes not even the directory"

    done = engine.converge(wanted)
    status = place.stat()
    assert place.is_mount() and status.st_mode & 0o7777 == 0o1770
    assert (status.st_uid, status.st_gid) == (mounts.user_id("nobody"), 12)
    assert [one for one in mounts.mounted(System()) if one.path == str(place)] == [
        Mount(str(place), SIZE, 0o1770, status.st_uid, 12)
    ]
    assert done["host"]["diff"] == answer["host"]["diff"]
    assert not engine.converge(wanted)["changed"]

    gone = mount(place, state="absent")
    assert engine.converge(gone, check=True)["changed"] and place.is_mount()
    assert engine.converge(gone)["changed"] and not place.exists()
    assert not engine.converge(gone)["changed"]


def test_another_mode_does_not_disturb_who_uses_the_mount(place: Path) -> None:
    engine.converge(mount(place, mode="0755"))
    before = mount_id(place)
    assert engine.converge(mount(place, mode="0700"))["changed"]
    assert mount_id(place) == before and place.stat().st_mode & 0o7777 == 0o700


def test_another_size_of_pages_is_another_mount(place: Path) -> None:
    engine.converge(mount(place, size="2M"))
    assert engine.converge(mount(place, size="1G"))["changed"]
    (now,) = [one for one in mounts.mounted(System()) if one.path == str(place)]
    assert now.size == 1 << 20 and mount_id(place), "there is one mount, not one over the other"


def test_a_size_that_the_kernel_has_not_leaves_the_mount_as_it_was(place: Path) -> None:
    engine.converge(mount(place, size="2M", mode="0711"))
    before = [one for one in mounts.mounted(System()) if one.path == str(place)]
    assert refused(mount(place, size="16M")).reason == "hugepages_size"
    assert [one for one in mounts.mounted(System()) if one.path == str(place)] == before


@pytest.mark.parametrize("wanted", [{"state": "absent"}, {"size": "1G"}], ids=["absent", "of another size"])
def test_a_mount_in_use_stays(place: Path, wanted: dict[str, str]) -> None:
    engine.converge(mount(place))
    before = mount_id(place)
    with open(place / "held", "wb"):
        error = refused(mount(place, **wanted))
    assert error.reason == "mount_failed" and "busy" in error.message and str(place) in error.message
    assert mount_id(place) == before and (place / "held").exists()


def test_what_else_is_mounted_there_is_not_hidden(place: Path) -> None:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    (place / "precious").write_text("x")
    assert refused(mount(place)).reason == "foreign"
    assert not engine.converge(mount(place, state="absent"))["changed"], "nor unmounted: it is no hugetlbfs"
    assert (place / "precious").exists()


def test_a_directory_bound_to_there_is_not_hidden(tmp_path: Path, place: Path) -> None:
    """A bind mount of the same filesystem looks like a plain directory to stat()."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/precious").write_text("x")
    place.mkdir()
    subprocess.run(["mount", "--bind", str(tmp_path / "data"), str(place)], check=True)
    assert refused(mount(place)).reason == "foreign"
    assert (place / "precious").exists()


def test_a_link_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "way").symlink_to("elsewhere")
    error = refused(mount(tmp_path / "way" / "huge"))
    assert error.reason == "foreign" and "elsewhere/huge" in error.message
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_the_way_is_an_error(place: Path) -> None:
    place.write_text("x")
    assert refused(mount(place)).reason == "mount_failed"
    assert place.read_text() == "x"


def test_paths_with_spaces_are_one_path(tmp_path: Path) -> None:
    path = tmp_path / "huge pages"
    try:
        assert engine.converge(mount(path))["changed"]
        assert not engine.converge(mount(path))["changed"]
    finally:
        engine.converge(mount(path, state="absent"))
    assert not path.exists()
