# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""The fleet as a document: what the tasks of playbooks/tasks/observe.yml registered for each host."""

from __future__ import annotations

import functools
import json
import re
import typing as t
from collections.abc import Mapping

from . import _drift

Json = t.Mapping[str, t.Any]

FORMAT = 1
# Command lines are not the fleet's business, and may hold what is secret.
_LEFT_OUT = ("command", "eal_params")
_LIKE_A_SECRET = re.compile(r"(?i)passw|passphrase|secret|token|psk|key")
_SECRET = re.compile(
    r"(?i)([\w.-]*(?:passw(?:or)?d|passphrase|secret|token|psk|api_?key|private_?key|auth_?key|cipher_?key)[\w.-]*\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"
)
# What the tasks register, and what the inventory has.
INFO, CHECK, PARTS, IOMMU = ("_dpdk_hotplug_" + name for name in ("info", "check", "parts", "iommu"))
DEVICES = "dpdk_hotplug_devices"


def fleet(
    hosts: t.Mapping[str, Json], names: t.Iterable[str], *, title: str, generated: str, version: str
) -> dict[str, t.Any]:
    """The document of the hosts with these names, in the order of people; ``hosts``: the variables of each."""
    rows = [host(name, hosts[name]) for name in sorted(names, key=natural)]
    return {
        "format": FORMAT,
        "title": title,
        "generated": generated,
        "collection": version,
        "summary": summary(rows),
        "hosts": rows,
    }


def natural(name: str) -> tuple[t.Any, ...]:
    """node2 comes before node10."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name))


def host(name: str, variables: Json) -> dict[str, t.Any]:
    """A host's row: ``state`` is sync, drift, unmanaged, failed or unreachable."""
    info = plain(variables.get(INFO))
    if not isinstance(info, dict) or "devices" not in info:
        return {"name": plain(name), **_lost(info if isinstance(info, dict) else {})}
    check = _ran(plain(variables.get(CHECK)))
    if check is not None and check.get("unreachable"):
        return {"name": plain(name), **_lost(check)}
    items, notes = _drift.drift(
        _drift.Answers(
            check=check,
            parts=[one for one in (plain(variables.get(PARTS)) or {}).get("results") or () if _ran(one)],
            iommu=_ran(plain(variables.get(IOMMU))),
            boot=info.get("boot"),
            reboot_required=bool(info["hugepages"]["reboot_required"]),
            arguments=info["hugepages"]["kernel_arguments"],
            devices=_asked(variables),
        )
    )
    return {
        "name": plain(name),
        "state": "drift" if items else "unmanaged" if check is None else "sync",
        "message": "",
        "drift": [one._asdict() for one in items],
        "notes": [*notes, *_away(info.get("evacuated") or (), notes)],
        "iommu": info["iommu"],
        "iommu_hint": info["iommu_hint"],
        "drivers": info.get("drivers") or [],
        "boot": info.get("boot"),
        "devices": info["devices"],
        "hugepages": info["hugepages"],
        "apps": [{key: value for key, value in app.items() if key not in _LEFT_OUT} for app in info["apps"]],
    }


def _away(evacuated: t.Iterable[Json], notes: t.Sequence[str]) -> t.Iterator[str]:
    """What is away for a time is no drift; what the document asks for is among the warnings of the check already."""
    for one in evacuated:
        text = f"device '{one['device']}' is evacuated from application '{one['app']}'"
        if not any(text in note for note in notes):
            yield f"{text} since {one['since']}"


def _lost(info: Json) -> dict[str, t.Any]:
    """A host that nothing is known of, and why."""
    error = info.get("error") or {}
    message = str(error.get("message") or _drift.told(info) or "no answer from this host")
    way_out = str(error.get("way_out") or "")
    return {
        "state": "unreachable" if info.get("unreachable") else "failed",
        "message": message[:2000],
        "way_out": way_out,
        "drift": [],
        "notes": [],
        "iommu": None,
        "iommu_hint": None,
        "drivers": [],
        "boot": None,
        "devices": [],
        "hugepages": {"pages": [], "mounts": [], "kernel_arguments": [], "reboot_required": False},
        "apps": [],
    }


def _ran(answer: t.Any) -> t.Any:
    return answer if isinstance(answer, dict) and not answer.get("skipped") else None


def _asked(variables: Json) -> list[dict[str, t.Any]] | None:
    try:
        found = plain(variables.get(DEVICES))
    except Exception:  # a variable that cannot be templated failed the check too, which tells of it
        return None
    return found if isinstance(found, list) and all(isinstance(one, dict) for one in found) else None


def plain(value: t.Any) -> t.Any:
    """What Ansible hands over as plain values, and without what looks like a secret."""
    if isinstance(value, str):
        return hidden(str(value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (dict, Mapping)):
        return {plain(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return hidden(str(value))


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in "\n\t":
        return letter
    return "" if letter == "\r" else f"\\x{ord(letter):02x}"


@functools.lru_cache(maxsize=1 << 14)
def hidden(words: str) -> str:
    """``password=xyz`` as ``password=(hidden)``; and what is no text in JSON or HTML is written out."""
    if not words.isprintable():
        words = words.encode("utf-8", "backslashreplace").decode()
        words = "".join(map(_shown, words))
    return _SECRET.sub(r"\1(hidden)", words) if _LIKE_A_SECRET.search(words) else words


STATES = ("drift", "unreachable", "failed", "unmanaged", "sync")


def summary(rows: t.Sequence[Json]) -> dict[str, t.Any]:
    """What there is in the whole fleet."""
    devices = [device for row in rows for device in row["devices"]]
    apps = [app for row in rows for app in row["apps"] if app["state"] == "running"]
    ports = [port for app in apps for port in app["ports"] or ()]
    pages = [pool for row in rows for pool in row["hugepages"]["pages"]]
    return {
        "hosts": len(rows),
        "states": {state: sum(row["state"] == state for row in rows) for state in STATES},
        "drift": {area: sum(one["area"] == area for row in rows for one in row["drift"]) for area in _drift.AREAS},
        "devices": sum(one["pf"] is None for one in devices),
        "vfs": sum(one["pf"] is not None for one in devices),
        "userspace": sum(is_userspace(one) for one in devices),
        "hugepages_kib": sum(one["size_kib"] * one["count"] for one in pages),
        "hugepages_free_kib": sum(one["size_kib"] * one["free"] for one in pages),
        "apps": len(apps),
        "ports": len(ports),
        "ports_started": sum(one["started"] is True for one in ports),
    }


_USERSPACE = ("vfio-pci", "uio_pci_generic", "igb_uio")


def is_userspace(device: Json) -> bool:
    return device["driver"] in _USERSPACE


def as_json(document: Json) -> str:
    """The document with a line for each host."""
    top = {name: one for name, one in document.items() if name != "hosts"}
    hosts = ",\n".join(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in document["hosts"])
    return f'{json.dumps(top, sort_keys=True)[:-1]}, "hosts": [\n{hosts}\n]}}\n'


def audit(document: Json) -> list[str]:
    """The findings as lines for a terminal: the sum, then each host that is not as its document asks."""
    states = document["summary"]["states"]
    names = {"drift": "with drift", "unmanaged": "without a document", "sync": "as asked for"}
    told = ", ".join(f"{count} {names.get(state, state)}" for state, count in states.items() if count)
    count = document["summary"]["hosts"]
    lines = [f"{count} host{'' if count == 1 else 's'}: {told}"]
    for row in document["hosts"]:
        if row["state"] in ("unreachable", "failed"):
            lines.append(f"{row['name']}: {row['state']}: {_line(row['message'])}")
        lines += [f"{row['name']}: {one['area']}: {_finding(one)}" for one in row["drift"]]
        lines += [f"{row['name']}: note: {_line(one)}" for one in row["notes"]]
    return lines


def _line(words: str) -> str:
    return " ".join(words.split())


def _finding(item: Json) -> str:
    if item["message"]:
        return _line(f"{item['message']}. {item['way_out']}".strip(". ") + ".")
    return _line(f"{item['subject']}: {item['before']} -> {item['after']}")
