# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import time
import typing as t

from .._errors import HotplugError
from .._system import System
from . import binding, pci
from .writes import Writes

# Source: Documentation/ABI/testing/sysfs-bus-pci of the kernel, Documentation/PCI/ on hotplug slots.
SLOTS = "/sys/bus/pci/slots"
_PATIENCE = 30.0  # seconds until a slot has power, and a card behind it shows
_POLL = 0.1


class Slot(t.NamedTuple):
    """A hotplug slot. ``power``: None where it cannot be switched; ``devices``: addresses of what is in it."""

    name: str
    address: str
    power: bool | None
    devices: tuple[str, ...]


def slots(system: System) -> dict[str, Slot]:
    """Every slot, by name."""
    there = system.names(pci.DEVICES)
    found = {}
    for name in system.names(SLOTS):
        address = system.read(f"{SLOTS}/{name}/address").decode("ascii", "replace").strip()
        power = system.read(f"{SLOTS}/{name}/power").strip()
        own = tuple(one for one in there if one.startswith(f"{address}."))
        found[name] = Slot(name, address, None if power not in (b"0", b"1") else power == b"1", own)
    return found


def remove(system: System, writer: Writes, address: str) -> None:
    """Take a device off the bus, as if it had been pulled out."""
    try:
        writer.write(f"{pci.DEVICES}/{address}/remove", "1")
    except OSError as exc:
        if exc.errno != errno.ENOENT:
            raise _failed(f"device '{address}' could not be removed", exc) from exc
    _until(lambda: not system.link(f"{pci.DEVICES}/{address}"), f"device '{address}' is on the bus still")


def rescan(system: System, writer: Writes, addresses: t.Sequence[str]) -> None:
    """Look for devices on all buses, until these are there."""
    try:
        writer.write("/sys/bus/pci/rescan", "1")
    except OSError as exc:
        raise _failed("the bus could not be scanned", exc) from exc
    for address in addresses:
        _until(
            lambda address=address: bool(system.link(f"{pci.DEVICES}/{address}")),  # type: ignore[misc]
            f"there is no device at {address} after the bus was scanned",
        )


def power(system: System, writer: Writes, name: str, *, on: bool) -> None:
    """Switch a slot."""
    try:
        writer.write(f"{SLOTS}/{name}/power", "1" if on else "0")
    except OSError as exc:
        raise _failed(f"slot {name} could not be switched {'on' if on else 'off'}", exc) from exc
    state = f"slot {name} is {'off' if on else 'on'} still"
    _until(lambda: slots(system)[name].power == on, state)
    if not on:
        _until(lambda: not slots(system)[name].devices, f"slot {name} is off, and its device is on the bus still")


def is_behind(system: System, address: str, bridges: t.Iterable[str]) -> bool:
    """Whether a device is behind one of these, and goes when that goes."""
    way = system.link(f"{pci.DEVICES}/{address}").split("/")[:-1]
    return any(one in way for one in bridges)


def driver(system: System, address: str) -> str:
    return binding.driver_of(system, address)


def _until(done: t.Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() >= end:
            raise HotplugError("slot_failed", otherwise, way_out="See the kernel's log (dmesg); is a card in the slot?")
        time.sleep(_POLL)


def _failed(what: str, exc: OSError) -> HotplugError:
    why = f"{what}: {exc.strerror}"
    return HotplugError("slot_failed", why, way_out="See the kernel's log (dmesg).", errno=exc.errno)
