# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""The document of a fleet as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
import typing as t
from pathlib import Path

from . import _drift
from ._fleet import STATES, is_userspace

Json = t.Mapping[str, t.Any]

TEMPLATES = Path(__file__).resolve().parents[2] / "playbooks" / "templates" / "report"
# With so few hosts there is nothing to choose from: all of them are shown open.
FEW = 3
LABELS = {
    "drift": "Drift",
    "unreachable": "Unreachable",
    "failed": "Failed",
    "unmanaged": "No document",
    "sync": "In sync",
}
# PCI classes (pci.ids), as _host/pci tells them.
_CLASSES = {"0200": "Ethernet", "0207": "InfiniBand", "02": "network", "10": "crypto", "12": "accelerator"}
_CLASSES.update({"0b40": "co-processor", "0880": "system"})


def page(document: Json) -> str:
    """The page; every value in it is escaped, and its policy lets no script run but its own."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=size, number=number)
    style, script = (_folded((TEMPLATES / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    hosts = [view(row) for row in document["hosts"]]
    text = environment.get_template("page.html.j2").render(
        document=document,
        hosts=hosts,
        areas=_drift.AREAS,
        states=[(state, LABELS[state], document["summary"]["states"][state]) for state in STATES],
        shares=shares(document["summary"]["states"]),
        few=len(hosts) <= FEW,
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
    )
    return _folded(text)


def _folded(text: str) -> str:
    """Without the indentation, which is a third of the page."""
    return re.sub(r"\n\s*", "\n", text).strip() + "\n"


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"


def shares(states: t.Mapping[str, int]) -> list[tuple[str, float, float]]:
    """Each state with where it starts and how wide it is on a bar of 1000; none that is there is invisible."""
    there = [(state, states[state]) for state in reversed(STATES) if states[state]]
    total = sum(max(count, sum(states.values()) / 100) for _state, count in there)
    found, start = [], 0.0
    for state, count in there:
        width = 1000 * max(count, sum(states.values()) / 100) / total
        found.append((state, round(start, 2), round(width, 2)))
        start += width
    return found


def view(row: Json) -> dict[str, t.Any]:
    """A host's row as the page shows it: devices under nodes and PFs, with who uses them and what differs."""
    running = [app for app in row["apps"] if app["state"] == "running"]
    ports = [port for app in running for port in app["ports"] or ()]
    pages = row["hugepages"]["pages"]
    reserved = sum(one["size_kib"] * one["count"] for one in pages)
    free = sum(one["size_kib"] * one["free"] for one in pages)
    numbers = {
        "devices": sum(one["pf"] is None for one in row["devices"]),
        "userspace": sum(is_userspace(one) for one in row["devices"]),
        "vfs": sum(one["pf"] is not None for one in row["devices"]),
        "reserved": reserved,
        "used": reserved - free,
        "running": len(running),
        "attached": len(ports),
        "started": sum(one["started"] is True for one in ports),
    }
    numbers["everything"] = len(row["devices"])
    subjects = {one["subject"].split(" ")[0] for one in row["drift"] if one["area"] == "drivers"}
    return {
        **row,
        **numbers,
        "label": f"{len(row['drift'])} to change" if row["state"] == "drift" else LABELS[row["state"]],
        "keys": [STATES.index(row["state"]), len(row["drift"]), *(numbers[name] for name in _SORTED)],
        "nodes": nodes(row, subjects),
        "apps": [_app(app, row["drift"]) for app in row["apps"]],
        "at_boot": _at_boot(row["boot"]),
        "lost": row["state"] in ("unreachable", "failed"),
    }


_SORTED = ("everything", "userspace", "reserved", "running", "attached")


def nodes(row: Json, subjects: t.Collection[str]) -> list[dict[str, t.Any]]:
    """The NUMA nodes with their hugepages and devices. What has no node is on the only one, where there is one."""
    pools: dict[int, list[t.Any]] = {}
    for pool in row["hugepages"]["pages"]:
        pools.setdefault(pool["node"], []).append({**pool, "used": pool["count"] - pool["free"]})
    users = _users(row["apps"])
    there: dict[int, list[t.Any]] = {}
    for device in _nested(row["devices"]):
        number = device["numa_node"]
        if number < 0 and len(pools) == 1:
            number = next(iter(pools))
        there.setdefault(number, []).append(
            {
                **device,
                "kind": _kind(device["class"]),
                "userspace": is_userspace(device),
                "users": users.get(device["address"], []),
                "differs": device["address"] in subjects,
            }
        )
    numbers = sorted({*pools, *there}, key=lambda number: (number < 0, number))
    return [{"number": one, "pools": pools.get(one, []), "devices": there.get(one, [])} for one in numbers]


def _nested(devices: t.Sequence[Json]) -> list[t.Any]:
    """By address, the VFs behind their PF, by index."""
    pfs = {one["address"]: one for one in devices}

    def place(device: Json) -> tuple[t.Any, ...]:
        above = pfs.get(device["pf"] or "")
        if above is None:
            return device["address"], -1, device["address"]
        return above["address"], device["vf_index"], device["address"]

    ordered = sorted(devices, key=place)
    return [{**one, "numa_node": pfs.get(one["pf"] or "", one)["numa_node"]} for one in ordered]


def _users(apps: t.Sequence[Json]) -> dict[str, list[dict[str, t.Any]]]:
    """Which applications have a device, with their ports on it."""
    found: dict[str, list[dict[str, t.Any]]] = {}
    for app in apps:
        for port in app["ports"] or ():
            found.setdefault(port["device"], []).append({"app": app["prefix"], **port})
    return found


def _kind(code: str) -> str:
    return next((_CLASSES[code[:many]] for many in (4, 2) if code[:many] in _CLASSES), f"class {code}")


def _app(app: Json, drift: t.Sequence[Json]) -> dict[str, t.Any]:
    differing = [one["subject"] for one in drift if one["area"] == "applications"]
    ways = [one for one in app["adapters"] if one["usable"]]
    there = {port["device"] for port in app["ports"] or ()}
    own = [one["subject"] for one in drift if one["area"] == "applications" and one["after"] == "attached"]
    missing = [one[len(app["prefix"]) + 1 :] for one in own if one.startswith(app["prefix"] + " ")]
    return {
        **app,
        "way": ways[0]["adapter"] + (f" ({ways[0]['channel']})" if ways[0]["channel"] else "") if ways else "",
        "stuck": "" if ways else "; ".join(dict.fromkeys(one["reason"] for one in app["adapters"] if one["reason"])),
        "ports": [
            {**port, "differs": any(_is_of(one, app["prefix"], port["device"]) for one in differing)}
            for port in app["ports"] or ()
        ],
        "missing": [one for one in missing if one.partition(",")[0] not in there],
    }


def _is_of(subject: str, app: str, device: str) -> bool:
    return subject.partition(",")[0] == f"{app} {device}"


def _at_boot(boot: Json | None) -> list[tuple[str, str]]:
    return [
        (name, _drift.text({key: one for key, one in entry.items() if key not in ("device", "select", "expect")}))
        for name, entry in _drift.entries(boot or {}).items()
    ]


def size(kib: int) -> str:
    """KiB as people write it."""
    if not kib:
        return "none"
    value = float(kib)
    for unit in ("KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB" if value < 100 else f"{value:,.0f} TiB"


def number(value: int) -> str:
    return f"{value:,}"
