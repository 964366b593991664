# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._devices import Devargs
from .model import AppSpec, AppState, DeviceState, PortSpec

if t.TYPE_CHECKING:
    from .steps import Step


class Plan(t.NamedTuple):
    """The steps that lead from a state to a document, in their order, and what the operator should know of them."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()


def plan(spec: AppSpec, state: AppState, verbs: t.Collection[str], leaving: t.Collection[str] = ()) -> Plan:
    """How to get from ``state`` to ``spec`` with an adapter that can do ``verbs``; a pure function.

    ``leaving``: devices that must be let go in between, also where they are to be attached in the end.
    Raises HotplugError for what must not or cannot be done: all of it at once, before anything is changed.
    """
    wanted = _resolved(spec, state)
    if not leaving and all(_holds(spec, port, state.devices.get(name)) for name, port in wanted.items()):
        return Plan(())
    # How to get there is imported when there is a way to go.
    from .steps import steps_to

    return steps_to(spec, wanted, state, verbs, leaving)


def _holds(spec: AppSpec, port: PortSpec, seen: DeviceState | None) -> bool:
    """Whether a device is as it is asked for."""
    if seen is None or not port.present:
        return seen is None and not port.present
    return (
        seen.adopted
        and port.started in (None, seen.started)
        and not other_args(port, seen)
        and not other_bridge(spec, port, seen)
    )


def other_args(port: PortSpec, seen: DeviceState) -> bool:
    """Whether other arguments are asked for than it is known to have. None asked for means no opinion on them."""
    asked = t.cast(Devargs, port.device)
    return bool(asked.args) and not (seen.args_known and asked.same_args(seen.device.args))


def other_bridge(spec: AppSpec, port: PortSpec, seen: DeviceState) -> str:
    """The bridge that is asked for where it is on another one, else empty."""
    asked = port.bridge or spec.bridge
    return asked if seen.bridge and asked != seen.bridge else ""


def by_name(spec: AppSpec, state: AppState) -> AppSpec:
    """The same with devices for port ids, which DPDK gives to others as soon as they are free."""
    if all(port.device for port in spec.ports):
        return spec
    from .app_ports import named

    return spec._replace(ports=named(spec.ports, state))


def _resolved(spec: AppSpec, state: AppState) -> dict[str, PortSpec]:
    """What is asked, by device name; devices that are not listed are added where the list is exclusive."""
    wanted: dict[str, PortSpec] = {}
    for port in by_name(spec, state).ports:
        device = t.cast(Devargs, port.device)
        if device.name in wanted:
            from . import refusals

            raise refusals.device_twice(device.name, wanted[device.name], port, spec.prefix)
        wanted[device.name] = port
    if spec.exclusive:
        for name, one in state.devices.items():
            if name not in wanted and not one.owned:
                wanted[name] = PortSpec(one.device, present=False)
    return wanted


def view(state: AppState) -> dict[str, t.Any]:
    """A state as a difference shows it. Sorted, and without what changes by itself."""
    return {
        name: {"args": one.device.args if one.args_known else None, "started": one.started}
        for name, one in sorted(state.devices.items())
    }
