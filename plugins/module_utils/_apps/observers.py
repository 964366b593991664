# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._system import System
from .app import App, Means, Port, Reach


class Observer(t.Protocol):
    """What tells the ports of an application. Both raise HotplugError."""

    def read(self) -> list[Port]:
        """All ports, by port id."""

    def again(self, port_ids: t.Iterable[int]) -> list[Port]:
        """Those of the ports that are still there."""


def own_observer(app: App, reach: Reach, means: Means, system: System, *, timeout: float) -> Observer | None:
    """What tells the ports where it is not telemetry."""
    if reach.adapter == "command" and "status" in means.commands:
        from .command import CommandPorts

        return CommandPorts(app, means.commands["status"], timeout=timeout)
    if reach.adapter == "openvswitch":
        from .openvswitch import OpenVSwitchPorts

        return OpenVSwitchPorts(app, system, timeout=timeout)
    if reach.adapter == "grout":
        from .grout import GroutPorts

        return GroutPorts(app, system, timeout=timeout)
    return None
