# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._host import memory, pci, selectors
from .._host.model import PciDevice
from .._system import System
from .host_model import HostSpec
from .model import AppSpec, PortSpec

# Selectors are looked up before anything is planned: from there on a device has its address.


def found(
    selector: selectors.Selector,
    inventory: t.Mapping[str, PciDevice],
    known: t.Mapping[str, memory.Known],
    system: System,
    spec: HostSpec | None = None,
) -> list[str]:
    """The addresses of the devices that a selector finds; a VF that ``spec`` is going to make is found as well."""
    return selectors.resolve(
        selector,
        inventory,
        known=known,
        macs=pci.macs(system, inventory.values()),
        future=_future(inventory, spec, system),
    )


def _future(inventory: t.Mapping[str, PciDevice], spec: HostSpec | None, system: System) -> dict[tuple[str, int], str]:
    """Where the VFs are going to be that the document asks for by a PF's address."""
    counts = {one.device: one.vfs.number for one in (spec.devices if spec else ()) if one.device and one.vfs}
    return {
        (pf, index): selectors.future_vf(system, pf, index)
        for pf, count in counts.items()
        if count and pf in inventory
        for index in range(min(count, inventory[pf].max_vfs))
    }


def resolved(specs: t.Sequence[AppSpec], system: System, host: HostSpec | None) -> tuple[AppSpec, ...]:
    """The same with addresses in the place of selectors."""
    inventory, known = pci.inventory(system), memory.read(system)

    def named(port: PortSpec) -> list[PortSpec]:
        if port.select is None or port.device is None:
            return [port]
        addresses = found(port.select, inventory, known, system, host)
        return [port._replace(device=port.device._replace(name=address), select=None) for address in addresses]

    return tuple(spec._replace(ports=tuple(one for port in spec.ports for one in named(port))) for spec in specs)
