# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t


class Binding(t.NamedTuple):
    """What drives a device: ``driver`` now, "" for none, and ``override``, what alone may drive it."""

    driver: str = ""
    override: str = ""


class Holder(t.NamedTuple):
    """A process that has a device open, by ``path`` (``/dev/vfio/12``, ``/dev/uio0``)."""

    pid: int
    name: str
    path: str


class VfSettings(t.NamedTuple):
    """What a PF imposes on one of its VFs; None: no opinion, or not to be known. ``mac``: lower case with colons."""

    mac: str | None = None
    vlan: int | None = None
    trust: bool | None = None
    spoofchk: bool | None = None


class VfsState(t.NamedTuple):
    """The VFs of a PF: how many, and what it imposes on each, by index; what is not listed there is not known.

    ``probing``: the kernel gives VFs that come to a driver (sriov_drivers_autoprobe), but for those in ``bare``.
    """

    number: int = 0
    settings: tuple[VfSettings, ...] = ()
    probing: bool = True
    bare: tuple[int, ...] = ()


class Pool(t.NamedTuple):
    """The hugepages of a size on a NUMA node. ``size`` in KiB; ``total``, ``free`` and ``surplus`` in pages.

    ``promised``: pages of this size, on whichever node, that are mapped and not touched yet: they count as free.
    """

    size: int
    node: int
    total: int
    free: int
    surplus: int = 0
    promised: int = 0

    @property
    def used(self) -> int:
        return self.total - self.free


class Mount(t.NamedTuple):
    """A hugetlbfs mount. ``size`` of its pages in KiB; ``mode`` as an octal number; ids -1 for those of root."""

    path: str
    size: int
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
