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
import sys
import time
import typing as t

from .._apps.options import option_values
from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from .joinable import HELPER, Process, eal_preconditions, elsewhere, look, obstacle, wedged
from .releases import Release

if t.TYPE_CHECKING:
    import subprocess

    from .._apps.app import App
    from . import _child  # noqa: F401 - so that Ansible packs what the child process runs

# EAL's notices take a few KiB; the usage text of a refused option 6 KiB.
LOG_SIZE = 256 << 10
_LOG_SHOWN = 2000
_ANSWER_LIMIT = 4 << 20

# RTE_MAX_LCORE is 128 in distributions' builds and less in some for one SoC; the id must be no lcore of the primary's,
# as mempool caches are kept a lcore id (doc/guides/prog_guide/multi_proc_support.rst).
_LCORE_IDS = (127, 63, 31, 15)
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
        for one in eal_preconditions(self.app, devices, system=self.system):
            raise one

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
            raise obstacle(self.app, "unknown_release", "the application's release is not known")
        eal, ethdev = self.libraries or _names(process, release)
        user = {"uid": process.uid, "gid": process.gid, "groups": process.groups}
        return {
            "prefix": self.app.prefix,
            "runtime_dir": self.app.runtime_dir,
            "pid": self.app.pid,
            "release": list(release),
            "eal": eal,
            "ethdev": ethdev,
            "preload": [] if self.libraries else elsewhere(process),
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
            values = [value for value in option_values(self.app, option) if re.fullmatch(pattern, value)]
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
        return wedged(
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
        # It may outlive us, and what it does is read as it goes: run_command() waits for the end.
        self.process: subprocess.Popen[bytes] = subprocess.Popen(  # pylint: disable=ansible-bad-function
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            cwd="/",
            pass_fds=tuple(keep),
            start_new_session=True,
        )
        self._request = t.cast("t.IO[bytes]", self.process.stdin)
        self._answers = t.cast("t.IO[bytes]", self.process.stdout)
        self.pid = self.process.pid
        self.stage = ""

    def ask(self, request: Json) -> None:
        """Hand over the request and close the child's standard input."""
        try:
            with self._request as stream:
                stream.write(json.dumps(request).encode())
        except BrokenPipeError:
            pass  # it has ended already; answer() sees that

    def answer(self, limits: t.Mapping[str, float]) -> Json | None:
        """The answer; None when the child ended without one or a stage's limit (seconds) is over."""
        fd = self._answers.fileno()
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
        self._answers.close()
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
