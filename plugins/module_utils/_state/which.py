# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._apps.app import App
from .._apps.discovery import find
from .._system import System
from . import refusals
from .model import AppSpec


def which(apps: t.Sequence[App], spec: AppSpec, system: System) -> App:
    """The application that is meant where it is not the only one that runs."""
    meant = [app for app in apps if app.prefix in ("", spec.prefix) or not spec.prefix]
    running = [app for app in meant if app.running]
    # Another user's application of the same prefix must not be able to stand in the way of root's.
    ours = [app for app in running if app.uid in (0, os.geteuid())]
    candidates = ours or running
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise refusals.several_applications(candidates, spec)
    raise refusals.no_application(meant, spec, [*apps, *find(system)])
