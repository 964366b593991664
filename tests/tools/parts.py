# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs parts side by side, each printing as it goes, and sums them up. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Counts(NamedTuple):
    """How many passed, and what did not, each with why."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class Part(NamedTuple):
    name: str
    work: Callable[[Log], Counts]
    after: tuple[str, ...] = ()  # starts when these have ended, however they ended


class Result(NamedTuple):
    name: str
    counts: Counts
    seconds: float


class Failed(Exception):
    """A part cannot go on; the text says why."""


_printing = threading.Lock()
_children: set[subprocess.Popen[str]] = set()


def say(name: str, text: str) -> None:
    with _printing:
        print(f"{name:>15} | {text}", flush=True)


class Log:
    """What a part prints and runs: every line goes to the terminal with the part's name, and to a file of its own."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.path = directory / f"{name}.log"
        self._file = open(self.path, "w")  # noqa: SIM115 - open as long as the part runs

    def say(self, text: str) -> None:
        self._file.write(text + "\n")
        self._file.flush()
        say(self.name, text)

    def run(self, argv: Sequence[str], cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> int:
        """Runs a command to its end; its exit code."""
        return self.output(argv, cwd, environment)[0]

    def output(
        self,
        argv: Sequence[str],
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        quiet: bool = False,
    ) -> tuple[int, list[str]]:
        """The same, with its lines."""
        self.say("$ " + " ".join(argv))
        lines = []
        with _started(argv, cwd, environment) as child:
            assert child.stdout
            for line in child.stdout:
                lines.append(line.rstrip())
                if not quiet:
                    self.say(line.rstrip())
        return child.returncode, lines

    def check(
        self,
        argv: Sequence[str],
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        """Runs a command that must succeed; a quiet one's output is not shown."""
        if code := self.output(argv, cwd, environment, quiet=quiet)[0]:
            raise Failed(f"{Path(argv[0]).name} ended with {code}")


@contextlib.contextmanager
def _started(
    argv: Sequence[str], cwd: Path | None, environment: Mapping[str, str] | None
) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _children.add(child)
    try:
        yield child
    finally:
        child.wait()
        _children.discard(child)


def _end_children(number: int, _frame: object) -> None:
    for child in list(_children):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    os._exit(128 + number)


def _carry_out(part: Part, directory: Path) -> Result:
    start, why = time.monotonic(), ""
    log = Log(part.name, directory)
    try:
        counts = part.work(log)
    except (Failed, SystemExit) as reason:
        why = str(reason) or type(reason).__name__
    except Exception as fault:  # a part's own fault must not hide what the others found
        why = f"{type(fault).__name__}: {fault}"
    if why:
        counts = Counts(failed=(why.partition("\n")[0],))
    for line in why.splitlines():
        log.say(line)
    seconds = time.monotonic() - start
    log.say(f"{'FAILED' if counts.failed else 'ok'} after {seconds:.0f} s")
    return Result(part.name, counts, seconds)


class _Schedule:
    """Hands out the parts in their order, each when those that it waits for have ended."""

    def __init__(self, parts: Sequence[Part], directory: Path) -> None:
        self._waiting, self._directory = list(parts), directory
        self._names = {part.name for part in parts}
        self._changed = threading.Condition()
        self.results: dict[str, Result] = {}

    def _next(self) -> Part | None:
        with self._changed:
            while self._waiting:
                for part in self._waiting:
                    if all(name in self.results for name in part.after if name in self._names):
                        self._waiting.remove(part)
                        return part
                self._changed.wait()
            return None

    def work(self) -> None:
        while part := self._next():
            result = _carry_out(part, self._directory)
            with self._changed:
                self.results[part.name] = result
                self._changed.notify_all()


def _summary(results: Sequence[Result], seconds: float) -> Counts:
    print("\n" + "=" * 100)
    print(f"{'part':<18}{'result':<9}{'passed':>7}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for name, counts, took in results:
        verdict = "FAILED" if counts.failed else "ok"
        print(f"{name:<18}{verdict:<9}{counts.passed:>7}{len(counts.failed):>8}{len(counts.skipped):>9}{took:>9.1f}")
    total = Counts(
        sum(r.counts.passed for r in results),
        tuple(f"{r.name}: {what}" for r in results for what in r.counts.failed),
        tuple(f"{r.name}: {what}" for r in results for what in r.counts.skipped),
    )
    for verdict, those in (("skipped in", total.skipped), ("failed in", total.failed)):
        for what in those:
            print(f"{verdict} {what[:300]}")
    print(f"took {seconds / 60:.1f} minutes")
    return total


def carry_out(parts: Sequence[Part], directory: Path) -> int:
    """Runs them, as many at a time as there are processors, at least two; the exit code."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_children)
    start, schedule = time.monotonic(), _Schedule(parts, directory)
    workers = [threading.Thread(target=schedule.work) for number in range(max(2, os.cpu_count() or 2))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    total = _summary([schedule.results[part.name] for part in parts], time.monotonic() - start)
    line = f"{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped"
    (directory / "result").write_text(line + "\n")
    print(line)
    sys.stdout.flush()
    return 1 if total.failed else 0
