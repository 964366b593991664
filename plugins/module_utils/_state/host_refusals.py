# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError
from .._host.model import PciDevice
from .._host.states import Holder

# What is said when something is refused on the host. It is imported when it is.


def not_root() -> HotplugError:
    return HotplugError("not_root", "devices and hugepages are changed by root only", way_out="Set become: true.")


def no_device(address: str) -> HotplugError:
    return HotplugError(
        "no_device",
        f"there is no PCI device {address}",
        way_out="dpdk_device_info lists those there are; one that was plugged may need dpdk_slot with state present.",
        device=address,
    )


def two_drivers(address: str, driver: str, where: str, other: str, there: str) -> HotplugError:
    return HotplugError(
        "given_twice",
        f"device '{address}' shall have driver {driver} by {where} and {other} by {there}",
        way_out="Name a device once, or ask for the same.",
        device=address,
    )


def bifurcated(device: PciDevice) -> HotplugError:
    return HotplugError(
        "bifurcated",
        f"device '{device.address}' works for DPDK beside its kernel driver {device.driver}, and only so",
        way_out="Leave driver out, and attach it as it is.",
        device=device.address,
    )


def is_bridge(device: PciDevice) -> HotplugError:
    return HotplugError(
        "is_bridge",
        f"device '{device.address}' is a bridge: everything behind it would go with it",
        way_out="Name the device behind it.",
        device=device.address,
    )


def has_vfs(device: PciDevice) -> HotplugError:
    return HotplugError(
        "has_vfs",
        f"device '{device.address}' has {len(device.vfs)} VFs, which would vanish with its driver {device.driver}",
        way_out="Ask for count 0 of them first, in an entry of the same device.",
        device=device.address,
    )


def no_sriov(device: PciDevice) -> HotplugError:
    return HotplugError(
        "no_sriov",
        f"device '{device.address}' ({device.vendor}:{device.device}, driver {device.driver or 'none'}) has no SR-IOV",
        way_out="Name a PF; where it should be one, SR-IOV may be off in its firmware or in the BIOS.",
        device=device.address,
    )


def too_many_vfs(device: PciDevice, count: int) -> HotplugError:
    return HotplugError(
        "vf_count",
        f"device '{device.address}' can have {device.max_vfs} VFs, asked for are {count}",
        way_out=f"Ask for {device.max_vfs} at most.",
        device=device.address,
    )


def no_such_vf(device: PciDevice, index: int, count: int) -> HotplugError:
    return HotplugError(
        "vf_count",
        f"device '{device.address}' has no VF {index}: it has {count}",
        way_out="Raise count, or leave that VF out.",
        device=device.address,
    )


def vf_goes(address: str, pf: PciDevice) -> HotplugError:
    return HotplugError(
        "vf_count",
        f"device '{address}' is a VF of '{pf.address}' that the document takes away: it is to have fewer of them",
        way_out="Raise count, or leave that VF out.",
        device=address,
    )


def vfs_twice(device: PciDevice, where: str, there: str) -> HotplugError:
    return HotplugError(
        "given_twice",
        f"the VFs of device '{device.address}' are given by {where} and otherwise by {there}",
        way_out="Say all of a PF's VFs in one entry.",
        device=device.address,
    )


def no_netdev(device: PciDevice) -> HotplugError:
    where = "in another network namespace" if device.netdevs_elsewhere else "not there"
    return HotplugError(
        "vf_setting",
        f"the netdev of the PF '{device.address}' is {where}: its VFs cannot be told mac, vlan, trust or spoofchk",
        way_out="Leave the PF on its kernel driver, in the host's own namespace.",
        device=device.address,
    )


def active(address: str, reasons: t.Sequence[str]) -> HotplugError:
    return HotplugError(
        "active",
        f"device '{address}' is in use by the network: {'; '.join(reasons)}",
        way_out="Without it the host may be out of reach. If that is wanted, name the address in allow_active.",
        device=address,
    )


def in_use(address: str, holders: t.Sequence[Holder]) -> HotplugError:
    who = ", ".join(f"{one.name} (pid {one.pid}, {one.path})" for one in holders)
    return HotplugError(
        "in_use",
        f"device '{address}' is in use by {who}",
        way_out="Detach it there first (dpdk_port), or name the application under apps of dpdk_host.",
        device=address,
        in_use_by=[one._asdict() for one in holders],
    )


def not_viable(address: str, group: int, members: t.Sequence[PciDevice]) -> HotplugError:
    who = ", ".join(f"{one.address} (driver {one.driver})" for one in members)
    return HotplugError(
        "group_not_viable",
        f"device '{address}' cannot go to vfio-pci: others in its IOMMU group {group} have kernel drivers: {who}",
        way_out="Bind all of the group to vfio-pci in one task, unbind the others, or use a slot with ACS.",
        device=address,
        members=[one.address for one in members],
    )


def no_iommu(address: str, why: str) -> HotplugError:
    return HotplugError(
        "no_iommu",
        f"device '{address}' has no IOMMU group, so that vfio-pci cannot isolate it",
        way_out=f"{why} Only noiommu goes past this, without protection.",
        device=address,
    )


def no_noiommu(address: str) -> HotplugError:
    return HotplugError(
        "noiommu_missing",
        f"device '{address}' has no IOMMU group, and this kernel is built without CONFIG_VFIO_NOIOMMU",
        way_out="Have an IOMMU, or use driver uio_pci_generic, which protects as little.",
        device=address,
    )


def contradiction(address: str, driver: str, app: str) -> HotplugError:
    return HotplugError(
        "bad_document",
        f"device '{address}' shall have the kernel driver {driver}, and be a port of application '{app}'",
        way_out="DPDK needs it at vfio-pci (or another driver for userspace), or the port absent.",
        app=app,
        device=address,
    )


def not_effective(left: t.Sequence[t.Any]) -> HotplugError:
    return HotplugError(
        "not_effective",
        "the kernel took all changes, but there is still to do: " + ", ".join(str(one) for one in left),
        way_out="Something else may be changing the host: driverctl, udev rules, another tool.",
    )
