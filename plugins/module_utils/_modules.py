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
