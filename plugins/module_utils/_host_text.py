# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""What the command ``dpdk-hotplug`` tells people of the host itself."""

from __future__ import annotations

import difflib
import json
import time
import typing as t

from ._tables import paragraph, printable, table

Json = t.Mapping[str, t.Any]


def devices_text(devices: t.Sequence[Json], columns: int) -> list[str]:
    if not devices:
        return ["No devices."]
    header = ("DEVICE", "ID", "DRIVER", "NUMA", "GROUP", "NETDEVS", "VFS", "FOR DPDK")
    return table(header, [_device_row(one) for one in devices], columns)


def _device_row(one: Json) -> tuple[str, ...]:
    vfs = f"{len(one['vfs'])} of {one['max_vfs']}" if one["max_vfs"] else f"VF of {one['pf']}" if one["pf"] else "-"
    users = ", ".join(f"{by['name']} (pid {by['pid']})" for by in one["in_use_by"])
    return (
        one["address"],
        f"{one['vendor']}:{one['device']}",
        one["driver"] or "-",
        "-" if one["numa_node"] < 0 else str(one["numa_node"]),
        "-" if one["iommu_group"] is None else str(one["iommu_group"]),
        ", ".join(one["netdevs"]) or "-",
        vfs,
        (f"yes, used by {users}" if users else "yes") if one["bindable"] else f"no: {one['reason']}",
    )


def result_text(result: Json, *, check: bool, diff: bool) -> list[str]:
    """What was done to the host, a line an act, and the difference where it is asked for."""
    lines = [f"host: {_act_text(act, check)}" for act in result["actions"]] or ["host: nothing to do"]
    lines += _diff_text(result["diff"]) if diff else []
    return lines + (["host: a reboot is required for the kernel arguments"] if result["reboot_required"] else [])


_ACTS = {
    "resize": "VFs of {device}",
    "set_vf": "VF {vf} of {device}",
    "reserve": "hugepages of {size} on node {node}",
}


def _act_text(act: Json, check: bool) -> str:
    what = _ACTS.get(act["action"], "").format_map(act)
    if not what:
        name = act.get("device") or act.get("path") or act["target"]
        what = f"{act['action'].replace('_', ' ')} {name}"
    if not any(isinstance(act[side], dict) for side in ("before", "after")):
        what += f": {_shown(act['before'])} to {_shown(act['after'])}"
    return printable(f"{'would be: ' if check else ''}{what}")


def _shown(value: t.Any) -> str:
    if isinstance(value, (list, tuple)):
        value = " ".join(map(str, value))
    return "none" if value in (None, "") else str(value)


def _diff_text(diff: Json) -> list[str]:
    before, after = (json.dumps(diff[side], indent=1, sort_keys=True).splitlines() for side in ("before", "after"))
    return [printable(line) for line in difflib.unified_diff(before, after, "host before", "host after", lineterm="")]


def status_text(status: Json, columns: int) -> list[str]:
    """What holds of the persistent state, a line a part, and below it what does not."""
    evacuated = [
        f"{one['app']}: {one['devargs']} is evacuated since {one['since']}; 'dpdk-hotplug restore' brings it back"
        for one in status.get("evacuated", ())
    ]
    if not status["parts"]:
        return ["Nothing is to persist.", *evacuated]
    header = ("PART", "KIND", "STATE", "LAST ACTED")
    rows = [(one["name"] or "-", one["kind"], one["state"], _ago(one["acted"])) for one in status["parts"]]
    lines = table(header, rows, columns)
    for one in status["parts"]:
        todo = [f"to do: {act['action'].replace('_', ' ')} {_target(act)}" for act in one["todo"]]
        tries = [f"tried {one['tries']} times"] if one["tries"] and not one["holds"] else []
        for text in [one["message"], *todo, *tries]:
            lines += paragraph(f"{one['name'] or '-'}: {text}", columns) if text else []
    lines += evacuated
    if not status["running"]:
        lines += ["", "No reconciler runs; see the role dpdk.hotplug.reconciler."]
    return lines


def memory_text(result: Json, *, check: bool) -> list[str]:
    """What of the devices that are away was remembered and forgotten, a line each."""
    before, after = result["memory"]["before"], result["memory"]["after"]
    lines = []
    for verb, one, other in (("remember", after, before), ("forget", before, after)):
        said = f"would {verb}" if check else {"remember": "remembered", "forget": "forgot"}[verb]
        for app, devices in one.items():
            fresh = {name: state for name, state in devices.items() if other.get(app, {}).get(name) is None}
            lines += [printable(f"{app}: {said} {_away_text(name, state)}") for name, state in fresh.items()]
    persisted = [act for act in result["actions"] if act["action"] == "persist"]
    return lines + [f"host: {_act_text(act, check)}" for act in persisted]


def _away_text(name: str, state: Json) -> str:
    return f"{name}{',' if state['args'] else ''}{state['args']}{' (started)' if state['started'] else ''}"


def _target(act: Json) -> str:
    return str(act.get("devargs") or act.get("device") or act.get("path") or act.get("target") or "")


def _ago(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds)) if seconds else "-"
