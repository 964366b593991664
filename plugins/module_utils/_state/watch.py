# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import re
import threading
import time
import typing as t

from .._apps.app import App, Port
from .._apps.discovery import find
from .._apps.ports import Ports, listed_ids, read_ports
from .._errors import HotplugError
from .._system import System
from .looks import look
from .observe import assemble, ports_result

Event = dict[str, t.Any]
Emit = t.Callable[[Event], None]

# The sockets of applications in /proc/net/unix: one that comes or goes is worth a look at once.
_SOCKETS = re.compile(rb"/\S+/(?:dpdk_telemetry\.v2(?::\d+)?|mp_socket)(?=\n)")
# Seconds after which everything is looked at in any case: not every application has such a socket in our namespaces,
# and /ethdev/list does not tell of new ports that have an owner.
_FULL_LOOK = 10.0
# Seconds; one that does not answer is asked less and less often, up to this.
_MAX_PAUSE = 30.0
# Seconds that an application may take from its first socket to its telemetry before that is worth telling.
_GRACE = 5.0


class GlancedPorts(Ports):
    """Ports that are looked at once a second."""

    def glance(self, port_ids: t.Sequence[int]) -> tuple[frozenset[int], list[Port]]:
        """What /ethdev/list has, and those of the ports still there: cheap, and blind to new ports with an owner."""
        with self.session() as session:
            (listed,) = session.ask("/ethdev/list")
            ids = listed_ids(session, listed)
            return ids, read_ports(session, port_ids, ids)


class Watch:
    """Tells what becomes of the applications of a host and their ports, until stop().

    ``emit`` is called from several threads, one an application: one that hangs holds up nobody else.
    ``initial``: whether what is there at the start is told too. ``interval``: seconds between two looks.
    """

    def __init__(
        self,
        emit: Emit,
        *,
        interval: float = 1.0,
        prefix: str = "",
        runtime_dir: str = "",
        initial: bool = True,
        system: System | None = None,
    ) -> None:
        self._emit = emit
        self._interval = interval
        self._prefixes = [prefix] if prefix else []
        self._runtime_dir = runtime_dir
        self._initial = initial
        self._system = system or System()
        self._stopped = threading.Event()
        self._followers: dict[tuple[int, int], Follower] = {}

    def run(self) -> None:
        """Look for applications until stop(); each that is found is followed in a thread of its own."""
        sockets: frozenset[bytes] = frozenset()
        again, first = 0.0, True
        while True:
            seen = self._sockets()
            if seen != sockets or time.monotonic() >= again:
                self._scan(first)
                sockets, again, first = seen, time.monotonic() + _FULL_LOOK, False
            if self._stopped.wait(self._interval):
                return

    def stop(self) -> None:
        self._stopped.set()

    def _sockets(self) -> frozenset[bytes]:
        return frozenset(_SOCKETS.findall(self._system.read("/proc/self/net/unix", 1 << 24)))

    def _scan(self, first: bool) -> None:
        for key in [key for key, one in self._followers.items() if one.ended]:
            del self._followers[key]
        for app in find(self._system, runtime_dir=self._runtime_dir, prefixes=self._prefixes):
            key = (app.pid, app.start_time)
            if not app.running:
                continue
            if key in self._followers:
                self._followers[key].renew(app)
                continue
            follower = Follower(app, self._emit, self._system, tell=self._initial or not first)
            self._followers[key] = follower
            threading.Thread(target=follower.run, args=(self._interval, self._stopped), daemon=True).start()


class Follower:
    """One application from when it is found to its end. ``tell``: whether its present state is told."""

    def __init__(self, app: App, emit: Emit, system: System, *, tell: bool) -> None:
        self.app = app
        self.ended = False
        self._emit = emit
        self._system = system
        self._tell = tell
        self._ports: dict[tuple[int, str], Port] = {}
        self._rows: dict[tuple[int, str], dict[str, t.Any]] = {}
        self._listed: frozenset[int] | None = None
        self._full_at = 0.0
        self._failing_since: float | None = None
        self._unreadable = False
        self._pause, self._ask_at = 0.0, 0.0

    def renew(self, app: App) -> None:
        """What a later look found: its telemetry comes last when it starts."""
        if app != self.app:
            self.app, self._ask_at = app, 0.0

    def run(self, interval: float, stopped: threading.Event) -> None:
        if self._tell:
            self._say("app_up")
        while self.tick(time.monotonic()) and not stopped.wait(interval):
            pass

    def tick(self, now: float) -> bool:
        """One look; False once the application has ended."""
        process = self._system.process(self.app.pid)
        if process is None or process.state in "ZX" or process.start_time != self.app.start_time:
            self._end()
            return False
        if now >= self._ask_at:
            try:
                self._look(now)
            except HotplugError as error:
                self._silent(error.message, now)
            except (KeyError, TypeError, ValueError) as exc:
                self._silent(f"its telemetry answers with nonsense: {exc!r}", now)
        return True

    def _look(self, now: float) -> None:
        """The ports: only those that we know, unless the list has changed or it is time for all of them."""
        source = GlancedPorts(self.app)
        if self._listed is None or now >= self._full_at:
            ports = source.read()
            self._listed = frozenset(port.port_id for port in ports if not port.owned)
            self._full_at = now + _FULL_LOOK
        else:
            listed, ports = source.glance(sorted(port_id for port_id, _name in self._ports))
            if listed != self._listed:
                self._listed = None
                return self._look(now)
        if self._unreadable:
            self._say("app_readable")
        self._unreadable, self._failing_since, self._pause = False, None, 0.0
        self._compare({(port.port_id, port.name): port for port in ports})
        return None

    def _compare(self, ports: dict[tuple[int, str], Port]) -> None:
        if ports.keys() != self._ports.keys():
            rows = ports_result(assemble(list(ports.values()), look(self.app), self.app).devices)
            fresh = {(row["port_id"], row["name"]): row for row in rows}
        else:
            fresh = self._rows
        for key in sorted(self._ports.keys() - ports.keys()):
            self._port("port_gone", self._rows[key])
        for key, port in ports.items():
            before = self._ports.get(key)
            row = fresh[key] = {**fresh[key], "configured": port.configured, "started": port.started}
            if before is None:
                self._port("port_attached", row)
            if port.started != (before.started if before else False):
                self._port("port_started" if port.started else "port_stopped", row)
        self._ports, self._rows = ports, fresh
        self._tell = True

    def _silent(self, why: str, now: float) -> None:
        """Its ports cannot be read: said once, when that lasts, and then asked less and less often."""
        if self._failing_since is None:
            self._failing_since = now
        self._pause = min(_MAX_PAUSE, max(1.0, 2 * self._pause))
        self._ask_at = now + self._pause
        if not self._unreadable and now - self._failing_since >= _GRACE:
            self._say("app_unreadable", reason=why)
            self._unreadable = True

    def _end(self) -> None:
        self._tell = True
        for key in sorted(self._rows):
            self._port("port_gone", self._rows[key])
        self._say("app_down")
        self.ended = True

    def _port(self, event: str, row: dict[str, t.Any]) -> None:
        if self._tell:
            self._say(event, **{name: value for name, value in row.items() if name not in ("attached", "siblings")})

    def _say(self, event: str, **more: t.Any) -> None:
        whose = {"app": self.app.prefix, "pid": self.app.pid, "runtime_dir": self.app.runtime_dir}
        version = {"version": self.app.version} if event == "app_up" else {}
        self._emit({"time": _now(), "event": event, **whose, **version, **more})


def _now() -> str:
    """The time in UTC, to the millisecond, as RFC 3339 writes it."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
