# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

Params = t.Mapping[str, t.Any]


def evacuation(params: Params, *, check: bool) -> dict[str, t.Any]:
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


def port_info(params: Params) -> dict[str, t.Any]:
    """What dpdk_port_info returns."""
    from ._state.info import ports

    return ports(
        runtime_dir=params["runtime_dir"] or "",
        app=params["app"] or "",
        device=params["device"] or "",
    )


def app_info(params: Params) -> dict[str, t.Any]:
    """What dpdk_app_info returns."""
    from ._state.info import apps

    return {"apps": apps(runtime_dir=params["runtime_dir"] or "", app=params["app"] or "")}
