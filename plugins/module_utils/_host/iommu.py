# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._system import System
from .model import PciDevice

# With these a member of a group does not stand in the way. Source: vfio_dev_driver_allowed in drivers/vfio of the
# kernel before 6.0, and driver_managed_dma in struct pci_driver since.
_HARMLESS = ("", "vfio-pci", "pci-stub", "pcieport", "shpchp")


def enabled(system: System) -> bool:
    """Whether the kernel has put devices into IOMMU groups."""
    place = "/sys/kernel/iommu_groups"
    return any(system.read(f"{place}/{one}/name").strip() != b"vfio-noiommu" for one in system.names(place))


def missing_argument(system: System) -> str:
    """What is to be done so that there is an IOMMU; empty where there is one."""
    if enabled(system):
        return ""
    words = system.read("/proc/cmdline").decode("utf-8", "replace").split()
    cpu = system.read("/proc/cpuinfo", 1 << 14)
    off = [word for word in words if word in ("intel_iommu=off", "amd_iommu=off", "iommu=off")]
    if off:
        return f"Remove {' '.join(off)} from the kernel's arguments and reboot."
    vtd = _vtd(system)
    if (vtd or b"GenuineIntel" in cpu) and not any(word.startswith("intel_iommu=on") for word in words):
        if not vtd:
            return "Switch VT-d on in the firmware, add intel_iommu=on to the kernel's arguments, and reboot."
        return "Add intel_iommu=on to the kernel's arguments, and reboot."
    if b"AuthenticAMD" in cpu and not system.read("/sys/firmware/acpi/tables/IVRS", 4):
        return "Switch AMD-Vi (IOMMU) on in the firmware."
    return "The machine shows no IOMMU: switch it on in the firmware, or in the hypervisor."


def needed_arguments(system: System) -> tuple[str, ...]:
    """The kernel arguments with which there is an IOMMU on a machine of this make."""
    intel = _vtd(system) or b"GenuineIntel" in system.read("/proc/cpuinfo", 1 << 14)
    # Not the other way round: older releases of grubby would take iommu for the end of intel_iommu, which is there.
    return ("iommu=pt", "intel_iommu=on") if intel else ("iommu=pt",)


def _vtd(system: System) -> bool:
    """Whether the firmware tells of an IOMMU of Intel's kind; a hypervisor gives it to any processor."""
    return bool(system.read("/sys/firmware/acpi/tables/DMAR", 4))


def not_viable(address: str, inventory: t.Mapping[str, PciDevice], planned: t.Mapping[str, str]) -> list[PciDevice]:
    """The members of a device's group that keep it from vfio: they have, and will have, a driver of the kernel.

    ``planned``: the driver that a device is going to have, by address.
    """
    group = inventory[address].iommu_group
    return [
        one
        for one in inventory.values()
        if one.iommu_group == group >= 0
        and one.address != address
        and not one.is_bridge
        and planned.get(one.address, one.driver) not in _HARMLESS
    ]
