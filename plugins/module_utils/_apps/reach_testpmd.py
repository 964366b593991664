# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import re
import typing as t

from .._errors import HotplugError
from .._system import System
from .app import App, Reach
from .reach import closed, has_console

TESTPMD_VERBS = ("attach", "detach", "start", "stop")
# app/test-pmd/parameters.c: getopt_long() takes the short options together, -ia, and long ones cut short.
_SHORT_INTERACTIVE = re.compile(r"-[ahi]*i[ahi]*")


def testpmd(app: App, system: System) -> Reach:
    """Whether the application is a testpmd with a console of ours. Nothing is sent to it."""
    why = _no_console(app)
    if not why:
        from . import console

        try:
            console.find(app, system)
        except HotplugError as error:
            why = error.message
    return Reach("testpmd", "", not why, why, TESTPMD_VERBS)


def _no_console(app: App) -> str:
    if app.running and not app.is_testpmd:
        return "it is not a testpmd"
    if closed(app):
        return closed(app)
    if not is_interactive(app.command):
        return "it was started without -i, so it has no console"
    if app.telemetry_error or not app.telemetry:
        return f"its ports cannot be read: {app.telemetry_error or 'it serves no telemetry'}"
    if not has_console(app):
        return "its console is not reachable: start it with dpdk-hotplug console"
    return ""


def is_interactive(command: t.Sequence[str]) -> bool:
    """Whether testpmd was started with -i. Without it, testpmd takes any input for the wish that it ends."""
    words = list(command)
    own = words[words.index("--") + 1 :] if "--" in words else []
    return any(
        _SHORT_INTERACTIVE.fullmatch(word) or (len(word) > 2 and "--interactive".startswith(word)) for word in own
    )
