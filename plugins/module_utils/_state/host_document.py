# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._devices import pci_address
from . import checks
from .host_model import DeviceSpec, HostSpec

if t.TYPE_CHECKING:
    from .._host.selectors import Selector
    from .host_model import HugepagesSpec, VfsSpec


def parse(document: t.Mapping[str, t.Any]) -> HostSpec:
    """The parts ``hugepages``, ``devices``, ``allow_active`` and ``timeout`` of a state document."""
    devices = [_device(one, f"devices[{i}]") for i, one in enumerate(checks.listing(document["devices"], "devices"))]
    allowed = checks.listing(document["allow_active"], "allow_active")
    return HostSpec(
        devices=tuple(devices),
        hugepages=None if document["hugepages"] is None else _hugepages(document["hugepages"], "hugepages"),
        allow_active=frozenset(_address(one, f"allow_active[{i}]") for i, one in enumerate(allowed)),
        timeout=checks.seconds(document["timeout"], "timeout"),
    )


def _address(value: t.Any, where: str) -> str:
    address = pci_address(value) if isinstance(value, str) else ""
    if not address:
        raise checks.bad(where, f"{value!r} is no PCI address", "Write it as 0000:01:00.0.")
    return address


def _device(value: t.Any, where: str) -> DeviceSpec:
    entry = checks.mapping(value, where, ("device", "select", "driver", "vfs", "persistent", "noiommu"))
    if (entry.get("device") is None) == (entry.get("select") is None):
        raise checks.bad(where, "needs exactly one of device and select", "Name a PCI address, or say how to find it.")
    return DeviceSpec(
        where=where,
        device="" if entry.get("device") is None else _address(entry["device"], f"{where}.device"),
        select=None if entry.get("select") is None else _selector(entry["select"], f"{where}.select"),
        driver=driver(entry.get("driver"), f"{where}.driver"),
        vfs=None if entry.get("vfs") is None else _vfs(entry["vfs"], f"{where}.vfs"),
        persistent=flag(entry.get("persistent"), f"{where}.persistent"),
        noiommu=bool(flag(entry.get("noiommu"), f"{where}.noiommu")),
        entry={name: one for name, one in entry.items() if one is not None and name != "persistent"},
    )


def _selector(value: t.Any, where: str) -> Selector:
    from .._host import selectors

    return selectors.parse(value, where)


def flag(value: t.Any, where: str) -> bool | None:
    """Yes, no, or None for no opinion."""
    return None if value is None else checks.flag(value, where)


def driver(value: t.Any, where: str) -> str:
    """A name that is safe in a path of sysfs and for modprobe."""
    name = checks.text(value, where)
    if name and not (name.isascii() and name.replace("-", "").replace("_", "").isalnum() and name[0] != "-"):
        raise checks.bad(where, f"{name!r} is no name of a driver", "Such as vfio-pci, or kernel for the one it had.")
    return name


# What most documents of devices do not have is read by a file of its own.


def _vfs(value: t.Any, where: str) -> VfsSpec:
    from .host_document_parts import vfs

    return vfs(value, where)


def _hugepages(value: t.Any, where: str) -> HugepagesSpec:
    from .host_document_parts import hugepages

    return hugepages(value, where)
