# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._binding.telemetry import Telemetry
from .._errors import HotplugError
from .._system import Directory, System
from .app import App, Means, Port, Reach

if t.TYPE_CHECKING:
    from .observers import Observer

# RTE_MAX_ETHPORTS is 32 unless DPDK was built otherwise (config/rte_config.h): look on while a block is full or
# more are listed.
DEFAULT_SLOTS = 32
_MAX_PORTS = 1024
# lib/ethdev/ethdev_driver.h: enum rte_eth_dev_state, RTE_ETH_DEV_UNUSED.
_UNUSED = 0


def observer(app: App, reach: Reach, means: Means, system: System, *, timeout: float) -> Observer:
    """What tells the ports of an application that is reached this way; ``timeout``: seconds."""
    if reach.adapter in ("command", "openvswitch", "grout"):
        from .observers import own_observer

        return own_observer(app, reach, means, system, timeout=timeout) or Ports(app)
    return Ports(app)


class Ports:
    """The ports of one running application, read through its telemetry as often as needed."""

    def __init__(self, app: App) -> None:
        self._app = app

    def read(self) -> list[Port]:
        """All ports, by port id, those owned by another device included."""
        with self.session() as session:
            (answer,) = session.ask("/ethdev/list")
            listed = listed_ids(session, answer)
            ports: list[Port] = []
            for first in range(0, _MAX_PORTS, DEFAULT_SLOTS):
                block = read_ports(session, range(first, first + DEFAULT_SLOTS), listed)
                ports += block
                if len(block) < DEFAULT_SLOTS and max(listed, default=0) < first + DEFAULT_SLOTS:
                    break
            return ports

    def again(self, port_ids: t.Iterable[int]) -> list[Port]:
        """Those of the ports that are still there, read afresh. ``owned`` is not looked at."""
        wanted = tuple(port_ids)
        with self.session() as session:
            return read_ports(session, wanted, wanted)

    def session(self) -> Telemetry:
        """With its telemetry, once it is sure that this is the application's. Raises HotplugError."""
        if not self._app.telemetry or self._app.telemetry_error:
            raise HotplugError("telemetry", self._app.telemetry_error or "it serves no telemetry", app=self._app.prefix)
        with (
            Directory(self._app.root + self._app.runtime_dir) as above,
            Directory(self._app.prefix, parent=above) as own,
        ):
            session = Telemetry(own, self._app.telemetry)
        if session.peer_pid != self._app.pid:
            session.close()
            raise HotplugError(
                "primary_gone",
                f"its telemetry is served by pid {session.peer_pid}, not by pid {self._app.pid} any more",
                way_out="It was restarted meanwhile; run again.",
                app=self._app.prefix,
            )
        return session


def listed_ids(session: Telemetry, answer: t.Any) -> frozenset[int]:
    if answer is None:
        return frozenset()
    if not isinstance(answer, list) or {*map(type, answer)} - {int}:  # isinstance() lets True pass
        raise session.nonsense("/ethdev/list")
    return frozenset(answer)


def read_ports(session: Telemetry, port_ids: t.Iterable[int], listed: t.Collection[int]) -> list[Port]:
    wanted = tuple(port_ids)
    answers = session.ask(*(f"/ethdev/info,{port_id}" for port_id in wanted))
    return [
        _port(session, port_id, info, listed)
        for port_id, info in zip(wanted, answers)
        if info and not (isinstance(info, dict) and (info.get("state") == _UNUSED or info.get("name") == ""))
    ]


def _port(session: Telemetry, port_id: int, info: t.Any, listed: t.Collection[int]) -> Port:
    name, node = (info.get("name"), info.get("numa_node", -1)) if isinstance(info, dict) else (None, -1)
    if not isinstance(name, str) or not name.isprintable() or info.get("port_id") != port_id or {type(node)} - {int}:
        raise session.nonsense(f"/ethdev/info,{port_id}")
    return Port(
        port_id=port_id,
        name=name,
        owned=port_id not in listed,
        mac=str(info.get("mac_addr", "")).lower(),
        # SOCKET_ID_ANY is -1, which telemetry may give as an unsigned number.
        numa_node=node if 0 <= node < 1 << 15 else -1,
        configured=bool(info.get("dev_configured")),
        started=bool(info.get("dev_started")),
    )
