# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError
from .._host import drivers, holders, iommu, lockout, noiommu, pci
from .._host.model import USERSPACE_DRIVERS, PciDevice
from .._host.states import Holder
from .._system import System
from . import host_refusals
from .host_model import KERNEL, Change, HostSpec, HostState
from .refusals import together

if t.TYPE_CHECKING:
    from .work import AppWork

# What must not be done because of who uses a device. It is asked only where something is going to change.


class Evidence(t.NamedTuple):
    """What is held against changes. ``leaving``: devices that lose a driver; ``active``: why the network needs them."""

    inventory: t.Mapping[str, PciDevice]
    leaving: frozenset[str] = frozenset()
    holders: t.Mapping[str, tuple[Holder, ...]] = {}
    active: t.Mapping[str, tuple[str, ...]] = {}
    careless: frozenset[str] = frozenset()  # devices that may go without an IOMMU
    coming: t.Mapping[str, PciDevice] = {}  # PFs, by the address of a VF that is not there yet
    altered: frozenset[str] = frozenset()  # VFs whose PF shall impose something else
    iommu: str = ""  # what to do so that there is one
    noiommu_missing: bool = False  # vfio goes with an IOMMU only
    drivers: t.Mapping[str, HotplugError] = {}  # those that cannot be had, and why

    @classmethod
    def of(cls, changes: t.Sequence[Change], state: HostState, system: System) -> Evidence:
        moves = [change for change in changes if change.kind == "driver"]
        leaving = frozenset(move.target for move in moves if move.before.driver and _moves(move))
        altered = frozenset(_vf(change, state) for change in changes if change.kind == "vf")
        if not moves and not altered:
            return cls(state.devices)
        inventory = pci.inventory(system)
        touched = sorted(leaving | altered)
        networked = [inventory[one] for one in touched if one in inventory and _kernels(inventory[one])]
        careless = {one for entry, found in state.targets if entry.noiommu for one in found}
        coming = {at: inventory[pf] for (pf, _index), at in state.future.items() if pf in inventory}
        own = {one for pf in careless & {*inventory} for one in inventory[pf].vfs}
        targets = sorted({move.after.driver for move in moves} - {"", KERNEL})
        return cls(
            inventory=inventory,
            leaving=leaving,
            careless=frozenset(careless | own | {at for at, pf in coming.items() if pf.address in careless}),
            coming={at: pf for at, pf in coming.items() if at not in inventory},
            altered=altered,
            holders=holders.holders(system, inventory, sorted(leaving)),
            active=lockout.active(networked, system),
            iommu=iommu.missing_argument(system) if "vfio-pci" in targets else "",
            noiommu_missing=any(change.kind == "noiommu" for change in changes) and noiommu.missing(system),
            drivers={one: why for one in targets for why in [drivers.unavailable(system, one)] if why is not None},
        )


def _vf(change: Change, state: HostState) -> str:
    """The address of the VF that a setting is for."""
    pf, index = change.target
    return str(state.devices[pf].vfs[index])


def _moves(move: Change) -> bool:
    return bool(move.before.driver != move.after.driver)


def _kernels(device: PciDevice) -> bool:
    return bool(device.driver) and device.driver not in USERSPACE_DRIVERS


def object_to(changes: t.Sequence[Change], evidence: Evidence, spec: HostSpec, works: t.Sequence[AppWork] = ()) -> None:
    """Raise HotplugError for all changes that must not be; a pure function of what it is given."""
    refused: list[HotplugError] = []
    arriving = {change.target: change.after.driver for change in changes if change.kind == "driver"}
    for address in sorted(evidence.leaving | evidence.altered):
        if evidence.active.get(address) and address not in spec.allow_active:
            refused.append(host_refusals.active(address, evidence.active[address]))
        using = _others(address, evidence, works)
        if using:
            refused.append(host_refusals.in_use(address, using))
    for address, driver in arriving.items():
        device = evidence.inventory.get(address)
        pf = evidence.coming.get(address)
        if driver in evidence.drivers:
            refused.append(evidence.drivers[driver].about(device=address))
        elif driver == "vfio-pci" and device is not None:
            refused += _isolation(device, arriving, evidence)
        elif driver == "vfio-pci" and pf is not None and pf.iommu_group < 0:
            refused += _exposed(address, evidence)
    if refused:
        raise together(refused, "")


def _isolation(device: PciDevice, arriving: t.Mapping[str, str], evidence: Evidence) -> list[HotplugError]:
    if device.iommu_group < 0:
        return _exposed(device.address, evidence)
    members = iommu.not_viable(device.address, evidence.inventory, arriving)
    return [host_refusals.not_viable(device.address, device.iommu_group, members)] if members else []


def _exposed(address: str, evidence: Evidence) -> list[HotplugError]:
    """What is to be said of a device without an IOMMU group that is to go to vfio."""
    if address not in evidence.careless:
        return [host_refusals.no_iommu(address, evidence.iommu)]
    return [host_refusals.no_noiommu(address)] if evidence.noiommu_missing else []


def _others(address: str, evidence: Evidence, works: t.Sequence[AppWork]) -> list[Holder]:
    """Who holds a device and does not let go of it in this run.

    An application of the document lets go of what leaves; of a group it holds more than that where it has others of it.
    """
    left = []
    group = evidence.inventory[address].iommu_group if address in evidence.inventory else -1
    for holder in evidence.holders.get(address, ()):
        owns = next((work.before.devices for work in works if work.app.pid == holder.pid), {})
        has = [one for one in owns if one == address or (group >= 0 and _group(one, evidence) == group)]
        if not has or any(one not in evidence.leaving for one in has):
            left.append(holder)
    return left


def _group(address: str, evidence: Evidence) -> int:
    device = evidence.inventory.get(address)
    return device.iommu_group if device else -1
