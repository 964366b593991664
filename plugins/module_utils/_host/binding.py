# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import os
import time

from .._errors import HotplugError
from .._system import System
from .model import USERSPACE_DRIVERS
from .pci import DEVICES, override_of
from .states import Binding
from .writes import Writes

KERNEL = "kernel"
_DRIVERS = "/sys/bus/pci/drivers"
# Seconds for a driver that is probed beside the write that asked for it (probe_type PROBE_PREFER_ASYNCHRONOUS).
_PATIENCE = 5.0
_POLL = 0.02


def change(system: System, writer: Writes, address: str, before: Binding, after: Binding) -> None:
    """Give a device another driver, or none; where that fails it has the one of ``before`` again.

    Source: driver_override in Documentation/ABI/testing/sysfs-bus-pci, bind and unbind in sysfs-bus of the kernel.
    """
    if not _there(system, address):
        raise removed(address)
    try:
        _make(system, writer, address, after)
    except OSError as exc:
        failure = _failed(system, address, after, exc)
    except HotplugError as error:
        if error.reason == "kernel_stuck":
            raise
        failure = error
    else:
        return
    if not _there(system, address):
        raise removed(address) from failure
    _back(system, writer, address, before, failure)
    raise failure


def _make(system: System, writer: Writes, address: str, wanted: Binding) -> None:
    place = f"{DEVICES}/{address}"
    if not _is(driver_of(system, address), wanted.driver):
        # First what alone may drive it: between the two nothing else must take it.
        _override(writer, place, wanted.override and (wanted.driver or wanted.override))
        _unbind(system, writer, address)
        if wanted.driver:
            _probe(system, writer, address, wanted)
    _override(writer, place, wanted.override)


def _unbind(system: System, writer: Writes, address: str) -> None:
    """A driver whose module is being loaded has devices before it has the file unbind, and may give them up itself.

    Source: bus_add_driver and really_probe of the kernel.
    """
    end = time.monotonic() + _PATIENCE
    while driver_of(system, address):
        try:
            writer.write(f"{DEVICES}/{address}/driver/unbind", address)
            break
        except OSError as exc:
            other = exc.errno not in (errno.ENOENT, errno.ENODEV) or not _there(system, address)
            if other or time.monotonic() >= end:
                raise
        time.sleep(_POLL)
    _until(system, address, "")


def _probe(system: System, writer: Writes, address: str, wanted: Binding) -> None:
    """Have the driver take the device. A PF whose sriov_drivers_autoprobe is off keeps the kernel's off its VFs."""
    pf = os.path.basename(system.link(f"{DEVICES}/{address}/physfn"))
    switch = f"{DEVICES}/{pf}/sriov_drivers_autoprobe"
    if wanted.override or not pf or system.read(switch).strip() != b"0":
        _ask(system, writer, address, wanted)
        return
    writer.write(switch, "1")
    try:
        _ask(system, writer, address, wanted)
    except (OSError, HotplugError) as exc:
        if not isinstance(exc, HotplugError) or exc.reason != "kernel_stuck":
            _switch_off(writer, switch)
        raise
    _switch_off(writer, switch)


def _switch_off(writer: Writes, switch: str) -> None:
    """As it was: nobody else would do it, so it is tried twice."""
    try:
        writer.write(switch, "0")
    except OSError:
        writer.write(switch, "0")


def _ask(system: System, writer: Writes, address: str, wanted: Binding) -> None:
    if wanted.driver == KERNEL or wanted.override:
        writer.write("/sys/bus/pci/drivers_probe", address)
        if wanted.override and driver_of(system, address) not in ("", wanted.driver):
            # Its module came just now, and had begun with the device before it was kept off.
            _unbind(system, writer, address)
            writer.write("/sys/bus/pci/drivers_probe", address)
    else:
        try:
            writer.write(f"{_DRIVERS}/{wanted.driver}/bind", address)
        except OSError as exc:
            # EBUSY, EEXIST: it was faster by itself.
            if exc.errno not in (errno.EBUSY, errno.EEXIST):
                raise
    _until(system, address, wanted.driver)


def _override(writer: Writes, place: str, wanted: str) -> None:
    if override_of(writer.read(f"{place}/driver_override")) != wanted:
        writer.write(f"{place}/driver_override", wanted + "\n")


def driver_of(system: System, address: str) -> str:
    return os.path.basename(system.link(f"{DEVICES}/{address}/driver"))


def _is(driver: str, wanted: str) -> bool:
    if wanted == KERNEL:
        return bool(driver) and driver not in USERSPACE_DRIVERS
    return driver == wanted


def _until(system: System, address: str, wanted: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not _is(driver_of(system, address), wanted):
        if not _there(system, address):
            raise removed(address)
        if time.monotonic() >= end:
            raise _not_taken(system, address, wanted)
        time.sleep(_POLL)


def _there(system: System, address: str) -> bool:
    return bool(system.link(f"{DEVICES}/{address}"))


def _back(system: System, writer: Writes, address: str, before: Binding, failure: HotplugError) -> None:
    """To the driver that it had; what stands in the way of that is added to the failure."""
    try:
        _make(system, writer, address, before)
    except (OSError, HotplugError) as exc:
        failure.message += f"; it could not be given back to {before.driver or 'no driver'} either: {exc}"
        failure.fields["not_undone"] = [f"bind {address} to {before.driver}"]
        if isinstance(exc, HotplugError) and exc.reason == "kernel_stuck":
            raise exc from failure


def removed(address: str, why: str = "") -> HotplugError:
    return HotplugError(
        "removed_underneath",
        f"device '{address}' has vanished from the bus{why and ': '}{why}",
        way_out="It was pulled out, or its slot was switched off; plug it in again, or take it out of the document.",
        device=address,
    )


def _failed(system: System, address: str, wanted: Binding, exc: OSError) -> HotplugError:
    if exc.errno == errno.ENODEV and wanted.driver not in ("", KERNEL):
        what = f"driver {wanted.driver} does not take device '{address}': {exc.strerror}"
        way_out = "It is for other cards (see modinfo), or the card does not answer (see the kernel's log, dmesg)."
    elif not wanted.driver:
        what, way_out = f"device '{address}' could not be unbound: {exc.strerror}", "See the kernel's log (dmesg)."
    else:
        what = f"device '{address}' could not be bound to {wanted.driver}: {exc.strerror} ({exc.filename})"
        way_out = "See the kernel's log (dmesg) for what the driver says."
    return HotplugError("bind_failed", what, way_out=way_out, device=address, errno=exc.errno)


def _not_taken(system: System, address: str, wanted: str) -> HotplugError:
    now = driver_of(system, address)
    if wanted == KERNEL:
        return HotplugError(
            "no_kernel_driver",
            f"no driver of the kernel takes device '{address}'",
            way_out="Load the module that is for it, or name the driver.",
            device=address,
        )
    return HotplugError(
        "bind_failed",
        f"driver {wanted or 'none'} was asked to take device '{address}', and it has {now or 'none'}",
        way_out="See the kernel's log (dmesg) for what the driver says.",
        device=address,
    )
