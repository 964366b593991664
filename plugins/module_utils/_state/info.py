# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._apps.app import App
from .._apps.discovery import check_prefix, find
from .._apps.observers import Observer
from .._apps.ports import Ports
from .._apps.reach import reaches
from .._devices import parse
from .._errors import HotplugError
from .._system import System
from .._threads import side_by_side
from .checks import PATIENCE
from .looks import look
from .observe import assemble, ports_result


def apps(*, system: System | None = None, runtime_dir: str = "", app: str = "") -> list[dict[str, t.Any]]:
    """Every DPDK application on the host and what is left of dead ones, each with its ports. Nothing is changed."""
    system = system or System()
    found = find(system, runtime_dir=runtime_dir, prefixes=[check_prefix(app)] if app else [])
    return side_by_side(lambda one: _app(one, system), found)


def ports(
    *, system: System | None = None, runtime_dir: str = "", app: str = "", device: str = "", required: bool = False
) -> dict[str, list[dict[str, t.Any]]]:
    """The ports of the running applications, each with whose it is, and who could not be asked. Nothing is changed.

    ``required``: none running is an error, which says who is.
    """
    system = system or System()
    wanted = parse(device).name if device else ""
    found = find(system, runtime_dir=runtime_dir, prefixes=[check_prefix(app)] if app else [])
    read: list[dict[str, t.Any]] = []
    unread: list[dict[str, t.Any]] = []
    running = [one for one in found if one.running]
    if required and not running:
        from . import refusals
        from .model import AppSpec

        raise refusals.no_application(found, AppSpec(prefix=app, runtime_dir=runtime_dir), [*found, *find(system)])
    for one, (own, why) in zip(running, side_by_side(lambda one: _ports(one, system), running)):
        whose = {"app": one.prefix, "runtime_dir": one.runtime_dir, "pid": one.pid}
        read += [{**whose, **port} for port in own or () if wanted in ("", port["device"])]
        unread += [{**whose, "reason": why}] if own is None else []
    return {"ports": read, "unread": unread}


def _app(app: App, system: System) -> dict[str, t.Any]:
    ports, unread = _ports(app, system)
    return {
        "prefix": app.prefix,
        "runtime_dir": app.runtime_dir,
        "state": "running" if app.running else "distrusted" if app.distrust else "leftover",
        "pid": app.pid or None,
        "uid": app.uid if app.running else None,
        "name": app.name,
        "version": app.version,
        "release": str(app.release) if app.release else None,
        "command": [_printable(word) for word in app.command],
        "eal_params": None if app.eal_params is None else [_printable(word) for word in app.eal_params],
        "shared": app.shared,
        "container": bool(app.root),
        "secondaries": list(app.secondaries),
        "ports": ports,
        "ports_error": unread,
        "adapters": [
            {
                "adapter": one.adapter,
                "channel": one.channel,
                "usable": one.usable,
                "reason": one.reason,
                "can": list(one.verbs),
            }
            for one in reaches(app, system)
        ],
    }


def _printable(word: str) -> str:
    """A word of a command line that JSON can carry: bytes that are no text are written out."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def observer(app: App, system: System) -> Observer:
    """What tells its ports, without anything that an operator has to say first."""
    if not app.is_grout:
        return Ports(app)
    from .._apps.grout import GroutPorts

    return GroutPorts(app, system, timeout=PATIENCE)


def _ports(app: App, system: System) -> tuple[list[dict[str, t.Any]] | None, str]:
    """The ports, or None and why they cannot be read."""
    if not app.running:
        return None, app.distrust or "it is not running"
    try:
        return ports_result(assemble(observer(app, system).read(), look(app), app).devices), ""
    except HotplugError as error:
        return None, error.message
