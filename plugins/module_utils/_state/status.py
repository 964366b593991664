# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from .._errors import HotplugError
from .._host import files, persistence
from .._system import System
from . import evacuated, home
from .reconciler import away, parts

Json = dict[str, t.Any]
_FILE = "reconciler.json"


def write(rows: t.Sequence[Json]) -> None:
    """What the reconciler knows of its parts, for status(); in the directory that goes with the boot."""
    _write({"pid": os.getpid(), "parts": rows})


def ended() -> None:
    """No reconciler runs any more. What it did, and when, stays known."""
    _write({"pid": 0, "parts": _read(System()).get("parts", [])})


def acted() -> dict[tuple[str, str], float]:
    """When a reconciler before last did something about a part, by its kind and name."""
    try:
        return {(str(row["kind"]), str(row["name"])): float(row["acted"]) for row in _read(System()).get("parts", ())}
    except (KeyError, TypeError, ValueError):
        return {}


def _write(kept: Json) -> None:
    with contextlib.suppress(HotplugError):
        files.replace(System(), f"{home.place()}/{_FILE}", json.dumps(kept).encode())


def status(converge: t.Callable[..., Json], *, system: System | None = None) -> Json:
    """What of the boot document holds now, what does not and why, and what the reconciler last did about it.

    Returns ``running`` (whether there is a reconciler), ``holds`` (whether all does) and ``parts``: for each ``kind``,
    ``name``, ``state``, ``holds``, ``todo`` (what is to be done), ``reason`` and ``message`` (why it is not so),
    ``acted`` (seconds since the epoch, 0 for never) and ``tries``; and ``evacuated`` as evacuated.rows() has it.
    """
    system = system or System()
    kept = _read(system)
    running = _runs(kept, system)
    known = {(row["kind"], row["name"]): row for row in kept.get("parts", ())}
    rows = []
    for part in parts(persistence.read(system)):
        last = known.get((part.kind, part.name), {})
        row: Json = {"kind": part.kind, "name": part.name, "todo": [], "reason": "", "message": ""}
        try:
            persistence.same_card(system, part.entry)
            result = converge({"version": 1, **part.document}, check=True)
            row["holds"] = not result["changed"]
            row["state"] = "holds" if row["holds"] else "differs"
            if part.kind == "app" and not result["apps"]:
                row["state"] = "waiting"
            elif row["holds"] and away(result):
                row["state"] = "evacuated"
            row["message"] = away(result)
            row["todo"] = [*result.get("host", {}).get("actions", ())]
            row["todo"] += [act for app in result["apps"] for act in app["actions"]]
            if running and row["state"] == "differs" and last.get("state") == "failed":
                row.update(reason=last["reason"], message=last["message"])
        except HotplugError as error:
            row.update(holds=False, state="failed", reason=error.reason, message=str(error))
        rows.append({**row, "acted": last.get("acted", 0.0), "tries": last.get("tries", 0)})
    return {
        "running": running,
        "holds": all(row["holds"] for row in rows),
        "parts": rows,
        "evacuated": evacuated.rows(evacuated.read(system)),
    }


def _read(system: System) -> Json:
    try:
        kept = json.loads(system.read(f"{home.place()}/{_FILE}"))
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _runs(kept: Json, system: System) -> bool:
    try:
        return bool(kept) and bool(kept["pid"]) and system.process(int(kept["pid"])) is not None
    except (KeyError, TypeError, ValueError):
        return False
