# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._system import System
from .model import PciDevice
from .pci import DEVICES
from .states import Holder

_MOST_FDS = 1 << 16


def holders(
    system: System, inventory: t.Mapping[str, PciDevice], addresses: t.Iterable[str]
) -> dict[str, tuple[Holder, ...]]:
    """Which processes have each device open, by its group, its uio device or its vfio device; in one pass over /proc.

    Source: Documentation/driver-api/vfio.rst, Documentation/driver-api/uio-howto.rst of the kernel.
    """
    whose: dict[str, list[str]] = {}
    for address in addresses:
        if address in inventory:
            for path in _paths(system, inventory[address]):
                whose.setdefault(path, []).append(address)
    found: dict[str, list[Holder]] = {}
    if whose:
        for pid in system.pids():
            for path in _open(system, pid, whose):
                process = system.process(pid)
                holder = Holder(pid, process.name if process else "", path)
                for address in whose[path]:
                    found.setdefault(address, []).append(holder)
    return {address: tuple(own) for address, own in found.items()}


def _paths(system: System, device: PciDevice) -> list[str]:
    """The character devices by which a process can hold it; a device with a kernel driver has none."""
    place = f"{DEVICES}/{device.address}"
    if device.driver == "vfio-pci":
        paths = [f"/dev/vfio/devices/{name}" for name in system.names(f"{place}/vfio-dev")]
        if device.iommu_group >= 0:
            paths += [f"/dev/vfio/{device.iommu_group}", f"/dev/vfio/noiommu-{device.iommu_group}"]
        return paths
    if device.driver:
        return [f"/dev/{name}" for name in system.names(f"{place}/uio")]
    return []


def _open(system: System, pid: int, whose: t.Container[str]) -> list[str]:
    """Those of the paths that a process has open."""
    place = system.path(f"/proc/{pid}/fd")
    seen = []
    try:
        names = os.listdir(place)
    except OSError:
        return []
    for name in names[:_MOST_FDS]:
        try:
            path = os.readlink(f"{place}/{name}")
        except OSError:
            continue
        if path in whose and path not in seen:
            seen.append(path)
    return seen
