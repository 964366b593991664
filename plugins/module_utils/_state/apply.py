# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import signal
import typing as t

from .._errors import HotplugError

if t.TYPE_CHECKING:
    from .._system import System
    from .work import AppWork
    from .works import Acts, AnyStep, Gate, Work

# How many of the steps that were undone a message names.
_NAMED = 6


def gates(works: t.Sequence[AppWork], system: System) -> list[Gate]:
    """What is looked at after the changes, of every application whose entry asks for it, changed or not."""
    if not any(work.spec.health for work in works):
        return []
    from . import health

    return health.gates(works, system)


def apply(
    steps: t.Sequence[tuple[AnyStep, Work]],
    progress: t.Callable[[str], None] | None = None,
    gates: t.Sequence[Gate] = (),
) -> None:
    """Do the steps in their order and look whether they hold; on a failure, what was done is taken back.

    The error then says in its fields what was: ``actions`` done, ``undone``, ``not_undone``.
    """
    works = list({id(work): work for _step, work in steps}.values())
    with contextlib.ExitStack() as stack:
        acts = {}
        for work in works:
            acts[id(work)] = work.acts()
            stack.callback(acts[id(work)].close)
        for work in works:
            acts[id(work)].prepare([step for step, its in steps if its is work])
        for gate in gates:
            gate.prepare()
        _do(steps, acts, progress, gates)


def _do(
    steps: t.Sequence[tuple[AnyStep, Work]],
    acts: t.Mapping[int, Acts],
    progress: t.Callable[[str], None] | None,
    gates: t.Sequence[Gate],
) -> None:
    done: list[tuple[AnyStep, Work]] = []
    with _unsignalled():
        try:
            for step, work in steps:
                _tell(progress, f"{work.name}: {step}")
                acts[id(work)].do(step)
                done.append((step, work))
            for key, one in acts.items():
                one.verify([step for step, work in done if id(work) == key])
            for gate in gates:
                gate.check()
        except Exception as exc:
            error = _error(exc)
            error.fields["actions"] = [work.action(step) for step, work in done]
            _undo(done, acts, error)
            raise error from exc


def _tell(progress: t.Callable[[str], None] | None, text: str) -> None:
    """Whoever reads along may be gone: that is no reason to stop half-way."""
    try:
        if progress:
            progress(text)
    except OSError:
        pass


def _error(exc: Exception) -> HotplugError:
    if isinstance(exc, HotplugError):
        return exc
    from .._outcome import internal

    return internal(exc)


def _undo(done: t.Sequence[tuple[AnyStep, Work]], acts: t.Mapping[int, Acts], error: HotplugError) -> None:
    """Take back what was done, last first. What cannot be taken back is said, and does not stop the rest."""
    undone: list[str] = []
    left: list[str] = list(error.fields.get("not_undone", ()))  # of the step that failed
    for step, work in reversed(done):
        why = acts[id(work)].take_back(step)
        if why:
            left.append(f"{step}: {why}")
        elif why is not None:
            undone.append(str(step))
    error.fields.update(undone=undone, not_undone=left)
    if undone or left:
        error.way_out += f"{' ' if error.way_out else ''}Undone: {_short(undone) or 'nothing'}."
        error.way_out += f" Not undone: {'; '.join(left)}." if left else ""


def _short(steps: t.Sequence[str]) -> str:
    """The steps in a line that can be read; the field ``undone`` has them all."""
    more = len(steps) - _NAMED
    return ", ".join(steps[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@contextlib.contextmanager
def _unsignalled() -> t.Iterator[None]:
    """A cut connection or a killed controller must not leave half of a plan: it is finished or undone."""
    names = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
    try:
        kept = [(name, signal.signal(name, signal.SIG_IGN)) for name in names]
    except ValueError:  # not the main thread: signals do not end us there
        kept = []
    try:
        yield
    finally:
        for name, handler in kept:
            signal.signal(name, handler)
