# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that looks like a DPDK primary, and is one as far as it is told to be. Standard library only.

    hostile_app.py '{"directory": "/run/dpdk/liar", "telemetry": "half", ...}'

It holds the lock of ``config`` and serves ``mp_socket`` and the telemetry socket. ``release`` is the one of ``config``;
``banner`` overrides what the telemetry greets with; ``telemetry`` says how it misbehaves (a key of _ANSWERS, or one of
silent, after_banner, eof, endless; "good" answers truly). ``answers`` are its results to [attach, detach] (null: no
answer). ``uid`` is the user it becomes. It prints a line when it is ready, then one for each datagram that reached it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

_SIZE = {True: 340, False: 332}


def _info(port_id: Any = 0, name: Any = "net_null0", **other: Any) -> dict[str, Any]:
    return {"name": name, "state": 1, "port_id": port_id, "mac_addr": "00:00:00:00:00:00", "numa_node": 0, **other}


def _wrapped(request: str, value: Any) -> bytes:
    return json.dumps({request.partition(",")[0]: value}).encode()


def _truly(request: str, ports: list[str]) -> Any:
    command, _comma, argument = request.partition(",")
    if command == "/eal/params":
        return ["liar", "\ud800", 5, {"a": [None]}, "\x1b[2J"]
    if command == "/ethdev/list":
        return list(range(len(ports)))
    if command == "/ethdev/info" and argument.isdigit() and int(argument) < len(ports):
        return _info(int(argument), ports[int(argument)])
    return None


# What it says to a request about ports; everything else is answered truly.
_ANSWERS: dict[str, Callable[[str], bytes]] = {
    "half": lambda request: _wrapped(request, [0])[:-4],
    "list": lambda _request: b"[1, 2]",
    "number": lambda _request: b"5",
    "empty_object": lambda _request: b"{}",
    "other_command": lambda _request: b'{"/ethdev/xstats": {}}',
    "huge": lambda request: _wrapped(request, ["x" * 100_000]),
    "deep": lambda _request: b"[" * 15_000 + b"]" * 15_000,
    "deep_object": lambda _request: b'{"a":' * 3_000,
    "binary": lambda _request: bytes(range(256)) * 4,
    "long_number": lambda request: b'{"/ethdev/list": ' + b"9" * 6_000 + b"}",
    "list_of_objects": lambda request: _wrapped(request, [{}, [], None]),
    "list_is_number": lambda request: _wrapped(request, 7),
    "list_is_text": lambda request: _wrapped(request, "012"),
    "no_port_id": lambda request: _wrapped(request, {"name": "net_null0", "state": 1} if "info" in request else [0]),
    "port_id_text": lambda request: _wrapped(request, _info("x") if "info" in request else [0]),
    "port_id_object": lambda request: _wrapped(request, _info({}) if "info" in request else [0]),
    "port_id_other": lambda request: _wrapped(request, _info(1 << 40) if "info" in request else [0]),
    "node_text": lambda request: _wrapped(request, _info(numa_node="x") if "info" in request else [0]),
    "name_object": lambda request: _wrapped(request, _info(name={"a": 1}) if "info" in request else [0]),
    "name_control": lambda request: _wrapped(request, _info(name="a\0b\n\x1b[2J") if "info" in request else [0]),
    "surrogate": lambda request: _wrapped(request, _info(name="\ud800") if "info" in request else [0]),
    "infinity": lambda request: (
        b'{"/ethdev/list": [Infinity], "/ethdev/info": {"name": "a", "state": 1, "port_id": NaN}}'
    ),
}


class Liar:
    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.mode: str = order.get("telemetry", "good")
        self.release = order.get("release", [22, 11, 11, 99])
        self.ports: list[str] = order.get("ports", ["net_null0"])

    def prepare(self) -> None:
        directory = self.order["directory"]
        os.makedirs(directory, 0o700, exist_ok=True)
        if self.order.get("uid"):
            for path in (directory, os.path.dirname(directory)):
                os.chown(path, self.order["uid"], self.order["uid"])
            os.setresgid(*[self.order["uid"]] * 3)
            os.setresuid(*[self.order["uid"]] * 3)
        os.chdir(directory)
        year, month, minor, last = self.release
        self.config = open("config", "wb")  # noqa: SIM115 - its lock is held to the end
        self.config.write(struct.pack("=II", 0x012E6FEE, year << 24 | month << 16 | minor << 8 | last))
        self.config.flush()
        fcntl.lockf(self.config, fcntl.LOCK_EX)
        self.link = self._bound("mp_socket", socket.SOCK_DGRAM)
        self.listener = self._bound("dpdk_telemetry.v2", socket.SOCK_SEQPACKET)
        self.listener.listen(10)

    @staticmethod
    def _bound(name: str, kind: int) -> socket.socket:
        if os.path.exists(name):
            os.unlink(name)
        bound = socket.socket(socket.AF_UNIX, kind)
        bound.bind(name)
        return bound

    def requests(self) -> None:
        """Answers datagrams as a primary of that release would."""
        wide = self.release[:2] >= [25, 11]
        while True:
            data, peer = self.link.recvfrom(4096)
            start = 8 if wide else 4
            name = data[start : start + 64].partition(b"\0")[0].decode("ascii", "replace")
            kind, devargs = struct.unpack_from("=i128s", data, start + 72)
            text = devargs.partition(b"\0")[0].decode("ascii", "replace")
            print(json.dumps({"bytes": len(data), "name": name, "kind": kind, "devargs": text}), flush=True)
            results = self.order.get("answers", [0, 0])
            result = results[kind] if kind in (0, 1) else -95
            if result is None or len(data) != _SIZE[wide]:
                continue
            answer = bytearray(data)
            struct.pack_into("=i", answer, 0, 2)
            struct.pack_into("=i", answer, start + 72 + 132, result)
            self.link.sendto(answer, peer)

    def telemetry(self) -> None:
        while True:
            connection, _peer = self.listener.accept()
            if self.mode == "eof":
                connection.close()
            else:
                threading.Thread(target=self._quietly, args=(connection,), daemon=True).start()

    def _quietly(self, connection: socket.socket) -> None:
        try:
            self._serve(connection)
        except OSError:
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        year, month, minor, _last = self.release
        banner = {"version": f"DPDK {year}.{month:02d}.{minor}", "pid": os.getpid(), "max_output_len": 16384}
        raw = self.order.get("banner_raw")
        connection.send(
            raw.encode("latin-1")
            if raw is not None
            else json.dumps({**banner, **self.order.get("banner", {})}).encode()
        )
        while self.mode == "endless":
            connection.send(b"{" + b" " * 10_000)
        while self.mode != "after_banner":
            request = connection.recv(1024).decode()
            if not request:
                break
            if self.mode in _ANSWERS and request.startswith("/ethdev"):
                connection.send(_ANSWERS[self.mode](request))
            else:
                connection.send(_wrapped(request, _truly(request, self.ports)))
        if self.mode == "after_banner":
            threading.Event().wait()


def main() -> None:
    liar = Liar(json.loads(sys.argv[1]))
    liar.prepare()
    if liar.mode != "silent":
        threading.Thread(target=liar.telemetry, daemon=True).start()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    liar.requests()


if __name__ == "__main__":
    main()
