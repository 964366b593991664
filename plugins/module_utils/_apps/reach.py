# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import re
import typing as t

from .._binding import releases
from .._errors import HotplugError
from .._state.home import directory_of
from .._system import System
from .app import App, Means, Reach

MULTIPROCESS_VERBS = ("attach", "detach")
# The socket of a console, in the directory that we keep for an application.
CONSOLE = "console"
TESTPMD_VERBS = ("attach", "detach", "start", "stop")
OPENVSWITCH_VERBS = ("attach", "detach", "attach_started", "detach_started")
GROUT_VERBS = ("attach", "detach", "start", "stop", "attach_started", "detach_started")
# What commands of the operator can be for; status is how the ports are read, and no verb.
COMMAND_VERBS = ("attach", "detach", "start", "stop")
# app/test-pmd/parameters.c: getopt_long() takes the short options together, -ia, and long ones cut short.
_SHORT_INTERACTIVE = re.compile(r"-[ahi]*i[ahi]*")


def reaches(app: App, system: System) -> t.Iterator[Reach]:
    """Every adapter and channel, the preferred one first, and whether it reaches the application.

    One after the other: what is imported for a way that is not looked at would cost time on the host.
    """
    if app.is_testpmd:
        yield testpmd(app, system)
    if app.is_openvswitch:
        yield openvswitch(app, system)
    if app.is_grout:
        yield grout(app, system)
    yield from multiprocess(app, system)
    yield command(app, Means())


def choose(
    app: App,
    system: System,
    *,
    adapter: str = "auto",
    channel: str = "auto",
    means: Means = Means(),  # noqa: B008 - it is a constant
) -> Reach:
    """The first usable one of those asked for; an error that says what stands in the way of each if there is none.

    Who gives commands of their own wants these.
    """
    ways: dict[str, list[str]] = {}
    for one in [command(app, means)] if means.commands else reaches(app, system):
        if adapter not in ("auto", one.adapter) or (one.channel and channel not in ("auto", one.channel)):
            continue
        if one.usable:
            return one
        ways.setdefault(one.reason, []).append(f"{one.adapter}{f' ({one.channel})' if one.channel else ''}")
    from .._state.refusals import unreachable

    raise unreachable(app, ways, adapter)


def multiprocess(app: App, system: System) -> t.Iterator[Reach]:
    """Whether each channel of the adapter multiprocess reaches the application, the preferred one first."""
    common = _no_secondary_way(app)
    why = common or _no_ipc(app)
    yield Reach("multiprocess", "ipc", not why, why, MULTIPROCESS_VERBS)
    why = common or _no_eal(app, system)
    yield Reach("multiprocess", "eal", not why, why, MULTIPROCESS_VERBS)


def _no_secondary_way(app: App) -> str:
    if not app.running:
        return "it is not running"
    if app.distrust or _not_ours(app):
        return app.distrust or _not_ours(app)
    if not app.shared:
        return (
            "it has no shared files: it was started with --in-memory or --no-shconf, or serves its telemetry elsewhere"
        )
    if app.root:
        return f"it runs in a mount namespace of its own (pid {app.pid}): run the play in its container"
    return ""


def _not_ours(app: App) -> str:
    if os.geteuid() in (0, app.uid):
        return ""
    return f"it runs as user {app.uid}, this as user {os.geteuid()}: become that user or root"


def _no_ipc(app: App) -> str:
    if not app.mp_socket:
        return "it has no multi-process socket"
    if app.release is None:
        return "its release is not known: its config file is not complete"
    facts = releases.facts(app.release)
    if facts is None:
        return f"the message layout of DPDK {app.release} is not known ({', '.join(releases.known())} are)"
    return _no_ports(app)


def _no_ports(app: App) -> str:
    """Why its ports cannot be read. Without them nothing is changed: a started port could not be told."""
    facts = releases.facts(app.release) if app.release else None
    if app.telemetry_error:
        return f"its ports cannot be read: {app.telemetry_error}"
    if facts is not None and not facts.port_info:
        return f"telemetry of DPDK {app.release} tells nothing of ports (21.11 and later do)"
    return ""


def _no_eal(app: App, system: System) -> str:
    from .._binding.joinable import eal_preconditions

    return "; ".join(error.message for error in eal_preconditions(app, system=system)) or _no_ports(app)


def command(app: App, means: Means) -> Reach:
    """Whether the operator's commands, if any, are for this application."""
    why = ""
    if not app.running:
        why = "it is not running"
    elif not means.commands:
        why = "no commands are given for it"
    elif app.distrust or _not_ours(app):
        why = app.distrust or _not_ours(app)
    elif "status" not in means.commands:
        why = _no_ports(app)
    verbs = tuple(verb for verb in COMMAND_VERBS if verb in means.commands or not means.commands)
    return Reach("command", "", not why, why, verbs)


def openvswitch(app: App, system: System) -> Reach:
    """Whether the database and the control socket of an Open vSwitch are there. Nothing is asked of it."""
    why = _apart(app) or _no_ports(app)
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
    if app.distrust or _not_ours(app):
        return app.distrust or _not_ours(app)
    if app.root:
        return f"it runs in a mount namespace of its own (pid {app.pid}): run the play in its container"
    return ""


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
    if not app.running:
        return "it is not running"
    if not app.is_testpmd:
        return "it is not a testpmd"
    if app.distrust or _not_ours(app):
        return app.distrust or _not_ours(app)
    if not is_interactive(app.command):
        return "it was started without -i, so it has no console"
    if app.telemetry_error or not app.telemetry:
        return f"its ports cannot be read: {app.telemetry_error or 'it serves no telemetry'}"
    if not any(os.path.lexists(f"{place}/{CONSOLE}") for place in consoles(app)):
        return "its console is not reachable: start it with dpdk-hotplug console"
    return ""


def consoles(app: App) -> list[str]:
    """The directories in which the console of an application can be: root's, and its user's own."""
    return [
        root + directory_of(app.prefix, app.runtime_dir, uid)
        for root in sorted({"", app.root})
        for uid in sorted({0, app.uid})
    ]


def is_interactive(command: t.Sequence[str]) -> bool:
    """Whether testpmd was started with -i. Without it, testpmd takes any input for the wish that it ends."""
    words = list(command)
    own = words[words.index("--") + 1 :] if "--" in words else []
    return any(
        _SHORT_INTERACTIVE.fullmatch(word) or (len(word) > 2 and "--interactive".startswith(word)) for word in own
    )
