# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._devices import Devargs
from .._errors import HotplugError
from .._host import persistence
from .._system import System
from . import evacuated, home
from .evacuated import Evacuated
from .journal import Journal
from .refusals import gone

if t.TYPE_CHECKING:
    from .work import AppWork

_HOME = "evacuated"
_HOST = "host"  # whose lock is that of the boot document too
# Remembered is what goes before it does, and until all of it is back.
_PHASES = {"remember": 0, "persist": 3, "forget": 90}


class Note(t.NamedTuple):
    """A file of ours that is written, as a step among those of applications. ``verb``: remember, forget, persist."""

    verb: str
    before: t.Any
    after: t.Any

    @property
    def phase(self) -> int:
        return _PHASES[self.verb]

    @property
    def path(self) -> str:
        return persistence.PATH if self.verb == "persist" else home.EVACUATED

    def __str__(self) -> str:
        return f"{self.verb} in {self.path}"


def _may(system: System) -> bool:
    return os.geteuid() == 0 or bool(system.root)


class Notes:
    """What is remembered, as a part of a run: locked, read, written in its place among the steps."""

    name = "evacuated"

    def __init__(self, system: System, *, timeout: float, change: bool) -> None:
        self.system = system
        self.before: tuple[Evacuated, ...] = ()
        self.after: tuple[Evacuated, ...] = ()
        self.works: t.Sequence[AppWork] = ()
        self.known: list[tuple[AppWork, Devargs]] = []  # of what has never gone, the arguments, for our record
        self._timeout = timeout
        self._change = change
        self._closing: list[t.Any] = []

    def open(self) -> None:
        """One run at a time, for all applications of the host."""
        if self._change:
            if not _may(self.system):
                what = "what is evacuated is remembered for the whole host, by root only"
                raise HotplugError("not_root", what, way_out="Set become: true.")
            self._lock(_HOME, "what is evacuated")
        self.before = self.after = evacuated.read(self.system)

    def _lock(self, name: str, what: str) -> None:
        directory = home.open_home(name)
        self._closing.append(directory)
        self._closing.append(home.Lock(directory, what, timeout=self._timeout))

    def renamed(self, replaced: t.Mapping[str, Devargs]) -> Note | None:
        """The boot document with new devices in the place of old ones; None where it names none of these."""
        if self._change:
            self._lock(_HOST, "the host's devices")
        from .._host import memory
        from .replaced import renamed

        before = persistence.read(self.system)
        after = renamed(before, replaced, memory.read(self.system))
        return Note("persist", before, after) if after != before else None

    def acts(self) -> NoteActs:
        return NoteActs(self)

    def action(self, step: Note) -> dict[str, t.Any]:
        """A step as results list it."""
        told = {"before": step.before, "after": step.after} if step.verb == "persist" else {}
        return {"action": step.verb, "target": step.path, **told}

    def close(self) -> None:
        """Let go of the locks."""
        for resource in reversed(self._closing):
            resource.close()
        self._closing.clear()


class NoteActs:
    """Writes the notes. Every method but take_back() and close() raises HotplugError."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._system = notes.system

    def prepare(self, steps: t.Sequence[Note]) -> None:
        """Before the first change: there is room for what is written last, and the file is ours to write."""
        if self._notes.before and any(step.verb == "forget" for step in steps):
            evacuated.write(self._system, self._notes.before)

    def do(self, step: Note) -> None:
        if step.verb == "persist":
            persistence.change(self._system, step.before, step.after)
            return
        for work, device in self._notes.known if step.verb == "forget" else ():
            journal = Journal(work.record)
            journal.attached(device)
            journal.save()
        evacuated.write(self._system, step.after)

    def take_back(self, step: Note) -> str | None:
        """As it was before; but what a failed run could not bring back stays remembered, or it would be lost."""
        lost = self._lost() if step.verb == "remember" else []
        keys = {one.key for one in lost}
        before = step.before if step.verb == "persist" else [*(o for o in step.before if o.key not in keys), *lost]
        try:
            self.do(step._replace(before=step.after, after=before))
        except HotplugError as failure:
            return failure.message
        return f"not all of '{', '.join(one.app for one in lost)}' is back" if lost else ""

    def _lost(self) -> list[Evacuated]:
        """The applications that have not got all back, with what was remembered of them before and what is not back."""
        found = []
        for work in self._notes.works:
            before, after = (evacuated.of(work.app, kept) for kept in (self._notes.before, self._notes.after))
            fresh = [one for one in after.devices if not before.get(one.device.name)]
            there = self._there(work) if fresh else ()
            lost = [one for one in fresh if one.device.name not in there]
            if lost:
                found.append(after._replace(devices=(*before.devices, *lost)))
        return found

    def _there(self, work: AppWork) -> t.Collection[str]:
        """What an application has now; of one that has ended, what it had: nothing of that is ours to bring back."""
        if gone(work.app, self._system):
            return work.before.devices
        try:
            return work.observe().devices
        except HotplugError:
            return ()

    def verify(self, steps: t.Sequence[Note]) -> None:
        """A file that was written and synced is there."""

    def close(self) -> None:
        """Nothing is held: the locks are let go of with all others."""
