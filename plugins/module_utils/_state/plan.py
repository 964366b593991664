# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._devices import Devargs
from .._errors import HotplugError
from .model import AppSpec, AppState, DeviceState, PortSpec, Step


class Plan(t.NamedTuple):
    """The steps that lead from a state to a document, in their order, and what the operator should know of them."""

    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()


def plan(spec: AppSpec, state: AppState, verbs: t.Collection[str], leaving: t.Collection[str] = ()) -> Plan:
    """How to get from ``state`` to ``spec`` with an adapter that can do ``verbs``; a pure function.

    ``leaving``: devices that must be let go in between, also where they are to be attached in the end.
    Raises HotplugError for what must not or cannot be done: all of it at once, before anything is changed.
    """
    steps: list[Step] = []
    warnings: list[str] = []
    refused: list[HotplugError] = []
    wanted = _resolved(spec, state)
    for name in leaving:
        if name in state.devices and name not in wanted:
            wanted[name] = PortSpec(state.devices[name].device, present=False)
            warnings.append(f"Device '{name}' is detached: it is to have another driver, and nobody asks for its port.")
    for name, port in wanted.items():
        seen = state.devices.get(name)
        try:
            if not port.present:
                steps += _removal(seen, spec, verbs) if seen else []
            else:
                steps += _presence(spec, port, seen, verbs, leaves=name in leaving)
                warnings += _doubts(port, seen, spec.recreate)
        except HotplugError as error:
            refused.append(error)
    refused += _beyond(steps, verbs)
    if refused:
        from . import refusals

        raise refusals.together(refused, spec.prefix)
    return Plan(tuple(sorted(steps, key=lambda step: step.phase)), tuple(warnings))


def _beyond(steps: t.Sequence[Step], verbs: t.Collection[str]) -> list[HotplugError]:
    """Refusals of attaches and detaches that the adapter cannot do."""
    beyond = [step for step in steps if step.verb in ("attach", "detach") and step.verb not in verbs]
    if not beyond:
        return []
    from . import refusals

    return [refusals.cannot(step.verb, step.device) for step in beyond]


def by_name(spec: AppSpec, state: AppState) -> AppSpec:
    """The same with devices for port ids, which DPDK gives to others as soon as they are free."""
    ports = []
    for port in spec.ports:
        seen = state.by_port(port.port_id) if port.device is None else None
        ports.append(port._replace(device=seen.device.bare) if seen else port)
    return spec._replace(ports=tuple(port for port in ports if port.device))


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


def _removal(seen: DeviceState, spec: AppSpec, verbs: t.Collection[str]) -> list[Step]:
    """Started ports are drained where there is a hook. Then the adapter stops them, or detaches them as they are, or
    the hook has stopped them."""
    detach = Step("detach", seen.device, seen.args_known)
    if seen.owned and not spec.force:
        from . import refusals

        raise refusals.owned(seen)
    if not seen.started:
        return [detach]
    drain = _drain(spec, seen.device)
    if "stop" in verbs and "detach_started" not in verbs:
        return [*drain, Step("stop", seen.device), detach]
    if not drain and not spec.force and "detach_started" not in verbs:
        from . import refusals

        raise refusals.port_started(seen)
    return [*drain, detach]


def _drain(spec: AppSpec, device: Devargs) -> list[Step]:
    return [Step("drain", device)] if spec.drain else []


def _presence(
    spec: AppSpec, port: PortSpec, seen: DeviceState | None, verbs: t.Collection[str], *, leaves: bool
) -> list[Step]:
    device = t.cast(Devargs, port.device)
    steps: list[Step] = []
    asked = port.started
    differs = seen is not None and _other_args(device, seen)
    bridge = port.bridge or spec.bridge
    elsewhere = seen is not None and bool(bridge and seen.bridge) and bridge != seen.bridge
    if seen is not None and (differs or elsewhere or leaves):
        if differs and seen.args_known and not spec.recreate:
            from . import refusals

            raise refusals.other_arguments(device, seen)
        if elsewhere and not spec.recreate:
            from . import refusals

            raise refusals.other_bridge(device, seen, bridge)
        if spec.recreate or leaves:
            device = device if device.args else seen.device
            steps = _removal(seen, spec, verbs)
            if asked is None and seen.started and "start" in verbs:
                asked = True  # "as it is" holds for the port that comes in its place
            seen = None
    started = seen.started if seen else False
    if seen is None or not seen.adopted:
        steps.append(Step("attach", device))
        started = "attach_started" in verbs
    if asked is not None and asked != started:
        steps += _drain(spec, device) if started and seen and seen.started else []
        fresh = bool(steps) and steps[-1].verb == "attach"
        steps.append(_switch("start" if asked else "stop", device, verbs)._replace(late=fresh))
    return steps


def _other_args(device: Devargs, seen: DeviceState) -> bool:
    """No arguments asked for means no opinion on them."""
    return bool(device.args) and not (seen.args_known and device.same_args(seen.device.args))


def _switch(verb: str, device: Devargs, verbs: t.Collection[str]) -> Step:
    if verb not in verbs:
        from . import refusals

        raise refusals.cannot(verb, device)
    return Step(verb, device)


def _doubts(port: PortSpec, seen: DeviceState | None, recreate: bool) -> list[str]:
    if seen is None or seen.args_known or not (port.device and port.device.args) or recreate:
        return []
    return [f"Device '{seen.device.name}' is attached, with arguments that are not known: somebody else attached it."]


def view(state: AppState) -> dict[str, t.Any]:
    """A state as a difference shows it. Sorted, and without what changes by itself."""
    return {
        name: {"args": one.device.args if one.args_known else None, "started": one.started}
        for name, one in sorted(state.devices.items())
    }
