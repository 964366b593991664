# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library makes of a real guest's files, held against what other programs said of the same guest."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.dpdk.hotplug.plugins.module_utils._host import (
    holders,
    hugepages,
    iommu,
    mounts,
    pci,
    selectors,
    slots,
)
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.recorded import guest


def test_the_inventory_is_what_lspci_said(tmp_path: Path) -> None:
    system, said = guest(tmp_path)
    found = {
        one.address: {
            "class": one.class_code[:4],
            "vendor": one.vendor,
            "device": one.device,
            "subvendor": one.subvendor,
            "subdevice": one.subdevice,
            "driver": one.driver,
            "iommu_group": one.iommu_group,
            "numa_node": one.numa_node,
        }
        for one in pci.inventory(system).values()
    }
    lspci = {
        address: {name: value for name, value in one.items() if name != "slot"}
        for address, one in said["lspci -Dvmmnnk"].items()
    }
    for one in (*found.values(), *lspci.values()):
        if one["subvendor"] in ("", "0000", one["vendor"]) or one["class"] == "0604":
            del one["subvendor"], one["subdevice"]  # lspci leaves some out, and takes a bridge's from a capability
    assert {address: one.items() >= lspci[address].items() for address, one in found.items()} == dict.fromkeys(
        lspci, True
    )


def test_every_netdev_is_at_the_device_and_has_the_mac_that_ip_and_udev_said(tmp_path: Path) -> None:
    system, said = guest(tmp_path)
    inventory = pci.inventory(system)
    macs = pci.macs(system, inventory.values())
    found = {name: (f"pci-{one.address}", macs[name]) for one in inventory.values() for name in one.netdevs}
    assert found == {name: (one["id_path"], one["mac"]) for name, one in said["ip -j link, udevadm info"].items()}


def test_vfs_and_their_pf_know_each_other_and_vfs_to_come_are_where_the_others_are(tmp_path: Path) -> None:
    system, _said = guest(tmp_path)
    inventory = pci.inventory(system)
    pf = inventory["0000:03:00.0"]
    assert (pf.max_vfs, pf.vfs) == (7, ("0000:03:10.0", "0000:03:10.2", "0000:03:10.4"))
    assert [(inventory[one].pf, inventory[one].vf_index) for one in pf.vfs] == [(pf.address, n) for n in range(3)]
    assert [selectors.future_vf(system, pf.address, index) for index in range(3)] == list(pf.vfs)
    assert inventory["0000:03:10.2"].override == "vfio-pci"


def test_groups_have_the_members_that_the_kernel_lists(tmp_path: Path) -> None:
    system, said = guest(tmp_path)
    inventory = pci.inventory(system)
    groups = said["/sys/kernel/iommu_groups"]
    assert {number: pci.members(inventory, int(number)) for number in groups} == groups
    assert iommu.enabled(system) and iommu.missing_argument(system) == ""
    in_the_way = iommu.not_viable("0000:09:01.0", inventory, {"0000:09:01.0": "vfio-pci"})
    assert [(one.address, one.driver) for one in in_the_way] == [("0000:09:02.0", "e1000")]


def test_slots_are_those_of_lspci(tmp_path: Path) -> None:
    system, said = guest(tmp_path)
    there = {name: one for name, one in slots.slots(system).items() if one.devices}
    shown = {address: one["slot"] for address, one in said["lspci -Dvmmnnk"].items() if one["slot"]}
    assert {address: name for name, one in there.items() for address in one.devices} == shown
    assert {one.address: one.slot for one in pci.inventory(system).values() if one.slot} == shown


def test_who_holds_a_device_is_found_by_name(tmp_path: Path) -> None:
    system, said = guest(tmp_path)
    held = holders.holders(system, pci.inventory(system), ["0000:01:00.0", "0000:02:00.0", "0000:03:10.2"])
    assert {address: [one._asdict() for one in own] for address, own in held.items()} == {
        "0000:02:00.0": [said["holder"]]
    }


def test_hugepages_and_mounts_are_read(tmp_path: Path) -> None:
    system, _said = guest(tmp_path)
    (tmp_path / "dev/hugepages").mkdir(parents=True)
    assert [(one.size, one.node, one.total) for one in hugepages.pools(system)] == [
        (2048, 0, 0),
        (2048, 1, 0),
        (1 << 20, 0, 0),
        (1 << 20, 1, 0),
    ]
    assert [(one.path, one.size) for one in mounts.mounted(system)] == [("/dev/hugepages", 2048)]
