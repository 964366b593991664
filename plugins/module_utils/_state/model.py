# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._apps.app import Port
from .._devices import Devargs
from .checks import PATIENCE

if t.TYPE_CHECKING:
    from .._host.selectors import Selector
    from .app_options import Health


class PortSpec(t.NamedTuple):
    """What is asked for one device of an application; named by ``device``, or by ``port_id`` where it is to go.

    ``select`` says which PCI device it is; until the host has been looked at, ``device`` has but its arguments.
    ``bridge``: the one of Open vSwitch that it is to be on, where that is not the application's.
    """

    device: Devargs | None = None
    port_id: int = -1
    present: bool = True
    started: bool | None = None
    select: Selector | None = None
    bridge: str = ""

    def __str__(self) -> str:
        return self.device.text if self.device and self.port_id < 0 else f"port {self.port_id}"


class AppSpec(t.NamedTuple):
    """What is asked for one application. ``timeout``: seconds to wait for another run to finish.

    ``required``: it is an error that it does not run. ``bridge`` and what follows: see app_options.py.
    """

    prefix: str = ""
    runtime_dir: str = ""
    ports: tuple[PortSpec, ...] = ()
    exclusive: bool = False
    force: bool = False
    atomic: bool = True
    recreate: bool = False
    adapter: str = "auto"
    channel: str = "auto"
    timeout: float = PATIENCE
    required: bool = True
    bridge: str = ""
    commands: t.Mapping[str, tuple[str, ...]] = {}
    drain: tuple[str, ...] = ()
    undrain: tuple[str, ...] = ()
    drain_timeout: float = 0.0
    health: Health | None = None


class DeviceState(t.NamedTuple):
    """An application's device, and its ports. ``args_known``: its arguments are those in ``device``."""

    device: Devargs
    args_known: bool
    ports: tuple[Port, ...]

    @property
    def started(self) -> bool:
        return any(port.started for port in self.ports)

    @property
    def owned(self) -> bool:
        return any(port.owned for port in self.ports)

    @property
    def adopted(self) -> bool:
        return all(port.adopted for port in self.ports)

    @property
    def bridge(self) -> str:
        return next((port.bridge for port in self.ports if port.bridge), "")


class AppState(t.NamedTuple):
    """The devices of one application as they were observed, by name."""

    devices: dict[str, DeviceState]
