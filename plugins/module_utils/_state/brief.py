# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

Json = t.Mapping[str, t.Any]
_SEVERAL = ("devices", "hugepages", "apps")


def brief(result: Json) -> dict[str, t.Any]:
    """A result of dpdk_host with what has changed, and ``counts`` of what there is: a fleet's stay small."""
    acts = result.get("actions", ())
    touched = {str(act.get("device")) for act in acts}
    memory = any(act["action"] in ("reserve", "mount", "unmount") for act in acts)
    before, after = _differing(result["diff"]["before"], result["diff"]["after"])
    return {
        **{name: one for name, one in result.items() if name not in _SEVERAL},
        "devices": [one for one in result.get("devices", ()) if one["address"] in touched],
        **({"hugepages": result["hugepages"]} if memory and "hugepages" in result else {}),
        "apps": [_app(one) for one in result["apps"]],
        "diff": {**result["diff"], "before": before, "after": after},
        "counts": {
            "devices": len(result.get("devices", ())),
            "apps": len(result["apps"]),
            "ports": sum(len(one["ports"]) for one in result["apps"]),
            "started": sum(port["started"] for one in result["apps"] for port in one["ports"]),
        },
    }


def _app(one: Json) -> dict[str, t.Any]:
    touched = {act["device"] for act in one["actions"]}
    return {**one, "ports": [port for port in one["ports"] if port["device"] in touched]}


def _differing(before: t.Any, after: t.Any) -> tuple[t.Any, t.Any]:
    """Both without what is the same in them."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return before, after
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    inner = {name: _differing(before[name], after[name]) for name in names if name in before and name in after}
    return tuple(  # type: ignore[return-value]
        {name: inner[name][at] if name in inner else side[name] for name in names if name in side}
        for at, side in enumerate((before, after))
    )
