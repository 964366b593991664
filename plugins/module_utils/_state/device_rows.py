# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .._host.model import PciDevice


def device_result(device: PciDevice) -> dict[str, t.Any]:
    """A device as modules return it: what its own files tell."""
    return {
        "address": device.address,
        "vendor": device.vendor,
        "device": device.device,
        "subvendor": device.subvendor or None,
        "subdevice": device.subdevice or None,
        "class": device.class_code,
        "driver": device.driver or None,
        "override": device.override or None,
        "numa_node": device.numa_node,
        "iommu_group": None if device.iommu_group < 0 else device.iommu_group,
        "netdevs": list(device.netdevs),
        "pf": device.pf or None,
        "vf_index": None if device.vf_index < 0 else device.vf_index,
        "max_vfs": device.max_vfs,
        "vfs": list(device.vfs),
        "slot": device.slot or None,
    }
