# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import os
import typing as t

from .._errors import HotplugError
from .._system import System
from . import programs
from .hugepages import parse_size, size_text
from .states import Mount

_LIMIT = 60  # seconds


def mounted(system: System) -> tuple[Mount, ...]:
    """Every hugetlbfs mount; of several on one path the last."""
    found = []
    for path, (kind, options) in _mounts(system).items():
        if kind != "hugetlbfs":
            continue
        size = next((one[9:] for one in options.split(",") if one.startswith("pagesize=")), "2M")
        try:
            status = os.stat(system.path(path))
        except OSError:
            continue
        found.append(Mount(path, parse_size(size), status.st_mode & 0o7777, status.st_uid, status.st_gid))
    return tuple(found)


def _mounts(system: System) -> dict[str, tuple[str, str]]:
    """What is mounted where, and its options; of several on one path the last. Source: proc(5), /proc/PID/mountinfo."""
    found: dict[str, tuple[str, str]] = {}
    for line in system.read("/proc/self/mountinfo").decode("utf-8", "surrogateescape").splitlines():
        head, _dash, tail = line.partition(" - ")
        kind, _source, options = (*tail.split(" ", 2), "", "")[:3]
        path = head.split(" ")[4]
        for number, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
            path = path.replace(f"\\{number}", character)
        found.pop(path, None)
        found[path] = (kind, options)
    return found


def change(system: System, path: str, before: Mount | None, after: Mount | None) -> None:
    """Have a mount, have it otherwise, or have none, and then no empty directory either.

    What uses it keeps it: that is an error. Where another cannot be had, it is as it was.
    """
    if after is None:
        _run("umount", path)
        with contextlib.suppress(OSError):  # what else is in it, or is mounted on it, was there before
            os.rmdir(path)
        return
    if before is not None and before.size == after.size:
        _own(after)
        return
    if before is not None:
        _run("umount", path)
    try:
        _make_place(system, path)
        _run("mount", "-t", "hugetlbfs", "-o", f"pagesize={size_text(after.size)}", "hugetlbfs", path)
    except HotplugError:
        if before is not None:
            _run("mount", "-t", "hugetlbfs", "-o", f"pagesize={size_text(before.size)}", "hugetlbfs", path)
            _own(before)
        raise
    _own(after)


def _own(mount: Mount) -> None:
    os.chown(mount.path, mount.uid, mount.gid)
    os.chmod(mount.path, mount.mode)


def _make_place(system: System, path: str) -> None:
    """A directory that is where its name says."""
    if os.path.realpath(path) != path:
        why = f"{path} is {os.path.realpath(path)} in truth: a link is on the way"
        raise HotplugError("foreign", why, way_out="Name the directory itself.")
    if path in _mounts(system):
        why = f"something else than hugepages is mounted on {path}"
        raise HotplugError("foreign", why, way_out="Choose another path, or unmount it.")
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except OSError as exc:
        raise HotplugError("mount_failed", f"{path} cannot be made: {exc.strerror}", way_out="Choose another.") from exc


def _run(program: str, *words: str) -> None:
    import subprocess

    try:
        done = programs.run(programs.find(program) or program, *words, limit=_LIMIT)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise HotplugError("mount_failed", f"{program} {words[-1]}: {exc}", way_out="See the kernel's log.") from exc
    if done.returncode:
        what = f"{program} {words[-1]}: {done.stderr.strip() or f'ended with {done.returncode}'}"
        raise HotplugError("mount_failed", what, way_out="Somebody may be using it; fuser -vm tells who.")


def user_id(value: t.Any) -> int:
    """Of a user's name or number; root's where none is given."""
    import pwd

    return _id(value, "user", lambda name: pwd.getpwnam(name).pw_uid)


def group_id(value: t.Any) -> int:
    """Of a group's name or number; root's where none is given."""
    import grp

    return _id(value, "group", lambda name: grp.getgrnam(name).gr_gid)


def _id(value: t.Any, what: str, look: t.Callable[[str], int]) -> int:
    if value is None or value == "":
        return 0
    if isinstance(value, int) or str(value).isdecimal():
        return int(value)
    try:
        return look(str(value))
    except KeyError as exc:
        why = f"there is no {what} {str(value)[:64]!r} on this host"
        raise HotplugError("bad_document", why, way_out="Make it first, or give a number.") from exc
