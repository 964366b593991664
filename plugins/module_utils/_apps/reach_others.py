# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError
from .._system import System
from .app import App, Means, Reach
from .reach import MULTIPROCESS_VERBS, apart, closed, no_ports, no_secondary_way

OPENVSWITCH_VERBS = ("attach", "detach", "attach_started", "detach_started")
GROUT_VERBS = ("attach", "detach", "start", "stop", "attach_started", "detach_started")
# What commands of the operator can be for; status is how the ports are read, and no verb.
COMMAND_VERBS = ("attach", "detach", "start", "stop")


def own(app: App, system: System) -> Reach:
    """By the adapter for applications of its kind."""
    if app.is_testpmd:
        from .reach_testpmd import testpmd

        return testpmd(app, system)
    return openvswitch(app, system) if app.is_openvswitch else grout(app, system)


def last(app: App, system: System, *, console: bool) -> t.Iterator[Reach]:
    """What is looked at last; ``console``: whether a testpmd's was looked at."""
    yield eal(app, system)
    if app.is_testpmd and not console:
        yield own(app, system)
    yield command(app, Means())


def eal(app: App, system: System) -> Reach:
    """Whether a process of ours can join the application."""
    why = no_secondary_way(app)
    if not why:
        from .._binding.joinable import eal_preconditions

        why = "; ".join(error.message for error in eal_preconditions(app, system=system)) or no_ports(app)
    return Reach("multiprocess", "eal", not why, why, MULTIPROCESS_VERBS)


def command(app: App, means: Means) -> Reach:
    """Whether the operator's commands, if any, are for this application."""
    why = "no commands are given for it" if app.running and not means.commands else closed(app)
    if not why and "status" not in means.commands:
        why = no_ports(app)
    verbs = tuple(verb for verb in COMMAND_VERBS if verb in means.commands or not means.commands)
    return Reach("command", "", not why, why, verbs)


def openvswitch(app: App, system: System) -> Reach:
    """Whether the database and the control socket of an Open vSwitch are there. Nothing is asked of it."""
    why = apart(app) or no_ports(app)
    if not why:
        from .ovsdb import places

        try:
            places(app, system)
        except HotplugError as error:
            why = error.message
    return Reach("openvswitch", "", not why, why, OPENVSWITCH_VERBS)


def grout(app: App, system: System) -> Reach:
    """Whether grout's socket and its client are there. Nothing is asked of it."""
    why = apart(app)
    if not why:
        from .grout import obstacle

        why = obstacle(app, system)
    return Reach("grout", "", not why, why, GROUT_VERBS)
