# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test asks of a guest goes to one program there (serve.py), over one connection, and costs a fork each."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import threading
import time
from typing import Any

from machines import Done, Guest

# What ssh ends with when it has lost its connection.
_LOST = 255
_START = 120.0


class Agent:
    """Begins when it is needed, and again after the guest has been away. ``place``: where serve.py is in the guest."""

    def __init__(self, machine: Guest, command: str) -> None:
        self._machine = machine
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def do(self, order: dict[str, Any], limit: float) -> Done | None:
        """Raises TimeoutExpired; None where it is busy or does not start: then it must be done in another way."""
        if not self._turn.acquire(blocking=False):
            return None
        try:
            running = self._child is not None and self._child.poll() is None
            return self._ask(order, limit) if running or self._start() else None
        finally:
            self._turn.release()

    def _start(self) -> bool:
        self.close()
        self._child = subprocess.Popen(
            [*self._machine.ssh(), self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        return bool(self._line(_START))

    def _ask(self, order: dict[str, Any], limit: float) -> Done:
        assert self._child is not None and self._child.stdin is not None
        try:
            left = json.dumps(order).encode() + b"\n"
            while left:
                left = left[self._child.stdin.write(left) or 0 :]
            line = self._line(limit)
        except BrokenPipeError:
            line = b""
        except subprocess.TimeoutExpired:
            self.close()
            raise
        if not line:
            self.close()
            return Done(_LOST, "", "the connection was lost")
        answer = json.loads(line)
        return Done(answer["code"], answer["out"], answer["err"])

    def _line(self, limit: float) -> bytes:
        """The next line, empty where there is an end instead."""
        assert self._child is not None and self._child.stdout is not None
        end, line = time.monotonic() + limit, b""
        while not line.endswith(b"\n"):
            if not select.select([self._child.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                raise subprocess.TimeoutExpired(self._command, limit)
            part = self._child.stdout.read(1 << 16)
            if not part:
                return b""
            line += part
        return line

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            for stream in (self._child.stdin, self._child.stdout):
                with contextlib.suppress(OSError):
                    if stream:
                        stream.close()
            self._child.wait()
            self._child = None
