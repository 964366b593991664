# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._system import System

if t.TYPE_CHECKING:
    from .writes import Writer

_NOIOMMU = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"


def allowed(system: System) -> bool:
    """Whether vfio may be used without an IOMMU."""
    return system.read(_NOIOMMU).strip() == b"Y"


def missing(system: System) -> bool:
    """Whether this kernel has no vfio that goes without an IOMMU, as those of Debian; False where nothing tells."""
    if system.names("/sys/module/vfio"):
        return not system.read(_NOIOMMU)
    release = system.read("/proc/sys/kernel/osrelease").decode("ascii", "replace").strip()
    return b"# CONFIG_VFIO_NOIOMMU is not set" in system.read(f"/boot/config-{release}")


def allow(system: System, writer: Writer, *, on: bool) -> None:
    from . import drivers

    drivers.load(system, "vfio-pci")
    writer.write(_NOIOMMU, "Y" if on else "N")
