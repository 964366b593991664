# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import typing as t

from .._apps.app import App
from .._apps.discovery import find
from .._system import System
from . import document
from .model import AppSpec, Step
from .observe import ports_result
from .plan import view
from .work import AppWork, action


def converge(
    desired: t.Any,
    *,
    check: bool = False,
    system: System | None = None,
    progress: t.Callable[[str], None] | None = None,
) -> dict[str, t.Any]:
    """Bring a host into the state of a document: observe, plan, apply, verify. Nothing is changed with ``check``.

    Returns ``changed``, ``warnings`` and ``apps``: for each application ``app``, ``ports``, ``actions`` and ``diff``.
    Raises HotplugError; whatever was done before it was undone unless the document says not to, and the error's
    fields tell: ``actions`` done, ``undone``, ``not_undone``.
    """
    specs = document.parse(desired)
    system = system or System()
    with contextlib.ExitStack() as stack:
        found = _find(system, specs)
        works = [AppWork(spec, system, found[spec.runtime_dir], change=not check) for spec in specs]
        _distinct(works)
        for work in sorted(works, key=lambda one: one.home):
            stack.callback(work.close)
            work.open()
        plans = [work.plan() for work in works]
        steps = [(step, work) for work, plan in zip(works, plans) for step in plan.steps]
        steps.sort(key=lambda one: one[0].phase)
        if steps and not check:
            # What changes things is imported when something is to be changed.
            from .apply import apply

            apply(steps, progress)
        return {
            "changed": bool(steps),
            "warnings": [text for plan in plans for text in plan.warnings],
            "apps": [_result(work, plan.steps, check) for work, plan in zip(works, plans)],
        }


def _find(system: System, specs: t.Sequence[AppSpec]) -> dict[str, list[App]]:
    """What there is in each of the runtime directories that are given; "" is all of them."""
    prefixes: dict[str, set[str]] = {}
    for spec in specs:
        prefixes.setdefault(spec.runtime_dir, set()).add(spec.prefix)
    return {
        place: find(system, runtime_dir=place, prefixes=() if "" in names else names)
        for place, names in prefixes.items()
    }


def _distinct(works: t.Sequence[AppWork]) -> None:
    seen: dict[str, str] = {}
    for work in works:
        if work.home in seen:
            from . import refusals

            raise refusals.application_twice(work.app.prefix)
        seen[work.home] = work.app.prefix


def _result(work: AppWork, steps: t.Sequence[Step], check: bool) -> dict[str, t.Any]:
    before = view(work.before)
    after = view(work.after)
    if check:
        from .preview import predict

        after = predict(before, steps)
    return {
        "app": app_result(work.app, work.reach.adapter, work.reach.channel),
        "ports": ports_result(work.after.devices),
        "actions": [action(step, work) for step in steps],
        "diff": {"before": {"ports": before}, "after": {"ports": after}},
    }


def app_result(app: App, adapter: str, channel: str) -> dict[str, t.Any]:
    """An application as modules return it."""
    return {
        "prefix": app.prefix,
        "pid": app.pid,
        "version": app.version,
        "runtime_dir": app.runtime_dir,
        "adapter": adapter,
        "channel": channel,
    }
