# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError
from .._host.model import BIFURCATED_DRIVERS, USERSPACE_DRIVERS, Binding, PciDevice, VfSettings, VfsState
from .host_model import KERNEL, NONE, Change, HostSpec, HostState

if t.TYPE_CHECKING:
    from .host_model import DeviceSpec, VfsSpec


class HostPlan(t.NamedTuple):
    """The changes that lead from a state to a document, in order. ``wanted``: the driver asked for, by address."""

    changes: tuple[Change, ...]
    wanted: t.Mapping[str, str]
    warnings: tuple[str, ...] = ()


def plan(spec: HostSpec, state: HostState) -> HostPlan:
    """How to get a host from ``state`` to ``spec``; a pure function.

    Raises HotplugError for what cannot be: all of it at once, before anything is changed. What must not be, because
    of who uses a device, is objections.py's.
    """
    found = _Found(state)
    for entry, addresses in state.targets:
        for address in addresses:
            found.try_(entry, address)
    if found.refused:
        from .refusals import together

        raise together(found.refused, "")
    changes = [*found.changes, *_repairs(found, state)]
    if spec.hugepages is not None:
        changes += _memory(spec, state)
    if any(entry.persistent is not None for entry in spec.devices) or (
        spec.hugepages is not None and spec.hugepages.persistent is not None
    ):
        from .._host import persistence

        after = persistence.merged(state.boot or {}, spec, state)
        if after != (state.boot or {}):
            changes.append(Change("boot", persistence.PATH, state.boot or {}, after))
    return HostPlan(tuple(sorted(changes, key=lambda one: one.phase)), found.wanted, tuple(found.warnings))


def right(device: PciDevice, driver: str) -> bool:
    """Whether a device has the driver that is asked for."""
    if driver == KERNEL:
        return bool(device.driver) and device.driver not in USERSPACE_DRIVERS
    return device.driver == ("" if driver == NONE else driver)


class _Found:
    """What a walk over the document's entries has found to do."""

    def __init__(self, state: HostState) -> None:
        self.state = state
        self.changes: list[Change] = []
        self.wanted: dict[str, str] = {}
        self.asked_by: dict[str, str] = {}
        self.resized: dict[str, VfsState] = {}
        self.warnings: list[str] = []
        self.refused: list[HotplugError] = []

    def try_(self, entry: DeviceSpec, address: str) -> None:
        """An entry of the document for one of its devices; what is refused is collected."""
        try:
            if entry.vfs is not None:
                self._vfs(entry.vfs, self._device(address), entry)
            if entry.driver:
                self._drive(address, entry.driver, entry)
        except HotplugError as error:
            self.refused.append(error.about(device=address))

    def _device(self, address: str) -> PciDevice:
        device = self.state.devices.get(address)
        if device is None:
            from . import host_refusals

            raise host_refusals.no_device(address)
        return t.cast(PciDevice, device)

    def _drive(self, address: str, driver: str, entry: DeviceSpec) -> None:
        """A device shall have a driver. One that is not there yet is a VF that a change of the document makes."""
        if self.wanted.setdefault(address, driver) != driver:
            from . import host_refusals

            raise host_refusals.two_drivers(address, self.wanted[address], self.asked_by[address], driver, entry.where)
        if address in self.asked_by:
            return
        self.asked_by[address] = entry.where
        if any(address == at for (pf, _index), at in self.state.future.items() if pf in self.resized):
            self.changes.append(Change("driver", address, Binding(), self._target(address, driver)))
            return
        device = self._device(address)
        if right(device, driver):
            return
        self._possible(device, driver, entry)
        if entry.noiommu and device.iommu_group < 0 and driver == "vfio-pci":
            self._without_iommu(address)
        before = _origin(device, self.state)
        self.changes.append(Change("driver", address, before, self._target(address, driver)))

    def _possible(self, device: PciDevice, driver: str, entry: DeviceSpec) -> None:
        from . import host_refusals

        if device.driver in BIFURCATED_DRIVERS and driver in USERSPACE_DRIVERS:
            raise host_refusals.bifurcated(device)
        if device.is_bridge:
            raise host_refusals.is_bridge(device)
        goes = entry.vfs is not None and entry.vfs.number == 0
        if device.vfs and not goes:
            raise host_refusals.has_vfs(device)

    def _without_iommu(self, address: str) -> None:
        self.warnings.append(
            f"Device '{address}' is given to vfio without an IOMMU: its DMA can reach all of the host's memory."
        )
        if not self.state.noiommu and not any(one.kind == "noiommu" for one in self.changes):
            self.changes.append(Change("noiommu", "vfio", False, True))

    def _target(self, address: str, driver: str) -> Binding:
        if driver in USERSPACE_DRIVERS:
            return Binding(driver, driver)
        device, known = self.state.devices.get(address), self.state.known.get(address)
        if driver == NONE:
            return Binding("", device.override if device else "")
        if driver == KERNEL and known and device and (known.vendor, known.device) == (device.vendor, device.device):
            return Binding(known.driver)
        return Binding(driver)

    def _vfs(self, asked: VfsSpec, pf: PciDevice, entry: DeviceSpec) -> None:
        from . import host_refusals

        if not pf.max_vfs:
            raise host_refusals.no_sriov(pf)
        count = len(pf.vfs) if asked.number is None else asked.number
        if count > pf.max_vfs:
            raise host_refusals.too_many_vfs(pf, count)
        beyond = [one.number for one in asked.vfs if one.number >= count]
        if beyond:
            raise host_refusals.no_such_vf(pf, beyond[0], count)
        before = self.state.vfs.get(pf.address) or VfsState(len(pf.vfs))
        if count != len(pf.vfs):
            self._resize(asked, pf, before, count, entry)
        else:
            self._set(asked, pf, before)
        own = {one.number: one.driver for one in asked.vfs if one.driver}
        addresses = self.addresses(pf, count)
        for index, address in enumerate(addresses):
            driver = own.get(index) or asked.driver
            if driver:
                self._drive(address, driver, entry)

    def addresses(self, pf: PciDevice, count: int) -> list[str]:
        """Where the VFs are, or are going to be."""
        return [pf.vfs[i] if i < len(pf.vfs) else self.state.future[pf.address, i] for i in range(count)]

    def _resize(self, asked: VfsSpec, pf: PciDevice, before: VfsState, count: int, entry: DeviceSpec) -> None:
        """All VFs go, and as many as asked for come, with what is asked for them; else with what they had."""
        for address in pf.vfs:
            vf = self._device(address)
            if vf.driver:
                bare = Binding("", vf.override)
                self.changes.append(Change("driver", address, Binding(vf.driver, vf.override), bare))
        settings = [before.settings[i] if i < len(before.settings) else VfSettings() for i in range(count)]
        for one in asked.vfs:
            settings[one.number] = overlaid(settings[one.number], one.settings)
        self.resized[pf.address] = before
        self.changes.append(Change("vfs", pf.address, before, VfsState(count, tuple(settings))))
        own = {one.number for one in asked.vfs if one.driver}
        for index, address in enumerate(self.addresses(pf, min(count, len(pf.vfs)))):
            driver = self._device(address).driver
            if driver in USERSPACE_DRIVERS and not asked.driver and index not in own:
                self._drive(address, driver, entry)

    def _set(self, asked: VfsSpec, pf: PciDevice, before: VfsState) -> None:
        for one in asked.vfs:
            has = before.settings[one.number] if one.number < len(before.settings) else VfSettings()
            has_now = has._asdict()
            differs = {name: new for name, new in one.settings._asdict().items() if new not in (None, has_now[name])}
            if differs:
                old = VfSettings(**{name: has_now[name] for name in differs})
                self.changes.append(Change("vf", (pf.address, one.number), old, VfSettings(**differs)))


def overlaid(below: VfSettings, above: VfSettings) -> VfSettings:
    """``above`` where it says something, else ``below``."""
    return below._replace(**{name: new for name, new in above._asdict().items() if new is not None})


def _origin(device: PciDevice, state: HostState) -> Binding:
    """What a device goes back to where a change fails: what it had before a run that was killed half-way."""
    now = Binding(device.driver, device.override)
    for begun in state.half_done:
        if begun.kind == "driver" and begun.target == device.address and now not in (begun.before, begun.after):
            return t.cast(Binding, begun.before)
    return now


def _repairs(found: _Found, state: HostState) -> list[Change]:
    """What a run that was killed had begun is taken back, where the document does not ask for something anyway."""
    repairs = []
    for begun in state.half_done:
        if begun.kind == "driver" and begun.target in state.devices and begun.target not in found.wanted:
            device = state.devices[begun.target]
            now = Binding(device.driver, device.override)
            if now not in (begun.before, begun.after) and begun.before.driver and not device.is_bridge:
                # It goes back there, whatever happens to this run.
                repairs.append(begun._replace(after=begun.before))
        if begun.kind == "vfs" and begun.target in state.vfs and begun.target not in found.resized:
            has = state.vfs[begun.target]
            if has.number not in (begun.before.number, begun.after.number) and not _asked(begun.target, state):
                repairs.append(begun._replace(before=has, after=begun.before))
    return repairs


def _asked(pf: str, state: HostState) -> bool:
    return any(entry.vfs is not None and pf in addresses for entry, addresses in state.targets)


def _memory(spec: HostSpec, state: HostState) -> list[Change]:
    from .._host import hugepages

    asked = t.cast(t.Any, spec.hugepages)
    at_boot = tuple(hugepages.arguments(asked.pages)) if asked.boot else ()
    # What the kernel cannot give now it is going to give at the boot that is due.
    due = asked.boot and state.awaits_boot and state.arguments == at_boot
    changes = []
    for pool, count in hugepages.wanted(asked.pages, state.pools):
        if not (due and count > pool.total):
            changes.append(Change("pages", (pool.size, pool.node), pool.total, count))
    there = {one.path: one for one in state.mounts}
    for one in asked.mounts:
        has = there.get(one.mount.path)
        if one.present and has != one.mount:
            changes.append(Change("mount", one.mount.path, has, one.mount))
        elif not one.present and has is not None:
            changes.append(Change("mount", one.mount.path, has, None))
    if asked.boot is not None and at_boot != state.arguments:
        changes.append(Change("arguments", "hugepages", state.arguments, at_boot))
    return changes
