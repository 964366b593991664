# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import os
import select
import struct
import typing as t

from .._errors import HotplugError
from .._system import System
from . import reads

LIMIT = 120.0
_HEAD = struct.Struct("=I")


class Writer:
    """Writes files of the kernel (sysfs, procfs) in a child process: a write may block for ever, and nothing ends it.

    One child serves a run. It is started when it is needed, and holds nothing of ours: no lock, no output.
    ``limit``: seconds that a write may take, or a read.
    """

    def __init__(self, system: System, *, limit: float = LIMIT) -> None:
        self._system = system
        self._limit = limit
        self._pid = 0
        self._to = self._from = -1

    def write(self, path: str, text: str) -> None:
        """Write ``text`` by one call. Raises OSError as the kernel says it, HotplugError when there is no answer."""
        self._ask(path, b"\0" + text.encode(), f"to {text.strip()!r}, written to {path}")

    def read(self, path: str) -> bytes:
        """What a small file holds. Raises as write() does."""
        return self._ask(path, b"", f"to a read of {path}")

    def _ask(self, path: str, what: bytes, said: str) -> bytes:
        if not self._pid:
            self._start()
        data = os.fsencode(self._system.path(path)) + what
        try:
            os.write(self._to, _HEAD.pack(len(data)) + data)
            poll = select.poll()
            poll.register(self._from, select.POLLIN)
            if not poll.poll(self._limit * 1000):
                raise self._stuck(path, said)
            answer = os.read(self._from, select.PIPE_BUF)
        except BrokenPipeError:
            answer = b""
        if not answer:
            self.close()
            raise HotplugError("write_failed", f"what writes {path} was ended by somebody", way_out="Run it again.")
        (number,) = _HEAD.unpack_from(answer)
        if number:
            raise OSError(number, os.strerror(number), path)
        return answer[_HEAD.size :]

    def _stuck(self, path: str, said: str) -> HotplugError:
        pid, self._pid = self._pid, 0
        self._hang_up()
        return HotplugError(
            "kernel_stuck",
            f"the kernel has not answered for {self._limit:.0f} s {said}",
            way_out=f"A driver hangs, see the kernel's log (dmesg) and process {pid}; only a reboot may help. "
            "The journal is kept: the next run looks again.",
            pid=pid,
            path=path,
        )

    def _start(self) -> None:
        there, self._to = os.pipe()
        self._from, back = os.pipe()
        self._pid = reads.apart(lambda: _serve(there, back), there, back)
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
    """The child: a write or a read for each message, the errno that it gave and what was read. Ends with its parent."""
    while True:
        head = os.read(there, _HEAD.size)
        if len(head) < _HEAD.size:
            return
        data = os.read(there, _HEAD.unpack(head)[0])
        path, write, text = data.partition(b"\0")
        try:
            answer = _HEAD.pack(0) + (_write(path, text) if write else reads.content(path))
        except OSError as exc:
            answer = _HEAD.pack(exc.errno or errno.EIO)
        os.write(back, answer)


def _write(path: bytes, text: bytes) -> bytes:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)
    return b""


class Writes(t.Protocol):
    """What a Writer does; tests have a kernel of their own behind it."""

    def write(self, path: str, text: str) -> None:
        """Write by one call; OSError as the kernel says it."""

    def read(self, path: str) -> bytes:
        """What a small file holds; OSError as the kernel says it."""

    def close(self) -> None:
        """Let go of what it has."""
