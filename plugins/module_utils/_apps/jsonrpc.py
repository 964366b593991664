# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import codecs
import json
import socket
import struct
import time
import typing as t

from .._errors import HotplugError

_LIMIT = 1 << 26  # bytes of one message; a database of thousands of ports has a few MiB
_CRED = struct.Struct("iII")  # struct ucred of unix(7)


class JsonRpc:
    """JSON-RPC 1.0 on a unix socket, as ovsdb-server (RFC 7047) and the control sockets of Open vSwitch speak it.

    Messages follow each other without anything in between. ``timeout``: seconds for an answer. ``uids``: who may serve
    the socket; ``pid``: which process must, if it is not 0. Raises HotplugError.
    """

    def __init__(self, path: str, *, uids: t.Collection[int], timeout: float, pid: int = 0) -> None:
        self.path = path
        self._timeout = timeout
        self._last = 0
        self._text = ""
        self._decoder = json.JSONDecoder()
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self.updates: list[t.Any] = []
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._link.settimeout(timeout)
            self._link.connect(path)
            peer = _CRED.unpack(self._link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CRED.size))
        except OSError as exc:
            self.close()
            raise self._lost(exc.strerror or str(exc)) from exc
        if peer[1] not in uids or (pid and peer[0] != pid):
            self.close()
            raise HotplugError(
                "foreign",
                f"socket {path} is served by pid {peer[0]} of user {peer[1]}",
                way_out="Check who put it there.",
            )

    def _lost(self, why: str) -> HotplugError:
        return HotplugError(
            "ovs_lost", f"Open vSwitch does not answer on {self.path}: {why}", way_out="Check that it runs; run again."
        )

    def call(self, method: str, *params: t.Any) -> t.Any:
        """The answer to a request; an error that it answers with is raised with the reason ``ovs_error``."""
        self._last += 1
        self._send({"method": method, "params": list(params), "id": self._last})
        end = time.monotonic() + self._timeout
        while True:
            message = self._message(end)
            if message is None:
                raise HotplugError(
                    "timeout", f"{self.path} did not answer within {self._timeout:g} s", way_out="Look at the ports."
                )
            if message.get("id") == self._last and "method" not in message:
                break
        if message.get("error") is not None:
            raise HotplugError("ovs_error", str(message["error"]).strip(), way_out="Open vSwitch's log says more.")
        return message.get("result")

    def wait(self, seconds: float) -> None:
        """Read until an update has come or the time is over."""
        end = time.monotonic() + seconds
        while not self.updates and self._message(end) is not None:
            pass

    def _send(self, message: t.Mapping[str, t.Any]) -> None:
        try:
            self._link.settimeout(self._timeout)
            self._link.sendall(json.dumps(message).encode())
        except OSError as exc:
            raise self._lost(exc.strerror or str(exc)) from exc

    def _message(self, end: float) -> dict[str, t.Any] | None:
        """The next message, None if none comes in time. What the server asks is answered, updates are put aside."""
        while True:
            message = self._decoded()
            if message is None:
                if not self._read(end):
                    return None
            elif message.get("method") == "echo":
                self._send({"result": message.get("params"), "error": None, "id": message.get("id")})
            else:
                if message.get("method") == "update":
                    self.updates.append(message.get("params"))
                return message

    def _decoded(self) -> dict[str, t.Any] | None:
        self._text = self._text.lstrip()
        if not self._text:
            return None
        try:
            message, length = self._decoder.raw_decode(self._text)
        except ValueError:
            if len(self._text) > _LIMIT:
                raise self._lost("it talks nonsense") from None
            return None
        except RecursionError:
            raise self._lost("it talks nonsense") from None
        self._text = self._text[length:]
        if not isinstance(message, dict):
            raise self._lost("it talks nonsense")
        return message

    def _read(self, end: float) -> bool:
        left = end - time.monotonic()
        if left <= 0:
            return False
        try:
            self._link.settimeout(left)
            data = self._link.recv(1 << 18)
        except socket.timeout:
            return False
        except OSError as exc:
            raise self._lost(exc.strerror or str(exc)) from exc
        if not data:
            raise self._lost("it closed the connection")
        self._text += self._utf8.decode(data)
        return True

    def close(self) -> None:
        self._link.close()
