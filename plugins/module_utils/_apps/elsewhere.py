# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._system import System
from .app import App
from .discovery import View, in_view
from .options import option_values

# EAL's interrupt thread, which every EAL process has (lib/eal/linux/eal_interrupts.c; since 23.11 "dpdk-").
_EAL_THREADS = (b"eal-intr-thread\n", b"dpdk-intr\n")


def find_elsewhere(
    system: System,
    apps: t.Sequence[App],
    runtime_dir: str,
    prefixes: t.Collection[str],
    seen: set[tuple[int, int]],
) -> list[App]:
    """The applications that our own file system does not show: those of other namespaces, and those without files."""
    eal = [pid for pid in system.pids() if _is_eal(system, pid)]
    found: list[App] = []
    for view in _views(system, eal):
        found += in_view(system, view, runtime_dir, prefixes, seen)
    if not runtime_dir:
        unlisted = _unlisted(system, eal, [*apps, *found])
        found += [app for app in unlisted if not prefixes or app.prefix in prefixes]
    return found


def _views(system: System, eal: t.Sequence[int]) -> list[View]:
    """Every mount namespace with a DPDK application, and ours once more where an application has its own network."""
    sockets = _sockets(system, eal)
    ours = system.link("/proc/self/ns/mnt")
    views = {ours: View("", sockets)}
    for pid in eal:
        views.setdefault(system.link(f"/proc/{pid}/ns/mnt") or ours, View(f"/proc/{pid}/root", sockets))
    return list(views.values())


def _is_eal(system: System, pid: int) -> bool:
    tasks = f"/proc/{pid}/task"
    try:
        # Each thread is a directory: two links more than threads (proc(5)); EAL has several threads.
        if os.stat(system.path(tasks)).st_nlink == 3:
            return False
    except OSError:
        return False
    return any(system.read(f"{tasks}/{task}/comm", 64) in _EAL_THREADS for task in system.names(tasks))


def _sockets(system: System, eal: t.Sequence[int]) -> str:
    """The unix sockets of every network namespace with a DPDK application."""
    tables = {system.link(f"/proc/{pid}/ns/net"): f"/proc/{pid}/net/unix" for pid in eal}
    return "\n".join(system.read(table, 1 << 24).decode("utf-8", "replace") for table in tables.values())


def _unlisted(system: System, eal: t.Sequence[int], apps: t.Sequence[App]) -> list[App]:
    """The EAL processes that no directory led to: started with neither shared files nor telemetry."""
    seen = {pid for app in apps for pid in (app.pid, *app.secondaries)}
    found = []
    for pid in eal:
        process = system.process(pid)
        if pid in seen or process is None:
            continue
        app = App("", "", "", pid, system.uid(pid), process.start_time, process.name, system.command(pid))
        if "secondary" in option_values(app, "--proc-type"):
            continue
        # grout starts EAL with neither files nor telemetry: its own name tells more than EAL's default.
        prefix = (option_values(app, "--file-prefix") or ["grout" if app.is_grout else "rte"])[-1]
        ours = os.geteuid() in (0, app.uid)
        why = "it serves no telemetry" if ours else "what it serves is not open to other users"
        found.append(app._replace(prefix=prefix, telemetry_error=why))
    return found
