# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import typing as t

from .._errors import HotplugError
from .._system import System
from . import document

if t.TYPE_CHECKING:
    from .._apps.app import App
    from .host_work import HostWork
    from .model import AppSpec
    from .work import AppWork
    from .works import AnyStep, Work


def converge(
    desired: t.Any,
    *,
    check: bool = False,
    leave_evacuated: bool = False,
    system: System | None = None,
    progress: t.Callable[[str], None] | None = None,
    agreed: t.Callable[[], None] | None = None,
) -> dict[str, t.Any]:
    """Bring a host into the state of a document: observe, plan, apply, verify. Nothing is changed with ``check``.

    ``leave_evacuated``: what was evacuated stays away, where otherwise it is refused to attach it.
    ``agreed`` is called when the locks are held and nothing is changed yet; what it raises ends the run.

    Returns ``changed``, ``warnings``, ``apps`` as AppWork.result() has each, and where there is something to tell
    ``host`` as HostWork.result() has it and ``evacuated`` as evacuated.rows() has it.
    Raises HotplugError; what was done is undone unless the document says not to. Its fields tell: ``actions`` done,
    ``undone``, ``not_undone``.
    """
    specs, wanted = document.parse(desired)
    system = system or System()
    warnings: list[str] = []
    with contextlib.ExitStack() as stack:
        host: HostWork | None = None
        if wanted is not None:
            from .host_work import HostWork

            host = HostWork(wanted, system, change=not check)
            stack.callback(host.close)
            host.open()
        if any(port.select for spec in specs for port in spec.ports):
            from . import selected

            specs = selected.resolved(specs, system, wanted)
        works = opened(specs, system, stack, warnings, change=not check) if specs else []
        if agreed is not None:
            agreed()
        leaving: t.Collection[str] = ()
        steps: list[tuple[AnyStep, Work]] = []
        if host is not None:
            steps += [(change, host) for change in host.plan(works)]
            leaving = sorted(host.leaving)  # a plan is the same each time
        plans = [work.plan(leaving) for work in works]
        away: list[dict[str, t.Any]] = []
        returning: list[str] = []
        if any(plan.steps for plan in plans):
            from .heeded import heeded

            plans, away, returning = heeded(works, plans, leaving, wanted, system, leave=leave_evacuated)
        for work, plan in zip(works, plans):
            steps += [(step, work) for step in plan.steps]
            warnings += plan.warnings
        warnings += returning
        steps.sort(key=lambda one: one[0].phase)
        if steps and not check:
            # What changes things is imported when something is to be changed.
            from .apply import apply, gates

            apply(steps, progress, gates(works, system))
        return {
            "changed": bool(steps),
            "warnings": [*(host.warnings if host is not None else ()), *warnings],
            "apps": [work.result(plan.steps, predicted=check) for work, plan in zip(works, plans)],
            **({"host": host.result(predicted=check)} if host is not None else {}),
            **({"evacuated": away} if away else {}),
        }


def opened(
    specs: t.Sequence[AppSpec], system: System, stack: contextlib.ExitStack, warnings: list[str], *, change: bool
) -> list[AppWork]:
    """The applications, locked where something may be changed, and observed; without those that need not run."""
    from .work import AppWork

    found = _find(system, specs)

    def work(spec: AppSpec) -> list[AppWork]:
        try:
            return [AppWork(spec, system, found[spec.runtime_dir], change=change)]
        except HotplugError as error:
            if spec.required or error.reason != "no_application":
                raise
            warnings.append(f"Application '{spec.prefix}' is left out, since it need not run: {error.message}.")
            return []

    works = [one for spec in specs for one in work(spec)]
    homes = [work.home for work in works]
    for one in works:
        if homes.count(one.home) > 1:
            from . import refusals

            raise refusals.application_twice(one.app.prefix)
    for one in sorted(works, key=lambda one: one.home):
        stack.callback(one.close)
        one.open()
    return works


def _find(system: System, specs: t.Sequence[AppSpec]) -> dict[str, list[App]]:
    """What there is in each of the runtime directories that are given; "" is all of them."""
    from .._apps.discovery import find

    prefixes: dict[str, set[str]] = {}
    for spec in specs:
        prefixes.setdefault(spec.runtime_dir, set()).add(spec.prefix)
    return {
        place: find(system, runtime_dir=place, prefixes=() if "" in names else names)
        for place, names in prefixes.items()
    }
