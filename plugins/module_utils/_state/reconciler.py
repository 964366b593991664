# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import functools
import os
import queue
import select
import signal
import threading
import time
import typing as t

from .. import _journald
from .._binding.ipc import OURS
from .._errors import HotplugError
from .._host import persistence
from .._host.events import Directories, Uevents
from .._outcome import BAD_INPUT, exit_code, internal
from .._system import System
from . import home

Json = dict[str, t.Any]
Converge = t.Callable[..., Json]

# Seconds from a failure to the next try, doubled each time up to the last; then it waits for something to happen.
_FIRST_PAUSE, _LAST_PAUSE, _MOST_TRIES = 0.02, 60.0, 16
# Seconds in which an application that shows signs of life may become one that can be reached.
_STARTING = 10.0
# Seconds that cards which come together are waited for.
_TOGETHER = 0.2
_RUN = "/run"
# What we keep ourselves is there; an application may have that name too.
_KEPT = "dpdk-hotplug"
_OUTDATED = "outdated"
_AWAY = os.path.dirname(home.EVACUATED)


class Part:
    """An entry of the boot document, by itself: one that fails keeps no other."""

    def __init__(self, piece: persistence.Piece) -> None:
        self.kind, self.name, self.document, self.entry = piece
        self.state = "new"  # new, holds, failed, waiting (its application does not run), evacuated
        self.reason = self.message = self.said = ""  # said: the reason that the journal has
        self.since = self.acted = 0.0  # seconds since the epoch
        self.tries = 0
        self.due: float | None = 0.0  # by the monotonic clock; None: when something happens
        self.alive_until = 0.0
        self.working = self.again = False

    def wake(self, now: float, *, delay: float = 0.0) -> None:
        """Something has happened that this may depend on."""
        self.tries, self.due, self.alive_until = 0, now + delay, now + _STARTING
        self.again = self.working

    def row(self) -> Json:
        """What ``dpdk-hotplug status`` reads. Times are seconds since the epoch, 0 for never."""
        names = ("kind", "name", "state", "reason", "message", "since", "acted", "tries")
        return {name: getattr(self, name) for name in names}


def parts(document: t.Mapping[str, t.Any]) -> list[Part]:
    """The boot document in parts."""
    return [Part(piece) for piece in persistence.pieces(document)]


def _alias(part: Part) -> str:
    """Where grout shows, which has no directory of EAL; "" of others."""
    if "grout" not in (part.document["apps"][0].get("adapter"), part.name):
        return ""
    from .._apps.grout import SOCKET

    return os.path.basename(SOCKET)


def away(result: Json) -> str:
    """What of a part was left away, since it is evacuated; empty where nothing was."""
    rows = result.get("evacuated", ())
    return f"evacuated since {rows[0]['since']}: {', '.join(row['device'] for row in rows)}" if rows else ""


class Reconciler:
    """Keeps a host as its boot document says: applied at the start, and when something happens that it depends on.

    That is an application that starts, a card that comes, and the document itself when it is written. Nothing is
    polled. ``converge``: the engine. ``told``: what becomes of the parts, for a file. ``acted``: when one before us
    last did something about a part, by its kind and name.
    """

    def __init__(
        self,
        converge: Converge,
        *,
        told: t.Callable[[list[Json]], None],
        system: System | None = None,
        acted: t.Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        self._converge = converge
        self._told = told
        self._acted = dict(acted or {})
        self._system = system or System()
        self._parts: list[Part] = []
        self._done: queue.SimpleQueue[tuple[Part, Json | HotplugError]] = queue.SimpleQueue()
        self._wake_from, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._directories = Directories()
        self._uevents = Uevents()
        self._ending = self._reload = False
        self._away: frozenset[tuple[str, str]] = frozenset()

    def run(self) -> None:
        """Until stop()."""
        poll = select.poll()
        for fd in (self._wake_from, self._directories.fd, self._uevents.fd):
            poll.register(fd, select.POLLIN)
        self._arm()  # before the document is read: what is written in between is seen as well
        self._load()
        while not self._ending:
            self._start_due()
            poll.poll(self._pause())
            self._drain()
            self._looked_at_directories()
            self._cards()
            if self._reload:
                self._reload = False
                self._load()

    def stop(self) -> None:
        """End after what is being done. Safe in a signal handler."""
        self._ending = True
        self._rouse()

    def reload(self) -> None:
        """Read the document again, and apply all of it. Safe in a signal handler."""
        self._reload = True
        self._rouse()

    def close(self) -> None:
        for thread in threading.enumerate():
            if thread.name.startswith("part "):
                thread.join()
        self._directories.close()
        self._uevents.close()
        os.close(self._wake_from)
        os.close(self._wake)

    # ---- what happens

    def _load(self) -> None:
        try:
            document = persistence.read(self._system)
        except HotplugError as error:
            _journald.entry(f"{persistence.PATH}: {error}", _journald.ERROR, reason=error.reason)
            return
        before = {(one.kind, one.name): one for one in self._parts}
        self._parts = []
        # Memory is reserved and mounted at boot: a confined service mounts for itself alone.
        for fresh in parts({name: one for name, one in document.items() if name != "hugepages"}):
            kept = before.get((fresh.kind, fresh.name))
            if kept is not None and kept.entry == fresh.entry:
                fresh = kept
            elif kept is not None:
                fresh.acted = kept.acted
            else:
                fresh.acted = self._acted.pop((fresh.kind, fresh.name), 0.0)
            fresh.wake(time.monotonic())
            self._parts.append(fresh)
        self._arm()
        self._tell()

    def _arm(self) -> set[str]:
        """Watch where applications show, and where the document is; the names of those that have shown since."""
        directory = os.path.dirname(persistence.PATH)
        for path in (os.path.dirname(directory), directory, _RUN, os.path.dirname(_AWAY)):
            self._directories.watch(self._system.path(path))
        if self._directories.watch(self._system.path(_AWAY)):
            self._away = self._evacuated()
        shown = set()
        for path in self._bases():
            full = self._system.path(path)
            self._directories.watch(full)
            shown |= {name for name in self._system.names(path) if self._directories.watch(f"{full}/{name}")}
        return shown

    def _bases(self) -> list[str]:
        """Where EAL makes the directories of applications: the usual places, and those that the document names."""
        named = [str(one.document["apps"][0].get("runtime_dir") or "") for one in self._parts if one.kind == "app"]
        usual = [f"{_RUN}/dpdk", *(f"{_RUN}/{name}/dpdk" for name in self._system.names(_RUN))]
        return [one for one in dict.fromkeys([*named, *usual]) if one]

    def _looked_at_directories(self) -> None:
        seen = self._directories.read()
        if not seen:
            return
        document = self._system.path(persistence.PATH)
        written = {document, os.path.dirname(document)}
        # Without a place: the kernel has lost some, so all of it may have happened.
        if any(not place or f"{place}/{name}" in written for place, name in seen):
            self._load()
        seen = self._came_back(seen)
        for name in self._shown(seen):
            for one in self._parts:
                if one.kind == "app" and name in (one.name, _alias(one)):
                    one.wake(time.monotonic())

    def _came_back(self, seen: t.Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Applications of which something is evacuated no more are looked at again; what has happened elsewhere."""
        place = self._system.path(_AWAY)
        written = {place, self._system.path(home.EVACUATED)}
        if any(f"{above}/{name}" in written for above, name in seen):
            before, self._away = self._away, self._evacuated()
            back = {app for app, _device in before - self._away}
            for one in self._parts:
                if one.kind == "app" and (one.name in back or one.state in ("evacuated", "failed")):
                    one.wake(time.monotonic())
        return [one for one in seen if one[0] not in (place, os.path.dirname(place))]

    def _evacuated(self) -> frozenset[tuple[str, str]]:
        """What is away now, each device with its application."""
        from . import evacuated

        try:
            return frozenset((row["app"], row["device"]) for row in evacuated.rows(evacuated.read(self._system)))
        except HotplugError:
            return frozenset()

    def _shown(self, seen: t.Sequence[tuple[str, str]]) -> set[str]:
        """The names of applications that show signs of life: their directory is named by their prefix."""
        run, etc = self._system.path(_RUN), os.path.dirname(os.path.dirname(self._system.path(persistence.PATH)))
        for place, name in seen:
            if place == run and name != _KEPT:
                self._directories.watch(f"{run}/{name}")
        names = self._arm()
        for place, name in seen:
            if place == run:
                names.add(name)
            # What asks an application has a socket beside the application's own: that would wake us with our own work.
            elif place != etc and not name.startswith(OURS):
                names |= {os.path.basename(place), name}
        return names

    def _cards(self) -> None:
        if self._uevents.read():
            for one in self._parts:
                one.wake(time.monotonic(), delay=_TOGETHER)

    def _rouse(self) -> None:
        try:
            os.write(self._wake, b"x")
        except BlockingIOError:
            pass

    # ---- what is done about it

    def _pause(self) -> int | None:
        """Milliseconds until something is due; None where nothing is."""
        due = [one.due for one in self._parts if one.due is not None and not one.working]
        return max(0, int((min(due) - time.monotonic()) * 1000) + 1) if due else None

    def _start_due(self) -> None:
        now = time.monotonic()
        # Applications use what comes before them in the document.
        busy = any(one.working for one in self._parts if one.kind != "app")
        for one in self._parts:
            if one.working or one.due is None or one.due > now or (busy and one.kind == "app"):
                continue
            one.working, one.again, one.due = True, False, None
            busy = busy or one.kind != "app"
            threading.Thread(target=self._work, args=(one,), name=f"part {one.name}", daemon=True).start()

    def _work(self, part: Part) -> None:
        outcome: Json | HotplugError
        try:
            persistence.same_card(self._system, part.entry)
            outcome = self._converge({"version": 1, **part.document}, agreed=lambda: self._still(part))
        except HotplugError as error:
            outcome = error
        except Exception as exc:
            outcome = internal(exc)
        self._done.put((part, outcome))
        self._rouse()

    def _still(self, part: Part) -> None:
        """A task that had the locks before us may have changed what is to persist: its word counts then."""
        if not any(one[:2] == (part.kind, part.name) and one.entry == part.entry for one in self._pieces()):
            raise HotplugError(_OUTDATED, f"{part.name} is not to be so any more", way_out="It is read again.")

    def _pieces(self) -> list[persistence.Piece]:
        return persistence.pieces(persistence.read(self._system))

    def _drain(self) -> None:
        try:
            os.read(self._wake_from, 1 << 12)
        except BlockingIOError:
            return
        while not self._done.empty():
            part, outcome = self._done.get()
            part.working = False
            before = (part.state, part.reason)
            if isinstance(outcome, HotplugError) and outcome.reason == _OUTDATED:
                self._reload = True
            elif isinstance(outcome, HotplugError):
                self._failed(part, outcome)
            else:
                self._held(part, outcome)
            if (part.state, part.reason) != before:
                part.since = time.time()
            if part.again:
                part.wake(time.monotonic())
        self._tell()

    def _held(self, part: Part, result: Json) -> None:
        runs = part.kind != "app" or bool(result["apps"])
        if result["changed"]:
            part.acted = time.time()
            self._say_acts(part, result)
            self._may_go_on(part)
        part.reason = part.message = part.said = ""
        part.state = "holds" if runs else "waiting"
        if result.get("evacuated"):
            part.state = part.reason = "evacuated"
            part.message = away(result)
        if runs:
            part.tries, part.due = 0, None
        elif time.monotonic() < part.alive_until:
            self._later(part)

    def _may_go_on(self, part: Part) -> None:
        """What applications lacked may be there now."""
        for one in self._parts if part.kind != "app" else ():
            if one.kind == "app" and one.state == "failed":
                one.wake(time.monotonic())

    def _failed(self, part: Part, error: HotplugError) -> None:
        hopeless = exit_code(error) == BAD_INPUT
        part.state, part.reason, part.message = "failed", error.reason, str(error)
        if not hopeless:
            self._later(part)
        # What an application lacks while it starts passes by itself.
        starting = part.kind == "app" and time.monotonic() < part.alive_until
        if part.due is None or (part.said != error.reason and not starting):
            part.said = error.reason
            what = "" if part.due is not None else " (not tried again until something changes)"
            _journald.entry(
                f"{part.name}: {error}{what}", _journald.ERROR, part=part.name, kind=part.kind, reason=error.reason
            )

    def _later(self, part: Part) -> None:
        part.tries += 1
        pause = min(_LAST_PAUSE, _FIRST_PAUSE * 2 ** (part.tries - 1))
        part.due = None if part.tries > _MOST_TRIES else time.monotonic() + pause

    def _say_acts(self, part: Part, result: Json) -> None:
        acts = [*result.get("host", {}).get("actions", ()), *(act for app in result["apps"] for act in app["actions"])]
        for act in acts:
            what = str(act.get("devargs") or act.get("device") or act.get("path") or act.get("target") or part.name)
            _journald.entry(
                f"{part.name}: {act['action'].replace('_', ' ')} {what}",
                part=part.name,
                kind=part.kind,
                action=act["action"],
                device=what,
            )

    def _tell(self) -> None:
        self._told([one.row() for one in self._parts])
        bad = [one.name for one in self._parts if one.state == "failed"]
        _journald.notify(f"STATUS={len(self._parts)} parts, " + (f"failing: {', '.join(bad)}" if bad else "none fails"))


def serve() -> int:
    """The service: until SIGTERM or SIGINT; SIGHUP applies all again."""
    from . import status
    from .engine import converge

    leaving = functools.partial(converge, leave_evacuated=True)
    reconciler = Reconciler(leaving, told=status.write, acted=status.acted())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: reconciler.stop())
    signal.signal(signal.SIGHUP, lambda *_: reconciler.reload())
    _journald.notify("READY=1")
    try:
        reconciler.run()
    finally:
        reconciler.close()
        status.ended()
    return 0
