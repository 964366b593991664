# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

Params = t.Mapping[str, t.Any]
_HOST = ("hugepages", "devices", "allow_active", "apps", "timeout")


def device(params: Params, *, check: bool) -> dict[str, t.Any]:
    """What dpdk_device does and returns."""
    if params["device"] is None and params["select"] is None:
        listed = params["devices"]
    else:
        listed = [{"device": params["device"], "select": params["select"]}]
    defaults = {name: params[name] for name in ("driver", "persistent", "noiommu")}
    entries = [{**defaults, **_given(one)} for one in listed]
    return _converged({**_rest(params), "devices": [_given(one) for one in entries]}, check=check)


def sriov(params: Params, *, check: bool) -> dict[str, t.Any]:
    """What dpdk_sriov does and returns."""
    entries = []
    for one in params["devices"]:
        vfs = {"count": one["count"], "driver": one["driver"], "settings": [_given(vf) for vf in one["vfs"] or ()]}
        persistent = params["persistent"] if one["persistent"] is None else one["persistent"]
        named = _given({"device": one["device"], "select": one["select"], "persistent": persistent})
        entries.append({**named, "vfs": _given(vfs)})
    return _converged({**_rest(params), "devices": entries}, check=check)


def hugepages(params: Params, *, check: bool) -> dict[str, t.Any]:
    """What dpdk_hugepages does and returns."""
    asked = {name: params[name] for name in ("pages", "mounts", "boot", "persistent")}
    asked["pages"] = [_given(one) for one in asked["pages"] or ()]
    asked["mounts"] = [_given(one) for one in asked["mounts"] or ()]
    return _converged({"hugepages": _given(asked), "timeout": params["timeout"]}, check=check)


def host(params: Params, *, check: bool) -> dict[str, t.Any]:
    """What dpdk_host does and returns."""
    from ._state.engine import converge

    document = _given({name: params[name] for name in _HOST})
    leave = params["leave_evacuated"]
    result = converge(_persisting(document, params["persistent"]), check=check, leave_evacuated=leave)
    own = result.pop("host", None) or {"diff": {"before": {}, "after": {}}, "reboot_required": False}
    diffs = [own.pop("diff"), *(one.pop("diff") for one in result["apps"])]
    whole = {"before": diffs[0]["before"], "after": diffs[0]["after"]}
    for one, diff in zip(result["apps"], diffs[1:]):
        for side in ("before", "after"):
            whole[side] = {**whole[side], "apps": {**whole[side].get("apps", {}), one["app"]["prefix"]: diff[side]}}
    found = {**result, **own, "diff": whole}
    if params["detail"] == "changed":
        from ._state.brief import brief

        found = brief(found)
    return found


def _persisting(document: Params, when: str | None) -> Params:
    """A document whose entries persist where they do not say themselves; ``installed``: where that can be."""
    if when is None:
        return document
    if when == "installed":
        from ._host.persistence import can_keep

        if not can_keep():
            return document
    default = {"persistent": when != "never"}
    several = {
        name: [{**default, **_given(one)} if _can_persist(one, name) else one for one in document[name]]
        for name in ("devices", "apps")
        if name in document
    }
    memory = {"hugepages": {**default, **_given(document["hugepages"])}} if "hugepages" in document else {}
    return {**document, **several, **memory}


def _can_persist(entry: t.Any, kind: str) -> bool:
    """An application persists by its name, and its ports by those of their devices."""
    if not isinstance(entry, dict) or kind == "devices":
        return isinstance(entry, dict)
    ports = entry.get("ports") or ()
    return bool(entry.get("app")) and all(isinstance(one, dict) and one.get("port_id") is None for one in ports)


def slot(params: Params, *, check: bool) -> dict[str, t.Any]:
    """What dpdk_slot does and returns."""
    from ._state.slot_work import run

    entries = [_given(one) for one in params["slots"] or ()]
    return {"warnings": [], **run(entries, check=check, timeout=params["timeout"], rescan=params["rescan"])}


def kernel_args(params: Params, *, check: bool) -> dict[str, t.Any]:
    """What dpdk_kernel_args does and returns."""
    from ._state.arguments import run

    wanted = params["arguments"] if params["state"] == "present" else []
    return run(params["owner"], wanted, iommu=params["iommu"], check=check)


def _given(values: Params) -> dict[str, t.Any]:
    """Ansible gives None for what was left out."""
    return {name: value for name, value in values.items() if value is not None}


def _rest(params: Params) -> dict[str, t.Any]:
    return _given({"allow_active": params["allow_active"], "timeout": params["timeout"]})


def _converged(document: Params, *, check: bool) -> dict[str, t.Any]:
    from ._state.engine import converge

    result = converge(document, check=check)
    return {"changed": result["changed"], "warnings": result["warnings"], **result["host"]}
