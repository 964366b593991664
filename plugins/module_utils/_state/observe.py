# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .. import _devices
from .._apps.app import App, Port
from .._devices import Devargs
from .model import AppState, DeviceState
from .record import Record


def assemble(ports: t.Sequence[Port], record: Record, app: App) -> AppState:
    """The devices behind ports, with what is known of their arguments: from our record, else from the start."""
    grouped: dict[Devargs, list[Port]] = {}
    for port in ports:
        device = record.device_of(port.name) or _devices.of_port(port.name)
        grouped.setdefault(device, []).append(port)
    devices = {}
    for device, own in grouped.items():
        args = record.args(device.name) if device.name in record.devices else _at_start(app, device.name)
        told = next((port.devargs for port in own if port.devargs is not None), None)
        args = told.partition(",")[2] if told is not None else args
        devices[device.name] = DeviceState(device._replace(args=args or ""), args is not None, tuple(own))
    return AppState(devices)


def _at_start(app: App, name: str) -> str | None:
    from .at_start import arguments_at_start

    return arguments_at_start(app).get(name)


def ports_result(devices: t.Mapping[str, DeviceState]) -> list[dict[str, t.Any]]:
    """The ports of an application as modules return them, by port id."""
    rows = [
        {
            "device": one.device.name,
            "devargs": one.device.text if one.args_known else None,
            "name": port.name,
            "port_id": port.port_id,
            "mac": port.mac,
            "numa_node": port.numa_node,
            "attached": True,
            "configured": port.configured,
            "started": port.started,
            "owned": port.owned,
            "siblings": [other.port_id for other in one.ports if other is not port],
            **({"bridge": port.bridge} if port.bridge else {}),
        }
        for one in devices.values()
        for port in one.ports
        if port.port_id >= 0  # it is asked for, and the application does not have it
    ]
    return sorted(rows, key=lambda row: t.cast(int, row["port_id"]))
