# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import os
import typing as t

from .._devices import pci_address
from .._errors import HotplugError
from .._host import pci, slots
from .._host.writes import Writer, Writes
from .._system import System
from . import checks, host_refusals
from .refusals import together

# What has a bridge goes with it.
_OF_BRIDGES = ("pcieport", "shpchp")
_STATES = ("present", "absent", "on", "off")
_OPPOSITE = {"remove": "rescan", "rescan": "remove", "on": "off", "off": "on"}


class _Act(t.NamedTuple):
    """Something to do to a slot or to a device: ``verb`` is remove, rescan, on or off."""

    verb: str
    name: str


def run(
    entries: t.Any,
    *,
    check: bool = False,
    timeout: t.Any = None,
    rescan: bool = False,
    system: System | None = None,
    writer: Writes | None = None,
) -> dict[str, t.Any]:
    """Take devices off the bus or find them again, and switch slots: ``[{"device" | "slot": NAME, "state": STATE}]``.

    ``rescan``: look for new devices on all buses first.
    Returns ``changed``, ``actions``, ``slots`` and ``diff``. What a driver holds is refused before anything is changed.
    """
    system = system or System()
    asked = [_entry(one, f"slots[{index}]") for index, one in enumerate(checks.listing(entries, "slots"))]
    named = [one[:2] for one in asked]
    if len(set(named)) != len(named):
        raise checks.bad("slots", "names one twice", "Name each slot and each device once.")
    with contextlib.ExitStack() as stack:
        if not check:
            if os.geteuid() and not system.root:
                raise host_refusals.not_root()
            from .home import Lock, open_home

            home = stack.enter_context(open_home("host"))
            stack.callback(Lock(home, "the host's devices", timeout=checks.seconds(timeout, "timeout")).close)
        before = _view(system)
        writer = writer or Writer(system)
        stack.callback(writer.close)
        if rescan and not check:
            slots.rescan(system, writer, [])
        acts = _plan(asked, system)
        if acts and not check:
            _do_all(acts, system, writer)
        after = _predicted(before, acts) if check else _view(system)
        return {
            "changed": bool(acts) or after != before,
            "actions": [_told(act) for act in acts],
            "slots": [
                {"slot": one.name, "address": one.address, "power": one.power, "devices": list(one.devices)}
                for one in slots.slots(system).values()
            ],
            "diff": {"before": before, "after": after},
        }


def _entry(value: t.Any, where: str) -> tuple[str, str, str]:
    """(slot, device, state)"""
    entry = checks.mapping(value, where, ("device", "slot", "state"))
    device, slot = entry.get("device"), checks.text(entry.get("slot"), f"{where}.slot")
    state = checks.choice(entry.get("state"), _STATES, f"{where}.state")
    if (device is None) == (not slot):
        raise checks.bad(where, "needs exactly one of device and slot", "Slots are listed by dpdk_device_info.")
    if slot and (state not in ("on", "off") or "/" in slot or slot in (".", "..")):
        raise checks.bad(
            where, f"asks slot {slot!r} to be {state}", "A slot is on or off; a device is present or absent."
        )
    if device is None:
        return slot, "", state
    address = pci_address(device) if isinstance(device, str) else ""
    if not address or state not in ("present", "absent"):
        raise checks.bad(where, f"asks device {device!r} to be {state}", "Write its address; it is present or absent.")
    return "", address, state


def _plan(asked: t.Sequence[tuple[str, str, str]], system: System) -> list[_Act]:
    there = set(system.names(pci.DEVICES))
    known = slots.slots(system)
    acts: list[_Act] = []
    refused: list[HotplugError] = []

    def look(slot: str, device: str, state: str) -> None:
        try:
            if device and (state == "present") != (device in there):
                if state == "absent":
                    _held([device], system)
                acts.append(_Act("rescan" if state == "present" else "remove", device))
            elif slot:
                acts.extend(_switch(slot, state == "on", known, system))
        except HotplugError as error:
            refused.append(error)

    for one in asked:
        look(*one)
    if refused:
        raise together(refused, "")
    return acts


def _switch(name: str, on: bool, known: t.Mapping[str, slots.Slot], system: System) -> list[_Act]:
    slot = known.get(name)
    if slot is None or slot.power is None:
        what = "is not there" if slot is None else "cannot be switched"
        names = ", ".join(one for one, its in known.items() if its.power is not None) or "none"
        raise HotplugError("no_slot_power", f"slot {name} {what}", way_out=f"Slots that can be switched: {names}.")
    if slot.power == on:
        return []
    if not on:
        _held(slot.devices, system)
    return [_Act("on" if on else "off", name)]


def _held(addresses: t.Sequence[str], system: System) -> None:
    """A device goes only when nothing drives it, and so no application has it and no netdev hangs on it."""
    behind = [one for one in system.names(pci.DEVICES) if slots.is_behind(system, one, addresses)]
    for address in [*addresses, *behind]:
        driver = slots.driver(system, address)
        if driver and not (address in behind and driver in _OF_BRIDGES):
            raise HotplugError(
                "driver_holds",
                f"device '{address}' is held by driver {driver}",
                way_out="Detach it (dpdk_port), then unbind it (dpdk_device with driver none).",
                device=address,
            )


def _do_all(acts: t.Sequence[_Act], system: System, writer: Writes) -> None:
    """All of it, or none: the error's fields tell what was taken back."""
    done: list[_Act] = []
    try:
        for act in acts:
            _do(act, system, writer)
            done.append(act)
    except HotplugError as error:
        error.fields.update(actions=[_told(act) for act in done], undone=[], not_undone=[])
        for act in reversed(done):
            _take_back(act, error, system, writer)
        raise


def _take_back(act: _Act, error: HotplugError, system: System, writer: Writes) -> None:
    try:
        _do(act._replace(verb=_OPPOSITE[act.verb]), system, writer)
    except HotplugError as failure:
        error.fields["not_undone"].append(f"{act.verb} {act.name}: {failure.message}")
    else:
        error.fields["undone"].append(f"{act.verb} {act.name}")


def _told(act: _Act) -> dict[str, str]:
    return {"action": act.verb, "target": act.name}


def _do(act: _Act, system: System, writer: Writes) -> None:
    if act.verb == "remove":
        slots.remove(system, writer, act.name)
    elif act.verb == "rescan":
        slots.rescan(system, writer, [act.name])
    else:
        slots.power(system, writer, act.name, on=act.verb == "on")


def _view(system: System) -> dict[str, t.Any]:
    return {
        "devices": system.names(pci.DEVICES),
        "slots": {one.name: one.power for one in slots.slots(system).values() if one.power is not None},
    }


def _predicted(before: dict[str, t.Any], acts: t.Sequence[_Act]) -> dict[str, t.Any]:
    gone = {act.name for act in acts if act.verb == "remove"}
    come = {act.name for act in acts if act.verb == "rescan"}
    switched = {act.name: act.verb == "on" for act in acts if act.verb in ("on", "off")}
    return {"devices": sorted({*before["devices"]} - gone | come), "slots": {**before["slots"], **switched}}
