# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of ours: written whole, never through somebody else's link; and what is remembered of devices."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import files, memory
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.model import PciDevice
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

PATH = "/etc/dpdk-hotplug/x.json"


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(str(tmp_path))


def refused(call: t.Callable[[], object], reason: str) -> HotplugError:
    with pytest.raises(HotplugError) as caught:
        call()
    assert caught.value.reason == reason and caught.value.way_out
    return caught.value


def test_a_file_is_replaced_whole_with_its_mode(system: System) -> None:
    files.replace(system, PATH, b"one")
    files.replace(system, PATH, b"two", 0o644)
    status = os.stat(system.path(PATH))
    assert (system.read(PATH), status.st_mode & 0o777) == (b"two", 0o644)
    assert system.names("/etc/dpdk-hotplug") == ["x.json"]


def test_what_a_run_that_was_killed_left_beside_it_is_no_obstacle(system: System) -> None:
    files.replace(system, PATH, b"one")
    Path(system.path("/etc/dpdk-hotplug/.x.json.new")).write_text("half")
    files.replace(system, PATH, b"two")
    assert system.read(PATH) == b"two"


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(system: System, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    os.makedirs(system.path("/etc/dpdk-hotplug"))
    for name in ("x.json", ".x.json.new"):
        os.symlink(tmp_path / "victim", system.path(f"/etc/dpdk-hotplug/{name}"))
    files.replace(system, PATH, b"ours")
    assert (tmp_path / "victim").read_text() == "mine"
    assert not os.path.islink(system.path(PATH)) and system.read(PATH) == b"ours"


def test_a_directory_that_is_a_link_is_foreign(system: System, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "etc").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "etc/dpdk-hotplug")
    refused(lambda: files.replace(system, PATH, b"x"), "foreign")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_directory_that_everybody_may_write_to_is_foreign(system: System, tmp_path: Path) -> None:
    (tmp_path / "etc/dpdk-hotplug").mkdir(parents=True)
    os.chmod(tmp_path / "etc/dpdk-hotplug", 0o777)
    assert "everybody may write" in refused(lambda: files.replace(system, PATH, b"x"), "foreign").message


def test_a_place_that_cannot_be_written_is_said(system: System, tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file")
    refused(lambda: files.replace(system, PATH, b"x"), "no_journal")


def test_removing_takes_the_directory_that_it_leaves_empty(system: System, tmp_path: Path) -> None:
    files.remove(system, PATH)
    files.replace(system, PATH, b"x")
    files.replace(system, "/etc/dpdk-hotplug/y", b"x")
    files.remove(system, PATH)
    assert system.names("/etc/dpdk-hotplug") == ["y"]
    files.remove(system, "/etc/dpdk-hotplug/y", directory=False)
    assert (tmp_path / "etc/dpdk-hotplug").is_dir()
    os.makedirs(system.path(PATH))
    refused(lambda: files.remove(system, PATH), "no_journal")


NIC = PciDevice("0000:01:00.0", "8086", "10d3", driver="e1000e", netdevs=("eth1",))


def test_what_a_device_was_is_remembered_until_a_driver_of_the_kernel_has_it_again(
    system: System, tmp_path: Path
) -> None:
    (tmp_path / "sys/class/net/eth1").mkdir(parents=True)
    (tmp_path / "sys/class/net/eth1/address").write_text("02:00:00:00:00:01\n")
    memory.remember(system, [NIC])
    memory.remember(system, [NIC._replace(driver="vfio-pci", netdevs=()), NIC._replace(address="0000:02:00.0")])
    known = memory.read(system)
    assert known[NIC.address] == memory.Known("8086", "10d3", "e1000e", "eth1", "02:00:00:00:00:01")
    assert sorted(known) == ["0000:01:00.0", "0000:02:00.0"]
    assert memory.holds(known[NIC.address], NIC)
    assert not memory.holds(known[NIC.address], NIC._replace(device="1572"))
    assert not memory.holds(None, NIC)


@pytest.mark.parametrize("text", ["", "{", "[]", "[1]", '{"0000:01:00.0": {}}', '{"0000:01:00.0": 1}', "null"])
def test_a_memory_that_cannot_be_read_is_none(system: System, text: str) -> None:
    files.replace(system, f"{memory.PLACE}/devices.json", text.encode())
    assert memory.read(system) == {}
