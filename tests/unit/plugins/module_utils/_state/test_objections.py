# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a device, which groups go to vfio, and what the network hangs on: refused before the first write."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._host import iommu
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.netlink import Address, Link
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, with_vfs

NIC, OTHER, PF = "0000:01:00.0", "0000:01:00.1", "0000:10:00.0"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_device_that_is_held_is_not_unbound_and_every_process_is_named(host: Host) -> None:
    host.tree.add(Card(NIC, driver="vfio-pci", override="vfio-pci", group=7))
    (cdev,) = host.tree.names(f"{host.tree.place(NIC)}/vfio-dev")
    host.tree.process(100, "testpmd", "/dev/vfio/vfio", "/dev/vfio/7", "/dev/vfio/7")
    host.tree.process(200, "qemu (kvm)", f"/dev/vfio/devices/{cdev}")
    host.tree.process(300, "bash", "/dev/pts/1")
    error = host.refuses("in_use", {"device": NIC, "driver": "kernel"})
    assert error.fields["in_use_by"] == [
        {"pid": 100, "name": "testpmd", "path": "/dev/vfio/7"},
        {"pid": 200, "name": "qemu (kvm)", "path": f"/dev/vfio/devices/{cdev}"},
    ]
    assert not host.converge({"device": NIC, "driver": "vfio-pci"})["changed"]


def test_a_uio_device_that_is_held_is_not_unbound(host: Host) -> None:
    host.tree.add(Card(OTHER, driver="uio_pci_generic"), Card(NIC, driver="uio_pci_generic", override="x"))
    host.tree.process(100, "l2fwd", "/dev/uio1")
    error = host.refuses("in_use", {"device": NIC, "driver": "kernel"}, {"device": OTHER, "driver": "kernel"})
    assert (error.device, "l2fwd (pid 100, /dev/uio1)" in error.message) == (NIC, True)


def test_one_who_takes_it_after_the_plan_was_made_is_seen_before_the_unbind(host: Host) -> None:
    host.tree.add(Card(NIC, driver="vfio-pci", override="vfio-pci", group=7), Card(OTHER, driver="e1000e", group=8))
    host.kernel.before = lambda _path, _text: (
        None if host.tree.there("/proc/100") else host.tree.process(100, "testpmd", "/dev/vfio/7")
    )
    host.fails("in_use", {"device": OTHER, "driver": "vfio-pci"}, {"device": NIC, "driver": "kernel"})
    assert host.driver(NIC) == "vfio-pci"


def test_a_group_with_others_at_kernel_drivers_is_refused_and_they_are_named(host: Host) -> None:
    host.tree.add(
        Card(NIC, driver="e1000e", group=7),
        Card(OTHER, driver="igb", ids="8086:10c9", group=7),
        Card("0000:00:1c.0", "1b36:000c", "pcieport", class_code="060400", group=7),
        Card("0000:01:00.2", group=7),
    )
    error = host.refuses("group_not_viable", {"device": NIC, "driver": "vfio-pci"})
    assert f"IOMMU group 7 have kernel drivers: {OTHER} (driver igb)" in error.message
    assert error.fields["members"] == [OTHER]


def test_a_whole_group_goes_to_vfio_in_one_task(host: Host) -> None:
    host.tree.add(Card(NIC, driver="e1000e", group=7), Card(OTHER, driver="e1000e", group=7))
    host.converge({"device": NIC, "driver": "vfio-pci"}, {"device": OTHER, "driver": "vfio-pci"})
    assert [host.driver(one) for one in (NIC, OTHER)] == ["vfio-pci"] * 2


def test_a_group_whose_other_member_leaves_vfio_is_refused(host: Host) -> None:
    host.tree.add(Card(NIC, driver="e1000e", group=7), Card(OTHER, driver="vfio-pci", override="vfio-pci", group=7))
    host.refuses("group_not_viable", {"device": NIC, "driver": "vfio-pci"}, {"device": OTHER, "driver": "kernel"})


INTEL, AMD = "vendor_id\t: GenuineIntel\n", "vendor_id\t: AuthenticAMD\n"


@pytest.mark.parametrize(
    ("cpu", "tables", "cmdline", "hint", "needed"),
    [
        (INTEL, ["DMAR"], "ro", "Add intel_iommu=on to the kernel's arguments, and reboot.", "iommu=pt intel_iommu=on"),
        (INTEL, [], "ro", "Switch VT-d on in the firmware, add intel_iommu=on", "iommu=pt intel_iommu=on"),
        (INTEL, ["DMAR"], "ro intel_iommu=off", "Remove intel_iommu=off", "iommu=pt intel_iommu=on"),
        (INTEL, ["DMAR"], "ro intel_iommu=on,sm_on", "The machine shows no IOMMU", "iommu=pt intel_iommu=on"),
        (AMD, ["DMAR"], "ro", "Add intel_iommu=on", "iommu=pt intel_iommu=on"),
        (AMD, [], "ro", "Switch AMD-Vi (IOMMU) on in the firmware.", "iommu=pt"),
        (AMD, ["IVRS"], "amd_iommu=off", "Remove amd_iommu=off", "iommu=pt"),
        (AMD, ["IVRS"], "iommu.passthrough=off", "The machine shows no IOMMU", "iommu=pt"),
        ("", [], "ro", "The machine shows no IOMMU", "iommu=pt"),
    ],
)
def test_without_an_iommu_the_error_says_what_is_missing(
    host: Host, cpu: str, tables: list[str], cmdline: str, hint: str, needed: str
) -> None:
    host.tree.add(Card(NIC, driver="e1000e"))
    host.tree.write("/proc/cpuinfo", cpu)
    host.tree.write("/proc/cmdline", cmdline + "\n")
    for one in tables:
        host.tree.write(f"/sys/firmware/acpi/tables/{one}", "x" * 40)
    assert host.refuses("no_iommu", {"device": NIC, "driver": "vfio-pci"}).way_out.startswith(hint)
    assert " ".join(iommu.needed_arguments(host.system)) == needed


def test_noiommu_is_for_the_devices_that_say_so_only_and_warned_about(host: Host) -> None:
    host.tree.add(Card(NIC, driver="e1000e"), Card(OTHER, driver="e1000e"))
    careless = {"device": NIC, "driver": "vfio-pci", "noiommu": True}
    error = host.refuses("no_iommu", careless, {"device": OTHER, "driver": "vfio-pci"})
    assert error.device == OTHER
    result = host.converge(careless)
    assert "without an IOMMU" in result["warnings"][0]
    assert host.driver(NIC) == "vfio-pci"
    assert host.tree.read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y\n"
    assert not iommu.enabled(host.system)
    host.kernel.writes.clear()
    assert host.refuses("no_iommu", {"device": OTHER, "driver": "vfio-pci"}).way_out.startswith("The machine")
    host.converge({"device": NIC, "driver": "kernel"})
    assert host.driver(NIC) == "e1000e"


def test_a_kernel_without_unsafe_vfio_is_refused_at_once(host: Host) -> None:
    host.tree.add(Card(NIC, driver="e1000e"))
    host.tree.gone("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
    host.tree.write("/sys/module/vfio/refcnt", "0\n")
    host.refuses("noiommu_missing", {"device": NIC, "driver": "vfio-pci", "noiommu": True})


def test_vfs_that_are_not_there_yet_need_an_iommu_as_well(host: Host) -> None:
    host.tree.add(Card(PF, "8086:10c9", "igb", netdev="pf0", max_vfs=4, offset=1))
    entry: dict[str, t.Any] = {"device": PF, "vfs": {"count": 2, "driver": "vfio-pci"}}
    host.refuses("no_iommu", entry)
    result = host.converge({**entry, "noiommu": True})
    assert len(result["warnings"]) == 2
    assert [host.driver(one) for one in host.tree.vfs(PF).values()] == ["vfio-pci"] * 2


@pytest.mark.parametrize("what", ["default route", "address", "bond"])
def test_what_the_network_hangs_on_is_refused_and_passes_only_by_name(host: Host, what: str) -> None:
    host.tree.add(Card(NIC, driver="e1000e", group=1, netdev="eth1"), Card(OTHER, driver="e1000e", group=2))
    host.network.link_list = [Link(2, "eth1", master=3 if what == "bond" else 0), Link(3, "bond0", kind="bond")]
    if what == "default route":
        host.network.routes = [(4, 2), (6, 2)]
    else:
        host.network.address_list = [Address(3 if what == "bond" else 2, "192.0.2.1")]
    document = {"device": NIC, "driver": "vfio-pci"}
    error = host.refuses("active", document)
    assert {"bond": "bond0"}.get(what, what) in error.message and "eth1" in error.message
    host.refuses("active", document, allow_active=[OTHER])
    assert host.converge(document, allow_active=[NIC])["changed"]


def test_the_settings_of_a_vf_that_the_network_hangs_on_are_left_alone(host: Host) -> None:
    host.tree.add(Card(PF, "8086:10c9", "igb", group=1, netdev="pf0", max_vfs=4, offset=1))
    (vf,) = with_vfs(host.kernel, PF, 1)
    host.network.link_list = [Link(9, "pf0v0")]
    host.network.address_list = [Address(9, "192.0.2.1")]
    error = host.refuses("active", {"device": PF, "vfs": {"settings": [{"index": 0, "vlan": 7}]}})
    assert error.device == vf
