# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import time
import typing as t

from .._binding import releases
from .._devices import Devargs
from .._errors import HotplugError
from .._system import Directory, System
from .app import App, Reach

if t.TYPE_CHECKING:
    from .._binding.eal_channel import EalChannel
    from .._binding.ipc import Primary

VERBS = ("attach", "detach")
# MP_TIMEOUT_S is 5 (lib/eal/common/hotplug_mp.c), for the request and again for its rollback on secondaries: an answer
# may take 10 s and more.
_ANSWER = 20.0
_SETTLE = 15.0
_PING = 3.0
# A process in one of these states does not answer (proc(5)): stopped, traced, dead.
_SILENT_STATES = {"T": "stopped", "t": "traced", "Z": "dead but not reaped", "X": "dead"}

# errno values as DPDK gives them, with what they were seen to mean (attach: lib/eal/common/eal_common_dev.c).
_ATTACH = {
    -1: ("bad_devargs", "its driver refuses it", "Check its arguments; the application's log says more."),
    -2: ("no_such_device", "there is no such device", "Check its name."),
    -12: (
        "no_memory",
        "no memory or no free port slot",
        "An application has 32 port slots unless it was built otherwise.",
    ),
    -14: (
        "unknown_driver",
        "the application has no driver or bus of that name",
        "Check the name; load the driver (-d).",
    ),
    -17: ("exists", "it is attached already, or half of it is", "Look at the application's log."),
    -19: ("no_such_device", "there is no such device on its bus", "Check the address, and that it was not pulled out."),
    -22: ("bad_devargs", "its arguments are not valid", "Check them against the driver's documentation."),
    -95: (
        "not_supported",
        "no driver of the application takes it",
        "Bind it to vfio-pci first, and load its driver (-d).",
    ),
}
_DETACH = {
    -2: ("no_such_device", "the application does not know it", "It was detached meanwhile."),
    -16: ("busy", "it is in use", "Stop and close what uses it."),
    -19: ("no_such_device", "the application does not know it", "It was detached meanwhile."),
    -95: ("not_supported", "its driver or bus cannot detach", "It stays until the application is restarted."),
}
# -ENOMSG: a secondary did not follow, and the primary takes the attach back.
_NO_MESSAGE = -42


def reach(app: App, system: System) -> t.Iterator[Reach]:
    """Whether each channel reaches the application, the preferred one first."""
    common = _unreachable(app)
    why = common or _no_ipc(app)
    yield Reach("multiprocess", "ipc", not why, why, VERBS)
    why = common or _no_eal(app, system)
    yield Reach("multiprocess", "eal", not why, why, VERBS)


def _unreachable(app: App) -> str:
    if not app.running:
        return "it is not running"
    if app.distrust:
        return app.distrust
    if not app.shared:
        return (
            "it has no shared files: it was started with --in-memory or --no-shconf, or serves its telemetry elsewhere"
        )
    if app.root:
        return f"it runs in a mount namespace of its own (pid {app.pid}): run the play in its container"
    if os.geteuid() not in (0, app.uid):
        return f"it runs as user {app.uid}, this as user {os.geteuid()}: become that user or root"
    return ""


def _no_ipc(app: App) -> str:
    if not app.mp_socket:
        return "it has no multi-process socket"
    if app.release is None:
        return "its release is not known: its config file is not complete"
    facts = releases.facts(app.release)
    if facts is None:
        return f"the message layout of DPDK {app.release} is not known ({', '.join(releases.known())} are)"
    return _no_ports(app)


def _no_ports(app: App) -> str:
    """Why its ports cannot be read. Without them nothing is changed: a started port could not be told."""
    facts = releases.facts(app.release) if app.release else None
    if app.telemetry_error:
        return f"its ports cannot be read: {app.telemetry_error}"
    if facts is not None and not facts.port_info:
        return f"telemetry of DPDK {app.release} tells nothing of ports (21.11 and later do)"
    return ""


def _no_eal(app: App, system: System) -> str:
    from .._binding.eal_channel import eal_preconditions

    return "; ".join(error.message for error in eal_preconditions(app, system=system)) or _no_ports(app)


class Multiprocess:
    """Any primary with shared files, through the EAL's own multi-process requests."""

    name = "multiprocess"
    verbs = frozenset(VERBS)

    def __init__(self, app: App, channel: str, system: System, *, timeout: float) -> None:
        self.channel = channel
        self._app = app
        self._system = system
        self._above = Directory(app.runtime_dir)
        self._directory = Directory(app.prefix, parent=self._above)
        self._answer = max(_ANSWER, timeout)
        self._primary = self._ipc()
        self._eal = self._eal_channel() if channel == "eal" else None

    def _ipc(self) -> Primary | None:
        """The primary's socket, also beside the channel eal: to look at the secondaries, where the layout is known."""
        from .._binding.ipc import Primary

        release = self._app.release
        if release is None or releases.facts(release) is None:
            return None
        return Primary(self._directory, release, pid=self._app.pid, uid=self._app.uid)

    def _eal_channel(self) -> EalChannel:
        from .._binding.eal_channel import EalChannel

        return EalChannel(self._app, timeout=self._answer, system=self._system)

    def precheck(self) -> None:
        if self._primary is None:
            return
        if not self._primary.ping(timeout=_PING):
            raise HotplugError(
                "primary_stuck",
                f"application '{self._app.prefix}' (pid {self._app.pid}) does not answer multi-process requests",
                way_out="It is stopped or hung, or its multi-process thread has ended: nothing was changed. Restart it.",
            )
        self._primary.sweep()
        for name in self._primary.secondaries():
            self._check_secondary(self._primary, name)

    def _check_secondary(self, primary: Primary, name: str) -> None:
        pid = int(name.split("_")[2]) if name.split("_")[2].isdigit() else 0
        process = self._system.process(pid)
        silent = process is not None and process.state in _SILENT_STATES
        if not primary.listens(name):  # the leftover of a dead secondary
            return
        try:
            if not silent and primary.ping(name, timeout=_PING):
                return
        except HotplugError as error:
            if error.reason == "primary_gone":  # it ended this moment
                return
            raise
        state = _SILENT_STATES.get(process.state, "hung") if process else "hung"
        raise HotplugError(
            "secondary_stuck",
            f"secondary process {pid} ({process.name if process else name}) of application '{self._app.prefix}' is {state}",
            way_out="DPDK would fail the request after 5 s and then remove the port, a live one too: nothing was changed. "
            "Continue or end that process.",
            secondary=pid,
        )

    def attach(self, device: Devargs) -> None:
        if self._eal is not None:
            self._eal.attach(device)
        else:
            self._judge(self._known().attach(device.wire, timeout=self._answer), device, "attach", _ATTACH)

    def detach(self, device: Devargs, port_ids: t.Sequence[int]) -> None:
        if self._eal is not None:
            self._eal.detach(device)
        else:
            self._judge(self._known().detach(device.bare.wire, timeout=self._answer), device, "detach", _DETACH)

    def _known(self) -> Primary:
        if self._primary is None:
            raise HotplugError("unknown_release", _no_ipc(self._app))
        return self._primary

    def _judge(self, result: int, device: Devargs, verb: str, meanings: dict[int, tuple[str, str, str]]) -> None:
        if result == 0:
            return
        if result == _NO_MESSAGE:
            raise HotplugError(
                "secondary_failed",
                f"device '{device.text}' could not be {verb}ed in a secondary process of the application",
                way_out="DPDK takes the request back in all of them; look at the logs of the secondaries.",
                errno=result,
            )
        reason, what, way_out = meanings.get(result, ("failed", "DPDK refuses", "Look at the application's log."))
        raise HotplugError(
            reason,
            f"cannot {verb} device '{device.text}' (bus {device.bus}): {what} ({os.strerror(-result)}, {result})",
            way_out=way_out,
            device=device.text,
            errno=result,
        )

    def start(self, port_id: int) -> None:
        raise HotplugError("not_supported", "the adapter multiprocess cannot start a port")

    def stop(self, port_id: int) -> None:
        raise HotplugError("not_supported", "the adapter multiprocess cannot stop a port")

    def settle(self) -> bool:
        # Requests are worked off in order: an answer to this one says that all before it are over.
        if self._primary is not None:
            return self._primary.ping(timeout=_SETTLE)
        time.sleep(_SETTLE)
        return True

    def close(self) -> None:
        self._directory.close()
        self._above.close()
