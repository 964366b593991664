# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .. import _devices
from . import app_options, checks
from .model import AppState, PortSpec

# What an application's entry says of a port besides its device.


def completed(port: PortSpec, entry: dict[str, t.Any], named: t.Sequence[str], where: str) -> PortSpec:
    """A port of which its state is known; ``named``: by what it is said which one it is."""
    if len(named) != 1:
        what = "needs exactly one of device, select and port_id"
        raise checks.bad(where, what, "A port id is for state absent only.")
    if entry.get("bridge") is not None:
        port = port._replace(bridge=app_options.bridge(entry["bridge"], f"{where}.bridge"))
    if entry.get("args") is not None and "select" not in named:
        raise checks.bad(where, "has args without select", "Write them behind the device: 0000:01:00.0,key=value.")
    return {"device": _by_device, "port_id": _by_port_id, "select": _by_selector}[named[0]](port, entry, where)


def _by_device(port: PortSpec, entry: dict[str, t.Any], where: str) -> PortSpec:
    return port._replace(device=_devices.parse(entry["device"]))


def _by_port_id(port: PortSpec, entry: dict[str, t.Any], where: str) -> PortSpec:
    port_id = entry["port_id"]
    if port.present:
        what = f"asks for port_id {port_id} to be present"
        raise checks.bad(where, what, "Name the device: port ids are given by DPDK.")
    if not isinstance(port_id, int) or isinstance(port_id, bool) or port_id < 0:
        raise checks.bad(f"{where}.port_id", f"{port_id!r} is not a port id", "Port ids are 0 and up.")
    return port._replace(port_id=port_id)


def _by_selector(port: PortSpec, entry: dict[str, t.Any], where: str) -> PortSpec:
    from .._host import selectors

    args = checks.text(entry.get("args"), f"{where}.args")
    # Any address serves to check the arguments: which one it is, is known when the host is looked at.
    device = _devices.parse(f"0000:00:00.0,{args}" if args else "0000:00:00.0")
    return port._replace(device=device, select=selectors.parse(entry["select"], f"{where}.select"))


def check_exclusive(ports: t.Sequence[PortSpec] | None, where: str) -> None:
    """Refuse what contradicts that an application shall have these ports and no others."""
    if ports is None:
        raise checks.bad(where, "has exclusive but no ports", "Write an empty list to detach all of them.")
    if any(not port.present for port in ports):
        what = "has exclusive beside ports with state absent"
        raise checks.bad(where, what, "What is not listed is detached anyway.")


def named(ports: t.Iterable[PortSpec], state: AppState) -> tuple[PortSpec, ...]:
    """Those of the ports that are there or have a device, all with their devices."""
    devices = {port.port_id: one.device.bare for one in state.devices.values() for port in one.ports}
    found = (port._replace(device=port.device or devices.get(port.port_id)) for port in ports)
    return tuple(port for port in found if port.device)
