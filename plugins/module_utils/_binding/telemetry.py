# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import json
import socket
import struct
import time
import typing as t

from .._errors import HotplugError
from .._system import Closing, Directory

# struct ucred of socket(7), SO_PEERCRED: pid, uid, gid.
_UCRED = struct.Struct("=iII")
_TIMEVAL = struct.Struct("@ll")
# lib/telemetry/telemetry.c: MAX_OUTPUT_LEN is 16 KiB; a server that says more than this in its banner is not DPDK's.
_MAX_OUTPUT = 1 << 16
# lib/telemetry/telemetry.c: MAX_CONNECTIONS is 10; one more is accepted and closed at once.
_RETRIES = 4
# Requests on their way at once: fewer than what a socket buffer holds.
_WINDOW = 16


class Telemetry(Closing):
    """A session with a telemetry socket (protocol v2, lib/telemetry/telemetry.c).

    ``version``: the text of the banner. ``peer_pid``: who holds the socket according to the kernel (0 when in a pid
    namespace that we do not see).
    All of it ends ``deadline`` seconds after the session was opened, or half as long again at the worst.
    """

    def __init__(self, directory: Directory, name: str, *, deadline: float = 3.0) -> None:
        self._path = f"{directory.path}/{name}"
        self._end = time.monotonic() + deadline
        if not directory.is_socket(name):
            raise HotplugError("telemetry", f"telemetry {self._path} is not a socket", way_out=_WAY_OUT)
        banner = self._connect(directory.child(name))
        self.version = "".join(filter(str.isprintable, str(banner.get("version", ""))[:128]))
        most = banner.get("max_output_len")
        if not isinstance(most, int) or isinstance(most, bool) or not 0 < most < _MAX_OUTPUT:
            most = _MAX_OUTPUT
        self._limit = most + 1024

    def _connect(self, path: str) -> dict[str, t.Any]:
        for attempt in range(_RETRIES + 1):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
            self._limit, self._bound = 4096, 0.0
            try:
                self._wait()
                self._socket.connect(path)
                self.peer_pid, _uid, _gid = _UCRED.unpack(
                    self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
                )
                return self._object(self._receive("the banner"))
            except _Full:
                self._socket.close()
                time.sleep(min(0.05 * 2**attempt, self._left()))
            except OSError as exc:
                self._socket.close()
                hung = isinstance(exc, BlockingIOError)
                raise self._error("does not answer" if hung else f"refuses: {exc.strerror}") from exc
            except HotplugError:
                self._socket.close()
                raise
        raise self._error(f"is full: it serves 10 clients and closed our connection {_RETRIES + 1} times")

    def ask(self, *requests: str) -> list[t.Any]:
        """The answers to the requests, in order; None where the application knows no answer.

        All requests are sent at once, the answers read after: the server answers in order.
        """
        answers: list[t.Any] = []
        for first in range(0, len(requests), _WINDOW):
            window = requests[first : first + _WINDOW]
            for request in window:
                self._send(request)
            for request in window:
                answer = self._object(self._receive(request))
                command = request.partition(",")[0]
                if command not in answer:
                    raise self._error(f"answered {request} with something else")
                answers.append(answer[command])
        return answers

    def nonsense(self, request: str) -> HotplugError:
        """The error for an answer that is JSON and yet cannot be an answer."""
        return self._error(f"answered {request} with nonsense")

    def close(self) -> None:
        self._socket.close()

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._error("does not answer in time")
        return left

    def _wait(self) -> None:
        """Have the kernel bound the next call: cheaper than settimeout(), and connect(2) waits its turn (socket(7))."""
        left = self._left()
        if not left <= self._bound <= 2 * left:
            self._bound = left
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._socket.setsockopt(
                    socket.SOL_SOCKET, option, _TIMEVAL.pack(int(left), max(1, int(left % 1 * 1e6)))
                )

    def _send(self, request: str) -> None:
        self._wait()
        try:
            self._socket.send(request.encode("ascii"))
        except BlockingIOError as exc:
            raise self._error(f"does not answer in time ({request})") from exc
        except OSError as exc:
            raise self._error(f"broke off at {request}") from exc

    def _receive(self, what: str) -> bytes:
        self._wait()
        try:
            data = self._socket.recv(self._limit + 1)
        except BlockingIOError as exc:
            raise self._error(f"does not answer in time ({what})") from exc
        except ConnectionResetError:
            data = b""
        except OSError as exc:
            raise self._error(f"broke off at {what}: {exc.strerror}") from exc
        if not data:
            if what == "the banner":
                raise _Full()
            raise self._error(f"broke off at {what}")
        if len(data) > self._limit:
            raise self._error(f"answers without end ({what})")
        return data

    def _object(self, data: bytes) -> dict[str, t.Any]:
        try:
            value = json.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as exc:
            raise self._error(f"does not answer in JSON: {data[:60]!r}") from exc
        if not isinstance(value, dict):
            raise self._error(f"does not answer with an object: {data[:60]!r}")
        return value

    def _error(self, what: str) -> HotplugError:
        return HotplugError("telemetry", f"telemetry {self._path} {what}", way_out=_WAY_OUT)


_WAY_OUT = "Check the application that should serve it, or restart it."


class _Full(Exception):
    """The server closed the connection before its banner."""
