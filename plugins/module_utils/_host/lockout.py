# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._system import System
from .model import PciDevice

if t.TYPE_CHECKING:
    from .netlink import Link
    from .network import Network

_MOST_ANCESTORS = 64
_OVS = "openvswitch"
_MOST_LOOKS = 3


class Lockout:
    """Tells which devices the host's network hangs on."""

    def __init__(
        self, links: t.Sequence[Link], elsewhere: t.Sequence[Link], why: t.Mapping[int, list[str]], system: System
    ) -> None:
        self._links = {link.ifindex: link for link in links}
        self._named = {link.name: link for link in links}
        self._elsewhere = elsewhere
        self._why = why
        self._system = system

    def reasons(self, device: PciDevice) -> list[str]:
        """Why a device must not be taken from the network, each a clause that names the netdev; none where it may."""
        found = []
        if device.netdevs_elsewhere:
            found.append("its netdev is in another network namespace, where it may be in use")
        for name in device.netdevs:
            if name in self._named:
                found += self._of(self._named[name], name, set())
            else:
                found.append(f"{name} is in another network namespace, where it may be in use")
        return list(dict.fromkeys(found))

    def misses(self, device: PciDevice) -> bool:
        """Whether the device has a netdev that is none of this network namespace."""
        return device.netdevs_elsewhere or any(name not in self._named for name in device.netdevs)

    def _of(self, link: Link, path: str, seen: set[int]) -> list[str]:
        """The reasons of a netdev, and of all that stands on it."""
        if link.ifindex in seen:
            return []
        seen.add(link.ifindex)
        found = [f"{path} {why}" for why in self._why.get(link.ifindex, ())]
        for how, other in self._upon(link):
            found += self._of(other, f"{path} {how} {other.name}, which", seen)
        found += [
            f"{path} carries {other.kind or 'netdev'} {other.name} of another network namespace"
            for other in self._elsewhere
            if other.lower == link.ifindex
        ]
        return found

    def _upon(self, link: Link) -> t.Iterator[tuple[str, Link]]:
        """What stands on a netdev, each after how it does."""
        if link.master in self._links:
            master = self._links[link.master]
            yield f"is a member of {master.kind or 'device'}", master
            if master.kind == _OVS:
                # Its bridges' own netdevs, which have the addresses, have no master: any may be of this one's bridge.
                for other in self._links.values():
                    if other.kind == _OVS and other is not master:
                        yield "is a port of Open vSwitch, as is", other
        for other in self._links.values():
            if other.lower == link.ifindex and other.kind:
                yield f"carries {other.kind}", other
        for name in self._system.names(f"/sys/class/net/{link.name}"):
            if name.startswith("upper_") and name[6:] in self._named:  # such as a VXLAN, whose link does not say so
                other = self._named[name[6:]]
                yield f"carries {other.kind or 'device'}", other


def active(devices: t.Sequence[PciDevice], system: System) -> dict[str, tuple[str, ...]]:
    """Why each device must not be taken from the network, by address; empty where nothing has a netdev."""
    if not any(device.netdevs or device.netdevs_elsewhere for device in devices):
        return {}
    from . import pci
    from .netlink import Netlink

    with Netlink() as netlink:
        for _look in range(_MOST_LOOKS):
            now = guard(netlink, system, os.environ)
            # A card that was plugged in just now has its netdev renamed between a look at one and at the other.
            again = pci.seen(system, [one.address for one in devices if now.misses(one)], {})
            latest = [again.get(one.address, one) for one in devices]
            renamed = [one.netdevs for one in latest] != [one.netdevs for one in devices]
            devices = latest
            if not renamed:
                break
        return {device.address: tuple(now.reasons(device)) for device in devices}


def guard(network: Network, system: System, environ: t.Mapping[str, str]) -> Lockout:
    """What the network hangs on now: default routes, addresses, and the way to whoever is connected by ssh."""
    why: dict[int, list[str]] = {}
    links, elsewhere = network.links(), network.links_elsewhere()
    named = {link.name: link.ifindex for link in links}
    loopback = {link.ifindex for link in links if link.name == "lo"}
    for version, index in dict.fromkeys(network.default_routes()):
        why.setdefault(index, []).append(f"has the default route (IPv{version})")
    for peer in peers(system, environ):
        address, _percent, scope = peer.partition("%")
        scoped = named.get(scope, 0) or (int(scope) if scope.isdigit() else 0)
        for index in [scoped] if scoped else network.routes_to(address):
            if index not in loopback:
                why.setdefault(index, []).append(f"leads to {peer}, who is connected by ssh")
    for one in network.addresses():
        if not one.link_local and one.ifindex not in loopback:
            why.setdefault(one.ifindex, []).append(f"has the address {one.text}")
    return Lockout(links, elsewhere, why, system)


def peers(system: System, environ: t.Mapping[str, str]) -> list[str]:
    """Who we work for: sudo and su forget the variable, the processes above them have it still."""
    found = [_peer(environ.get("SSH_CONNECTION", ""))]
    pid = _parent(system, "self")
    for _generation in range(_MOST_ANCESTORS):
        if pid <= 1:
            break
        entries = system.read(f"/proc/{pid}/environ").split(b"\0")
        found += [_peer(one[15:].decode("ascii", "replace")) for one in entries if one.startswith(b"SSH_CONNECTION=")]
        pid = _parent(system, str(pid))
    return [one for one in dict.fromkeys(found) if one]


def _peer(text: str) -> str:
    """The client's address. Source: ssh(1), SSH_CONNECTION."""
    word = text.split(" ")[0]
    import socket

    plain = word.partition("%")[0]
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in plain else socket.AF_INET, plain)
    except OSError:
        return ""
    return word


def _parent(system: System, pid: str) -> int:
    """Source: proc(5), field 4 of stat."""
    fields = system.read(f"/proc/{pid}/stat").decode("ascii", "replace").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
