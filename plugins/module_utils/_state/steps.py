# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._devices import Devargs
from .._errors import HotplugError
from .model import AppSpec, AppState, DeviceState, PortSpec
from .plan import Plan, other_args, other_bridge

# The one order of all changes on a host: removal from the application down to the kernel, then the way up again.
# Host preparation has its place between detach and attach (unbind, resize, bind).
# Nothing has been changed when a drain fails.
PHASES = {"drain": 1, "stop": 10, "detach": 20, "attach": 60, "start": 70, "undrain": 75}
INVERSE = {
    "stop": "start",
    "start": "stop",
    "attach": "detach",
    "detach": "attach",
    "drain": "undrain",
    "undrain": "drain",
}


class Step(t.NamedTuple):
    """One change: ``verb`` is done to ``device``; for a detach, ``args_known`` says whether it can be taken back.

    ``late``: a stop of what the run has attached.
    """

    verb: str
    device: Devargs
    args_known: bool = True
    late: bool = False

    @property
    def phase(self) -> int:
        return PHASES["start" if self.late else self.verb]

    def inverse(self) -> Step:
        return self._replace(verb=INVERSE[self.verb])

    def __str__(self) -> str:
        return f"{self.verb} {self.device.text}"


def steps_to(
    spec: AppSpec, wanted: dict[str, PortSpec], state: AppState, verbs: t.Collection[str], leaving: t.Collection[str]
) -> Plan:
    """What plan() returns and raises; ``wanted``: what is asked, by device name."""
    found: list[Step] = []
    warnings: list[str] = []
    refused: list[HotplugError] = []
    for name in leaving:
        if name in state.devices and name not in wanted:
            wanted[name] = PortSpec(state.devices[name].device, present=False)
            warnings.append(f"Device '{name}' is detached: it is to have another driver, and nobody asks for its port.")
    for name, port in wanted.items():
        seen = state.devices.get(name)
        try:
            if not port.present:
                found += _removal(seen, spec, verbs) if seen else []
            else:
                found += _presence(spec, port, seen, verbs, leaves=name in leaving)
                warnings += _doubts(port, seen, spec.recreate)
        except HotplugError as error:
            refused.append(error)
    refused += _beyond(found, verbs)
    if refused:
        from . import refusals

        raise refusals.together(refused, spec.prefix)
    return Plan(tuple(sorted(found, key=lambda step: step.phase)), tuple(warnings))


def _beyond(steps: t.Sequence[Step], verbs: t.Collection[str]) -> list[HotplugError]:
    """Refusals of attaches and detaches that the adapter cannot do."""
    beyond = [step for step in steps if step.verb in ("attach", "detach") and step.verb not in verbs]
    if not beyond:
        return []
    from . import refusals

    return [refusals.cannot(step.verb, step.device) for step in beyond]


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
    differs = seen is not None and other_args(port, seen)
    elsewhere = other_bridge(spec, port, seen) if seen is not None else ""
    if seen is not None and (differs or elsewhere or leaves):
        if differs and seen.args_known and not spec.recreate:
            from . import refusals

            raise refusals.other_arguments(device, seen)
        if elsewhere and not spec.recreate:
            from . import refusals

            raise refusals.other_bridge(device, seen, elsewhere)
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


def _switch(verb: str, device: Devargs, verbs: t.Collection[str]) -> Step:
    if verb not in verbs:
        from . import refusals

        raise refusals.cannot(verb, device)
    return Step(verb, device)


def _doubts(port: PortSpec, seen: DeviceState | None, recreate: bool) -> list[str]:
    if seen is None or seen.args_known or not (port.device and port.device.args) or recreate:
        return []
    return [f"Device '{seen.device.name}' is attached, with arguments that are not known: somebody else attached it."]


def told(step: Step, state: DeviceState | None) -> dict[str, t.Any]:
    """A step as results list it; ``state``: of its device."""
    ports = [port.port_id for port in state.ports if port.port_id >= 0] if state else []
    return {"action": step.verb, "device": step.device.name, "devargs": step.device.text, "port_ids": ports}
