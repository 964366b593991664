# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import time
import typing as t

from .. import _devices
from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from .app import App, Means, Port
from .jsonrpc import JsonRpc
from .ovsdb import Database, Interface, Saved, no_bridge, places
from .ports import Ports
from .reach_others import OPENVSWITCH_VERBS

_SETTLE = 15.0
# Seconds for the memory of a port to be given back after its interface is gone (RCU), and between two looks.
_RELEASE = 5.0
_LOOK = 0.02
# Seconds after which to look whether ovs-vswitchd still lives, while its answer is waited for.
_ALIVE = 0.25
# OFP_MAX_PORT_NAME_LEN is 16 with its NUL: OpenFlow would cut longer names.
_NAME = 15


class OpenVSwitch:
    """Open vSwitch with DPDK, through its database: a device is attached when an interface of type dpdk works.

    What is in the database outlives ovs-vswitchd, so it is taken back there also where that has ended.
    """

    name = "openvswitch"
    channel = ""
    verbs = frozenset(OPENVSWITCH_VERBS)

    def __init__(self, app: App, means: Means, system: System, *, timeout: float) -> None:
        self._app = app
        self._means = means
        self._system = system
        self._timeout = timeout
        self._places = places(app, system)
        self._open: Database | None = None
        self._asked = 0  # the last configuration that we asked for
        # What we took off, as it was first. What was probed before we added it, and stays so. What is yet to be
        # attached because it is asked for, and not because something is undone.
        self._removed: dict[str, list[Saved]] = {}
        self._planned: set[str] = set()
        self._probed: set[str] = set()

    @property
    def _database(self) -> Database:
        if self._open is None:
            self._open = Database(self._places.database, uids=_uids(self._app), timeout=self._timeout)
        return self._open

    def precheck(self, attaching: t.Sequence[Devargs] = ()) -> None:
        self._planned = {device.name for device in attaching}
        there = self._netdev_bridges()
        on = {one.device: one.bridge for one in self._database.interfaces()} if attaching else {}
        for device in attaching:
            self._bridge(device, there, on.get(device.name, ""))

    def _netdev_bridges(self) -> list[str]:
        return [name for name, datapath in self._database.bridges().items() if datapath == "netdev"]

    def _bridge(self, device: Devargs, there: t.Sequence[str], now: str = "") -> str:
        """Where the device is to be; ``now``: where it is, and stays if no other is asked for."""
        asked = self._means.bridges.get(device.name) or self._means.bridge or now
        if asked in there or (not asked and len(there) == 1):
            return asked or there[0]
        raise no_bridge(asked, there)

    def release(self, port_ids: t.Sequence[int]) -> None:
        """Nothing: a port stops when it is taken off its bridge."""

    def attach(self, device: Devargs) -> None:
        if any(one.device == device.name for one in self._database.interfaces()):
            # It is asked for already, and Open vSwitch could not do it.
            self._apply(self._database.again())
            self._judge(device)
            return
        if self._is_probed(device):
            self._probed.add(device.name)
        for one in self._kept(device) or [self._new(device)]:
            self._asked = self._database.add(*one)
        try:
            self._apply(self._asked)
            self._judge(device)
        except HotplugError as error:
            if error.reason != "timeout":  # it is not known yet
                self._drop(device)
            raise

    def _kept(self, device: Devargs) -> list[Saved]:
        """What we took off, with these arguments. What is attached anew, not put back, goes where it is asked for."""
        kept = [one.of(device.text) for one in self._removed.get(device.name, [])]
        if device.name not in self._planned:
            return kept
        self._planned.discard(device.name)
        there = self._netdev_bridges() if kept else []
        return [one._replace(bridge=self._bridge(device, there, one.bridge)) for one in kept]

    def _new(self, device: Devargs) -> Saved:
        name = _name(device, self._database.names())
        options = ["map", [["dpdk-devargs", device.text]]]
        bridge = self._bridge(device, self._netdev_bridges())
        return Saved(bridge, {"name": name}, {"name": name, "type": "dpdk", "options": options})

    def _drop(self, device: Devargs) -> None:
        """Take back what attach() added."""
        self._asked = self._database.remove([one for one in self._database.interfaces() if one.device == device.name])
        if self._alive():
            self._apply(self._asked)

    def _judge(self, device: Devargs) -> None:
        """Raise what Open vSwitch says of a device's interfaces that do not work."""
        for one in self._database.interfaces():
            if one.device == device.name and not one.works:
                raise _failure(device, one, self._system)

    def detach(self, device: Devargs, port_ids: t.Sequence[int]) -> None:
        """Take its ports off their bridges, which stops them, then the device out of DPDK."""
        interfaces = [one for one in self._database.interfaces() if one.device == device.name]
        for one in interfaces:
            if one.members > 1:
                raise HotplugError(
                    "owned",
                    f"interface '{one.name}' of device '{device.name}' is a member of the bond '{one.port_name}'",
                    way_out="Take it out of the bond first.",
                    device=device.name,
                )
        saved = [self._database.saved(one) for one in interfaces]
        self._removed.setdefault(device.name, saved)
        if interfaces:
            self._asked = self._database.remove(interfaces)
            self._apply(self._asked)
        if device.name in self._probed:
            self._probed.discard(device.name)
            return
        try:
            self._out_of_dpdk(device)
        except HotplugError:
            for kept in saved:
                self._asked = self._database.add(*kept)
            self._apply(self._asked)
            raise

    def _out_of_dpdk(self, device: Devargs) -> None:
        """Open vSwitch detaches what it attached itself, a moment later; the rest it is told to, and may refuse."""
        end = time.monotonic() + min(_RELEASE, self._timeout)
        while self._is_probed(device):
            link = JsonRpc(self._places.control, uids=_uids(self._app), timeout=self._timeout, pid=self._app.pid)
            try:
                link.call("netdev-dpdk/detach", device.name)
            except HotplugError as error:
                if error.reason != "ovs_error" or time.monotonic() >= end:
                    raise _refused(device, error) from error
            finally:
                link.close()
            time.sleep(_LOOK)

    def _is_probed(self, device: Devargs) -> bool:
        return any(_devices.of_port(port.name).name == device.name for port in Ports(self._app).read())

    def _apply(self, number: int) -> None:
        self._asked = number
        if not self._applied(self._timeout):
            raise HotplugError(
                "timeout",
                f"Open vSwitch did not apply its configuration within {self._timeout:g} s",
                way_out="Look at its log; run again.",
            )

    def _applied(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self._database.applied(self._asked, min(_ALIVE, max(0.0, end - time.monotonic()))):
            if not self._alive():
                raise HotplugError("primary_gone", f"ovs-vswitchd (pid {self._app.pid}) ended", way_out="Start it.")
            if time.monotonic() >= end:
                return False
        return True

    def _alive(self) -> bool:
        process = self._system.process(self._app.pid)
        return process is not None and process.start_time == self._app.start_time and process.state not in "ZX"

    def start(self, port_id: int) -> None:
        raise HotplugError("not_supported", "Open vSwitch starts a port when it is added, and not by itself")

    def stop(self, port_id: int) -> None:
        raise HotplugError("not_supported", "Open vSwitch stops a port when it is taken off, and not by itself")

    def revoke(self, verb: str, device: Devargs) -> str:
        """Take back a step after ovs-vswitchd has ended, so that it does not come back with it; why not, else empty."""
        try:
            if verb == "attach":
                self._drop(device)
            else:
                for one in self._removed.get(device.name, []):
                    self._database.add(*one)
        except HotplugError as error:
            return error.message
        return ""

    def settle(self) -> bool:
        return self._applied(_SETTLE)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()


def _uids(app: App) -> set[int]:
    return {0, app.uid, os.geteuid()}


def _name(device: Devargs, taken: t.Collection[str]) -> str:
    """A name for the interface: the device's own where it fits and is free."""
    names = [device.name[:_NAME], *(f"{device.name[: _NAME - 4]}-{number}" for number in range(100))]
    return next(name for name in names if name not in taken)


def _failure(device: Devargs, interface: Interface, system: System) -> HotplugError:
    said = interface.error or "it does not say why"
    reason, way_out = "ovs_error", "Open vSwitch's log says more."
    if "Error attaching device" in said:
        missing = device.bus == "pci" and not os.path.lexists(system.path(f"/sys/bus/pci/devices/{device.name}"))
        reason = "no_such_device" if missing else "bad_devargs"
        way_out = "Check the address." if missing else "Check its name and arguments; Open vSwitch's log says more."
    elif "already in use" in said:
        reason, way_out = "in_use", "Take it out of the interface that is named."
    return HotplugError(
        reason,
        f"Open vSwitch cannot attach device '{device.text}': {said}",
        way_out=way_out,
        device=device.text,
        interface=interface.name,
    )


def _refused(device: Devargs, error: HotplugError) -> HotplugError:
    if error.reason != "ovs_error":
        return error
    return HotplugError(
        "in_use" if "used by" in error.message else "ovs_error",
        f"Open vSwitch does not detach device '{device.name}': {error.message}",
        way_out="Take it out of what uses it first.",
        device=device.name,
    )


class OpenVSwitchPorts:
    """What DPDK in ovs-vswitchd has, and what its database says of it.

    A device that has no working interface is not adopted. One that is asked for and not there has the port id -1.
    """

    def __init__(self, app: App, system: System, *, timeout: float) -> None:
        self._app = app
        self._place = places(app, system).database
        self._timeout = timeout

    def read(self) -> list[Port]:
        database = Database(self._place, uids=_uids(self._app), timeout=self._timeout)
        try:
            interfaces = database.interfaces()
        finally:
            database.close()
        by_device: dict[str, Interface] = {}
        for one in sorted(interfaces, key=lambda one: one.works):
            by_device[one.device] = one
        ports = [_joined(port, by_device.get(_devices.of_port(port.name).name)) for port in Ports(self._app).read()]
        there = {_devices.of_port(port.name).name for port in ports}
        return ports + [
            _joined(Port(-1, name, False, "", -1, False, False), one)
            for name, one in by_device.items()
            if name not in there and name
        ]

    def again(self, port_ids: t.Iterable[int]) -> list[Port]:
        wanted = set(port_ids)
        return [port for port in self.read() if port.port_id in wanted]


def _joined(port: Port, interface: Interface | None) -> Port:
    if interface is None:
        return port._replace(adopted=False)
    return port._replace(adopted=interface.works, bridge=interface.bridge, devargs=interface.devargs)
