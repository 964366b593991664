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


def key(app: App) -> str:
    """The name of what we keep of an application: its prefix alone is not unique, its directory is."""
    return _key(app.prefix, app.directory)


def _key(prefix: str, directory: str) -> str:
    return f"{prefix}@{binascii.crc32(os.fsencode(os.path.realpath(directory))):08x}"


def directory_of(prefix: str, runtime_dir: str, uid: int) -> str:
    """Where user ``uid`` keeps what belongs to an application: root in /run, others beside EAL's directory."""
    above = "/run" if uid == 0 else os.path.dirname(runtime_dir)
    return f"{above}/dpdk-hotplug{f'-{uid}' if above == '/tmp' else ''}/{_key(prefix, f'{runtime_dir}/{prefix}')}"


def place() -> str:
    """The directory that all of it is in."""
    user = os.geteuid()
    if user == 0:
        return "/run/dpdk-hotplug"
    run = os.environ.get("XDG_RUNTIME_DIR", "")
    return f"{run}/dpdk-hotplug" if run.startswith("/") else f"/tmp/dpdk-hotplug-{user}"


def open_home(name: str) -> Directory:
    """Our own directory for one application, made where it is missing, and nobody else's."""
    try:
        os.mkdir(place(), 0o700)
    except FileExistsError:
        pass
    except OSError as exc:
        from .refusals import unusable

        raise unusable(place(), exc.strerror) from exc
    with Directory(place()) as above:
        _check(above)
        try:
            os.mkdir(name, 0o700, dir_fd=above.fd)
        except FileExistsError:
            pass
        except OSError as exc:
            from .refusals import unusable

            raise unusable(f"{place()}/{name}", exc.strerror) from exc
        home = Directory(name, parent=above)
    _check(home)
    return home


def _check(directory: Directory) -> None:
    status = os.fstat(directory.fd)
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        from .refusals import unusable

        raise unusable(directory.path, f"it belongs to user {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o}")
