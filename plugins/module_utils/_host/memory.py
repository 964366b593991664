# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._system import System
from . import pci
from .model import PciDevice

PLACE = "/var/lib/dpdk-hotplug"
_FILE = "devices.json"


class Known(t.NamedTuple):
    """What a device was when a driver of the kernel had it last. Another card at its address is another device."""

    vendor: str = ""
    device: str = ""
    driver: str = ""
    netdev: str = ""
    mac: str = ""


def read(system: System) -> dict[str, Known]:
    """What is remembered, by address; empty where nothing is, or it cannot be read."""
    import json

    try:
        kept = json.loads(system.read(f"{PLACE}/{_FILE}"))
        return {
            str(address): Known(**{name: str(one[name]) for name in Known._fields}) for address, one in kept.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def holds(known: Known | None, device: PciDevice) -> bool:
    """Whether what is remembered is of this very card."""
    return known is not None and (known.vendor, known.device) == (device.vendor, device.device)


def remember(system: System, devices: t.Sequence[PciDevice]) -> None:
    """Write down what devices are now, before they leave their driver of the kernel."""
    import json

    from . import files
    from .model import USERSPACE_DRIVERS

    before = read(system)
    kept = dict(before)
    names = pci.macs(system, devices)
    for one in devices:
        if one.driver and one.driver not in USERSPACE_DRIVERS:
            netdev = one.netdevs[0] if one.netdevs else ""
            kept[one.address] = Known(one.vendor, one.device, one.driver, netdev, names.get(netdev, ""))
    if kept == before:
        return
    text = json.dumps({address: one._asdict() for address, one in sorted(kept.items())}, indent=1)
    files.replace(system, f"{PLACE}/{_FILE}", text.encode() + b"\n")
