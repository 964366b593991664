# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stateful Open vSwitch: its database's socket and its control socket, served by threads of the test itself.

It does what ovsdb-server and ovs-vswitchd 3.1 do with the operations that the library uses, which is held against
the real ones in tests/integration/real/test_adapters_openvswitch.py.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
import typing as t
import uuid

Row = dict[str, t.Any]
_EMPTY: list[t.Any] = ["set", []]
_DEFAULTS: dict[str, Row] = {
    "Port": {"tag": _EMPTY, "other_config": ["map", []], "external_ids": ["map", []], "statistics": ["map", []]},
    "Interface": {
        "type": "",
        "options": ["map", []],
        "error": _EMPTY,
        "ofport": _EMPTY,
        "mac": _EMPTY,
        "other_config": ["map", []],
        "external_ids": ["map", []],
        "statistics": ["map", []],
    },
}


class FakeOvs:
    """`bad`: devices that cannot be attached, with what Open vSwitch then says. `stuck`: it applies nothing."""

    def __init__(self, directory: str, bridges: t.Mapping[str, str]) -> None:
        self.database, self.control = f"{directory}/db.sock", f"{directory}/ovs-vswitchd.{os.getpid()}.ctl"
        self.tables: dict[str, dict[str, Row]] = {name: {} for name in ("Open_vSwitch", "Bridge", "Port", "Interface")}
        self.tables["Open_vSwitch"][_id()] = {"next_cfg": 0, "cur_cfg": 0}
        for name, datapath in bridges.items():
            self.tables["Bridge"][_id()] = {"name": name, "datapath_type": datapath, "ports": _EMPTY}
        self.probed: dict[str, str] = {}  # devices in DPDK, with their arguments
        self.bad: dict[str, str] = {}
        self.busy = ""
        self.stuck = False
        self.refuse = False
        self._ofports = itertools.count(1)
        self._watchers: list[socket.socket] = []
        self._servers = [_listen(self.database, self._serve_database), _listen(self.control, self._serve_control)]

    def close(self) -> None:
        for server in [*self._servers, *self._watchers]:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()

    def add_interface(self, bridge: str, name: str, devargs: str, **more: t.Any) -> None:
        """As an operator does it."""
        options = ["map", [["dpdk-devargs", devargs]]]
        self._transact(
            [
                {
                    "op": "insert",
                    "table": "Interface",
                    "uuid-name": "i",
                    "row": {"name": name, "type": "dpdk", "options": options},
                },
                {
                    "op": "insert",
                    "table": "Port",
                    "uuid-name": "p",
                    "row": {"name": name, "interfaces": ["named-uuid", "i"], **more},
                },
                {
                    "op": "mutate",
                    "table": "Bridge",
                    "where": [["name", "==", bridge]],
                    "mutations": [["ports", "insert", ["set", [["named-uuid", "p"]]]]],
                },
                {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]},
            ]
        )

    def _serve_database(self, link: socket.socket, message: Row) -> t.Any:
        if message["method"] == "monitor":
            self._watchers.append(link)
            return {"Open_vSwitch": {key: {"new": row} for key, row in self.tables["Open_vSwitch"].items()}}
        if self.refuse:
            return [{"error": "constraint violation", "details": "no room"}]
        return self._transact(message["params"][1:])

    def _serve_control(self, _link: socket.socket, message: Row) -> t.Any:
        (device,) = message["params"]
        if self.busy:
            raise ValueError(f"Device '{device}' is being used by the following interfaces: {self.busy}\n")
        if device not in self.probed:
            raise ValueError(f"Device '{device}' not found in DPDK\n")
        del self.probed[device]
        return f"All devices shared with device '{device}' have been detached\n"

    def _transact(self, operations: list[Row]) -> list[t.Any]:
        named: dict[str, str] = {}
        answer = [getattr(self, "_" + one["op"])(one, named) for one in operations]
        self._collect()
        if not self.stuck:
            self._apply()
        return answer

    def _matching(self, one: Row) -> list[tuple[str, Row]]:
        found = []
        for key, row in self.tables[one["table"]].items():
            whole = {"_uuid": ["uuid", key], **row}
            if all(
                (_members(value)[0] in _members(whole[column])) if test == "includes" else whole[column] == value
                for column, test, value in one["where"]
            ):
                found.append((key, row))
        return found

    def _select(self, one: Row, _named: dict[str, str]) -> Row:
        whole = [{"_uuid": ["uuid", key], "_version": ["uuid", _id()], **row} for key, row in self._matching(one)]
        columns = one.get("columns")
        return {"rows": [{name: row[name] for name in columns} if columns else row for row in whole]}

    def _insert(self, one: Row, named: dict[str, str]) -> Row:
        key = named[one["uuid-name"]] = _id()
        row = {name: _resolved(value, named) for name, value in one["row"].items()}
        self.tables[one["table"]][key] = {**_DEFAULTS[one["table"]], **row}
        return {"uuid": ["uuid", key]}

    def _mutate(self, one: Row, named: dict[str, str]) -> Row:
        rows = self._matching(one)
        for _key, row in rows:
            for column, how, value in one["mutations"]:
                if how == "+=":
                    row[column] += value
                    continue
                changed = _members(_resolved(value, named))
                kept = [member for member in _members(row[column]) if member not in changed]
                row[column] = ["set", kept + (changed if how == "insert" else [])]
        return {"count": len(rows)}

    def _collect(self) -> None:
        """What no row refers to is gone."""
        for above, column, below in (("Bridge", "ports", "Port"), ("Port", "interfaces", "Interface")):
            used = {member[1] for row in self.tables[above].values() for member in _members(row[column])}
            self.tables[below] = {key: row for key, row in self.tables[below].items() if key in used}

    def _apply(self) -> None:
        wanted = {}
        for row in self.tables["Interface"].values():
            device, _comma, args = dict(row["options"][1])["dpdk-devargs"].partition(",")
            wanted[device] = args
            error = self.bad.get(device)
            row["error"] = error or _EMPTY
            works = isinstance(row["ofport"], int) and row["ofport"] > 0
            row["ofport"] = -1 if error else row["ofport"] if works else next(self._ofports)
            if not error:
                self.probed.setdefault(device, args)
        for device in [one for one in self.probed if one not in wanted and one not in self.kept]:
            del self.probed[device]
        (top,) = self.tables["Open_vSwitch"].items()
        top[1]["cur_cfg"] = top[1]["next_cfg"]
        update = {"Open_vSwitch": {top[0]: {"new": {"cur_cfg": top[1]["cur_cfg"]}}}}
        for link in self._watchers:
            with contextlib.suppress(OSError):
                _say(link, {"method": "echo", "params": [], "id": "echo"})
                _say(link, {"method": "update", "params": ["dpdk.hotplug", update], "id": None})

    kept: t.Collection[str] = ()  # devices that it did not attach itself, and so does not detach


def _id() -> str:
    return str(uuid.uuid4())


def _members(value: t.Any) -> list[t.Any]:
    return list(value[1]) if isinstance(value, list) and value[0] == "set" else [value]


def _resolved(value: t.Any, named: t.Mapping[str, str]) -> t.Any:
    if isinstance(value, list) and value[:1] == ["named-uuid"]:
        return ["uuid", named[value[1]]]
    if isinstance(value, list) and value[:1] == ["set"]:
        return ["set", [_resolved(one, named) for one in value[1]]]
    return value


def _say(link: socket.socket, message: Row) -> None:
    link.sendall(json.dumps(message).encode())


def _listen(path: str, answer: t.Callable[[socket.socket, Row], t.Any]) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen()

    def converse(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            _converse(link)

    def _converse(link: socket.socket) -> None:
        text = ""
        while data := link.recv(1 << 16):
            text += data.decode()
            while text:
                try:
                    message, length = json.JSONDecoder().raw_decode(text)
                except ValueError:
                    break
                text = text[length:]
                if "method" not in message:  # the answer to an echo
                    continue
                try:
                    reply = {"result": answer(link, message), "error": None, "id": message["id"]}
                except ValueError as error:
                    reply = {"result": None, "error": str(error), "id": message["id"]}
                _say(link, reply)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _peer = server.accept()
                threading.Thread(target=converse, args=(link,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server
