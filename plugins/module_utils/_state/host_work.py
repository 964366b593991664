# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._errors import HotplugError
from .._host import pci
from .._system import System
from .host_model import Change, DeviceSpec, HostSpec, HostState, right

if t.TYPE_CHECKING:
    from .._system import Directory
    from .host_acts import HostActs
    from .host_plan import HostPlan
    from .work import AppWork

HOME = "host"


class HostWork:
    """The host's part of a run: locked, observed, planned."""

    def __init__(self, spec: HostSpec, system: System, *, change: bool) -> None:
        self.spec = spec
        self.system = system
        self.change = change
        self.name = "host"
        self.home: Directory | None = None
        self.leaving: frozenset[str] = frozenset()
        self.warnings: list[str] = []
        self.changes: tuple[Change, ...] = ()
        self._closing: list[t.Any] = []

    def open(self) -> None:
        """Lock where something may be changed, then look."""
        if self.change:
            if os.geteuid() and self.system.root == "":
                from . import host_refusals

                raise host_refusals.not_root()
            from .home import Lock, open_home

            self.home = open_home(HOME)
            self._closing.append(self.home)
            self._closing.append(Lock(self.home, "the host's devices", timeout=self.spec.timeout))
        self.before = self.after = self.observe()

    def observe(self) -> HostState:
        """The host as far as the document asks for it."""
        return _Look(self.spec, self.system, self.home).state()

    def plan(self, works: t.Sequence[AppWork] = ()) -> tuple[Change, ...]:
        """The changes; refused is what cannot be, and what must not be because of who uses a device.

        ``works``: the document's applications; what they hold they let go in the same run.
        """
        if not works and settled(self.spec, self.before):
            return ()
        from .host_plan import plan

        planned = plan(self.spec, self.before)
        self.changes = planned.changes
        self.warnings = list(planned.warnings)
        if any(work.spec.ports for work in works):
            _no_contradiction(planned, works)
        if any(change.kind == "boot" for change in self.changes):
            self._persistable()
        if self.before.half_done and self.home and not self.changes:
            from .host_journal import Journal

            Journal(self.home, self.system).end()
        if self.changes:
            from .objections import Evidence, object_to

            evidence = Evidence.of(self.changes, self.before, self.system)
            self.leaving = evidence.leaving
            object_to(self.changes, evidence, self.spec, works)
        return self.changes

    def _persistable(self) -> None:
        """Check mode goes on without the command: the play that it is a check of may install it."""
        from .._host import persistence

        persistence.check(self.system, self.before)
        missing = persistence.unapplied(self.system, self.spec)
        if missing is not None and self.change:
            raise missing
        self.warnings += [f"It would be refused as things are: {missing}"] if missing is not None else []

    def acts(self) -> HostActs:
        from .host_acts import HostActs

        return HostActs(self)

    def action(self, step: Change) -> dict[str, t.Any]:
        from .host_results import action

        return action(step)

    def result(self, *, predicted: bool) -> dict[str, t.Any]:
        """What modules return of it; ``predicted``: the difference tells what the changes would do."""
        from .host_rows import result

        return result(self, predicted=predicted)

    def close(self) -> None:
        for resource in reversed(self._closing):
            resource.close()
        self._closing.clear()


def settled(spec: HostSpec, state: HostState) -> bool:
    """Whether each device is named once, has the driver that it shall have, and nothing else is asked: no plan then."""
    if spec.hugepages is not None or state.half_done:
        return False
    named = [address for _entry, addresses in state.targets for address in addresses]
    if len(set(named)) != len(named) or any(one not in state.devices for one in named):
        return False
    return all(
        entry.vfs is None
        and entry.persistent is None
        and all(right(state.devices[one], entry.driver) for one in addresses if entry.driver)
        for entry, addresses in state.targets
    )


def _no_contradiction(planned: HostPlan, works: t.Sequence[AppWork]) -> None:
    from .._host.model import BIFURCATED_DRIVERS, USERSPACE_DRIVERS

    for work in works:
        for port in work.spec.ports:
            driver = planned.wanted.get(port.device.name, "") if port.device and port.present else ""
            if driver and driver not in USERSPACE_DRIVERS and driver not in BIFURCATED_DRIVERS:
                from . import host_refusals

                raise host_refusals.contradiction(t.cast(t.Any, port.device).name, driver, work.name)


class _Look:
    """Reads of the host what a document asks for, and nothing else: sixty devices that are right cost a few files."""

    def __init__(self, spec: HostSpec, system: System, home: Directory | None) -> None:
        self._spec = spec
        self._system = system
        self._home = home
        self._devices: dict[str, t.Any] = {}
        self._slots: dict[str, str] | None = None

    def state(self) -> HostState:
        spec = self._spec
        half_done = self._half_done()
        known = self._known()
        targets = self._targets(known)
        self._read(change.target for change in half_done if change.kind in ("driver", "vfs"))
        pfs = [address for entry, found in targets if entry.vfs for address in found if address in self._devices]
        pfs += [change.target for change in half_done if change.kind == "vfs" and change.target in self._devices]
        self._read(vf for pf in pfs for vf in self._devices[pf].vfs)
        state = HostState(self._devices, targets, known=known, half_done=half_done)
        if pfs:
            state = state._replace(vfs=self._vfs(pfs), future=self._future(targets, half_done))
        if any(entry.noiommu for entry in spec.devices):
            state = state._replace(noiommu=self._noiommu())
        if spec.hugepages is not None:
            state = self._memory(state)
        if spec.persists:
            from .._host import persistence

            state = state._replace(boot=persistence.read(self._system))
        return state

    def _half_done(self) -> tuple[Change, ...]:
        if self._home is None or "journal.json" not in self._home.names():
            return ()
        from .host_journal import begun

        return begun(self._home, self._system)

    def _known(self) -> t.Mapping[str, t.Any]:
        """Needed only to find what has lost its netdev, and to give a device back to the driver that it had."""
        spec = self._spec
        drivers = [entry.driver for entry in spec.devices]
        drivers += [entry.vfs.driver for entry in spec.devices if entry.vfs]
        drivers += [one.driver for entry in spec.devices if entry.vfs for one in entry.vfs.vfs]
        if "kernel" not in drivers and not any(entry.select for entry in spec.devices):
            return {}
        from .._host import memory

        return memory.read(self._system)

    def _targets(self, known: t.Mapping[str, t.Any]) -> t.Any:
        targets: list[tuple[DeviceSpec, tuple[str, ...]]] = []
        self._read(entry.device for entry in self._spec.devices if entry.select is None)
        for entry in self._spec.devices:
            if entry.select is None:
                targets.append((entry, (entry.device,)))
                continue
            if entry.persistent is False and not entry.driver and entry.vfs is None:
                targets.append((entry, ()))  # its devices may be gone
                continue
            from .selected import found

            self._devices.update(pci.inventory(self._system))
            targets.append((entry, tuple(found(entry.select, self._devices, known, self._system, self._spec))))
        return tuple(targets)

    def _read(self, addresses: t.Iterable[str]) -> None:
        """The devices that are not known yet, all at once."""
        fresh = [one for one in dict.fromkeys(addresses) if one not in self._devices]
        if fresh:
            if self._slots is None:
                self._slots = pci.slots_of(self._system)
            self._devices.update(pci.read_all(self._system, fresh, self._slots))

    def _vfs(self, pfs: t.Sequence[str]) -> dict[str, t.Any]:
        from .._host import sriov

        return {pf: sriov.observe(self._system, self._devices[pf]) for pf in dict.fromkeys(pfs)}

    def _future(self, targets: t.Any, half_done: t.Sequence[Change]) -> dict[tuple[str, int], str]:
        from .._host import selectors

        asked = [(pf, entry.vfs.number) for entry, found in targets if entry.vfs and entry.vfs.number for pf in found]
        asked += [(change.target, change.before.number) for change in half_done if change.kind == "vfs"]
        return {
            (pf, index): selectors.future_vf(self._system, pf, index)
            for pf, number in asked
            if pf in self._devices
            for index in range(min(number, self._devices[pf].max_vfs))
        }

    def _noiommu(self) -> bool:
        from .._host import noiommu

        return noiommu.allowed(self._system)

    def _memory(self, state: HostState) -> HostState:
        from .._host import hugepages, mounts

        asked = t.cast(t.Any, self._spec.hugepages)
        if asked.pages or asked.mounts:
            state = state._replace(pools=tuple(hugepages.pools(self._system)))
        if asked.mounts:
            state = state._replace(mounts=tuple(mounts.mounted(self._system)))
        if asked.boot is not None:
            from .._host import kernel_args

            state = state._replace(
                arguments=tuple(kernel_args.configured(self._system, "hugepages")),
                awaits_boot=kernel_args.reboot_required(self._system, "hugepages"),
            )
        return state


def told(error: HotplugError, step: Change) -> HotplugError:
    """An error of a change, with the device that it is about."""
    return error.about(device=step.target) if step.kind in ("driver", "vfs") else error
