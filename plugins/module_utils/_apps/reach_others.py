# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

from .._errors import HotplugError
from .._system import System
from .app import App, Means, Reach
from .reach import no_ports, not_ours

OPENVSWITCH_VERBS = ("attach", "detach", "attach_started", "detach_started")
GROUT_VERBS = ("attach", "detach", "start", "stop", "attach_started", "detach_started")
# What commands of the operator can be for; status is how the ports are read, and no verb.
COMMAND_VERBS = ("attach", "detach", "start", "stop")


def command(app: App, means: Means) -> Reach:
    """Whether the operator's commands, if any, are for this application."""
    why = ""
    if not app.running:
        why = "it is not running"
    elif not means.commands:
        why = "no commands are given for it"
    elif app.distrust or not_ours(app):
        why = app.distrust or not_ours(app)
    elif "status" not in means.commands:
        why = no_ports(app)
    verbs = tuple(verb for verb in COMMAND_VERBS if verb in means.commands or not means.commands)
    return Reach("command", "", not why, why, verbs)


def openvswitch(app: App, system: System) -> Reach:
    """Whether the database and the control socket of an Open vSwitch are there. Nothing is asked of it."""
    why = _apart(app) or no_ports(app)
    if not why:
        from .ovsdb import places

        try:
            places(app, system)
        except HotplugError as error:
            why = error.message
    return Reach("openvswitch", "", not why, why, OPENVSWITCH_VERBS)


def grout(app: App, system: System) -> Reach:
    """Whether grout's socket and its client are there. Nothing is asked of it."""
    why = _apart(app)
    if not why:
        from .grout import obstacle

        why = obstacle(app, system)
    return Reach("grout", "", not why, why, GROUT_VERBS)


def _apart(app: App) -> str:
    if not app.running:
        return "it is not running"
    if app.distrust or not_ours(app):
        return app.distrust or not_ours(app)
    if app.root:
        return f"it runs in a mount namespace of its own (pid {app.pid}): run the play in its container"
    return ""
