# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import hooks
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError

VALUES = {"app": "web", "device": "net_null0", "devargs": "net_null0,size=64", "port_ids": "1,2"}

FILLED: list[tuple[list[str], list[str]]] = [
    (["drain", "{device}", "--ids={port_ids}"], ["drain", "net_null0", "--ids=1,2"]),
    (["drain", "{app}/{app}", "{devargs}"], ["drain", "web/web", "net_null0,size=64"]),
    (["drain", '{"a": 1}', "{}", "{not here}"], ["drain", '{"a": 1}', "{}", "{not here}"]),
]


@pytest.mark.parametrize("words, expected", FILLED)
def test_placeholders_are_filled_in_and_other_braces_are_left(words: list[str], expected: list[str]) -> None:
    assert hooks.filled(words, VALUES) == expected


def test_what_is_filled_in_is_never_read_again(tmp_path: Path) -> None:
    """A value with blanks, quotes or a placeholder's look stays one argument: there is no shell."""
    nasty = f"x; touch {tmp_path}/owned; {{app}} $(id) '"
    words = hooks.filled([sys.executable, "-S", "-c", "import sys; print(sys.argv[1:])", "{device}"], {"device": nasty})
    assert hooks.run(words, timeout=20).out.strip() == repr([nasty])
    assert os.listdir(tmp_path) == []


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_what_a_command_says_and_how_it_ends() -> None:
    ended = hooks.run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"), timeout=20)
    assert (ended.code, ended.out, ended.err) == (3, "out\n", "err\n")
    assert ended.why == "err"


def test_a_command_has_an_empty_input_and_none_of_our_descriptors() -> None:
    read, write = os.pipe()
    code = "import os, sys; print(repr(sys.stdin.read()), sorted(map(int, os.listdir('/proc/self/fd')))[3:5])"
    out = hooks.run(python(code), timeout=20).out
    os.close(read)
    os.close(write)
    assert out.startswith("''")
    assert str(write) not in out


def test_a_command_in_the_background_does_not_keep_us_waiting(tmp_path: Path) -> None:
    """It holds the output open, as a daemon does that is not careful."""
    started = time.monotonic()
    ended = hooks.run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; echo done"], timeout=30)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert ended.out == "done\n"
    assert time.monotonic() - started < 30, "it waited for the one in the background"


def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    code = f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/child; wait; wait"
    ended = hooks.run(["sh", "-c", code], timeout=0.5)
    assert ended.code is None
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < end, "what it started still runs"


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_command_heeds_signals_that_a_run_does_not() -> None:
    kept = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        code = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
        assert hooks.run(python(code), timeout=20).out == "True\n"
    finally:
        signal.signal(signal.SIGTERM, kept)


FAILING: list[tuple[list[str], float, str, str]] = [
    (["/no/such/program"], 20, "failed", "cannot be started"),
    (["/etc/passwd"], 20, "failed", "cannot be started"),
    (["sh", "-c", "echo no route >&2; exit 2"], 20, "failed", "ended with 2. It said: no route"),
    (["sh", "-c", "kill -9 $$"], 20, "failed", "ended by signal 9. It said: nothing"),
    (["sh", "-c", "echo waiting; exec sleep 60"], 0.3, "late", "did not end within 0.3 s and was ended"),
]


@pytest.mark.parametrize("words, timeout, reason, text", FAILING)
def test_what_must_end_well_and_does_not(words: list[str], timeout: float, reason: str, text: str) -> None:
    with pytest.raises(HotplugError) as error:
        hooks.must(words, "command for drain", timeout=timeout, late="late", failed="failed")
    assert error.value.reason == reason
    assert text in str(error.value)
    assert error.value.way_out


def test_a_long_complaint_is_shown_from_its_end() -> None:
    with pytest.raises(HotplugError) as error:
        words = python("import sys; print('x' * 10000 + ' the end'); sys.exit(1)")
        hooks.must(words, "command", timeout=20, late="late", failed="failed")
    assert "the end" in str(error.value)
    assert len(error.value.message) < 1000


CHECKED: list[tuple[str, bool]] = [("sh", True), ("/bin/sh", True), ("no-such-program", False), ("/etc/passwd", False)]


@pytest.mark.parametrize("program, there", CHECKED)
def test_a_program_that_is_not_there_is_refused_before_anything_is_done(program: str, there: bool) -> None:
    def check() -> t.Any:
        hooks.check([program, "x"], "command for drain")

    if there:
        check()
        return
    with pytest.raises(HotplugError, match=program) as error:
        check()
    assert error.value.reason == "no_command"
