# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._host import iommu, lockout, pci
from .._host.model import BIFURCATED_DRIVERS, USERSPACE_DRIVERS, PciDevice
from .._system import System
from .device_rows import device_result

# Classes of devices that DPDK has drivers for (pci.ids): network, encryption, accelerators, and Intel's 0b40 (QAT).
_CLASSES = ("02", "10", "12", "0b40", "0880")


def devices(
    *,
    system: System | None = None,
    device: t.Sequence[str] = (),
    select: t.Mapping[str, t.Any] | None = None,
    every: bool = False,
) -> dict[str, t.Any]:
    """PCI devices with all that is known of each; those DPDK may have drivers for, or ``every`` one.

    ``device``: addresses; ``select``: a selector, as a document has it. Nothing is changed.
    """
    system = system or System()
    inventory = pci.inventory(system)
    known = _known(system, inventory)
    chosen = _chosen(system, inventory, known, device, select, every=every)
    held = _held(system, inventory, chosen)
    groups: dict[int, dict[str, PciDevice]] = {}
    for one in inventory.values():
        groups.setdefault(one.iommu_group, {})[one.address] = one
    macs = pci.macs(system, [inventory[one] for one in chosen])
    active = lockout.active([inventory[one] for one in chosen], system)
    rows = []
    for address in chosen:
        one = inventory[address]
        why_not = active.get(address, ())
        group = groups[one.iommu_group]
        bindable, reason = _bindable(one, group, held.get(address, ()), why_not)
        rows.append(
            {
                **device_result(one),
                "group_members": [] if one.iommu_group < 0 else list(group),
                "macs": [macs[name] for name in one.netdevs if name in macs],
                "in_use_by": [holder._asdict() for holder in held.get(address, ())],
                "active": list(why_not),
                "bindable": bindable,
                "reason": reason,
                "remembered": _remembered(known.get(address)),
            }
        )
    return {"devices": rows, "iommu": iommu.enabled(system), "iommu_hint": iommu.missing_argument(system) or None}


def _chosen(
    system: System,
    inventory: t.Mapping[str, PciDevice],
    known: t.Mapping[str, t.Any],
    addresses: t.Sequence[str],
    select: t.Mapping[str, t.Any] | None,
    *,
    every: bool,
) -> list[str]:
    if select:
        from .._host import selectors
        from .selected import found

        return found(selectors.parse(select, "select"), inventory, known, system)
    if addresses:
        from .._devices import pci_address

        asked = [pci_address(one) or one for one in addresses]
        return [one for one in asked if one in inventory]
    return [one for one, device in inventory.items() if every or device.class_code.startswith(_CLASSES)]


def _known(system: System, inventory: t.Mapping[str, PciDevice]) -> t.Mapping[str, t.Any]:
    """What is remembered of the cards that are there; another one at the same address is another one."""
    if not system.names("/var/lib/dpdk-hotplug"):
        return {}
    from .._host import memory

    kept = memory.read(system)
    return {name: one for name, one in kept.items() if name in inventory and memory.holds(one, inventory[name])}


def _held(system: System, inventory: t.Mapping[str, PciDevice], chosen: t.Sequence[str]) -> t.Mapping[str, t.Any]:
    """Who has each device open; one without a userspace driver nobody can have."""
    if not any(inventory[one].driver in USERSPACE_DRIVERS for one in chosen):
        return {}
    from .._host import holders

    return holders.holders(system, inventory, chosen)


def _remembered(memo: t.Any) -> dict[str, t.Any] | None:
    if memo is None:
        return None
    return {"driver": memo.driver or None, "netdev": memo.netdev or None, "mac": memo.mac or None}


def _bindable(
    device: PciDevice, inventory: t.Mapping[str, PciDevice], held: t.Sequence[t.Any], active: t.Sequence[str]
) -> tuple[bool, str | None]:
    """Whether dpdk_device would take it to vfio-pci, or leave it there; and why not."""
    if device.is_bridge:
        return False, "it is a bridge"
    if device.driver in BIFURCATED_DRIVERS:
        return False, f"DPDK works beside its driver {device.driver}"
    if device.driver == "vfio-pci":
        return True, None
    if active:
        return False, "; ".join(active)
    if held:
        return False, "in use by " + ", ".join(f"{one.name} (pid {one.pid})" for one in held)
    if device.vfs:
        return False, f"it has {len(device.vfs)} VFs"
    if device.iommu_group < 0:
        return False, "it has no IOMMU group"
    others = iommu.not_viable(device.address, inventory, {device.address: "vfio-pci"})
    if others:
        names = ", ".join(f"{one.address} ({one.driver})" for one in others)
        return False, f"its IOMMU group {device.iommu_group} has {names}"
    return True, None
