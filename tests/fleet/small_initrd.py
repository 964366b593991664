# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a small initrd out of Debian's, whose udev took a third of a guest's boot where its processor is emulated.

Kept are klibc's shell and what it needs, and the modules for the disk, unpacked. Source: cpio(5), format newc.
"""

from __future__ import annotations

import gzip
import lzma
import stat
from collections.abc import Iterator
from typing import NamedTuple

_MAGIC, _END = b"070701", "TRAILER!!!"
_PROGRAMS = ("insmod", "mount", "run-init", "sh", "sleep")
# In the order in which they need each other; a kernel may have some of them built in.
_MODULES = (
    *("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"),
    *("crc32c_generic", "crc16", "mbcache", "jbd2", "ext4"),
)
_INIT = """#!/bin/sh
mount -t devtmpfs none /dev
for one in {modules}; do insmod /modules/$one.ko; done
while [ ! -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 /dev/vda /root
mount -n -o move /dev /root/dev
exec run-init /root /sbin/init < /root/dev/console > /root/dev/console 2>&1
"""


class _Entry(NamedTuple):
    name: str
    mode: int
    data: bytes = b""


def small(data: bytes) -> bytes:
    """The archive of a small initrd, from the bytes of Debian's."""
    found = {entry.name: entry for entry in _entries(data)}
    modules = {}
    for name, entry in found.items():
        _place, _slash, file = name.rpartition("/")
        module, dot, packed = file.partition(".ko")
        if dot and module in _MODULES:
            modules[module] = lzma.decompress(entry.data) if packed == ".xz" else entry.data
    kept = [found[name] for name in (*(f"usr/bin/{one}" for one in _PROGRAMS), *_klibc(found))]
    there = [one for one in _MODULES if one in modules]
    made = [
        *(_Entry(name, stat.S_IFDIR | 0o755) for name in ("dev", "modules", "root", "usr", "usr/bin", "usr/lib")),
        *(_Entry(name, stat.S_IFLNK | 0o777, f"usr/{name}".encode()) for name in ("bin", "lib")),
        _Entry("init", stat.S_IFREG | 0o755, _INIT.format(modules=" ".join(there)).encode()),
        *(_Entry(f"modules/{one}.ko", stat.S_IFREG | 0o644, modules[one]) for one in there),
    ]
    return b"".join(_packed(number, one) for number, one in enumerate([*made, *kept, _Entry(_END, 0)], 1))


def _klibc(found: dict[str, _Entry]) -> list[str]:
    return [name for name in found if name.startswith("usr/lib/klibc-")]


def _entries(data: bytes) -> Iterator[_Entry]:
    """Of all the archives, one after the other: what is not packed, and then what is."""
    while data:
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data.lstrip(b"\0")
        place = 0
        while data[place : place + 6] == _MAGIC:
            fields = [int(data[place + at : place + at + 8], 16) for at in range(6, 110, 8)]
            begin = place + 110
            name = data[begin : begin + fields[11] - 1].decode()
            begin += fields[11] + -(begin + fields[11]) % 4
            if name == _END:
                place = begin
                break
            yield _Entry(name, fields[1], data[begin : begin + fields[6]])
            place = begin + fields[6] + -fields[6] % 4
        if not place:
            return
        data = data[place:].lstrip(b"\0")


def _packed(number: int, entry: _Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    head = _MAGIC + b"".join(b"%08X" % one for one in fields) + name
    return head + bytes(-len(head) % 4) + entry.data + bytes(-len(entry.data) % 4)
