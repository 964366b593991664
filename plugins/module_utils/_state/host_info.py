# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._host.model import USERSPACE_DRIVERS
from .._system import System
from .device_info import devices
from .host_rows import mount_result, pool_result


def hugepages(*, system: System | None = None) -> dict[str, t.Any]:
    """Every pool of hugepages, every hugetlbfs mount, and what the boot loader is going to ask for."""
    from .._host import hugepages as pages
    from .._host import kernel_args, mounts

    system = system or System()
    return {
        "pages": [pool_result(one) for one in pages.pools(system)],
        "mounts": [mount_result(one) for one in mounts.mounted(system)],
        "kernel_arguments": list(kernel_args.configured(system, "hugepages")),
        "reboot_required": kernel_args.reboot_required(system, "hugepages"),
    }


def host(*, system: System | None = None) -> dict[str, t.Any]:
    """Everything: devices, hugepages, applications with their ports, the boot document, and what is evacuated."""
    from .._host import persistence
    from .info import apps

    system = system or System()
    return {
        **devices(system=system),
        "hugepages": hugepages(system=system),
        "apps": apps(system=system),
        "boot": persistence.read(system) or None,
        "evacuated": _evacuated(system),
        "drivers": sorted({*USERSPACE_DRIVERS} & set(system.names("/sys/bus/pci/drivers"))),
    }


def _evacuated(system: System) -> list[dict[str, t.Any]]:
    """What was taken from applications for a time."""
    from . import home

    if not os.path.lexists(system.path(home.EVACUATED)):
        return []
    from . import evacuated

    return evacuated.rows(evacuated.read(system))
