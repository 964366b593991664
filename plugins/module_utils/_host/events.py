# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import ctypes
import os
import socket
import struct
import typing as t

from .._errors import HotplugError

# Source: inotify(7), sys/inotify.h
CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF = 0x8, 0x40, 0x80, 0x100, 0x200, 0x400
_IGNORED, _ONLYDIR = 0x8000, 0x01000000
_EVENT = struct.Struct("=iIII")
# Source: netlink(7), kobject_uevent.c of the kernel
_UEVENT = 15
_KERNEL_GROUP = 1
_MAX_UEVENT = 1 << 16
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h


class Directories:
    """Tells when something comes, goes or is written in directories. Nothing is polled: ``fd`` is readable then."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise HotplugError(
                "no_events",
                f"directories cannot be watched: {os.strerror(ctypes.get_errno())}",
                way_out="Raise fs.inotify.max_user_instances.",
            )
        self._paths: dict[int, str] = {}

    def watch(self, path: str) -> bool:
        """Watch a directory; whether it was not watched until now, and is there."""
        mask = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | _ONLYDIR
        watch = self._libc.inotify_add_watch(self.fd, os.fsencode(path), mask)
        fresh = watch >= 0 and watch not in self._paths
        if watch >= 0:
            self._paths[watch] = path
        return fresh

    def read(self) -> list[tuple[str, str]]:
        """The directories in which something has happened, each with the name that it happened to."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return []
        found: list[tuple[str, str]] = []
        at = 0
        while at < len(data):
            watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length
            # One of -1 says that some were lost: everything is worth a look then.
            found.append((self._paths.get(watch, ""), name))
            if mask & _IGNORED:
                self._paths.pop(watch, None)
        return found

    def close(self) -> None:
        os.close(self.fd)


class Uevents:
    """Tells when the kernel has found a PCI device."""

    def __init__(self) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, _UEVENT)
        _only_comings(self._socket)
        self._socket.bind((0, _KERNEL_GROUP))
        self.fd = self._socket.fileno()

    def read(self) -> list[str]:
        """The addresses of PCI devices that have come; "" where events were lost."""
        found: list[str] = []
        while True:
            try:
                data, (sender, _groups) = self._socket.recvfrom(_MAX_UEVENT)
            except BlockingIOError:
                return found
            except OSError:  # ENOBUFS: more came than was read
                found.append("")
                continue
            if sender == 0:
                found += _arrived(data)

    def close(self) -> None:
        self._socket.close()


def _only_comings(link: socket.socket) -> None:
    """Have the kernel wake us for what comes alone (add@/devices/pci...), and not for what is of software (virtual)."""
    comes, virtual = (int.from_bytes(word, "big") for word in (b"add@", b"virt"))
    take, drop = (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)  # BPF_RET
    # BPF_LD of four bytes at an offset, then BPF_JMP by as many steps where they are these, and where they are not.
    program = [
        *((0x20, 0, 0, 0), (0x15, 0, 3, comes)),
        *((0x20, 0, 0, len("add@/devices/")), (0x15, 1, 0, virtual)),
        *(take, drop),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    link.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))


def _arrived(data: bytes) -> t.Iterator[str]:
    facts = dict(part.partition(b"=")[::2] for part in data.split(b"\0") if b"=" in part)
    if facts.get(b"ACTION") == b"add" and facts.get(b"SUBSYSTEM") == b"pci" and b"PCI_SLOT_NAME" in facts:
        yield facts[b"PCI_SLOT_NAME"].decode("ascii", "replace")
