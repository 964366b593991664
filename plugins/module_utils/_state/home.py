# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import binascii
import fcntl
import json
import os
import stat
import time
import typing as t

from .._errors import HotplugError
from .._system import Directory

if t.TYPE_CHECKING:
    from .._apps.app import App

_ROOTS = "/run/dpdk-hotplug"
_POLL = 0.02  # seconds
# What was taken from applications for a time, see evacuated.py. It outlasts a boot.
EVACUATED = "/var/lib/dpdk-hotplug/evacuated.json"


def key(app: App) -> str:
    """The name of what we keep of an application: its prefix alone is not unique, its directory is."""
    return _key(app.prefix, app.directory)


def _key(prefix: str, directory: str) -> str:
    return f"{prefix}@{binascii.crc32(os.fsencode(os.path.realpath(directory))):08x}"


def directory_of(prefix: str, runtime_dir: str, uid: int) -> str:
    """Where user ``uid`` keeps what belongs to an application."""
    return f"{_of_user(runtime_dir, uid)}/{_key(prefix, f'{runtime_dir}/{prefix}')}"


def _of_user(runtime_dir: str, uid: int) -> str:
    """Root's in /run, others' beside EAL's directory: it must not depend on who looks, nor on the environment."""
    if uid == 0:
        return _ROOTS
    above = os.path.dirname(runtime_dir)
    return f"{above}/dpdk-hotplug{f'-{uid}' if above == '/tmp' else ''}"


def place(app: App | None = None) -> str:
    """The directory that holds what we keep of an application; of the host without one, whom only root changes."""
    user = os.geteuid()
    return _ROOTS if app is None or user == 0 else app.root + _of_user(app.runtime_dir, user)


def open_home(name: str, app: App | None = None) -> Directory:
    """Our own directory for one application, made where it is missing, and nobody else's."""
    path = place(app)
    _make(path, path)
    with Directory(path) as above:
        _check(above)
        _make(name, f"{path}/{name}", above.fd)
        home = Directory(name, parent=above)
    _check(home)
    return home


def _make(name: str, path: str, above: int | None = None) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except FileExistsError:
        pass
    except OSError as exc:
        raise _unusable(path, exc.strerror) from exc


def _check(directory: Directory) -> None:
    status = os.fstat(directory.fd)
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        why = f"it belongs to user {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o}"
        raise _unusable(directory.path, why)


def _unusable(path: str, why: str | None) -> HotplugError:
    from .refusals import unusable

    return unusable(path, why)


class Lock:
    """One run at a time on one thing: an exclusive flock, which ends with the process whatever happens to it."""

    def __init__(self, home: Directory, what: str, *, timeout: float) -> None:
        try:
            self.fd = home.open("lock", os.O_RDWR | os.O_CREAT)
        except OSError as exc:
            raise _unusable(f"{home.path}/lock", exc.strerror) from exc
        self.waited = False
        end = time.monotonic() + timeout
        while not self._try():
            self.waited = True
            if time.monotonic() >= end:
                from .refusals import locked

                error = locked(what, os.pread(self.fd, 256, 0), timeout)
                os.close(self.fd)
                raise error
            time.sleep(_POLL)
        note = json.dumps({"pid": os.getpid(), "since": int(time.time())}).encode()
        try:
            os.pwrite(self.fd, note.ljust(64), 0)
        except OSError as exc:
            os.close(self.fd)
            raise _unusable(f"{home.path}/lock", exc.strerror) from exc

    def _try(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self.fd)
