# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._binding import releases
from .._state.home import directory_of
from .._system import System
from .app import App, Means, Reach

# The socket of a console, in the directory that we keep for an application.
CONSOLE = "console"
MULTIPROCESS_VERBS = ("attach", "detach")


def reaches(app: App, system: System) -> t.Iterator[Reach]:
    """Every adapter and channel, the preferred one first, and whether it reaches the application.

    One after the other: what is imported for a way that is not looked at would cost time on the host. A testpmd without
    a console is an application as any other.
    """
    console = app.is_testpmd and has_console(app)
    if console or app.is_openvswitch or app.is_grout:
        from .reach_others import own

        yield own(app, system)
    why = no_secondary_way(app) or _no_ipc(app)
    yield Reach("multiprocess", "ipc", not why, why, MULTIPROCESS_VERBS)
    from .reach_others import last

    yield from last(app, system, console=console)


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
    found = reaches(app, system)
    if means.commands:
        from .reach_others import command

        found = iter((command(app, means),))
    for one in found:
        if adapter not in ("auto", one.adapter) or (one.channel and channel not in ("auto", one.channel)):
            continue
        if one.usable:
            return one
        ways.setdefault(one.reason, []).append(f"{one.adapter}{f' ({one.channel})' if one.channel else ''}")
    from .._state.refusals import unreachable

    raise unreachable(app, ways, adapter)


def consoles(app: App) -> list[str]:
    """The directories in which the console of an application can be: root's, and its user's own."""
    return [
        root + directory_of(app.prefix, app.runtime_dir, uid)
        for root in sorted({"", app.root})
        for uid in sorted({0, app.uid})
    ]


def has_console(app: App) -> bool:
    """Whether there is anything where a console would be."""
    return any(os.path.lexists(f"{place}/{CONSOLE}") for place in consoles(app))


def no_secondary_way(app: App) -> str:
    """Why no other process can join it."""
    if not app.shared and not closed(app):
        return (
            "it has no shared files: it was started with --in-memory or --no-shconf, or serves its telemetry elsewhere"
        )
    return apart(app)


def apart(app: App) -> str:
    """Why nothing of ours may go to it, or comes there from here."""
    elsewhere = f"it runs in a mount namespace of its own (pid {app.pid}): run the play in its container"
    return closed(app) or (elsewhere if app.root else "")


def closed(app: App) -> str:
    """Why nothing of ours may go to it."""
    if not app.running:
        return "it is not running"
    if app.distrust or os.geteuid() in (0, app.uid):
        return app.distrust
    return f"it runs as user {app.uid}, this as user {os.geteuid()}: become that user or root"


def _no_ipc(app: App) -> str:
    if not app.mp_socket:
        return "it has no multi-process socket"
    if app.release is None:
        return "its release is not known: its config file is not complete"
    facts = releases.facts(app.release)
    if facts is None:
        from .._binding.release_notes import known

        return f"the message layout of DPDK {app.release} is not known ({', '.join(known())} are)"
    return no_ports(app)


def no_ports(app: App) -> str:
    """Why its ports cannot be read. Without them nothing is changed: a started port could not be told."""
    facts = releases.facts(app.release) if app.release else None
    if app.telemetry_error:
        return f"its ports cannot be read: {app.telemetry_error}"
    if facts is not None and not facts.port_info:
        return f"telemetry of DPDK {app.release} tells nothing of ports (21.11 and later do)"
    return ""
