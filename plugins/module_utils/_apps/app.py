# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._binding.releases import Release


class App(t.NamedTuple):
    """One DPDK application as it was found on the host.

    ``runtime_dir``: the directory above its own, ``/var/run/dpdk``; ``root``: empty, or ``/proc/PID/root`` for an
    application in a mount namespace of its own. ``pid`` is 0 for a dead one's leftovers, ``start_time`` is in clock
    ticks since boot. ``telemetry`` is the name of its socket, ``telemetry_error`` says why it could not be read.
    ``distrust`` says why its directory is not to be trusted, ``eal_params`` is None where nothing tells them.
    """

    prefix: str
    runtime_dir: str
    root: str = ""
    pid: int = 0
    uid: int = -1
    start_time: int = 0
    name: str = ""
    command: tuple[str, ...] = ()
    release: Release | None = None
    version: str = ""
    eal_params: tuple[str, ...] | None = None
    telemetry: str = ""
    telemetry_error: str = ""
    shared: bool = False
    mp_socket: bool = False
    distrust: str = ""
    secondaries: tuple[int, ...] = ()

    @property
    def running(self) -> bool:
        return self.pid > 0

    @property
    def directory(self) -> str:
        """Its own directory, as it is found from here."""
        return f"{self.root}{self.runtime_dir}/{self.prefix}"

    @property
    def program(self) -> str:
        """The name of its program."""
        return self.command[0].rpartition("/")[2] if self.command else ""

    @property
    def is_testpmd(self) -> bool:
        """Whether it is DPDK's test application, by the name of its program."""
        return self.program in ("dpdk-testpmd", "testpmd")

    @property
    def is_openvswitch(self) -> bool:
        return self.program in ("ovs-vswitchd", "ovs-vswitchd-dpdk")

    @property
    def is_grout(self) -> bool:
        return self.program == "grout"


class Port(t.NamedTuple):
    """One ethdev port of an application, as telemetry ``/ethdev/info`` tells it.

    ``numa_node`` is -1 where the device has none. ``owned``: another device or the application keeps it to itself
    (rte_eth_dev_owner_set), so that /ethdev/list leaves it out. ``adopted`` is False for one that the application has,
    and does not use. ``bridge``: what it is on in Open vSwitch. ``devargs``: the device with its arguments, where the
    application itself tells them.
    """

    port_id: int
    name: str
    owned: bool
    mac: str
    numa_node: int
    configured: bool
    started: bool
    adopted: bool = True
    bridge: str = ""
    devargs: str | None = None


class Means(t.NamedTuple):
    """What the operator says of how devices get into an application.

    ``commands``: a list of arguments for each verb. ``bridge``: of Open vSwitch; ``bridges``: for single devices.
    """

    commands: t.Mapping[str, tuple[str, ...]] = {}
    bridge: str = ""
    bridges: t.Mapping[str, str] = {}


class Reach(t.NamedTuple):
    """Whether an adapter, by a channel, reaches an application; ``reason`` says why not, ``verbs`` what it can do."""

    adapter: str
    channel: str
    usable: bool
    reason: str
    verbs: tuple[str, ...]
