# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError
from .._system import System
from .app import App, Means, Reach
from .ports import Ports

# How ports do: asked for only after something was changed, and only where that is wanted.


class Vitals(t.NamedTuple):
    """``link``: whether it is up. ``packets``: how many were received and sent. None where it does not tell."""

    link: bool | None = None
    packets: int | None = None


def read(
    app: App, reach: Reach, means: Means, system: System, port_ids: t.Sequence[int], *, timeout: float
) -> dict[int, Vitals]:
    """Of each of the ports that is there; ``timeout``: seconds. Raises HotplugError."""
    if reach.adapter == "command" and "status" in means.commands:
        from .command import CommandPorts

        found = CommandPorts(app, means.commands["status"], timeout=timeout).vitals()
    elif reach.adapter == "grout":
        from .grout import GroutPorts

        found = GroutPorts(app, system, timeout=timeout).vitals()
    else:
        return _by_telemetry(app, port_ids)
    return {port_id: found[port_id] for port_id in port_ids if port_id in found}


def _by_telemetry(app: App, port_ids: t.Sequence[int]) -> dict[int, Vitals]:
    """Source: lib/ethdev/rte_ethdev_telemetry.c, /ethdev/link_status and /ethdev/stats."""
    asked = [f"/ethdev/{what},{port_id}" for port_id in port_ids for what in ("link_status", "stats")]
    with Ports(app).session() as session:
        answers = session.ask(*asked)
    found = {}
    for port_id, link, stats in zip(port_ids, answers[::2], answers[1::2]):
        if isinstance(link, dict) and isinstance(stats, dict):
            found[port_id] = Vitals(link.get("status") == "UP", counted(stats, ("ipackets", "opackets")))
    return found


def counted(stats: t.Mapping[str, t.Any], names: t.Sequence[str]) -> int:
    """The sum of counters. Raises HotplugError where they are none."""
    values = [stats.get(name) for name in names]
    if {*map(type, values)} != {int}:  # isinstance() lets True pass
        raise HotplugError("telemetry", f"it does not tell {' and '.join(names)} as numbers", way_out="Look at it.")
    return sum(t.cast("list[int]", values))
