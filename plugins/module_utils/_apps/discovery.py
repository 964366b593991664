# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import fcntl
import os
import re
import struct
import typing as t

from .._binding import releases
from .._binding.telemetry import Telemetry
from .._errors import HotplugError
from .._system import Directory, System
from .app import App

_SOCKET_DIR = re.compile(r"(/\S*/dpdk)/[^/\s]+/(?:dpdk_telemetry\.v2(?::\d+)?|mp_socket)")
# eal_mp_socket_path() and open_socket_fd() (lib/eal/common/eal_common_proc.c): mp_socket_<pid>_<tsc>.
_SECONDARY = re.compile(r"mp_socket_(\d{1,10})_[0-9a-f]+")
_TELEMETRY = re.compile(r"dpdk_telemetry\.v2(?::\d+)?")
# struct flock of fcntl(2), with a write lock over the whole file, as lockf(fd, F_TEST, 0) asks.
_FLOCK = struct.Struct("hhqqi4x")
_PREFIX = re.compile(r"[A-Za-z0-9_.+:@-]{1,64}")


def check_prefix(prefix: str) -> str:
    """The file prefix, refused when it could be more than the name of a directory entry."""
    if not _PREFIX.fullmatch(prefix) or prefix in (".", ".."):
        from .._state.refusals import bad_prefix

        raise bad_prefix(prefix)
    return prefix


def runtime_dirs(system: System, sockets: str) -> list[str]:
    """Where EAL puts its runtime directories: the standard places, and those of living sockets.

    Source: eal_create_runtime_dir() (lib/eal/unix/eal_filesystem.c): $RUNTIME_DIRECTORY, /var/run for root,
    $XDG_RUNTIME_DIR, /tmp.
    """
    places = ["/var/run/dpdk", "/tmp/dpdk"]
    places += [f"/run/user/{name}/dpdk" for name in system.names("/run/user")]
    places += [f"/run/{name}/dpdk" for name in system.names("/run")]
    # Below /proc/PID/root, a link /var/run to /run leads back to ours.
    places.append("/run/dpdk")
    return places + [match.group(1) for match in _SOCKET_DIR.finditer(sockets)]


def _unseen(system: System, places: t.Iterable[str], seen: set[tuple[int, int]]) -> list[str]:
    """Those that are there, each once, by device and inode: there are links, and mount namespaces share directories."""
    real = []
    for place in places:
        try:
            status = os.stat(system.path(place), follow_symlinks=True)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            real.append(place)
    return real


class View(t.NamedTuple):
    """The file system as one mount namespace shows it: from /proc/PID/root of a process in it, "" for our own."""

    root: str
    sockets: str


def find(system: System, *, runtime_dir: str = "", prefixes: t.Collection[str] = ()) -> list[App]:
    """Every DPDK application on the host, dead ones' leftovers too, by directory and prefix.

    Where ``runtime_dir`` is given, only those below it. Where ``prefixes`` are, only these; and other namespaces are
    looked at only for those that do not run in ours. Nothing is changed, and no application is trusted: who holds a
    file or a socket is what the kernel says.
    """
    seen: set[tuple[int, int]] = set()
    ours = View("", system.read("/proc/self/net/unix", 1 << 24).decode("utf-8", "replace"))
    apps = in_view(system, ours, runtime_dir, prefixes, seen)
    if not prefixes or set(prefixes) - {app.prefix for app in apps if app.running}:
        from .elsewhere import find_elsewhere

        apps += find_elsewhere(system, apps, runtime_dir, prefixes, seen)
    return sorted(apps, key=lambda app: (app.runtime_dir, app.prefix, not app.running, app.pid))


def in_view(
    system: System, view: View, runtime_dir: str, prefixes: t.Collection[str], seen: set[tuple[int, int]]
) -> list[App]:
    """What one mount namespace shows, of directories that were not ``seen`` from another."""
    inside = System(system.root + view.root)
    places = [runtime_dir] if runtime_dir else runtime_dirs(inside, view.sockets)
    return [app for place in _unseen(inside, places, seen) for app in _below(system, view, place, prefixes)]


def _below(system: System, view: View, place: str, prefixes: t.Collection[str]) -> list[App]:
    try:
        with Directory(system.path(view.root + place)) as above:
            names = [name for name in above.names() if _PREFIX.fullmatch(name) and (not prefixes or name in prefixes)]
            if len(names) == 1:
                return _in(system, view, place, names[0], above)
            from .._threads import side_by_side

            found = side_by_side(lambda name: _in(system, view, place, name, above), names)
            return [app for apps in found for app in apps]
    except HotplugError as error:
        if error.reason == "unreadable":
            return []
        return [App("", place, view.root, distrust=error.message)]


def _in(system: System, view: View, place: str, prefix: str, above: Directory) -> list[App]:
    app = App(prefix, place, view.root)
    try:
        with Directory(prefix, parent=above) as directory:
            names = directory.names()
            app = app._replace(
                mp_socket="mp_socket" in names and directory.is_socket("mp_socket"),
                secondaries=tuple(int(match.group(1)) for match in map(_SECONDARY.fullmatch, names) if match),
            )
            owner, release = _config(directory) if "config" in names else (0, None)
            served = [_ask(directory, name, app) for name in names if _TELEMETRY.fullmatch(name)]
            return [_describe(system, found, directory, above) for found in _combined(app, owner, release, served)]
    except HotplugError as error:
        return [] if error.reason == "unreadable" else [app._replace(distrust=error.message)]


def _config(directory: Directory) -> tuple[int, releases.Release | None]:
    """(pid of the living primary or 0, release) by a ``config`` file. It outlives its primary, the lock does not."""
    try:
        fd = directory.open("config")
    except OSError:
        return 0, None
    try:
        return _lock_owner(fd), releases.of_config(os.read(fd, 8))
    except OSError:  # a directory, a FIFO: not EAL's
        return 0, None
    finally:
        os.close(fd)


def _lock_owner(fd: int) -> int:
    answer = fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    kind, _whence, _start, _length, pid = _FLOCK.unpack(answer)
    return 0 if kind == fcntl.F_UNLCK else int(pid)


def _ask(directory: Directory, name: str, app: App) -> App:
    """The application behind a telemetry socket; pid 0 when nobody serves it."""
    app = app._replace(telemetry=name)
    try:
        with Telemetry(directory, name) as session:
            app = app._replace(pid=session.peer_pid, version=session.version, release=releases.parse(session.version))
            (params,) = session.ask("/eal/params")
    except HotplugError as error:
        return app._replace(telemetry_error=error.message)
    words = (
        tuple(str(word).encode("utf-8", "replace").decode() for word in params) if isinstance(params, list) else None
    )
    return app._replace(eal_params=words)


def _combined(app: App, owner: int, release: releases.Release | None, served: list[App]) -> list[App]:
    """The applications of one directory."""
    if owner and [one.pid for one in served] == [owner] and served[0].release == release:
        return [served[0]._replace(shared=True)]
    from .neighbours import combined

    return combined(app, owner, release, served)


def _describe(system: System, app: App, directory: Directory, above: Directory) -> App:
    if not app.running:
        return app._replace(mp_socket=False, telemetry="", telemetry_error="", secondaries=())
    process = system.process(app.pid)
    if process is None:
        return app._replace(pid=0)
    uid = system.uid(app.pid)
    if app.telemetry_error and process.state in "Tt":
        app = app._replace(telemetry_error="the process is stopped")
    return app._replace(
        uid=uid,
        start_time=process.start_time,
        name=process.name,
        command=system.command(app.pid),
        version=app.version or (f"DPDK {app.release}" if app.release else ""),
        mp_socket=app.mp_socket and app.shared,
        secondaries=tuple(pid for pid in app.secondaries if system.process(pid)) if app.shared else (),
        distrust=above.distrust(uid) or directory.distrust(uid),
    )
