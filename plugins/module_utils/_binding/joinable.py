# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""Whether a DPDK secondary process of ours could join an application: read from /proc and /sys, nothing is loaded."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from .._apps.options import has_option
from .._devices import Devargs
from .._errors import HotplugError
from .._system import System

if t.TYPE_CHECKING:
    from .._apps.app import App

# What runs in the child: `python -m HELPER eal PREFIX`. The prefix is for people and for _left_alone().
HELPER = __name__.rpartition(".")[0] + "._child"
# The first release that was tried and read for this; the first that honours $RUNTIME_DIRECTORY.
_OLDEST = (20, 11)
_ANY_RUNTIME_DIR = (22, 3)
_MAX_CPUS = 8
# What EAL calls the threads of its lcores: lcore-worker-N, rte-worker-N, dpdk-workerN (lib/eal/linux/eal.c).
_WORKER = re.compile(rb"(?:lcore-worker-|rte-worker-|dpdk-worker)(\d+)\n?")
_EAL_LIBRARY = re.compile(r"/\S*/librte_eal\.so\.(\d+)[0-9.]*")
_ANY_LIBRARY = re.compile(r"/\S*/librte_\w+\.so\.[0-9.]+")
# HUGEFILE_FMT (lib/eal/common/eal_filesystem.h): <hugetlbfs>/<prefix>map_<n>
_PAGE_FILE = r"/\S*/%smap_\d+(?: \(deleted\))?"
# The socket of a secondary: mp_socket_<pid>_<tsc> (open_socket_fd(), lib/eal/common/eal_common_proc.c).
_SECONDARY = re.compile(r"mp_socket_(\d{1,10})_[0-9a-f]+")
_SYSTEM_DIRS = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")


class Process(t.NamedTuple):
    """What the primary's process tells of itself: its libraries, its user, and CPUs that it does not poll on."""

    libraries: tuple[str, ...]
    eal: str
    abi: int
    uid: int
    gid: int
    groups: tuple[int, ...]
    cpus: tuple[int, ...]
    lcores: tuple[int, ...]


def look(pid: int, system: System) -> Process:
    """The process as /proc shows it. Nothing is loaded and nothing asked of it."""
    mapped = sorted(set(_ANY_LIBRARY.findall(_maps(pid, system))))
    eal = next((path for path in mapped if _EAL_LIBRARY.fullmatch(path)), "")
    match = _EAL_LIBRARY.fullmatch(eal)
    status = _status(system.read(f"/proc/{pid}/status"))
    polled, lcores = _polled(pid, system)
    free = tuple(sorted(os.sched_getaffinity(0) - polled)) or tuple(sorted(os.sched_getaffinity(0)))
    return Process(
        tuple(mapped),
        eal,
        int(match.group(1)) if match else 0,
        _effective(status.get("Uid", "")),
        _effective(status.get("Gid", "")),
        tuple(int(group) for group in status.get("Groups", "").split()),
        free[:_MAX_CPUS],
        lcores,
    )


def _maps(pid: int, system: System) -> str:
    return system.read(f"/proc/{pid}/maps", 8 << 20).decode("utf-8", "surrogateescape")


def _status(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode("ascii", "replace").splitlines())
    return {name: value.strip() for name, _colon, value in lines}


def _effective(ids: str) -> int:
    """The second of the four in proc(5)'s Uid and Gid; -1 for none."""
    return int(ids.split()[1]) if ids else -1


def _polled(pid: int, system: System) -> tuple[set[int], tuple[int, ...]]:
    """The CPUs that worker lcores of the application are pinned to, and the ids of these lcores."""
    cpus: set[int] = set()
    ids: list[int] = []
    for task in system.names(f"/proc/{pid}/task"):
        match = _WORKER.fullmatch(system.read(f"/proc/{pid}/task/{task}/comm"))
        if match:
            ids.append(int(match.group(1)))
            status = _status(system.read(f"/proc/{pid}/task/{task}/status"))
            cpus |= _cpu_list(status.get("Cpus_allowed_list", ""))
    return cpus, tuple(sorted(ids))


def _cpu_list(text: str) -> set[int]:
    """``0-2,5`` as a set. Source: cpuset(7), list format."""
    cpus: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _dash, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return cpus


def eal_preconditions(
    app: App, devices: t.Iterable[Devargs] = (), *, system: System | None = None
) -> list[HotplugError]:
    """Every reason why the channel ``eal`` cannot be used on ``app`` (and these devices); none where it can.

    It reads /proc, /sys and the application's directory, loads nothing, asks nobody and changes nothing.
    """
    system = system or System()
    process = system.process(app.pid) if app.running else None
    if process is None or process.state in "ZX" or app.start_time not in (0, process.start_time):
        return [obstacle(app, "primary_gone", "the application is not running", "Start it.")]
    found = [*_place(app, system), *_sharing(app, system)]
    if not found:
        found = [*_library(app, look(app.pid, system), system), *_uio(app, devices, system)]
    return [*found, *_left_alone(app, system)]


def obstacle(app: App, reason: str, message: str, way_out: str = "Use channel 'ipc'.", **fields: t.Any) -> HotplugError:
    return HotplugError(reason, message, way_out=way_out, app=app.prefix, **fields)


def _place(app: App, system: System) -> t.Iterator[HotplugError]:
    """Whether a process of ours can be where the application is, as who it is."""
    if app.distrust:
        yield obstacle(app, "foreign", app.distrust, "Check who made it; remove it or correct its owner and mode.")
    kinds = [
        kind for kind in ("mnt", "pid") if not _same(system, f"/proc/{app.pid}/ns/{kind}", f"/proc/self/ns/{kind}")
    ]
    if app.root or kinds or system.link(f"/proc/{app.pid}/root") not in ("", "/"):
        what = " and ".join({"mnt": "mount", "pid": "process"}[kind] for kind in kinds)
        yield obstacle(
            app,
            "other_namespace",
            f"the application runs in a {what} namespace of its own"
            if what
            else "the application runs in another root",
            "Use channel 'ipc', or run this where the application runs.",
        )
    if os.geteuid() not in (0, app.uid):
        yield obstacle(
            app, "not_permitted", f"the application belongs to user {app.uid}", "Run as that user or as root."
        )
    parent, name = os.path.split(app.runtime_dir)
    old = app.release is not None and app.release[:2] < _ANY_RUNTIME_DIR
    fixed = old and app.uid == 0 and not _same_file(system, app.runtime_dir, "/var/run/dpdk")
    if name != "dpdk" or not parent or fixed:
        yield obstacle(
            app, "not_supported", f"a secondary process of this release cannot be told to look in {app.runtime_dir}"
        )


def _same(system: System, one: str, other: str) -> bool:
    return system.link(one) == system.link(other)


def _same_file(system: System, one: str, other: str) -> bool:
    try:
        return os.path.samefile(system.path(one), system.path(other))
    except OSError:
        return False


def _sharing(app: App, system: System) -> t.Iterator[HotplugError]:
    """Whether the application shares its memory with secondaries at all."""
    directory = f"{app.runtime_dir}/{app.prefix}"
    if has_option(app, "--in-memory", "--no-shconf") or not system.read(f"{directory}/config", 8):
        yield obstacle(
            app,
            "no_shared_files",
            "the application shares no files (--in-memory or --no-shconf), so no secondary process can join it",
            "Start it without these options, or use the adapter for this kind of application.",
        )
        return
    # The maps of a process with many drivers are long: they are read where nothing else tells.
    without = has_option(app, "--no-huge") or not system.read(f"{directory}/hugepage_info", 1)
    pages = [] if without else re.findall(_PAGE_FILE % re.escape(app.prefix), _maps(app.pid, system))
    if not pages:
        yield obstacle(
            app,
            "no_hugepages",
            "the application runs without hugepages, so its memory cannot be shared with a secondary",
        )
    elif pages[0].endswith(" (deleted)"):
        yield obstacle(app, "no_hugepages", "the application has unlinked its hugepage files (--huge-unlink)")


def _library(app: App, process: Process, system: System) -> t.Iterator[HotplugError]:
    """Whether the child can run on the very libraries that the application runs on."""
    if app.release is None or app.release[:2] < _OLDEST:
        yield obstacle(app, "unknown_release", f"the application's release is {app.release or 'not known'}")
    elif not process.eal:
        yield obstacle(
            app, "static", "the application has DPDK linked into it; there is no shared library to join it with"
        )
    elif process.eal + " (deleted)" in _maps(app.pid, system):
        yield obstacle(
            app,
            "other_release",
            f"{process.eal} was replaced since the application started",
            "Use channel 'ipc', or restart the application.",
        )
    else:
        for path in (process.eal, *elsewhere(process)):
            why = _distrust(system.path(path), {0, os.geteuid(), process.uid})
            if why:
                yield obstacle(app, "foreign", f"the application's library {path} is not trusted: {why}")
                break


def _distrust(path: str, owners: set[int]) -> str:
    """Why a file, or what leads to it, may have been put there by somebody else; empty where it may not."""
    path = os.path.realpath(path)
    while True:
        try:
            status = os.stat(path)
        except OSError as exc:
            return f"{path}: {exc.strerror}"
        if status.st_uid not in owners:
            return f"{path} belongs to user {status.st_uid}"
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            return f"everybody may write to {path}"
        if path == os.path.dirname(path):
            return ""
        path = os.path.dirname(path)


def elsewhere(process: Process) -> list[str]:
    """The application's DPDK libraries and drivers that are not where the linker finds them by itself."""
    return [path for path in process.libraries if not path.startswith(tuple(f"{top}/" for top in _SYSTEM_DIRS))]


def _uio(app: App, devices: t.Iterable[Devargs], system: System) -> t.Iterator[HotplugError]:
    """uio_pci_generic turns off a device's bus mastering when any process that opened it ends."""
    drivers = {device.name: f"/sys/bus/pci/devices/{device.name}/driver" for device in devices if device.bus == "pci"}
    for fd in system.names(f"/proc/{app.pid}/fd"):
        node = system.link(f"/proc/{app.pid}/fd/{fd}")
        if re.fullmatch(r"/dev/uio\d+", node):
            drivers[node] = f"/sys/class/uio/{os.path.basename(node)}/device/driver"
    for name, driver in drivers.items():
        if os.path.basename(system.link(driver)) == "uio_pci_generic":
            yield obstacle(
                app,
                "uio_pci_generic",
                f"{name} is on uio_pci_generic: the end of a secondary process would stop its DMA",
                "Use channel 'ipc', or bind the device to vfio-pci.",
            )


def _left_alone(app: App, system: System) -> t.Iterator[HotplugError]:
    """A child of an earlier request that has not come back: a further one would hang as it does."""
    for name in system.names(f"{app.runtime_dir}/{app.prefix}"):
        match = _SECONDARY.fullmatch(name)
        if match and system.command(int(match.group(1)))[-3:] == (HELPER, "eal", app.prefix):
            pid = int(match.group(1))
            yield wedged(
                app.prefix, pid, f"an earlier helper process (pid {pid}) has not come back from the application"
            )


def wedged(prefix: str, pid: int, message: str) -> HotplugError:
    return HotplugError(
        "eal_wedged",
        message,
        way_out="Do not kill it: that can hang the application. If it stays, a lock in the application's memory is "
        "held for good (a secondary process was killed while it started), and only a restart of the application helps.",
        app=prefix,
        pid=pid,
    )
