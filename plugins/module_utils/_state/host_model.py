# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._host.model import USERSPACE_DRIVERS, PciDevice
from .._host.states import Mount, Pool, VfSettings
from .checks import PATIENCE

if t.TYPE_CHECKING:
    from .._host.selectors import Selector

KERNEL = "kernel"  # whichever kernel driver the device had
NONE = "none"


class VfSpec(t.NamedTuple):
    """What is asked for one VF by its PF."""

    number: int
    settings: VfSettings = VfSettings()
    driver: str = ""


class VfsSpec(t.NamedTuple):
    """What is asked for the VFs of a PF; ``driver``: of those that have none of their own in ``vfs``."""

    number: int | None = None
    driver: str = ""
    vfs: tuple[VfSpec, ...] = ()


class DeviceSpec(t.NamedTuple):
    """What is asked for a PCI device, or for the devices that a selector finds; "" and None: no opinion."""

    where: str
    device: str = ""
    select: Selector | None = None
    driver: str = ""
    vfs: VfsSpec | None = None
    persistent: bool | None = None
    noiommu: bool = False
    entry: t.Mapping[str, t.Any] = {}  # as it was written, for the boot document


class PagesSpec(t.NamedTuple):
    """Hugepages of a size (KiB) on a node, or -1 for all nodes together."""

    size: int
    number: int
    node: int = -1


class MountSpec(t.NamedTuple):
    mount: Mount
    present: bool = True


class HugepagesSpec(t.NamedTuple):
    """``boot``: kernel arguments for them as well; ``persistent``: our unit reserves and mounts them at boot."""

    pages: tuple[PagesSpec, ...] = ()
    mounts: tuple[MountSpec, ...] = ()
    boot: bool | None = None
    persistent: bool | None = None
    entry: t.Mapping[str, t.Any] = {}


class HostSpec(t.NamedTuple):
    """What is asked of a host. ``allow_active``: addresses that may pass the lockout guard; ``timeout``: seconds.

    ``apps``: entries of applications that are to persist, or not to, as they were written.
    """

    devices: tuple[DeviceSpec, ...] = ()
    hugepages: HugepagesSpec | None = None
    allow_active: frozenset[str] = frozenset()
    timeout: float = PATIENCE
    apps: tuple[t.Mapping[str, t.Any], ...] = ()

    @property
    def persists(self) -> bool:
        """Whether anything is said of what is to be so after a reboot."""
        entries = (*self.devices, *((self.hugepages,) if self.hugepages else ()))
        return bool(self.apps) or any(one.persistent is not None for one in entries)


# The place of each change among all that happens on a host; an application is stopped at 10, attached to at 60.
# What is to persist comes first: who applies it meanwhile, at a boot or the reconciler, does what this run is doing.
_PHASES = {"noiommu": 4, "pages": 5, "arguments": 7, "mount": 8, "vfs": 40, "vf": 45, "driver": 50, "boot": 3}
_UNBIND, _FEWER_PAGES, _UNMOUNT = 30, 85, 80
BEFORE_VFS, AFTER_VFS = 35, 46  # for a PF's own driver


class Change(t.NamedTuple):
    """One change of the host as a value: ``target`` is ``before`` and shall be ``after``. Its inverse swaps the two.

    ``place``: its phase, where that is not the one of its kind.

    kind       target                   before, after
    noiommu    "vfio"                   bool
    pages      (size, node)             count of pages
    arguments  owner                    tuple of kernel arguments
    mount      path                     Mount or None
    vfs        address of the PF        VfsState
    vf         (address of PF, index)   VfSettings
    driver     address                  Binding
    boot       path of the document     what is in it
    """

    kind: str
    target: t.Any
    before: t.Any
    after: t.Any
    place: int = 0

    @property
    def phase(self) -> int:
        if self.place:
            return self.place
        if self.kind == "driver" and self.before.driver and not self.after.driver:
            return _UNBIND
        if self.kind == "pages" and self.after < self.before:
            return _FEWER_PAGES
        if self.kind == "mount" and self.after is None:
            return _UNMOUNT
        return _PHASES[self.kind]

    def inverse(self) -> Change:
        return self._replace(before=self.after, after=self.before)

    def __str__(self) -> str:
        return _TEXTS[self.kind](self)


def _pages(change: Change) -> str:
    from .._host.hugepages import size_text

    size, node = change.target
    return f"have {change.after} hugepages of {size_text(size)} on node {node} (now {change.before})"


def _mount(change: Change) -> str:
    return f"mount {change.target}" if change.after else f"unmount {change.target}"


def _driver(change: Change) -> str:
    if not change.after.driver:
        return f"unbind {change.target} from {change.before.driver or 'its driver'}"
    return f"bind {change.target} to {change.after.driver}"


_TEXTS: dict[str, t.Callable[[Change], str]] = {
    "noiommu": lambda _change: "allow vfio without an IOMMU",
    "pages": _pages,
    "arguments": lambda change: f"set the kernel arguments of {change.target}: {' '.join(change.after) or 'none'}",
    "mount": _mount,
    "vfs": lambda change: f"have {change.after.number} VFs on {change.target} (now {change.before.number})",
    "vf": lambda change: f"set VF {change.target[1]} of {change.target[0]}",
    "driver": _driver,
    "boot": lambda change: f"write {change.target}",
}


class HostState(t.NamedTuple):
    """A host as it was observed, as far as a document asks for it."""

    devices: t.Mapping[str, t.Any]  # PciDevice by address
    targets: tuple[tuple[DeviceSpec, tuple[str, ...]], ...] = ()  # what each entry of the document names
    pools: tuple[Pool, ...] = ()
    mounts: tuple[Mount, ...] = ()
    vfs: t.Mapping[str, t.Any] = {}  # VfsState by address of the PF
    future: t.Mapping[tuple[str, int], str] = {}  # where VFs are going to be that are not there yet
    known: t.Mapping[str, t.Any] = {}  # memory.Known by address
    half_done: tuple[Change, ...] = ()  # what a run that was killed had begun
    arguments: tuple[str, ...] = ()  # of ours for hugepages, in the boot loader
    awaits_boot: bool = False  # whether the running kernel was booted without them
    boot: t.Mapping[str, t.Any] | None = None  # the boot document; None where nobody asks
    noiommu: bool = False  # whether vfio is allowed to go without an IOMMU


def right(device: PciDevice, driver: str) -> bool:
    """Whether a device has the driver that is asked for."""
    if driver == KERNEL:
        return bool(device.driver) and device.driver not in USERSPACE_DRIVERS
    return device.driver == ("" if driver == NONE else driver)
