# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from ._errors import HotplugError

# The options of dpdk_port that name devices; all others are said of the application, under the same names.
_DEVICES = ("ports", "device", "port_id")


def port(params: t.Mapping[str, t.Any], *, check: bool) -> dict[str, t.Any]:
    """What dpdk_port does and returns; its warnings are under ``warnings``."""
    from ._state.engine import converge

    try:
        result = converge({"apps": [_app(params)]}, check=check)
    except HotplugError as error:
        # Who wrote a task knows nothing of a document.
        error.message = error.message.replace("apps[0].", "").replace("apps[0]", "the task")
        raise
    (one,) = result["apps"]
    header = f"ports of DPDK application {one['app']['prefix']}"
    one["diff"].update(before_header=header, after_header=header)
    one["actions"] = [*result.get("host", {}).get("actions", ()), *one["actions"]]
    return {"changed": result["changed"], "warnings": result["warnings"], **one}


def _app(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The module's options as an application of a state document."""
    entry = {name: value for name, value in params.items() if value is not None and name not in _DEVICES}
    if params["device"] is None and params["port_id"] is None:
        entry["ports"] = params["ports"]
    else:
        entry["ports"] = [{"device": params["device"], "port_id": params["port_id"]}]
    return entry


def evacuation(params: t.Mapping[str, t.Any], *, check: bool) -> dict[str, t.Any]:
    """What dpdk_evacuation does and returns."""
    from ._state.evacuation import run

    result = run(
        params["apps"],
        devices=params["devices"],
        present=params["state"] == "present",
        replaced=params["replaced"],
        forget=params["forget"],
        timeout=params["timeout"],
        check=check,
    )
    memory = result.pop("memory")
    diffs = [(one["app"]["prefix"], one.pop("diff")) for one in result["apps"]]
    diff = {
        side: {"apps": {name: one[side]["ports"] for name, one in diffs}, "evacuated": memory[side]}
        for side in ("before", "after")
    }
    return {**result, "diff": diff}


def port_info(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What dpdk_port_info returns."""
    from ._state.info import ports

    return ports(
        runtime_dir=params["runtime_dir"] or "",
        app=params["app"] or "",
        device=params["device"] or "",
    )


def app_info(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What dpdk_app_info returns."""
    from ._state.info import apps

    return {"apps": apps(runtime_dir=params["runtime_dir"] or "", app=params["app"] or "")}


def failure(error: HotplugError) -> dict[str, t.Any]:
    """A failure as a module returns it: something has changed where not all could be taken back."""
    return {"changed": bool(error.fields.get("not_undone")), **error.result()}
