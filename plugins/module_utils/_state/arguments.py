# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._host import iommu as iommus
from .._host import kernel_args
from .._system import System
from . import checks, host_refusals


def run(
    owner: str, arguments: t.Sequence[str], *, iommu: bool = False, check: bool = False, system: System | None = None
) -> dict[str, t.Any]:
    """Have kernel arguments in the boot loader's configuration, under the name of who owns them.

    ``iommu``: those as well with which this machine has an IOMMU. Returns ``changed``, ``arguments``,
    ``reboot_required``, ``iommu`` (whether there is one now), ``iommu_hint`` and ``diff``.
    """
    system = system or System()
    if not owner.isidentifier() or not owner.isascii():
        raise checks.bad("owner", f"is {owner!r}", "Write a word of letters, digits and '_'.")
    wanted = kernel_args.checked([*(iommus.needed_arguments(system) if iommu else ()), *arguments])
    before = kernel_args.configured(system, owner)
    if before != wanted and not check:
        if os.geteuid() and not system.root:
            raise host_refusals.not_root()
        kernel_args.change(system, owner, before, wanted)
    after = wanted if check else kernel_args.configured(system, owner)
    return {
        "changed": before != wanted,
        "warnings": [],
        "arguments": list(after),
        "reboot_required": kernel_args.reboot_required(system, owner, after),
        "iommu": iommus.enabled(system),
        "iommu_hint": iommus.missing_argument(system) or None,
        "diff": {"before": {"arguments": list(before)}, "after": {"arguments": list(wanted)}},
    }
