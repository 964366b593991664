# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import select
import signal
import struct
import typing as t

from .._errors import HotplugError
from .._system import System

LIMIT = 120.0
_HEAD = struct.Struct("=I")


class Writer:
    """Writes files of the kernel (sysfs, procfs) in a child process: a write may block for ever, and nothing ends it.

    One child serves a run. It is started by the first write, and holds nothing of ours: no lock, no output.
    ``limit``: seconds that a write may take.
    """

    def __init__(self, system: System, *, limit: float = LIMIT) -> None:
        self._system = system
        self._limit = limit
        self._pid = 0
        self._to = self._from = -1

    def write(self, path: str, text: str) -> None:
        """Write ``text`` by one call. Raises OSError as the kernel says it, HotplugError when there is no answer."""
        if not self._pid:
            self._start()
        data = os.fsencode(self._system.path(path)) + b"\0" + text.encode()
        try:
            os.write(self._to, _HEAD.pack(len(data)) + data)
            poll = select.poll()
            poll.register(self._from, select.POLLIN)
            if not poll.poll(self._limit * 1000):
                raise self._stuck(path, text)
            answer = os.read(self._from, _HEAD.size)
        except BrokenPipeError:
            answer = b""
        if len(answer) != _HEAD.size:
            self.close()
            raise HotplugError("write_failed", f"what writes {path} was ended by somebody", way_out="Run it again.")
        (number,) = _HEAD.unpack(answer)
        if number:
            raise OSError(number, os.strerror(number), path)

    def _stuck(self, path: str, text: str) -> HotplugError:
        pid, self._pid = self._pid, 0
        self._hang_up()
        return HotplugError(
            "kernel_stuck",
            f"the kernel has not answered for {self._limit:.0f} s to {text.strip()!r}, written to {path}",
            way_out=f"A driver hangs, see the kernel's log (dmesg) and process {pid}; only a reboot may help. "
            "The journal is kept: the next run looks again.",
            pid=pid,
            path=path,
        )

    def _start(self) -> None:
        there, self._to = os.pipe()
        self._from, back = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                _serve(there, back)
            finally:
                os._exit(0)
        os.close(there)
        os.close(back)

    def _hang_up(self) -> None:
        os.close(self._to)
        os.close(self._from)
        self._to = self._from = -1

    def close(self) -> None:
        if self._pid:
            self._hang_up()
            os.waitpid(self._pid, 0)
            self._pid = 0


def _serve(there: int, back: int) -> None:
    """The child: a write for each message, and the errno that it gave. It ends with its parent."""
    for name in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    empty = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(empty, fd)
    low, high = sorted((there, back))
    os.closerange(3, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, 1 << 12)
    while True:
        head = os.read(there, _HEAD.size)
        if len(head) < _HEAD.size:
            return
        data = os.read(there, _HEAD.unpack(head)[0])
        path, _nul, text = data.partition(b"\0")
        os.write(back, _HEAD.pack(_written(path, text)))


def _written(path: bytes, text: bytes) -> int:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(fd, text)
        finally:
            os.close(fd)
    except OSError as exc:
        return exc.errno or 5
    return 0


class Writes(t.Protocol):
    """What a Writer does; tests have a kernel of their own behind it."""

    def write(self, path: str, text: str) -> None:
        """Write by one call; OSError as the kernel says it."""

    def close(self) -> None:
        """Let go of what it has."""
