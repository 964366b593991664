# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

if t.TYPE_CHECKING:
    import subprocess

PATH = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")


def find(name: str) -> str:
    """Where the host has a program, "" where it has not."""
    return next((f"{place}/{name}" for place in PATH if os.access(f"{place}/{name}", os.X_OK)), "")


def run(program: str, *words: str, limit: int) -> subprocess.CompletedProcess[str]:
    """A program to its end, with what it said; OSError, or TimeoutExpired after ``limit`` seconds."""
    import subprocess

    # The library is no module: it has no run_command().
    return subprocess.run(  # pylint: disable=ansible-bad-function
        [program, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=limit,
        env={"LC_ALL": "C", "PATH": ":".join(PATH)},
    )
