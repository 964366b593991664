# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import os
import stat
import typing as t

from ._errors import HotplugError


class Process(t.NamedTuple):
    """What /proc/PID/stat tells of a process. ``start_time`` is in clock ticks since boot."""

    pid: int
    name: str
    state: str
    start_time: int


class System:
    """The one seam through which the library reads files and processes; ``root`` makes a tree of one's own the host."""

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")

    def path(self, path: str) -> str:
        """Where an absolute path of the host is found."""
        return self.root + path

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        """A file's bytes, at most ``limit`` of them; empty when it is not there or not to be read."""
        try:
            fd = os.open(self.path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            parts = []
            while limit > 0:
                part = os.read(fd, min(limit, 1 << 16))
                if not part:
                    break
                parts.append(part)
                limit -= len(part)
            return b"".join(parts)
        except OSError:
            return b""
        finally:
            os.close(fd)

    def link(self, path: str) -> str:
        """What a symbolic link says; empty when there is none."""
        try:
            return os.readlink(self.path(path))
        except OSError:
            return ""

    def names(self, path: str) -> list[str]:
        """A directory's entries, sorted; none when it is not there or not to be read."""
        try:
            return sorted(os.listdir(self.path(path)))
        except OSError:
            return []

    def pids(self) -> list[int]:
        return [int(name) for name in self.names("/proc") if name.isdigit()]

    def process(self, pid: int) -> Process | None:
        """The process, or None when there is none of that pid. Source: proc(5), fields 2, 3 and 22."""
        text = self.read(f"/proc/{pid}/stat").decode("ascii", "replace")
        head, _bracket, tail = text.rpartition(")")
        fields = tail.split()
        if len(fields) < 20:
            return None
        return Process(pid, head.partition("(")[2], fields[0], int(fields[19]))

    def command(self, pid: int) -> tuple[str, ...]:
        """A process's command line."""
        words = self.read(f"/proc/{pid}/cmdline").decode("utf-8", "surrogateescape").split("\0")
        return tuple(words[:-1])

    def uid(self, pid: int) -> int:
        """The user that a process runs as; -1 when it is gone."""
        try:
            return os.stat(self.path(f"/proc/{pid}")).st_uid
        except OSError:
            return -1


_Own = t.TypeVar("_Own", bound="Closing")


class Closing:
    """Closed at the end of a ``with``."""

    def __enter__(self: _Own) -> _Own:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    close: t.Callable[[], None]


class Directory(Closing):
    """A directory held open by descriptor: nobody can swap it for another between a check and a use.

    It is no symbolic link itself; below ``parent`` no name on the way is one either.
    """

    def __init__(self, path: str, *, parent: Directory | None = None) -> None:
        self.path: str = f"{parent.path}/{path}" if parent else path
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.fd: int = os.open(path, flags, dir_fd=parent.fd if parent else None)
        except OSError as exc:
            foreign = exc.errno in (errno.ELOOP, errno.ENOTDIR)
            why = "it is a link or no directory" if foreign else exc.strerror
            raise HotplugError(
                "foreign" if foreign else "unreadable",
                f"directory {self.path!r} cannot be used: {why}",
                way_out="Only a real directory is trusted: check who put this there.",
            ) from exc

    def distrust(self, owner: int) -> str:
        """Why the directory is not to be trusted as one of user ``owner``, of root or of ourselves; empty if it is."""
        status = os.fstat(self.fd)
        if status.st_uid not in (0, os.geteuid(), owner):
            return f"{self.path} belongs to user {status.st_uid}"
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return f"everybody may write to {self.path} (mode {stat.S_IMODE(status.st_mode):04o})"
        return ""

    def close(self) -> None:
        os.close(self.fd)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.fd))

    def child(self, name: str) -> str:
        """A path for ``name`` that goes through the descriptor, whatever has happened to the names above it.

        It is short as well, so that it fits a socket address (108 bytes, unix(7)).
        """
        return f"/proc/self/fd/{self.fd}/{name}"

    def is_socket(self, name: str) -> bool:
        """Whether ``name`` is a socket itself, not a link to one."""
        try:
            return stat.S_ISSOCK(os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def open(self, name: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode, dir_fd=self.fd)
