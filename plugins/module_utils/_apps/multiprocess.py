# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import time
import typing as t

from .._binding import outcome, releases
from .._devices import Devargs
from .._errors import HotplugError
from .._system import Directory, System
from .app import App
from .reach import MULTIPROCESS_VERBS

if t.TYPE_CHECKING:
    from .._binding.eal_channel import EalChannel
    from .._binding.ipc import Primary

# MP_TIMEOUT_S is 5 (lib/eal/common/hotplug_mp.c), for the request and again for its rollback on secondaries: an answer
# may take 10 s and more.
_ANSWER = 20.0
_SETTLE = 15.0
_PING = 3.0
# A process in one of these states does not answer (proc(5)): stopped, traced, dead.
_SILENT_STATES = {"T": "stopped", "t": "traced", "Z": "dead but not reaped", "X": "dead"}

# -ENOMSG: a secondary did not follow, and the primary takes the attach back.
_NO_MESSAGE = -42


class Multiprocess:
    """Any primary with shared files, through the EAL's own multi-process requests."""

    name = "multiprocess"
    verbs = frozenset(MULTIPROCESS_VERBS)

    def __init__(self, app: App, channel: str, system: System, *, timeout: float, keep: t.Sequence[int] = ()) -> None:
        self.channel = channel
        self._app = app
        self._system = system
        self._keep = keep
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

        return EalChannel(self._app, timeout=self._answer, keep=self._keep, system=self._system)

    def precheck(self, attaching: t.Sequence[Devargs] = ()) -> None:
        if self._primary is None:
            return
        if not self._primary.ping(timeout=_PING):
            raise HotplugError(
                "primary_stuck",
                f"application '{self._app.prefix}' (pid {self._app.pid}) does not answer multi-process requests",
                way_out="It is stopped or hung, or its multi-process thread ended: nothing was changed. Restart it.",
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
            f"secondary process {pid} ({process.name if process else name}) of application '{self._app.prefix}' "
            f"is {state}",
            way_out="DPDK would fail the request after 5 s and then remove the port, a live one too: nothing was "
            "changed. Continue or end that process.",
            secondary=pid,
        )

    def release(self, port_ids: t.Sequence[int]) -> None:
        """Nothing: it stops no port."""

    def attach(self, device: Devargs) -> None:
        if self._eal is not None:
            self._eal.attach(device)
        else:
            self._judge(self._known().attach(device.wire, timeout=self._answer), device, "attach", outcome.ATTACH)

    def detach(self, device: Devargs, port_ids: t.Sequence[int]) -> None:
        if self._eal is not None:
            self._eal.detach(device)
        else:
            self._judge(self._known().detach(device.bare.wire, timeout=self._answer), device, "detach", outcome.DETACH)

    def _known(self) -> Primary:
        if self._primary is None:
            raise HotplugError("unknown_release", f"the message layout of DPDK {self._app.release} is not known")
        return self._primary

    def _judge(self, result: int, device: Devargs, verb: str, meanings: dict[int, outcome.Meaning]) -> None:
        if result == 0:
            return
        if result == _NO_MESSAGE:
            raise HotplugError(
                "secondary_failed",
                f"device '{device.text}' could not be {verb}ed in a secondary process of the application",
                way_out="DPDK takes the request back in all of them; look at the logs of the secondaries.",
                errno=result,
            )
        found = outcome.meaning(meanings, result)
        raise HotplugError(
            found.reason,
            f"cannot {verb} device '{device.text}' (bus {device.bus}): {found.what} ({result})",
            way_out=found.way_out,
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

    def revoke(self, verb: str, device: Devargs) -> str | None:
        return None

    def close(self) -> None:
        self._directory.close()
        self._above.close()
