# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import typing as t

from .._errors import HotplugError
from .._system import Closing

# Source: rtnetlink(7), netlink(7), and include/uapi/linux/{rtnetlink,if_link,if_addr}.h of the kernel.
_HEADER = struct.Struct("=IHHII")
LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NAMESPACE = struct.Struct("=Bxxx")
_ATTRIBUTE = struct.Struct("=HH")
_HOP = struct.Struct("=HBBi")
_ERROR = struct.Struct("=i")
GETLINK, _GETADDR, _GETROUTE, _GETNSID = 18, 22, 26, 90
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
REQUEST, ACK, _DUMP, _INTERRUPTED = 1, 4, 0x300, 0x10
_NESTED = 0x7FFF  # of an attribute's type without its flags
_UNICAST = 1
_FIB_MATCH = 0x2000  # of a route's flags: the route itself, with all its ways, instead of one way that it leads
_KINDS_WITH_A_PEER = ("veth", "netkit")
_LIMIT = 10.0  # seconds
_TRIES = 5
_FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 6}
_LENGTHS = {socket.AF_INET: 4, socket.AF_INET6: 16}


class Link(t.NamedTuple):
    """A netdev. ``master``: ifindex of the bond, bridge, team or VRF that it is in; ``lower``: of what it is on."""

    ifindex: int
    name: str
    kind: str = ""
    master: int = 0
    lower: int = 0
    up: bool = False


class Address(t.NamedTuple):
    ifindex: int
    text: str

    @property
    def link_local(self) -> bool:
        return self.text.startswith("fe80:")


class Netlink(Closing):
    """Questions to the kernel about its network. Raises HotplugError, or OSError as it says."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.settimeout(_LIMIT)
        self._socket.bind((0, 0))
        self._number = 0

    def close(self) -> None:
        self._socket.close()

    def links(self) -> list[Link]:
        """Every netdev of this network namespace."""
        return [_link(body) for body in self.table(GETLINK, LINK)]

    def links_elsewhere(self) -> list[Link]:
        """Netdevs in other network namespaces that stand on one of this: ``lower`` is of this one.

        Root alone may look there; others see none. A namespace that goes meanwhile is left out.
        """
        bodies: list[bytes] = []
        for namespace in self._dump(_GETNSID, _NAMESPACE):
            target = attribute(46, attributes(namespace, _NAMESPACE.size).get(1, b""))
            with contextlib.suppress(OSError):
                bodies += self._dump(GETLINK, LINK, target)
        found = []
        own = self._own_number() if bodies else b""
        for body in bodies:
            has = attributes(body, LINK.size)
            link = _link(body)
            if has.get(37) == own and link.kind not in _KINDS_WITH_A_PEER:
                found.append(link._replace(lower=integer(has.get(5))))
        return found

    def _own_number(self) -> bytes:
        """The number by which this network namespace knows itself; what stands on its netdevs gives it one."""
        asked = bytes(_NAMESPACE.size) + attribute(2, struct.pack("=I", os.getpid()))
        (body,) = self.ask(_GETNSID, REQUEST, asked)
        return attributes(body, _NAMESPACE.size).get(1, b"")

    def addresses(self) -> list[Address]:
        """Every address, IPv4 and IPv6."""
        found = []
        for body in self.table(_GETADDR, _ADDRESS):
            family, _prefix, _flags, _scope, index = _ADDRESS.unpack_from(body)
            has = attributes(body, _ADDRESS.size)
            raw = has.get(2) or has.get(1)
            if family in _FAMILIES and raw:
                if len(raw) != _LENGTHS[family]:
                    raise _garbage()
                found.append(Address(index, socket.inet_ntop(family, raw)))
        return found

    def default_routes(self) -> list[tuple[int, int]]:
        """(version of IP, index of a netdev) of every default route, in any table, each way of it by itself."""
        found: list[tuple[int, int]] = []
        for body in self.table(_GETROUTE, _ROUTE):
            family, length = _ROUTE.unpack_from(body)[:2]
            if not length and family in _FAMILIES:
                found += [(_FAMILIES[family], index) for index in self._ways(body)]
        return found

    def routes_to(self, address: str) -> list[int]:
        """The indexes of the netdevs by which an address is reached; none where it is not, or is the host's own."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address)
        body = _ROUTE.pack(family, len(raw) * 8, 0, 0, 0, 0, 0, 0, _FIB_MATCH) + attribute(1, raw)
        try:
            answers = self.ask(_GETROUTE, REQUEST, body)
        except OSError:
            return []
        return [index for answer in answers if len(answer) >= _ROUTE.size for index in self._ways(answer)]

    def _ways(self, body: bytes) -> list[int]:
        """The netdevs of a route."""
        if _ROUTE.unpack_from(body)[7] != _UNICAST:
            return []
        has = attributes(body, _ROUTE.size)
        ways = [integer(has[4])] if 4 in has else []
        ways += _hops(has.get(9, b""))
        if not ways and 30 in has:
            from .nexthops import nexthops

            return nexthops(self).get(integer(has[30]), [])
        return ways

    def table(self, kind: int, head: struct.Struct) -> list[bytes]:
        """All of a table of this network namespace."""
        try:
            return self._dump(kind, head)
        except OSError as exc:
            why = f"the kernel does not tell of its network: {exc.strerror}"
            raise HotplugError("netlink", why, way_out="Run it again; see the kernel's log (dmesg).") from exc

    def _dump(self, kind: int, head: struct.Struct, more: bytes = b"") -> list[bytes]:
        """All of a table; asked for again where it changed meanwhile. Raises OSError as the kernel refuses."""
        for _try in range(_TRIES):
            with contextlib.suppress(InterruptedError):
                bodies = self.ask(kind, REQUEST | _DUMP, bytes(head.size) + more)
                if any(len(body) < head.size for body in bodies):
                    raise _garbage()
                return bodies
        raise HotplugError("netlink", "the kernel's network tables do not stand still", way_out="Run it again.")

    def ask(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        self._number += 1
        size = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(size, kind, flags, self._number, 0) + body)
        answers: list[bytes] = []
        interrupted = False
        while True:
            for answer, its_flags, part in self._received():
                interrupted = interrupted or bool(its_flags & _INTERRUPTED)
                if answer in (_NLMSG_ERROR, _NLMSG_DONE):
                    # A dump that fails says so at its end. Source: netlink_dump_done() of the kernel.
                    code = _ERROR.unpack_from(part)[0] if len(part) >= _ERROR.size else 0
                    if code < 0:
                        raise OSError(-code, os.strerror(-code))
                    if interrupted:
                        raise InterruptedError(errno.EINTR, "the dump was interrupted")
                    return answers
                answers.append(part)
                if not flags & (_DUMP | ACK):
                    return answers

    def _received(self) -> list[tuple[int, int, bytes]]:
        """Type, flags and body of the next messages that answer what was asked last."""
        try:
            data = self._socket.recv(1 << 18)
        except socket.timeout as exc:
            why = f"the kernel has not answered for {_LIMIT:.0f} s about its network"
            raise HotplugError("netlink", why, way_out="Run it again; see the kernel's log (dmesg).") from exc
        found = []
        at = 0
        while at < len(data) or not data:
            if at + _HEADER.size > len(data):
                raise _garbage()
            length, answer, its_flags, number, _pid = _HEADER.unpack_from(data, at)
            if length < _HEADER.size or at + length > len(data):
                raise _garbage()
            if number == self._number:
                found.append((answer, its_flags, data[at + _HEADER.size : at + length]))
            at += length + 3 & ~3
        return found


def _garbage() -> HotplugError:
    return HotplugError("netlink", "the kernel's answer about its network makes no sense", way_out="Run it again.")


def _link(body: bytes) -> Link:
    _family, _type, index, flags, _change = LINK.unpack_from(body)
    has = attributes(body, LINK.size)
    kind = _text(attributes(has.get(18, b"")).get(1, b""))
    stands = 37 not in has and kind not in _KINDS_WITH_A_PEER
    return Link(
        ifindex=index,
        name=_text(has.get(3, b"")),
        kind=kind,
        master=integer(has.get(10)),
        lower=integer(has.get(5)) if stands else 0,
        up=bool(flags & 1),
    )


def attribute(kind: int, data: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(data)
    return _ATTRIBUTE.pack(size, kind) + data + b"\0" * (-size % 4)


def each(data: bytes, at: int) -> t.Iterator[tuple[int, bytes]]:
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size:
            return
        yield kind & _NESTED, data[at + _ATTRIBUTE.size : at + size]
        at += size + 3 & ~3


def attributes(data: bytes, at: int = 0) -> dict[int, bytes]:
    return dict(each(data, at))


def _hops(data: bytes) -> list[int]:
    found = []
    at = 0
    while at + _HOP.size <= len(data):
        size, _flags, _weight, index = _HOP.unpack_from(data, at)
        found.append(index)
        at += max(size + 3 & ~3, _HOP.size)
    return found


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def integer(data: bytes | None) -> int:
    return int.from_bytes(data[:4], "little" if struct.pack("=H", 1) == b"\1\0" else "big") if data else 0
