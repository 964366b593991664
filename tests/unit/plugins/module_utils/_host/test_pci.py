# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of which the kernel does not tell everything, for it waits until an application lets go of them."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._host import pci, reads
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, modalias

CARDS = [f"0000:{bus:02x}:00.0" for bus in range(1, 10)]
DRIVERS = ["vfio-pci", "uio_pci_generic", "e1000e"]
KERNELS, UNBOUND = CARDS[2], CARDS[6]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Three cards of each driver, one of them without it; each has what drives it, or would, for its override.

    Those of the kernel are PFs, whose VFs an application may have.
    """
    one = Host(tmp_path, monkeypatch)
    for number, address in enumerate(CARDS):
        driver = DRIVERS[number % 3]
        pf = 7 if driver == "e1000e" else 0
        one.tree.add(Card(address, driver=driver, override=driver, group=number, max_vfs=pf))
    one.tree.unbound(UNBOUND)
    return one


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pids of those that were started."""
    pids: list[int] = []
    apart = reads.apart

    def start(work: t.Callable[[], None], *keep: int) -> int:
        pids.append(apart(work, *keep))
        return pids[-1]

    monkeypatch.setattr(reads, "apart", start)
    return pids


def overrides(host: Host) -> list[str]:
    found = host.devices()
    assert list(found) == CARDS
    return [one.override for one in found.values()]


def is_left(pid: int) -> bool:
    """Whether a child is there, or nobody has heard of its end."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def test_one_child_reads_the_overrides_of_all_and_nothing_of_it_is_left(host: Host, children: list[int]) -> None:
    before = os.listdir("/proc/self/fd")
    assert overrides(host) == DRIVERS * 3
    assert len(children) == 1 and not is_left(children[0])
    assert os.listdir("/proc/self/fd") == before


def test_what_no_application_can_have_is_read_without_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, children: list[int]
) -> None:
    host = Host(tmp_path, monkeypatch)
    host.tree.add(Card(CARDS[0], driver="e1000e", override="e1000e"))
    host.tree.add(Card(CARDS[1], driver="pcieport", class_code="060400"))
    host.tree.add(Card(CARDS[2], class_code="060000"))
    assert [one.override for one in host.devices().values()] == ["e1000e", "", ""]
    assert children == []


@pytest.mark.parametrize("silent", [CARDS[:1], CARDS[8:], [UNBOUND], [CARDS[0], CARDS[1], KERNELS]])
def test_what_is_not_told_hides_nothing_of_others_and_is_taken_for_what_drives_it(
    host: Host, silent: list[str], children: list[int]
) -> None:
    before = os.listdir("/proc/self/fd")
    drivers = [one.driver if one.driver != "e1000e" else "" for one in host.devices().values()]
    expected = [drives if at in silent else told for at, drives, told in zip(CARDS, drivers, DRIVERS * 3)]
    children.clear()
    begin = time.monotonic()
    with host.silent(*silent):
        assert overrides(host) == expected
        assert len(reads._hanging) == len(silent)
        assert os.listdir("/proc/self/fd") == before
        assert [one for one in children if is_left(one)] == list(reads._hanging.values())
        children.clear()
        assert overrides(host) == expected
        assert len(children) == 1, "nobody is sent after what hangs"
    assert time.monotonic() - begin < 10
    assert overrides(host) == DRIVERS * 3


def test_a_child_that_is_answered_at_last_ends_and_its_file_is_read_again(host: Host) -> None:
    with host.silent(KERNELS):
        assert host.devices()[KERNELS].override == ""
        pid = next(iter(reads._hanging.values()))
    assert host.devices()[KERNELS].override == "e1000e"
    assert not reads._hanging and not is_left(pid)


def test_many_that_hang_keep_nobody_longer_than_the_limit(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "_LIMIT", 0.5)
    begin = time.monotonic()
    with host.silent(*CARDS):
        assert list(host.devices()) == CARDS
        assert time.monotonic() - begin < 5 and len(reads._hanging) < len(CARDS)


def test_a_device_by_itself(host: Host, children: list[int]) -> None:
    address = CARDS[0]
    with host.silent(address):
        device = pci.read(host.system, address)
        assert device and (device.driver, device.override, children) == ("vfio-pci", "", [])
        assert pci.read_all(host.system, [address, "0000:77:00.0"], {}) == {
            address: device._replace(override="vfio-pci")
        }


def test_what_is_to_happen_to_a_device_that_does_not_tell_is_planned_all_the_same(host: Host) -> None:
    with host.silent(CARDS[0]):
        result = host.check({"device": CARDS[0], "driver": "e1000e"})
        assert host.actions(result) == [("bind", CARDS[0], "vfio-pci", "e1000e")]
        assert not host.converge({"device": CARDS[0], "driver": "vfio-pci"})["changed"]


def test_devices_that_are_right_are_read_by_one_child(host: Host, children: list[int]) -> None:
    wanted = [{"device": one, "driver": "uio_pci_generic"} for one in CARDS[1::3]]
    assert not host.converge(*wanted)["changed"]
    assert len(children) == 1


def test_a_file_that_is_not_there_is_empty_and_no_files_need_no_child(host: Host, children: list[int]) -> None:
    assert reads.Bounded(host.system, []).texts() == {} and children == []
    assert reads.Bounded(host.system, ["/nothing", "/proc/cmdline"]).texts() == {
        "/nothing": b"",
        "/proc/cmdline": host.system.read("/proc/cmdline"),
    }


@pytest.mark.parametrize(
    "text", ["", "\n", modalias("8086:10d3")[:-2], "usb:v1D6Bp0002d0601", modalias("8086:10d3") * 2]
)
def test_a_device_is_there_when_its_modalias_is_whole(host: Host, text: str) -> None:
    host.tree.write(f"{host.tree.place(KERNELS)}/modalias", text)
    assert pci.read(host.system, KERNELS) is None
    assert list(host.devices()) == [one for one in CARDS if one != KERNELS]


def test_ids_and_class_come_from_modalias(host: Host) -> None:
    host.tree.write(f"{host.tree.place(KERNELS)}/modalias", "pci:v000015B3d00001017sv0000ABCDsd00000001bc0Bsc40i01\n")
    device = pci.read(host.system, KERNELS)
    assert device and device[1:6] == ("15b3", "1017", "abcd", "0001", "0b4001")
