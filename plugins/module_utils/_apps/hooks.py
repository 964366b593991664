# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import re
import signal
import time
import typing as t

from .._errors import HotplugError

# Commands of the operator on the host: lists of arguments, never a shell.

PLACEHOLDERS = ("app", "pid", "runtime_dir", "device", "devargs", "port_ids")
_PLACE = re.compile(r"\{(\w+)\}")
# How much of what a command prints is read; its end stands in errors.
_OUTPUT = 1 << 20
_SHOWN = 300
# Seconds between two looks whether it has ended; it begins with the first and grows to the second.
_QUICK, _SLOW = 0.0005, 0.02
# Seconds from SIGTERM to SIGKILL for a command that does not end in time.
_GRACE = 2.0
# A run heeds none of these from its first change on (apply.py). A command must.
_HEEDED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)


class Ended(t.NamedTuple):
    """How a command ended. ``code``: its exit code, the negative of the signal that ended it, None: not in time."""

    code: int | None
    out: str
    err: str

    @property
    def why(self) -> str:
        """The end of what it said, in a line."""
        said = " ".join((self.err.strip() or self.out.strip()).split())
        return said if len(said) <= _SHOWN else "..." + said[-_SHOWN:]


def placeholders(words: t.Iterable[str]) -> list[str]:
    return [name for word in words for name in _PLACE.findall(word)]


def filled(words: t.Iterable[str], values: t.Mapping[str, str]) -> list[str]:
    """The arguments with ``{device}`` and the like filled in; each stays one argument, whatever it holds."""
    return [_PLACE.sub(lambda match: values.get(match.group(1), match.group(0)), word) for word in words]


def check(words: t.Sequence[str], what: str) -> None:
    """Refuse a command whose program is not there."""
    program = words[0]
    places = [program] if "/" in program else [f"{place}/{program}" for place in os.get_exec_path()]
    if not any(os.path.isfile(place) and os.access(place, os.X_OK) for place in places):
        raise HotplugError(
            "no_command",
            f"the {what} '{program}' is not a program on this host",
            way_out="Give its path, or install it. Nothing was changed.",
        )


def run(words: t.Sequence[str], *, timeout: float) -> Ended:
    """Run a command until it ends or ``timeout`` seconds are over, with what it has started in its session.

    Its standard input is empty. Raises OSError where it cannot be started.
    """
    # Files, not pipes: something that it leaves behind in the background does not keep us waiting.
    with open(os.memfd_create("out"), "w+b") as out, open(os.memfd_create("err"), "w+b") as err:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, err.fileno(), 2),
        ]
        pid = os.posix_spawnp(  # pylint: disable=ansible-bad-function
            words[0], list(words), dict(os.environ), file_actions=actions, setsid=True, setsigdef=_HEEDED, setsigmask=()
        )
        code = _wait(pid, timeout)
        if code is None:
            _end(pid)
        return Ended(code, _said(out), _said(err))


def _wait(pid: int, timeout: float) -> int | None:
    end = time.monotonic() + timeout
    pause = _QUICK
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(pause, left))
        pause = min(2 * pause, _SLOW)


def _end(pid: int) -> None:
    """End a command, and what it has started."""
    os.killpg(pid, signal.SIGTERM)
    if _wait(pid, _GRACE) is None:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _said(file: t.IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _OUTPUT))
    return file.read(_OUTPUT).decode("utf-8", "replace")


def must(words: t.Sequence[str], what: str, *, timeout: float, late: str, failed: str) -> Ended:
    """Run a command that has to end with 0; ``late`` and ``failed`` are the reasons of the errors if it does not."""
    shown = " ".join(words)[:_SHOWN]
    try:
        ended = run(words, timeout=timeout)
    except OSError as exc:
        raise HotplugError(
            failed, f"the {what} '{shown}' cannot be started: {exc.strerror}", way_out="Check its path and mode."
        ) from exc
    if ended.code is None:
        raise HotplugError(
            late,
            f"the {what} '{shown}' did not end within {timeout:g} s and was ended. It said: {ended.why or 'nothing'}",
            way_out="Find out what it waits for, or give it more time.",
            command=list(words),
        )
    if ended.code:
        how = f"ended with {ended.code}" if ended.code > 0 else f"was ended by signal {-ended.code}"
        raise HotplugError(
            failed,
            f"the {what} '{shown}' {how}. It said: {ended.why or 'nothing'}",
            way_out="Run it by hand to see what it lacks.",
            command=list(words),
            code=ended.code,
        )
    return ended
