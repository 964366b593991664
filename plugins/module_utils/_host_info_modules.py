# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

Params = t.Mapping[str, t.Any]


def device_info(params: Params) -> dict[str, t.Any]:
    """What dpdk_device_info returns."""
    from ._state.device_info import devices

    found = devices(device=params["devices"] or (), select=params["select"], every=params["every"])
    return {"changed": False, **found}


def hugepages_info(_params: Params) -> dict[str, t.Any]:
    """What dpdk_hugepages_info returns."""
    from ._state.host_info import hugepages as look

    return {"changed": False, **look()}


def host_info(_params: Params) -> dict[str, t.Any]:
    """What dpdk_host_info returns."""
    from ._state.host_info import host as look

    return {"changed": False, **look()}
