# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import time
import typing as t

from .._apps import vitals
from .._apps.app import Port
from .._apps.vitals import Vitals
from .._errors import HotplugError
from .._host import lockout
from .._host.netlink import Netlink
from .._system import System
from . import refusals
from .app_options import Health
from .work import AppWork

if t.TYPE_CHECKING:
    from .model import DeviceState
    from .works import Gate

# What must hold after a run has changed something, or all of it is undone: the run does that on the host itself, so
# that it is done as well where the connection does not outlive the change.

T = t.TypeVar("T")
_LOOK = 0.1  # seconds between two looks


def gates(works: t.Sequence[AppWork], system: System) -> list[Gate]:
    """Of the applications that ask for health, and of the way to whoever is connected by ssh."""
    return [*(Ports(work, work.spec.health) for work in works if work.spec.health), Way(system)]


class Ports:
    """The ports that an application is asked to have: started, with a link, and packets that move, as is asked."""

    def __init__(self, work: AppWork, asked: Health) -> None:
        self._work = work
        self._asked = asked
        self._names = [port.device.name for port in work.spec.ports if port.device and port.present]
        self._first: dict[int, Vitals] = {}

    def prepare(self) -> None:
        """What an application does not tell cannot be waited for."""
        ports = self._ports(self._work.before.devices)
        for ill in self._ill(ports, self._vitals(ports)):
            if ill.untold:
                raise HotplugError(
                    "not_supported",
                    f"application '{self._work.name}' does not tell {ill.untold} of its ports",
                    way_out="Its status command may print it; or set health otherwise.",
                    app=self._work.name,
                )

    def check(self) -> None:
        work = self._work
        end = time.monotonic() + self._asked.timeout
        while True:
            ports = self._ports(work.after.devices)
            found = self._vitals(ports)
            for port_id, one in found.items():
                self._first.setdefault(port_id, one)
            ill = self._ill(ports, found)
            if not ill:
                return
            if time.monotonic() >= end:
                raise self._unhealthy(ill)
            time.sleep(_LOOK)
            work.after = self._told(work.observe)

    def _ports(self, devices: t.Mapping[str, DeviceState]) -> list[Port]:
        return [port for name in self._names if name in devices for port in devices[name].ports if port.port_id >= 0]

    def _vitals(self, ports: t.Sequence[Port]) -> dict[int, Vitals]:
        if not (self._asked.link or self._asked.packets) or not ports:
            return {}
        work, port_ids = self._work, [port.port_id for port in ports]
        return self._told(
            lambda: vitals.read(work.app, work.reach, work.means, work.system, port_ids, timeout=work.spec.timeout)
        )

    def _told(self, look: t.Callable[[], T]) -> T:
        """What is seen; or that the application has ended, where that is why it is not."""
        try:
            return look()
        except HotplugError as error:
            raise refusals.told(error, self._work.app, self._work.system).about(app=self._work.name) from error

    def _ill(self, ports: t.Sequence[Port], found: t.Mapping[int, Vitals]) -> list[Ill]:
        """What is wrong with the ports. One that is not started is not asked for more."""
        ill = []
        for port in ports:
            one = found.get(port.port_id, Vitals())
            first = self._first.get(port.port_id, Vitals())
            if not port.started:
                ill += [Ill(port, "is not started")] if self._asked.started else []
                continue
            if self._asked.link and not one.link:
                ill.append(Ill(port, "has no link", "the link" if one.link is None else ""))
            if self._asked.packets and (one.packets is None or one.packets == first.packets):
                ill.append(Ill(port, "moves no packets", "packets" if one.packets is None else ""))
        return ill

    def _unhealthy(self, ill: t.Sequence[Ill]) -> HotplugError:
        told = list(dict.fromkeys(str(one) for one in ill))
        return HotplugError(
            "unhealthy",
            f"application '{self._work.name}' does not do well {self._asked.timeout:g} s after the change: "
            + "; ".join(told),
            way_out="Look at the cable, the other end and the application's log.",
            app=self._work.name,
            unhealthy=told,
        )


class Ill(t.NamedTuple):
    """What is wrong with a port; ``untold``: because the application does not tell that."""

    port: Port
    what: str
    untold: str = ""

    def __str__(self) -> str:
        return f"port {self.port.port_id} ({self.port.name}) {self.what}"


class Way:
    """The way to whoever is connected by ssh leads over the same netdevs as before, and these are up."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._before: dict[str, list[str]] = {}

    def prepare(self) -> None:
        self._before = self._ways()

    def check(self) -> None:
        after = self._ways() if self._before else {}
        for peer, before in self._before.items():
            if after.get(peer) != before:
                now = ", ".join(after.get(peer, ())) or "nowhere"
                raise HotplugError(
                    "unhealthy",
                    f"the way to {peer}, who is connected by ssh, led over {', '.join(before)} and leads {now} now",
                    way_out="Look at the host's routes.",
                )

    def _ways(self) -> dict[str, list[str]]:
        """By peer, the netdevs that are up and lead there."""
        peers = lockout.peers(self._system, os.environ)
        if not peers:
            return {}
        with Netlink() as netlink:
            up = {link.ifindex: link.name for link in netlink.links() if link.up}
            routes = {peer: netlink.routes_to(peer.partition("%")[0]) for peer in peers}
        found = {peer: sorted(up[index] for index in indexes if index in up) for peer, indexes in routes.items()}
        return {peer: names for peer, names in found.items() if names}
