# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import errno
import time
import typing as t

from .._errors import HotplugError
from .._system import System
from . import pci
from .model import PciDevice
from .states import VfSettings, VfsState
from .vf_netlink import VfNetlink
from .writes import Writes

_PATIENCE = 10.0  # seconds until a PF's netdev shows, and its VFs do
_POLL = 0.05
_NO_MAC = "00:00:00:00:00:00"
_AUTOPROBE = "sriov_drivers_autoprobe"
# What a driver means. Source: Documentation/PCI/pci-iov-howto.rst, and pci_enable_sriov of the kernel.
_MEANINGS = {
    errno.EBUSY: ("VFs are in use, or the driver is busy", "See who uses them (dpdk_device_info, guests)."),
    errno.ENOSPC: ("the firmware left no room for so many", "Ask for fewer, or boot with pci=realloc."),
    errno.ENOMEM: ("the firmware left no room for so many", "Ask for fewer, or boot with pci=realloc."),
    errno.ERANGE: ("the driver does not take that number", "Ask for fewer."),
    errno.EINVAL: ("the driver does not take that number", "Ask for fewer."),
    errno.ENOENT: ("its driver knows no SR-IOV", "Give the PF a driver that does, of the kernel or vfio-pci."),
    errno.ENOSYS: ("its driver knows no SR-IOV", "Give the PF a driver that does."),
    errno.ENETDOWN: ("the PF is down", "Set its link up first."),
}


def observe(system: System, pf: PciDevice) -> VfsState:
    """The VFs of a PF, with what it imposes on them where it has a netdev to ask."""
    probing = system.read(f"{pci.DEVICES}/{pf.address}/{_AUTOPROBE}").strip() != b"0"
    if not pf.vfs or not pf.netdevs or not _has_network(system):
        return VfsState(len(pf.vfs), probing=probing)
    with VfNetlink() as netlink:
        return VfsState(len(pf.vfs), tuple(netlink.vfs(pf.netdevs[0])[: len(pf.vfs)]), probing)


def _has_network(system: System) -> bool:
    """A tree of files has none of its own."""
    return not system.root


def change(system: System, writer: Writes, address: str, before: VfsState, after: VfsState) -> None:
    """Have another number of VFs, with these settings; where that fails, the number and settings of before.

    The kernel takes a number only where there are none: all VFs go, and new ones come.
    """
    try:
        _make(system, writer, address, after)
    except (OSError, HotplugError) as exc:
        failure = exc if isinstance(exc, HotplugError) else _failed(address, after.number, exc)
        if failure.reason == "kernel_stuck":
            raise failure from exc
        try:
            _make(system, writer, address, before)
        except (OSError, HotplugError) as again:
            failure.message += f"; nor could it have its {before.number} VFs again: {again}"
            failure.fields["not_undone"] = [f"have {before.number} VFs on {address}"]
        raise failure from exc


def _make(system: System, writer: Writes, address: str, wanted: VfsState) -> None:
    place = f"{pci.DEVICES}/{address}"
    if _count(system, place) not in (0, wanted.number):
        writer.write(f"{place}/sriov_numvfs", "0")
    if _count(system, place) != wanted.number:
        # VFs come without a driver; it reads the address that they are to have when it is started.
        _probing(system, writer, place, on=False)
        try:
            writer.write(f"{place}/sriov_numvfs", str(wanted.number))
            _until(system, address, wanted.number)
            _set_all(system, address, wanted)
        except (OSError, HotplugError) as exc:
            if not isinstance(exc, HotplugError) or exc.reason != "kernel_stuck":
                _probing(system, writer, place, on=wanted.probing)
            raise
    else:
        _set_all(system, address, wanted)
    _probing(system, writer, place, on=wanted.probing)
    if wanted.probing:
        _probe(system, writer, address, wanted.bare)


def _count(system: System, place: str) -> int:
    """By the links, since sriov_numvfs is not told while the kernel holds the device's lock."""
    return sum(name.startswith("virtfn") for name in system.names(place))


def _probing(system: System, writer: Writes, place: str, *, on: bool) -> None:
    """Whether VFs that come shall be given to a driver."""
    if system.read(f"{place}/{_AUTOPROBE}").strip() == (b"0" if on else b"1"):
        writer.write(f"{place}/{_AUTOPROBE}", "1" if on else "0")


def _probe(system: System, writer: Writes, address: str, bare: t.Collection[int]) -> None:
    device = pci.read(system, address, {})
    for index, vf in enumerate(device.vfs if device else ()):
        if index not in bare and not system.link(f"{pci.DEVICES}/{vf}/driver"):
            with contextlib.suppress(OSError):
                writer.write("/sys/bus/pci/drivers_probe", vf)


def _until(system: System, address: str, count: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        device = pci.read(system, address, {})
        if device is not None and len(device.vfs) == count:
            return
        if device is None or time.monotonic() >= end:
            has = len(device.vfs) if device else 0
            why = f"device '{address}' took the number {count} of VFs, and has {has}"
            raise HotplugError("resize_failed", why, way_out="See the kernel's log (dmesg).", device=address)
        time.sleep(_POLL)


def _set_all(system: System, address: str, wanted: VfsState) -> None:
    asked = [(index, one) for index, one in enumerate(wanted.settings) if _says_something(one)]
    for index, one in asked:
        set_vf(system, address, index, one)


def _says_something(settings: VfSettings) -> bool:
    """A VF that nobody gave an address has zeros, or one that the driver made up: neither can be asked for."""
    return any(one is not None for one in settings)


def set_vf(system: System, address: str, index: int, settings: VfSettings) -> None:
    """Have a PF impose settings on one VF, one at a time, and see that it does."""
    netdev = _netdev(system, address)
    with VfNetlink() as netlink:
        has = netlink.vfs(netdev)
        if index >= len(has):
            why = f"device '{address}' has no VF {index}"
            raise HotplugError("vf_count", why, way_out="Ask for that many with count.", device=address)
        for name, value in settings._asdict().items():
            if value is None or getattr(has[index], name) == value:
                continue
            one = VfSettings(**{name: value})
            try:
                netlink.set_vf(netdev, index, one)
            except OSError as exc:
                if value != _NO_MAC:
                    raise _not_set(address, index, name, value, exc) from exc
        after = netlink.vfs(netdev)[index]
    for name, value in settings._asdict().items():
        # An address that was never given is asked for on the way back only; not every driver takes one away.
        if value not in (None, _NO_MAC) and getattr(after, name) not in (None, value):
            why = f"{name} of VF {index} of '{address}' is {getattr(after, name)} after it was set to {value}"
            raise HotplugError("vf_setting", why, way_out="The driver does not do that.", device=address)


def _netdev(system: System, address: str) -> str:
    end = time.monotonic() + _PATIENCE
    while True:
        device = pci.read(system, address, {})
        if device is not None and device.netdevs:
            return device.netdevs[0]
        if device is None or not device.driver or time.monotonic() >= end:
            why = f"the PF '{address}' has no netdev, so that its VFs cannot be told mac, vlan, trust or spoofchk"
            raise HotplugError("vf_setting", why, way_out="Leave the PF on its kernel driver.", device=address)
        time.sleep(_POLL)


def _failed(address: str, count: int, exc: OSError) -> HotplugError:
    what, way_out = _MEANINGS.get(exc.errno or 0, (str(exc.strerror), "See the kernel's log (dmesg)."))
    reason = "pf_down" if exc.errno == errno.ENETDOWN else "resize_failed"
    message = f"device '{address}' does not take {count} VFs: {what}"
    return HotplugError(reason, message, way_out=way_out, device=address, errno=exc.errno)


def _not_set(address: str, index: int, name: str, value: object, exc: OSError) -> HotplugError:
    if exc.errno == errno.ENETDOWN:
        what = f"{name} of VF {index} cannot be set while the PF '{address}' is down"
        return HotplugError("pf_down", what, way_out="Set its link up first.", device=address, errno=exc.errno)
    what = f"the driver of '{address}' does not set {name} of VF {index} to {value}: {exc.strerror}"
    way_out = "Leave it out: the card or its driver cannot do it." if exc.errno == errno.EOPNOTSUPP else "See dmesg."
    return HotplugError("vf_setting", what, way_out=way_out, device=address, errno=exc.errno)
