# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import binascii
import os
import stat
import typing as t

from .._system import Directory

if t.TYPE_CHECKING:
    from .._apps.app import App


_ROOTS = "/run/dpdk-hotplug"
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
        from .refusals import unusable

        raise unusable(path, exc.strerror) from exc


def _check(directory: Directory) -> None:
    status = os.fstat(directory.fd)
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        from .refusals import unusable

        raise unusable(directory.path, f"it belongs to user {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o}")
