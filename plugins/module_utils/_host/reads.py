# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import select
import signal
import time
import typing as t

from .._system import System

_LIMIT = 5.0  # seconds for all that is read at once
_PATIENCE = 1.0  # seconds without any answer: the kernel needs microseconds where it does not wait for somebody
# Of a file that names something, and small enough for a pipe to take it whole (PIPE_BUF, pipe(7)).
_MOST = 1 << 11
# Children that the kernel has not answered, by the file that they read.
_hanging: dict[str, int] = {}


class Bounded:
    """Small files of the kernel, read by a child process from now on: a read may block for ever, and nothing ends it.

    A child that hangs is left behind, and ends by itself when it is answered; while it does not, nobody else is sent
    after its file.
    """

    def __init__(self, system: System, paths: t.Iterable[str]) -> None:
        self._system = system
        self._found: dict[str, bytes | None] = dict.fromkeys(paths)
        self._left = [path for path in self._found if not _hangs(system.path(path))]
        self._pid, self._there = self._sent()

    def texts(self) -> dict[str, bytes | None]:
        """Empty is what is not there or not to be read, None what the kernel does not answer."""
        end = time.monotonic() + _LIMIT
        while self._left:
            answers = self._answers()
            self._found.update(zip(self._left, answers))
            self._left = self._left[len(answers) + 1 :]  # the one between was not answered
            if time.monotonic() >= end:
                break
            self._pid, self._there = self._sent()
        return self._found

    def _sent(self) -> tuple[int, int]:
        """A child that reads what is left, in order, and where it tells of it."""
        if not self._left:
            return -1, -1
        there, back = os.pipe()
        files = [self._system.path(path) for path in self._left]
        pid = apart(lambda: _read_all(files, back), back)
        os.close(back)
        return pid, there

    def _answers(self) -> list[bytes]:
        os.set_blocking(self._there, False)
        poll = select.poll()
        # It tells of the end alone: to be woken for each file would cost more than to read it.
        poll.register(self._there, 0)
        said, part, ended = b"", b"-", False
        while part and not ended:
            ended = bool(poll.poll(_PATIENCE * 1000))
            part = _said(self._there)
            said += part
        os.close(self._there)
        answers = said.split(b"\0")[:-1]
        if ended or len(answers) == len(self._left):
            os.waitpid(self._pid, 0)
        else:
            _hanging[self._system.path(self._left[len(answers)])] = self._pid
        return answers


def _said(there: int) -> bytes:
    try:
        return os.read(there, 1 << 20)  # more than a pipe holds
    except BlockingIOError:
        return b""


def _read_all(files: t.Sequence[str], back: int) -> None:
    for file in files:
        try:
            text = content(file)
        except OSError:
            text = b""
        os.write(back, text + b"\0")


def _hangs(file: str) -> bool:
    """Whether a child that was left behind is at it still."""
    pid = _hanging.get(file)
    if pid is None:
        return False
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            return True
    except ChildProcessError:
        pass  # of the process that we were forked from
    _hanging.pop(file, None)
    return False


def content(file: str | bytes) -> bytes:
    """A small file by one read, however long that takes. Raises OSError."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _MOST)
    finally:
        os.close(fd)


def apart(work: t.Callable[[], None], *keep: int) -> int:
    """Have a child process do something; its pid.

    No signal of a user ends it, and it holds nothing of ours but the descriptors ``keep``: no lock, no output.
    """
    pid = os.fork()
    if pid == 0:
        try:
            for name in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
                signal.signal(name, signal.SIG_IGN)
            empty = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(empty, fd)
            kept = (2, *sorted(keep), 1 << 12)
            for low, high in zip(kept, kept[1:]):
                os.closerange(low + 1, high)
            work()
        finally:
            os._exit(0)
    return pid
