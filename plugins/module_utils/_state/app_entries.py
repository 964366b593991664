# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import json
import os
import typing as t

from .. import _devices
from .._system import System
from . import checks

if t.TYPE_CHECKING:
    from .host_model import HostSpec
    from .plan import Plan
    from .work import AppWork

Entry = t.Mapping[str, t.Any]
# What is of one run alone. To go past a started port is decided each time anew.
_PASSING = ("persistent", "force", "timeout", "state", "started", "ports", "required", "health")
# A module gives these where a task does not.
_DEFAULTS = {"exclusive": False, "atomic": True, "recreate": False, "adapter": "auto", "channel": "auto"}


def parted(given: t.Sequence[t.Any]) -> tuple[list[t.Any], list[Entry]]:
    """The applications of a document without what they say of persistence, and those that say something."""
    kept: list[Entry] = [one for one in given if isinstance(one, dict) and one.get("persistent") is not None]
    plain = [
        {name: value for name, value in one.items() if name != "persistent"} if isinstance(one, dict) else one
        for one in given
    ]
    return plain, kept


def checked(entries: t.Sequence[Entry]) -> tuple[Entry, ...]:
    """Entries of applications that say whether they are to persist, refused where that cannot be kept."""
    for entry in entries:
        checks.flag(entry["persistent"], "persistent")
        if not entry.get("app"):
            raise checks.bad("persistent", "is for an application without a name", "Give app, its file prefix.")
        if any(port.get("port_id") is not None for port in entry.get("ports") or ()):
            raise checks.bad("persistent", "is for a port_id", "Name the device: port ids are given by DPDK.")
    return tuple(entries)


def merged(kept: t.Sequence[Entry], entries: t.Sequence[Entry]) -> list[dict[str, t.Any]]:
    """The applications of the boot document, with what is to persist and without what is not to.

    An entry is added to what is kept of its application; with ``exclusive`` it takes the place of that. What is to be
    absent is left out.
    """
    found = {_key(one): dict(one) for one in kept}
    for entry in entries:
        before = found.pop(_key(entry), {})
        ports = {_port_key(one): one for one in before.get("ports", ())}
        named = {_port_key(one): _port(one, entry) for one in entry.get("ports") or ()}
        if not entry["persistent"]:
            left = {key: one for key, one in ports.items() if key not in named} if named else {}
            if left:
                found[_key(entry)] = {**before, "ports": list(left.values())}
            continue
        if entry.get("exclusive"):
            before, ports = {}, {}
        fresh = {**ports, **named}
        said = {name: one for name, one in entry.items() if one not in (None, _DEFAULTS.get(name))}
        own = {name: one for name, one in said.items() if name not in _PASSING}
        listed = [one for one in fresh.values() if one is not None]
        if listed or entry.get("exclusive"):
            found[_key(entry)] = {**before, **own, "ports": listed}
    return [found[key] for key in sorted(found)]


def returning(
    works: t.Sequence[AppWork], plans: t.Sequence[Plan], wanted: HostSpec | None, system: System
) -> list[str]:
    """Warnings of what a run takes away that is to persist."""
    from .._host import persistence

    if not os.path.lexists(system.path(persistence.PATH)):
        return []
    kept = persistence.read(system).get("apps", ())
    spoken = {str(entry["app"]) for entry in wanted.apps} if wanted is not None else set()
    found = [coming_back(kept, work, plan, spoken) for work, plan in zip(works, plans)]
    return [one for warnings in found for one in warnings]


def coming_back(kept: t.Sequence[Entry], work: AppWork, plan: Plan, spoken: t.Collection[str]) -> list[str]:
    """``spoken``: applications for which the run says what persists."""
    app = work.app
    if app.prefix in spoken:
        return []
    noted = {
        _port_key(port)
        for entry in kept
        if entry["app"] == app.prefix
        and str(entry.get("runtime_dir") or app.runtime_dir).rstrip("/") == app.runtime_dir
        for port in entry.get("ports", ())
    }
    attached = {step.device.name for step in plan.steps if step.verb == "attach"}
    gone = [step.device.name for step in plan.steps if step.verb == "detach" and step.device.name not in attached]
    return [
        f"Device '{name}' is to persist for application '{app.prefix}': it is attached again when that is started "
        "anew, unless it is taken away with persistent: false."
        for name in gone
        if name in noted
    ]


def _key(entry: Entry) -> tuple[str, str]:
    return str(entry["app"]), str(entry.get("runtime_dir") or "").rstrip("/")


def _port(port: Entry, app: Entry) -> dict[str, t.Any] | None:
    """A port as it is kept, with what its application says of all; None for one that is to be absent."""
    if (port.get("state") or app.get("state")) == "absent":
        return None
    started = port.get("started") if port.get("started") is not None else app.get("started")
    plain = {name: one for name, one in port.items() if one is not None and name not in ("state", "started")}
    return plain if started is None else {**plain, "started": started}


def _port_key(port: Entry) -> str:
    if port.get("device") is not None:
        return _devices.parse(port["device"]).name
    return json.dumps(port.get("select"), sort_keys=True)
