# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""The channel ``eal``, seen from the module: a child process joins the application as a DPDK secondary and acts there.

No DPDK library is loaded here. A request holds any number of operations and costs one start of EAL.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import stat
import sys
import time
import typing as t

from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from .releases import Release

if t.TYPE_CHECKING:
    import subprocess

    from .._apps.app import App
    from . import _child  # noqa: F401 - so that Ansible packs what the child process runs

# What runs in the child: `python -m HELPER eal PREFIX`. The prefix is for people and for _left_alone().
HELPER = __name__.rpartition(".")[0] + "._child"
# EAL's notices take a few KiB; the usage text of a refused option 6 KiB.
LOG_SIZE = 256 << 10
_LOG_SHOWN = 2000
_ANSWER_LIMIT = 4 << 20

# The first release that was tried and read for this; the first that honours $RUNTIME_DIRECTORY.
_OLDEST = (20, 11)
_ANY_RUNTIME_DIR = (22, 3)
# RTE_MAX_LCORE is 128 in distributions' builds and less in some for one SoC; the id must be no lcore of the primary's,
# as mempool caches are kept a lcore id (doc/guides/prog_guide/multi_proc_support.rst).
_LCORE_IDS = (127, 63, 31, 15)
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
_VF_TOKEN = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Json = dict[str, t.Any]


class Operation(t.NamedTuple):
    """One thing for the child to do: ``op`` is 'attach', 'detach' or 'ports', which takes no device."""

    op: str
    device: Devargs = Devargs("", "")


class PortState(t.NamedTuple):
    """A port as a secondary sees it. ``owner``: empty for none; ``mtu`` in bytes; ``numa_node``: -1 for unknown."""

    port_id: int
    name: str
    mac: str
    mtu: int
    numa_node: int
    owner: str
    owner_id: int


class Result(t.NamedTuple):
    """What became of one operation. ``ms``: how long DPDK took for it."""

    operation: Operation
    ms: float
    error: HotplugError | None = None
    ports: tuple[PortState, ...] = ()


class Answer(t.NamedTuple):
    """``results`` has an entry for each operation up to the first that failed. ``init_ms``: what EAL's start took."""

    version: str
    init_ms: float
    results: tuple[Result, ...]


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
        return [_obstacle(app, "primary_gone", "the application is not running", "Start it.")]
    found = [*_place(app, system), *_sharing(app, system)]
    if not found:
        found = [*_library(app, look(app.pid, system), system), *_uio(app, devices, system)]
    return [*found, *_left_alone(app, system)]


def _obstacle(
    app: App, reason: str, message: str, way_out: str = "Use channel 'ipc'.", **fields: t.Any
) -> HotplugError:
    return HotplugError(reason, message, way_out=way_out, app=app.prefix, **fields)


def _place(app: App, system: System) -> t.Iterator[HotplugError]:
    """Whether a process of ours can be where the application is, as who it is."""
    if app.distrust:
        yield _obstacle(app, "foreign", app.distrust, "Check who made it; remove it or correct its owner and mode.")
    kinds = [
        kind for kind in ("mnt", "pid") if not _same(system, f"/proc/{app.pid}/ns/{kind}", f"/proc/self/ns/{kind}")
    ]
    if app.root or kinds or system.link(f"/proc/{app.pid}/root") not in ("", "/"):
        what = " and ".join({"mnt": "mount", "pid": "process"}[kind] for kind in kinds)
        yield _obstacle(
            app,
            "other_namespace",
            f"the application runs in a {what} namespace of its own"
            if what
            else "the application runs in another root",
            "Use channel 'ipc', or run this where the application runs.",
        )
    if os.geteuid() not in (0, app.uid):
        yield _obstacle(
            app, "not_permitted", f"the application belongs to user {app.uid}", "Run as that user or as root."
        )
    parent, name = os.path.split(app.runtime_dir)
    old = app.release is not None and app.release[:2] < _ANY_RUNTIME_DIR
    fixed = old and app.uid == 0 and not _same_file(system, app.runtime_dir, "/var/run/dpdk")
    if name != "dpdk" or not parent or fixed:
        yield _obstacle(
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
    if app.has_option("--in-memory", "--no-shconf") or not system.read(f"{directory}/config", 8):
        yield _obstacle(
            app,
            "no_shared_files",
            "the application shares no files (--in-memory or --no-shconf), so no secondary process can join it",
            "Start it without these options, or use the adapter for this kind of application.",
        )
        return
    pages = re.findall(_PAGE_FILE % re.escape(app.prefix), _maps(app.pid, system))
    if app.has_option("--no-huge") or not pages or not system.read(f"{directory}/hugepage_info", 1):
        yield _obstacle(
            app,
            "no_hugepages",
            "the application runs without hugepages, so its memory cannot be shared with a secondary",
        )
    elif pages[0].endswith(" (deleted)"):
        yield _obstacle(app, "no_hugepages", "the application has unlinked its hugepage files (--huge-unlink)")


def _library(app: App, process: Process, system: System) -> t.Iterator[HotplugError]:
    """Whether the child can run on the very libraries that the application runs on."""
    if app.release is None or app.release[:2] < _OLDEST:
        yield _obstacle(app, "unknown_release", f"the application's release is {app.release or 'not known'}")
    elif not process.eal:
        yield _obstacle(
            app, "static", "the application has DPDK linked into it; there is no shared library to join it with"
        )
    elif process.eal + " (deleted)" in _maps(app.pid, system):
        yield _obstacle(
            app,
            "other_release",
            f"{process.eal} was replaced since the application started",
            "Use channel 'ipc', or restart the application.",
        )
    else:
        for path in (process.eal, *_elsewhere(process)):
            why = _distrust(system.path(path), {0, os.geteuid(), process.uid})
            if why:
                yield _obstacle(app, "foreign", f"the application's library {path} is not trusted: {why}")
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


def _elsewhere(process: Process) -> list[str]:
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
            yield _obstacle(
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
            yield _wedged(
                app.prefix, pid, f"an earlier helper process (pid {pid}) has not come back from the application"
            )


def _wedged(prefix: str, pid: int, message: str) -> HotplugError:
    return HotplugError(
        "eal_wedged",
        message,
        way_out="Do not kill it: that can hang the application. If it stays, a lock in the application's memory is "
        "held for good (a secondary process was killed while it started), and only a restart of the application helps.",
        app=prefix,
        pid=pid,
    )


class EalChannel:
    """Attach, detach and look, as a DPDK secondary of ``app``. Every call but close() starts one child process.

    ``timeout``: seconds to wait for EAL's start, and again for each operation. ``keep``: descriptors that the child
    inherits: with that of the lock on the prefix the lock stands as long as the child acts, even if we are gone.
    ``libraries``: those of EAL and ethdev, instead of the ones that the application runs on.
    """

    def __init__(
        self,
        app: App,
        *,
        timeout: float = 30.0,
        keep: t.Sequence[int] = (),
        system: System | None = None,
        libraries: tuple[str, str] | None = None,
        python: str = "",
    ) -> None:
        self.app = app
        self.timeout = timeout
        self.keep = tuple(keep)
        self.system = system or System()
        self.libraries = libraries
        self.python = python or sys.executable

    def precheck(self, devices: t.Iterable[Devargs] = ()) -> None:
        """Raises the first of eal_preconditions()."""
        for obstacle in eal_preconditions(self.app, devices, system=self.system):
            raise obstacle

    def attach(self, device: Devargs) -> None:
        """rte_eal_hotplug_add() in a secondary. Raises what run() and Eal.hotplug_add() raise.

        An attach of what is attached already passes as well.
        """
        self._one(Operation("attach", device))

    def detach(self, device: Devargs) -> None:
        """rte_eal_hotplug_remove() in a secondary. Raises what run() and Eal.hotplug_remove() raise."""
        self._one(Operation("detach", device))

    def ports(self) -> tuple[PortState, ...]:
        """Every port of the application, owned ones too."""
        return self._one(Operation("ports")).ports

    def _one(self, operation: Operation) -> Result:
        result = self.run([operation]).results[0]
        if result.error is not None:
            raise result.error
        return result

    def run(self, operations: t.Sequence[Operation]) -> Answer:
        """Have one child do these, in order, up to the first that fails; that one's error is in its result.

        Raises HotplugError: ``other_release``, ``no_library``, ``not_ready`` (nothing was started), ``eal_failed``
        (EAL refused to start or ended the child), ``eal_wedged`` (EAL's start does not come back; the child, whose
        ``pid`` is a field, is left alone), ``timeout`` (an operation does not, the outcome is unknown).
        """
        request = self._request(operations)
        child = _Child(self._command(), self._environment(), self.keep)
        try:
            child.ask(request)
            return self._outcome(child, operations)
        finally:
            child.close()

    def _outcome(self, child: _Child, operations: t.Sequence[Operation]) -> Answer:
        limits = {"": self.timeout, "init": self.timeout, "ready": self.timeout * max(1, len(operations))}
        line = child.answer(limits)
        if line is None:
            raise self._silent(child)
        if "error" in line:
            raise _rebuilt(line["error"], child.log())
        return _answer(line, operations, child.log())

    def _command(self) -> list[str]:
        return [self.python, "-s", "-B", "-m", HELPER, "eal", self.app.prefix]

    def _environment(self) -> dict[str, str]:
        package = __file__.rpartition("/ansible_collections/")[0]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "PYTHON", "RTE_"))}
        parent = os.path.dirname(self.app.runtime_dir)
        return {
            **kept,
            "PYTHONPATH": package,
            "RUNTIME_DIRECTORY": parent,
            "XDG_RUNTIME_DIR": parent,
            "LC_ALL": "C.UTF-8",
        }

    def _request(self, operations: t.Sequence[Operation]) -> Json:
        process = look(self.app.pid, self.system)
        release = self.app.release
        if release is None:
            raise _obstacle(self.app, "unknown_release", "the application's release is not known")
        eal, ethdev = self.libraries or _names(process, release)
        user = {"uid": process.uid, "gid": process.gid, "groups": process.groups}
        return {
            "prefix": self.app.prefix,
            "runtime_dir": self.app.runtime_dir,
            "pid": self.app.pid,
            "release": list(release),
            "eal": eal,
            "ethdev": ethdev,
            "preload": [] if self.libraries else _elsewhere(process),
            "user": user if os.geteuid() == 0 and process.uid > 0 else None,
            "lcores": _lcores(process),
            "options": self._options(operations),
            "operations": [_wire(operation) for operation in operations],
        }

    def _options(self, operations: t.Sequence[Operation]) -> Json:
        """EAL's options: the PCI devices concerned alone (all, to read the ports), and what has to agree.

        A secondary probes every virtual device of the primary's by itself; given with -a it would make a second one.
        """
        options: Json = {}
        if not any(operation.op == "ports" for operation in operations):
            pci = [operation.device for operation in operations if operation.device.bus == "pci"]
            options["allow"] = sorted({device.text for device in pci})
        for name, option, pattern in (
            ("iova_mode", "--iova-mode", r"pa|va"),
            ("vf_token", "--vfio-vf-token", _VF_TOKEN),
        ):
            values = [value for value in self.app.option_values(option) if re.fullmatch(pattern, value)]
            options.update({name: values[-1]} if values else {})
        return options

    def _silent(self, child: _Child) -> HotplugError:
        """Why a child gave no answer."""
        if child.ended():
            log = child.log()
            return HotplugError(
                "eal_failed",
                f"the helper process ended in stage '{child.stage or 'start'}' with {child.ended()}: "
                + (log.rpartition("\n")[2] or "it printed nothing"),
                way_out="Look at the ports: an operation may have been done." if child.stage == "ready" else "",
                app=self.app.prefix,
                log=log,
            )
        if child.stage == "ready":
            return HotplugError(
                "timeout",
                f"the helper process (pid {child.pid}) has not finished within the time limit",
                way_out="Whether it acted is not known from this; look at the ports. It is left to finish.",
                app=self.app.prefix,
                pid=child.pid,
            )
        return _wedged(
            self.app.prefix,
            child.pid,
            f"DPDK has not started in the helper process (pid {child.pid}) in {self.timeout:.0f} s",
        )

    def close(self) -> None:
        """Nothing is held between calls."""


def _names(process: Process, release: Release) -> tuple[str, str]:
    """The libraries of EAL and ethdev: the very files that the application has, else the release's SONAMEs."""
    # ABI_VERSION: the year's, or the next one's from November on
    abi = process.abi or release.year + (release.month == 11)
    ethdev = next((path for path in process.libraries if "/librte_ethdev.so." in path), "")
    return process.eal or f"librte_eal.so.{abi}", ethdev or f"librte_ethdev.so.{abi}"


def _lcores(process: Process) -> list[str]:
    """The one lcore, free to run where the application does not poll: beside a real-time poller it would starve."""
    cpus = ",".join(str(cpu) for cpu in process.cpus)
    return [f"{lcore}@({cpus})" for lcore in _LCORE_IDS if lcore not in process.lcores]


def _wire(operation: Operation) -> Json:
    device = operation.device
    return {"op": operation.op, "bus": device.bus, "name": device.name, "args": device.args}


def _answer(line: Json, operations: t.Sequence[Operation], log: str) -> Answer:
    results: list[Result] = []
    for operation, result in zip(operations, line["results"]):
        error = _rebuilt(result["error"], log) if "error" in result else None
        ports = tuple(PortState(**port) for port in result.get("value") or ())
        results.append(Result(operation, float(result["ms"]), error, ports))
    return Answer(str(line["version"]), float(line["init_ms"]), tuple(results))


def _rebuilt(fields: Json, log: str) -> HotplugError:
    """The error that the child raised, with the end of what EAL printed."""
    reason, message = str(fields.pop("reason")), str(fields.pop("message"))
    return HotplugError(reason, message, **{**({"log": log} if log else {}), **fields})


class _Child:
    """The process. It has a session of its own, which no terminal's or group's signal reaches, and is never killed."""

    # those that we gave up waiting for, kept from Popen's clean-up
    left: t.ClassVar[list[t.Any]] = []

    def __init__(self, command: list[str], environment: dict[str, str], keep: t.Sequence[int]) -> None:
        import subprocess

        self._log = _log_file()
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            cwd="/",
            pass_fds=tuple(keep),
            start_new_session=True,
        )
        self.pid = self.process.pid
        self.stage = ""

    def ask(self, request: Json) -> None:
        """Hand over the request and close the child's standard input."""
        assert self.process.stdin is not None
        try:
            with self.process.stdin as stream:
                stream.write(json.dumps(request).encode())
        except BrokenPipeError:
            pass  # it has ended already; answer() sees that

    def answer(self, limits: t.Mapping[str, float]) -> Json | None:
        """The answer; None when the child ended without one or a stage's limit (seconds) is over."""
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        end = time.monotonic() + limits[""]
        data = b""
        while len(data) < _ANSWER_LIMIT:
            if not select.select([fd], [], [], max(0.0, end - time.monotonic()))[0]:
                self.left.append(self.process)
                return None
            part = os.read(fd, 1 << 16)
            if not part:
                break
            *lines, data = (data + part).split(b"\n")
            for line in map(json.loads, lines):
                if "stage" not in line:
                    self.process.wait()
                    return t.cast(Json, line)
                self.stage = line["stage"]
                end = time.monotonic() + limits[self.stage]
        self.process.wait()
        return None

    def ended(self) -> str:
        """How the process ended, empty while it lives."""
        code = self.process.poll()
        if code is None:
            return ""
        return f"signal {-code}" if code < 0 else f"status {code}"

    def close(self) -> None:
        """Let go of our ends; a child that still acts is not disturbed by that."""
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self._log)

    def log(self) -> str:
        """The end of what EAL and its drivers printed."""
        text = os.pread(self._log, LOG_SIZE, 0).rstrip(b"\0").decode("utf-8", "replace")
        return text.strip()[-_LOG_SHOWN:]


def _log_file() -> int:
    """Memory of a fixed size for the child's output: it cannot block the child, as a full pipe does, nor grow."""
    fd = os.memfd_create("dpdk-hotplug-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, LOG_SIZE)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd
