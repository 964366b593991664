# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError
from .._host.model import BIFURCATED_DRIVERS, USERSPACE_DRIVERS, PciDevice
from .._host.states import Binding, VfSettings, VfsState
from .host_model import AFTER_VFS, BEFORE_VFS, KERNEL, NONE, Change, HostSpec, HostState, right

if t.TYPE_CHECKING:
    from .host_model import DeviceSpec, VfsSpec


_NO_MAC = "00:00:00:00:00:00"


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
    for look in (found.vfs, found.driver):  # what makes VFs may stand below what asks something of them
        for entry, addresses in state.targets:
            for address in addresses:
                found.try_(look, entry, address)
    found.keep()
    if found.refused:
        from .refusals import together

        raise together(found.refused, "")
    changes = [*found.changes, *_repairs(found, state)]
    if spec.hugepages is not None:
        changes += _memory(spec, state)
    if spec.persists:
        from .._host import persistence

        after = persistence.merged(state.boot or {}, spec, state)
        if after != (state.boot or {}):
            changes.append(Change("boot", persistence.PATH, state.boot or {}, after))
    return HostPlan(tuple(sorted(changes, key=lambda one: one.phase)), found.wanted, tuple(found.warnings))


class _Found:
    """What a walk over the document's entries has found to do."""

    def __init__(self, state: HostState) -> None:
        self.state = state
        self.changes: list[Change] = []
        self.wanted: dict[str, str] = {}
        self.asked_by: dict[str, str] = {}
        self.sized: dict[str, DeviceSpec] = {}
        self.resized: dict[str, VfsState] = {}
        self.coming: dict[str, PciDevice] = {}  # PFs by the address of a VF that a change makes
        self.going: dict[str, PciDevice] = {}  # the same of those that are no more afterwards
        self._keeping: list[tuple[str, str, DeviceSpec]] = []
        self._telling: dict[str, PciDevice] = {}  # PFs that impose something on a VF
        self.warnings: list[str] = []
        self.refused: list[HotplugError] = []

    def try_(self, look: t.Callable[[DeviceSpec, str], None], entry: DeviceSpec, address: str) -> None:
        """An entry of the document for one of its devices; what is refused is collected."""
        try:
            look(entry, address)
        except HotplugError as error:
            self.refused.append(error.about(device=address))

    def vfs(self, entry: DeviceSpec, address: str) -> None:
        if entry.vfs is not None:
            self._vfs(entry.vfs, self._device(address), entry)

    def driver(self, entry: DeviceSpec, address: str) -> None:
        if entry.driver:
            self._drive(address, entry.driver, entry)

    def keep(self) -> None:
        """What nobody asks otherwise: VFs that go and come have the userspace driver that they had."""
        for address, driver, entry in self._keeping:
            if address not in self.wanted:
                self.try_(lambda entry, address, driver=driver: self._drive(address, driver, entry), entry, address)  # type: ignore[misc]
        moving = {change.target for change in self.changes if change.kind == "driver"}
        for address, pf in self._telling.items():
            if not pf.netdevs and address not in moving:
                from . import host_refusals

                self.refused.append(host_refusals.no_netdev(pf))

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
        if address in self.going:
            from . import host_refusals

            raise host_refusals.vf_goes(address, self.going[address])
        if address in self.coming:
            if entry.noiommu and self.coming[address].iommu_group < 0 and driver == "vfio-pci":
                self._without_iommu(address)
            after = Binding() if driver == NONE else self._target(address, driver)
            self.changes.append(Change("driver", address, Binding(), after))
            return
        device = self._device(address)
        if right(device, driver):
            return
        self._possible(device, driver)
        if entry.noiommu and device.iommu_group < 0 and driver == "vfio-pci":
            self._without_iommu(address)
        before = _origin(device, self.state)
        change = Change("driver", address, before, self._target(address, driver))
        if address in self.resized:
            # Its driver makes the VFs, and takes them with it.
            change = change._replace(place=AFTER_VFS if device.vfs else BEFORE_VFS)
        self.changes.append(change)

    def _possible(self, device: PciDevice, driver: str) -> None:
        from . import host_refusals

        if device.driver in BIFURCATED_DRIVERS and driver in USERSPACE_DRIVERS:
            raise host_refusals.bifurcated(device)
        if device.is_bridge:
            raise host_refusals.is_bridge(device)
        sized = self.sized.get(device.address)
        if device.vfs and not (sized and sized.vfs and sized.vfs.number == 0):
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
        twin = self.sized.setdefault(pf.address, entry)
        if twin is not entry:
            if twin.vfs != asked:
                raise host_refusals.vfs_twice(pf, twin.where, entry.where)
            return
        if any(value is not None for one in asked.vfs for value in one.settings):
            self._telling[pf.address] = pf
        before = _vfs_origin(pf, self.state)
        if count != len(pf.vfs):
            self._resize(asked, pf, before, count, entry)
        else:
            self._set(asked, pf, self.state.vfs.get(pf.address) or before)
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
        own = {one.number: one.driver for one in asked.vfs if one.driver}
        undriven = []
        for index, address in enumerate(self.addresses(pf, count)):
            self.coming[address] = pf
            driver = own.get(index) or asked.driver
            if not driver and index < len(pf.vfs):
                driver = self._device(address).driver or NONE
                if driver in USERSPACE_DRIVERS:
                    self._keeping.append((address, driver, entry))
            elif not driver and index in before.bare:  # it went with a run that was killed
                driver = NONE
            if driver == NONE or driver in USERSPACE_DRIVERS:
                undriven.append(index)
        self.going.update((address, pf) for address in pf.vfs if address not in self.coming)
        after = VfsState(count, tuple(settings), before.probing, tuple(undriven))
        self.changes.append(Change("vfs", pf.address, before, after))

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


def _half_done(begun: Change, device: PciDevice, state: HostState) -> bool:
    """Whether a run that was killed has left a device between two drivers; what has another driver is somebody's."""
    now = Binding(device.driver, device.override)
    resized = [one for one in state.half_done if one.kind == "vfs" and one.target == device.pf]
    if not now.driver and resized:
        # It was unbound only to go and come back, and came without a driver; that may be what was asked for.
        has, after = state.vfs.get(device.pf), resized[0].after
        bare = not after.probing or device.vf_index in after.bare
        return bool(begun.after.driver) or not bare or has is None or has.number != after.number
    if now in (begun.before, begun.after) or (begun.after == Binding(KERNEL) and right(device, KERNEL)):
        return False
    return device.driver in ("", begun.before.driver, begun.after.driver) and not device.is_bridge


def _origin(device: PciDevice, state: HostState) -> Binding:
    """What a device goes back to where a change fails: what it had before a run that was killed half-way."""
    for begun in state.half_done:
        if begun.kind == "driver" and begun.target == device.address and _half_done(begun, device, state):
            return t.cast(Binding, begun.before)
    return Binding(device.driver, device.override)


def _vfs_half_done(begun: Change, has: VfsState) -> bool:
    return not any(_is_like(has, one) for one in (begun.before, begun.after))


def _is_like(has: VfsState, wanted: VfsState) -> bool:
    """What was left out, what a driver does not tell, and an address that was never given can be anything."""
    told = [pair for one, its in zip(has.settings, wanted.settings) for pair in zip(one, its)]
    same = all(old is None or new in (None, old, _NO_MAC) for old, new in told)
    return same and (has.number, has.probing) == (wanted.number, wanted.probing)


def _vfs_origin(pf: PciDevice, state: HostState) -> VfsState:
    """The same for the VFs of a PF."""
    has: VfsState = state.vfs.get(pf.address) or VfsState(len(pf.vfs))
    bare = (index for index, vf in enumerate(pf.vfs) if vf in state.devices and not state.devices[vf].driver)
    has = has._replace(bare=tuple(bare))
    for begun in state.half_done:
        if begun.kind == "vfs" and begun.target == pf.address and _vfs_half_done(begun, has):
            return t.cast(VfsState, begun.before)
    return has


def _repairs(found: _Found, state: HostState) -> list[Change]:
    """What a run that was killed had begun is taken back, where the document does not ask for something anyway.

    It goes back there whatever happens to this run, so that both ends of such a change are the same.
    """
    repairs = []
    coming = set(found.coming)
    remade: set[str] = set()
    for begun in state.half_done:
        has = state.vfs.get(begun.target) if begun.kind == "vfs" else None
        if has is None or begun.target in found.resized:
            continue
        has = has._replace(bare=(begun.after if has.number == begun.after.number else begun.before).bare)
        if not _vfs_half_done(begun, has):
            if has.number and _is_like(has, begun.after) and _unprobed(begun.target, found, state):
                repairs.append(begun._replace(before=has, after=has))
            continue
        goal = has._replace(probing=begun.before.probing) if _asked(begun.target, state) else begun.before
        if goal != state.vfs[begun.target]:
            repairs.append(begun._replace(before=goal, after=goal))
        if goal.number != has.number:
            remade.add(begun.target)
            coming.update(at for (pf, index), at in state.future.items() if pf == begun.target and index < goal.number)
    for begun in state.half_done:
        settled = begun.target in found.wanted or begun.target in found.going
        if begun.kind != "driver" or settled or begun.target in (one.target for one in repairs):
            continue
        device = state.devices.get(begun.target)
        if begun.target in coming:
            if begun.before.driver:
                repairs.append(begun._replace(after=begun.before))
        elif device is not None and device.pf not in remade and _half_done(begun, device, state):
            # A VF that had just come had no driver, and was to have one.
            end = begun.after if device.pf and not begun.before.driver else begun.before
            if end != Binding(device.driver, device.override):
                repairs.append(begun._replace(before=end, after=end))
    return repairs


def _unprobed(pf: str, found: _Found, state: HostState) -> bool:
    """Whether a PF has VFs that nobody has given to a driver yet, and nobody is going to."""
    named = {*found.wanted, *(begun.target for begun in state.half_done if begun.kind == "driver")}
    vfs = [state.devices[one] for one in state.devices[pf].vfs if one in state.devices and one not in named]
    return state.vfs[pf].probing and any(not one.driver and not one.override for one in vfs)


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
            hugepages.check_size(one.mount.size, state.pools)
            changes.append(Change("mount", one.mount.path, has, one.mount))
        elif not one.present and has is not None:
            changes.append(Change("mount", one.mount.path, has, None))
    if asked.boot is not None and at_boot != state.arguments:
        changes.append(Change("arguments", "hugepages", state.arguments, at_boot))
    return changes
