# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import os

from .._errors import HotplugError
from .._system import Directory, System

# Files of the host that are ours: written whole or not at all, and never through somebody else's link.


def replace(system: System, path: str, data: bytes, mode: int = 0o600) -> None:
    """Put ``data`` in the place of a file, whole; its directory is made where it is missing (0755)."""
    place, _slash, name = system.path(path).rpartition("/")
    try:
        os.makedirs(place, mode=0o755, exist_ok=True)
        with Directory(place) as directory:
            why = directory.distrust(os.geteuid())
            if why:
                raise HotplugError("foreign", f"{path} cannot be written safely: {why}", way_out="Mend that first.")
            fresh = f".{name}.new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=directory.fd)
            fd = directory.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            try:
                with open(fd, "wb", closefd=False) as file:
                    file.write(data)
                os.fchmod(fd, mode)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(fresh, name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
            os.fsync(directory.fd)
    except OSError as exc:
        raise HotplugError(
            "no_journal", f"{path} cannot be written: {exc.strerror}", way_out="Make room there; it must be writable."
        ) from exc


def remove(system: System, path: str, *, directory: bool = True) -> None:
    """Remove a file or a link, and the directory that it leaves empty."""
    full = system.path(path)
    try:
        os.unlink(full)
        _sync(os.path.dirname(full))
    except FileNotFoundError:
        pass
    except OSError as exc:
        why = f"{path} cannot be removed: {exc.strerror}"
        raise HotplugError("no_journal", why, way_out="It must be writable.") from exc
    if not directory:
        return
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(full))


def link(system: System, path: str, target: str) -> None:
    """Have a symbolic link, where there is none; its directory is made where it is missing (0755)."""
    full = system.path(path)
    try:
        os.makedirs(os.path.dirname(full), mode=0o755, exist_ok=True)
        if not os.path.islink(full):
            os.symlink(target, full)
            _sync(os.path.dirname(full))
    except OSError as exc:
        why = f"{path} cannot be made: {exc.strerror}"
        raise HotplugError("no_journal", why, way_out="Make room there; it must be writable.") from exc


def _sync(directory: str) -> None:
    """What a directory has is so after the power has failed, too."""
    with Directory(directory) as one:
        os.fsync(one.fd)
