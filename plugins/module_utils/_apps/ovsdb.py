# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._bad_devices import name_of
from .._errors import HotplugError
from .._system import System
from .app import App
from .jsonrpc import JsonRpc

# The part of Open vSwitch's database that concerns ports of DPDK. Source: ovs-vswitchd.conf.db(5), RFC 7047.

_DB = "Open_vSwitch"
_RUN = "/var/run/openvswitch"
# The columns that the operator writes, which a port that is taken back must have again. The rest is what Open vSwitch
# tells (vswitch.ovsschema of 3.1).
_PORT = (
    *("name", "trunks", "cvlans", "tag", "vlan_mode", "qos", "mac", "bond_mode", "lacp", "bond_updelay"),
    *("bond_downdelay", "bond_fake_iface", "fake_bridge", "protected", "other_config", "external_ids"),
)
_INTERFACE = (
    *("name", "type", "options", "ingress_policing_rate", "ingress_policing_burst", "ingress_policing_kpkts_rate"),
    *("ingress_policing_kpkts_burst", "mac", "external_ids", "ofport_request", "bfd", "cfm_mpid", "lldp"),
    *("other_config", "mtu_request"),
)
_BUMP: list[dict[str, t.Any]] = [
    {"op": "mutate", "table": _DB, "where": [], "mutations": [["next_cfg", "+=", 1]]},
    {"op": "select", "table": _DB, "where": [], "columns": ["next_cfg"]},
]


class Places(t.NamedTuple):
    """The sockets of an Open vSwitch: of its database, and of ovs-vswitchd itself."""

    database: str
    control: str


class Saved(t.NamedTuple):
    """An interface as it can be added again: its bridge, and what the operator set of its port and of itself."""

    bridge: str
    port: t.Mapping[str, t.Any]
    interface: t.Mapping[str, t.Any]

    def of(self, devargs: str) -> Saved:
        """The same with these devargs."""
        options = {**_column(self.interface["options"]), "dpdk-devargs": devargs}
        return self._replace(interface={**self.interface, "options": ["map", [list(one) for one in options.items()]]})


class Interface(t.NamedTuple):
    """An interface of type dpdk. ``ofport`` is -1 where Open vSwitch could not add it, and 0 before it has tried."""

    uuid: str
    name: str
    devargs: str
    error: str
    ofport: int
    port: str = ""
    port_name: str = ""
    bridge: str = ""
    members: int = 1

    @property
    def device(self) -> str:
        return name_of(self.devargs)

    @property
    def works(self) -> bool:
        return self.ofport > 0 and not self.error


def places(app: App, system: System) -> Places:
    """Where the sockets of a running ovs-vswitchd are, by its command line and environment."""
    environment = system.read(f"/proc/{app.pid}/environ").split(b"\0")
    told = [one.partition(b"=")[2].decode("utf-8", "replace") for one in environment if one.startswith(b"OVS_RUNDIR=")]
    run = (told or [_RUN])[0]
    remotes = [word for word in app.command[1:] if not word.startswith("-")]
    database = (remotes or [f"unix:{run}/db.sock"])[0]
    if not database.startswith("unix:"):
        raise HotplugError("unreachable", f"its database is at {database}, and not on a unix socket of this host")
    controls = [word.partition("=")[2] for word in app.command if word.startswith("--unixctl=")]
    controls += [f"{run}/{name}" for name in system.names(run) if name.endswith(f".{app.pid}.ctl")]
    found = Places(system.path(database.partition(":")[2]), system.path(controls[0]) if controls else "")
    for what, path in (("database", found.database), ("control", found.control)):
        if not os.path.exists(path):
            raise HotplugError("unreachable", f"its {what} socket is not there{f': {path}' if path else ''}")
    return found


def _column(value: t.Any) -> t.Any:
    """A column's value: a set of one as that, an empty one as None, a map as a dict."""
    if isinstance(value, list) and len(value) == 2:
        kind, items = value
        if kind == "map":
            return dict(items)
        if kind == "set":
            return [_column(item) for item in items] if len(items) > 1 else (_column(items[0]) if items else None)
        if kind == "uuid":
            return items
    return value


def _several(value: t.Any) -> list[t.Any]:
    found = _column(value)
    return [] if found is None else found if isinstance(found, list) else [found]


class Database:
    """A connection to the database of one Open vSwitch."""

    def __init__(self, path: str, *, uids: t.Collection[int], timeout: float) -> None:
        self._rpc = JsonRpc(path, uids=uids, timeout=timeout)
        self._watching = False
        self._applied = 0

    def close(self) -> None:
        self._rpc.close()

    def transact(self, *operations: t.Mapping[str, t.Any]) -> list[t.Any]:
        """One transaction; its results, one an operation. All of it is done, or nothing."""
        answer = self._rpc.call("transact", _DB, *operations)
        for one in answer:
            if isinstance(one, dict) and one.get("error"):
                raise HotplugError(
                    "ovs_error",
                    f"Open vSwitch's database refuses: {one['error']}: {one.get('details', '')}",
                    way_out="Nothing of it was done.",
                )
        return t.cast("list[t.Any]", answer)

    def _rows(self, *tables: tuple[str, tuple[str, ...]]) -> list[list[dict[str, t.Any]]]:
        asked = [{"op": "select", "table": table, "where": [], "columns": list(columns)} for table, columns in tables]
        return [one["rows"] for one in self.transact(*asked)]

    def bridges(self) -> dict[str, str]:
        """Bridges by name, with their datapath's type."""
        (rows,) = self._rows(("Bridge", ("name", "datapath_type")))
        return {row["name"]: row["datapath_type"] for row in rows}

    def names(self) -> set[str]:
        """The names that are taken, of ports and of interfaces."""
        ports, interfaces = self._rows(("Port", ("name",)), ("Interface", ("name",)))
        return {row["name"] for row in [*ports, *interfaces]}

    def interfaces(self) -> list[Interface]:
        """Every interface of type dpdk, with where it is."""
        bridges, ports, rows = self._rows(
            ("Bridge", ("name", "ports")),
            ("Port", ("_uuid", "name", "interfaces")),
            ("Interface", ("_uuid", "name", "type", "options", "error", "ofport")),
        )
        bridge_of = {uuid: row["name"] for row in bridges for uuid in _several(row["ports"])}
        port_of = {uuid: row for row in ports for uuid in _several(row["interfaces"])}
        found = []
        for row in rows:
            if row["type"] != "dpdk":
                continue
            uuid = _column(row["_uuid"])
            port = port_of.get(uuid, {"_uuid": "", "name": "", "interfaces": ["set", []]})
            found.append(
                Interface(
                    uuid,
                    row["name"],
                    str(_column(row["options"]).get("dpdk-devargs", "")),
                    str(_column(row["error"]) or ""),
                    int(_column(row["ofport"]) or 0),
                    _column(port["_uuid"]),
                    port["name"],
                    bridge_of.get(_column(port["_uuid"]), ""),
                    len(_several(port["interfaces"])),
                )
            )
        return found

    def add(self, bridge: str, port: t.Mapping[str, t.Any], interface: t.Mapping[str, t.Any]) -> int:
        """Put a port with one interface on a bridge; the number of the configuration that has it."""
        results = self.transact(
            {"op": "insert", "table": "Interface", "row": dict(interface), "uuid-name": "interface"},
            {
                "op": "insert",
                "table": "Port",
                "row": {**port, "interfaces": ["named-uuid", "interface"]},
                "uuid-name": "port",
            },
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["name", "==", bridge]],
                "mutations": [["ports", "insert", ["set", [["named-uuid", "port"]]]]],
            },
            *_BUMP,
        )
        if not results[2]["count"]:
            raise no_bridge(bridge, ())
        return int(results[4]["rows"][0]["next_cfg"])

    def remove(self, interfaces: t.Sequence[Interface]) -> int:
        """Take the ports of these interfaces off their bridges; the number of the configuration without them."""
        taken = [
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["ports", "includes", ["set", [["uuid", one.port]]]]],
                "mutations": [["ports", "delete", ["set", [["uuid", one.port]]]]],
            }
            for one in interfaces
        ]
        return int(self.transact(*taken, *_BUMP)[-1]["rows"][0]["next_cfg"])

    def again(self) -> int:
        """Have Open vSwitch try once more what it could not do."""
        return int(self.transact(*_BUMP)[-1]["rows"][0]["next_cfg"])

    def saved(self, interface: Interface) -> Saved:
        """What add() needs to bring an interface back."""
        port, row = (
            one["rows"][0]
            for one in self.transact(
                {"op": "select", "table": "Port", "where": [["_uuid", "==", ["uuid", interface.port]]]},
                {"op": "select", "table": "Interface", "where": [["_uuid", "==", ["uuid", interface.uuid]]]},
            )
        )
        return Saved(
            interface.bridge,
            {name: port[name] for name in _PORT if name in port},
            {name: row[name] for name in _INTERFACE if name in row},
        )

    def applied(self, number: int, seconds: float) -> bool:
        """Wait until Open vSwitch has done what configuration ``number`` asks; False if it does not in this time."""
        if not self._watching:
            self._note(self._rpc.call("monitor", _DB, "dpdk.hotplug", {_DB: {"columns": ["cur_cfg"]}}))
            self._watching = True
        if self._applied < number:
            self._rpc.wait(seconds)
        while self._rpc.updates:
            self._note(self._rpc.updates.pop(0)[1])
        return self._applied >= number

    def _note(self, update: t.Any) -> None:
        for row in update.get(_DB, {}).values():
            self._applied = max(self._applied, int(row.get("new", {}).get("cur_cfg", 0)))


def no_bridge(bridge: str, there: t.Iterable[str]) -> HotplugError:
    names = ", ".join(sorted(there)) or "none"
    what = f"there is no bridge '{bridge}'" if bridge else "no bridge is given, and there is not exactly one"
    return HotplugError(
        "no_bridge",
        f"{what} with datapath_type netdev in Open vSwitch; there are: {names}",
        way_out="Give one of them as bridge, or add it: ovs-vsctl add-br BRIDGE -- set Bridge BRIDGE "
        "datapath_type=netdev.",
    )
