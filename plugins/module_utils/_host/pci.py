# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._system import System
from .model import USERSPACE_DRIVERS, PciDevice

if t.TYPE_CHECKING:
    from .reads import Bounded

# Source: Documentation/ABI/testing/sysfs-bus-pci of the kernel.
DEVICES = "/sys/bus/pci/devices"
_SLOTS = "/sys/bus/pci/slots"
# Vendor, device, those of the subsystem, and the class. Source: modalias_show in drivers/pci/pci-sysfs.c.
_MODALIAS = "pci:v0000{}d0000{}sv0000{}sd0000{}bc{}sc{}i{}\n"
_AT = (slice(9, 13), slice(18, 22), slice(28, 32), slice(38, 42), slice(44, 46), slice(48, 50), slice(51, 53))


def read(system: System, address: str, slots: t.Mapping[str, str] | None = None) -> PciDevice | None:
    """A device without its override (see read_all), or None where there is none at that address."""
    return seen(system, [address], slots_of(system) if slots is None else slots).get(address)


def seen(system: System, addresses: t.Iterable[str], slots: t.Mapping[str, str]) -> dict[str, PciDevice]:
    """The devices at these addresses, where there are any, without their overrides.

    ``slots``: names of slots by the address they are for.
    """
    read = (_read(system, address, slots) for address in addresses)
    found = {one.address: one for one in read if one is not None}
    for pf in {one.pf for one in found.values() if one.pf}:
        place = f"{DEVICES}/{pf}"
        vfs = found[pf].vfs if pf in found else _vfs(system, place, system.names(place))
        for index, vf in enumerate(vfs):
            if vf in found:
                found[vf] = found[vf]._replace(vf_index=index)
    return found


def read_all(system: System, addresses: t.Sequence[str], slots: t.Mapping[str, str]) -> dict[str, PciDevice]:
    """The same, each with its override.

    The kernel tells one with the device's lock in hand, which it keeps while it waits for an application to let go of
    a device that is to leave the bus. One that is not told is taken for the driver that the device has now, where that
    is a userspace driver, else for none (the kernel removes the link ``driver`` before it waits). So a run goes on that
    detaches the device, which comes before any change of its driver and ends the wait.
    """
    files = {one: f"{DEVICES}/{one}/driver_override" for one in addresses}
    locked = [file for one, file in files.items() if _may_be_locked(system, f"{DEVICES}/{one}")]
    reading = _reading(system, locked) if locked else None
    found = seen(system, addresses, slots)
    texts = reading.texts() if reading else {}
    for one in list(found.values()):
        file = files[one.address]
        text = texts[file] if file in texts else system.read(file)
        override = one.driver if text is None and one.driver in USERSPACE_DRIVERS else override_of(text or b"")
        if override:
            found[one.address] = one._replace(override=override)
    return found


def _reading(system: System, files: t.Sequence[str]) -> Bounded:
    from .reads import Bounded

    return Bounded(system, files)


def _may_be_locked(system: System, place: str) -> bool:
    """Whether the kernel may wait for an application with a device's lock in hand: for the device, or for its VFs.

    Source: device_release_driver_internal in drivers/base/dd.c, sriov_numvfs_store in drivers/pci/iov.c.
    """
    driver = _driver(system, place)
    if driver:
        return driver in USERSPACE_DRIVERS or _number(system.read(f"{place}/sriov_totalvfs"), 0) > 0
    return system.read(f"{place}/modalias")[_AT[4]] != b"06"  # a bridge


def inventory(system: System) -> dict[str, PciDevice]:
    """Every PCI device, by address."""
    return read_all(system, system.names(DEVICES), slots_of(system))


def _read(system: System, address: str, slots: t.Mapping[str, str]) -> PciDevice | None:
    """A device without its override, and without its index among the VFs of its PF."""
    place = f"{DEVICES}/{address}"
    there = system.names(place)
    alias = system.read(f"{place}/modalias").decode("ascii", "replace")  # which takes no lock, unlike uevent
    parts = [alias[at] for at in _AT]
    if alias != _MODALIAS.format(*parts):
        return None
    vendor, device, subvendor, subdevice, *class_code = (one.lower() for one in parts)
    driver = _driver(system, place) if "driver" in there else ""
    places = _places_of_netdevs(system, place, there)
    netdevs = tuple(name for one in places for name in system.names(one))
    return PciDevice(
        address=address,
        vendor=vendor,
        device=device,
        subvendor=subvendor,
        subdevice=subdevice,
        class_code="".join(class_code),
        driver=driver,
        numa_node=_number(system.read(f"{place}/numa_node"), -1),
        iommu_group=_number(_last(system.link(f"{place}/iommu_group")).encode(), -1) if "iommu_group" in there else -1,
        netdevs=netdevs,
        netdevs_elsewhere=bool(places and driver) and not netdevs and driver not in USERSPACE_DRIVERS,
        pf=_last(system.link(f"{place}/physfn")) if "physfn" in there else "",
        max_vfs=_number(system.read(f"{place}/sriov_totalvfs"), 0) if "sriov_totalvfs" in there else 0,
        vfs=_vfs(system, place, there),
        slot=slots.get(address.rpartition(".")[0], ""),
    )


def members(devices: t.Mapping[str, PciDevice], group: int) -> list[str]:
    """The devices of an IOMMU group."""
    return [one.address for one in devices.values() if one.iommu_group == group >= 0]


def macs(system: System, devices: t.Iterable[PciDevice]) -> dict[str, str]:
    """The MAC addresses of the devices' netdevs, by name."""
    found = {}
    for device in devices:
        for name in device.netdevs:
            text = system.read(f"/sys/class/net/{name}/address").decode("ascii", "replace").strip()
            if text:
                found[name] = text
    return found


def _driver(system: System, place: str) -> str:
    return _last(system.link(f"{place}/driver"))


def _last(link: str) -> str:
    return link.rpartition("/")[2]


def _number(text: bytes, otherwise: int) -> int:
    try:
        return int(text)
    except ValueError:
        return otherwise


def override_of(text: bytes) -> str:
    """What driver_override says. Source: driver_override_show in drivers/pci/pci-sysfs.c."""
    override = text.decode("ascii", "replace").strip()
    return "" if override == "(null)" else override


def _places_of_netdevs(system: System, place: str, there: t.Sequence[str]) -> list[str]:
    """The directories where a device's netdevs are, or would be if they were not in another network namespace."""
    if "net" in there:
        return [f"{place}/net"]
    # A virtio device has its own device below, which has the netdev.
    below = [f"{place}/{one}" for one in there if one.startswith("virtio")]
    return [f"{one}/net" for one in below if "net" in system.names(one)]


def _vfs(system: System, place: str, there: t.Sequence[str]) -> tuple[str, ...]:
    names = sorted((one for one in there if one.startswith("virtfn")), key=lambda one: int(one[6:]))
    return tuple(_last(system.link(f"{place}/{name}")) for name in names)


def slots_of(system: System) -> dict[str, str]:
    """Names of slots by the bus and device that they are for, ``0000:06:00``."""
    found = {}
    for name in system.names(_SLOTS):
        found[system.read(f"{_SLOTS}/{name}/address").decode("ascii", "replace").strip()] = name
    return found
