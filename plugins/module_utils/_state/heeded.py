# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._system import System
from . import home

if t.TYPE_CHECKING:
    from .host_model import HostSpec
    from .plan import Plan
    from .work import AppWork


def heeded(
    works: t.Sequence[AppWork],
    plans: list[Plan],
    leaving: t.Collection[str],
    wanted: HostSpec | None,
    system: System,
    *,
    leave: bool,
) -> tuple[list[Plan], list[dict[str, t.Any]], list[str]]:
    """Plans, with an eye on what is evacuated and what persists: without what is left away, that, and warnings."""
    away: list[dict[str, t.Any]] = []
    warnings: list[str] = []
    if _has(plans, "attach") and os.path.lexists(system.path(home.EVACUATED)):
        from . import evacuated

        plans, away = evacuated.heeded(works, plans, leaving, system, leave=leave)
    if _has(plans, "detach"):
        from . import app_entries

        warnings += app_entries.returning(works, plans, wanted, system)
    return plans, away, warnings


def _has(plans: t.Sequence[Plan], verb: str) -> bool:
    return any(step.verb == verb for plan in plans for step in plan.steps)
