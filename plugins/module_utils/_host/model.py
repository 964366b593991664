# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

# Drivers that give a device to a userspace driver; every other one is a kernel driver.
USERSPACE_DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")
# Drivers whose DPDK driver works beside them: such a device stays where it is.
BIFURCATED_DRIVERS = ("mlx5_core", "mlx4_core", "mana")


class PciDevice(t.NamedTuple):
    """A PCI device as sysfs shows it. Texts are empty, numbers -1, where it has no such thing.

    ``vendor``, ``device``: four hexadecimal digits; ``class_code``: six. ``vfs``: of a PF, the addresses of its VFs
    by their index; ``max_vfs``: 0 where it can have none. ``netdevs_elsewhere``: a network driver holds it, and its
    netdev is in another network namespace.
    """

    address: str
    vendor: str = ""
    device: str = ""
    subvendor: str = ""
    subdevice: str = ""
    class_code: str = ""
    driver: str = ""
    override: str = ""
    numa_node: int = -1
    iommu_group: int = -1
    netdevs: tuple[str, ...] = ()
    netdevs_elsewhere: bool = False
    pf: str = ""
    vf_index: int = -1
    max_vfs: int = 0
    vfs: tuple[str, ...] = ()
    slot: str = ""

    @property
    def is_bridge(self) -> bool:
        return self.class_code.startswith("06")

    @property
    def is_network(self) -> bool:
        return self.class_code.startswith("02")
