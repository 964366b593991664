# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""librte_ethdev through ctypes, for DPDK 20.11 to 25.11: what can be asked of a port without a struct that changes."""

from __future__ import annotations

import ctypes
import errno as errnos
import typing as t

from . import eal

# rte_eth_find_next() of any port above the last gives RTE_MAX_ETHPORTS, which is a build option.
_LAST = 0xFFFF
# RTE_ETH_NAME_MAX_LEN and RTE_ETH_MAX_OWNER_NAME_LEN (lib/ethdev/rte_ethdev.h).
_NAME_SIZE = 64
# RTE_ETHER_ADDR_LEN (lib/net/rte_ether.h).
_MAC_SIZE = 6

_REASONS = {
    errnos.ENODEV: ("no_such_port", "there is no such port"),
    errnos.ENOTSUP: ("not_supported", "the port's driver cannot do that"),
    errnos.EINVAL: ("refused", "the port is started, or the request makes no sense for it"),
    errnos.EBUSY: ("refused", "the port is busy"),
    errnos.EIO: ("removed_underneath", "the port's device is gone"),
}


class _Owner(ctypes.Structure):
    """struct rte_eth_dev_owner, the same from 20.11 to 25.11."""

    _fields_ = (("id", ctypes.c_uint64), ("name", ctypes.c_char * _NAME_SIZE))


class _Link(ctypes.Structure):
    """The first 8 bytes of struct rte_eth_link; what 25.11 added to them are bits that are skipped here."""

    _fields_ = (
        ("speed", ctypes.c_uint32),
        ("duplex", ctypes.c_uint16, 1),
        ("autoneg", ctypes.c_uint16, 1),
        ("status", ctypes.c_uint16, 1),
        ("more", ctypes.c_uint16, 13),
        ("rest", ctypes.c_uint16),
    )


class Owner(t.NamedTuple):
    """Who has claimed a port. ``id`` 0 and an empty name: nobody."""

    id: int
    name: str


class Link(t.NamedTuple):
    """A port's link. ``speed``: Mbit/s, 0 for none, 4294967295 for unknown."""

    up: bool
    speed: int
    full_duplex: bool
    autoneg: bool


def _check(library: eal.Library, call: str, value: int) -> int:
    """A checker: a negative value is a negative errno."""
    if value < 0:
        raise eal.error(call, value, _REASONS)
    return value


_PORT = ctypes.c_uint16
_INT = ctypes.c_int

SIGNATURES: dict[str, eal.Signature] = {
    "rte_eth_dev_get_port_by_name": (_INT, (ctypes.c_char_p, ctypes.POINTER(_PORT))),
    "rte_eth_dev_get_name_by_port": (_INT, (_PORT, ctypes.c_char_p)),
    "rte_eth_dev_count_avail": (_PORT, ()),
    "rte_eth_dev_count_total": (_PORT, ()),
    "rte_eth_find_next": (_PORT, (_PORT,)),
    "rte_eth_dev_is_valid_port": (_INT, (_PORT,)),
    "rte_eth_dev_owner_get": (_INT, (_PORT, ctypes.POINTER(_Owner))),
    "rte_eth_dev_socket_id": (_INT, (_PORT,)),
    "rte_eth_macaddr_get": (_INT, (_PORT, ctypes.c_void_p)),
    "rte_eth_dev_get_mtu": (_INT, (_PORT, ctypes.POINTER(_PORT))),
    "rte_eth_dev_is_removed": (_INT, (_PORT,)),
    "rte_eth_link_get_nowait": (_INT, (_PORT, ctypes.POINTER(_Link))),
    "rte_eth_dev_stop": (_INT, (_PORT,)),
    "rte_eth_dev_close": (_INT, (_PORT,)),
}

CHECKERS: dict[str, eal.Checker] = {
    "rte_eth_dev_get_port_by_name": _check,
    "rte_eth_dev_get_name_by_port": _check,
    "rte_eth_dev_owner_get": _check,
    "rte_eth_macaddr_get": _check,
    "rte_eth_dev_get_mtu": _check,
    "rte_eth_link_get_nowait": _check,
    "rte_eth_dev_stop": _check,
    "rte_eth_dev_close": _check,
}


class EthDev:
    """The Ethernet ports that this process knows. ``library``: a path, or ``eal.soname("ethdev", 23)``.

    EAL is to be up. A secondary knows the ports whose devices it was allowed to probe. Every method that takes a port
    raises EalError ``no_such_port`` for one that is not there. All are in lib/ethdev/rte_ethdev.c.
    """

    def __init__(self, library: str, *, opener: eal.Opener = eal.open_library) -> None:
        self.library = eal.Library(library, SIGNATURES, CHECKERS, opener=opener)

    def port_by_name(self, name: str) -> int:
        """rte_eth_dev_get_port_by_name(): the id of the port of that name."""
        port = _PORT()
        self.library.rte_eth_dev_get_port_by_name(name.encode(), ctypes.byref(port))
        return port.value

    def name(self, port: int) -> str:
        """rte_eth_dev_get_name_by_port(): a PCI address, the name of a virtual device, or one that a driver made."""
        text = ctypes.create_string_buffer(_NAME_SIZE)
        self.library.rte_eth_dev_get_name_by_port(port, text)
        return text.value.decode("utf-8", "replace")

    def count_avail(self) -> int:
        """rte_eth_dev_count_avail(): how many ports have no owner."""
        return int(self.library.rte_eth_dev_count_avail())

    def count_total(self) -> int:
        """rte_eth_dev_count_total(): how many ports there are, owned ones too."""
        return int(self.library.rte_eth_dev_count_total())

    def slots(self) -> int:
        """How many ports the library was built for, RTE_MAX_ETHPORTS, as rte_eth_find_next() tells it."""
        return int(self.library.rte_eth_find_next(_LAST))

    def ports(self) -> list[int]:
        """rte_eth_find_next() from 0 on: the ids of all ports, owned ones too."""
        found: list[int] = []
        port = self.library.rte_eth_find_next(0)
        while port < self.slots():
            found.append(port)
            port = self.library.rte_eth_find_next(port + 1)
        return found

    def is_valid(self, port: int) -> bool:
        """rte_eth_dev_is_valid_port(): whether there is such a port."""
        return bool(self.library.rte_eth_dev_is_valid_port(port))

    def _guard(self, call: str, port: int) -> None:
        # 22.11.11 asks eth_dev_is_allocated() first, which goes through a null pointer for a port that never was
        if not self.is_valid(port):
            raise eal.error(call, -errnos.ENODEV, _REASONS)

    def owner(self, port: int) -> Owner:
        """rte_eth_dev_owner_get(), experimental up to 21.11: who has claimed the port."""
        self._guard("rte_eth_dev_owner_get", port)
        owner = _Owner()
        self.library.rte_eth_dev_owner_get(port, ctypes.byref(owner))
        return Owner(owner.id, owner.name.decode("utf-8", "replace"))

    def numa_node(self, port: int) -> int:
        """rte_eth_dev_socket_id(): the NUMA node, -1 where it is not known."""
        self._guard("rte_eth_dev_socket_id", port)
        return int(self.library.rte_eth_dev_socket_id(port))

    def mac(self, port: int) -> str:
        """rte_eth_macaddr_get(): the first MAC address, ``02:00:00:00:00:01``."""
        octets = (ctypes.c_uint8 * _MAC_SIZE)()
        self.library.rte_eth_macaddr_get(port, octets)
        return ":".join(f"{octet:02x}" for octet in octets)

    def mtu(self, port: int) -> int:
        """rte_eth_dev_get_mtu(): bytes."""
        mtu = _PORT()
        self.library.rte_eth_dev_get_mtu(port, ctypes.byref(mtu))
        return mtu.value

    def is_removed(self, port: int) -> bool:
        """rte_eth_dev_is_removed(): whether the device was pulled out; False where its driver cannot tell."""
        return bool(self.library.rte_eth_dev_is_removed(port))

    def link(self, port: int) -> Link:
        """rte_eth_link_get_nowait(): the link as it is now. Raises EalError ``not_supported`` where there is none."""
        link = _Link()
        self.library.rte_eth_link_get_nowait(port, ctypes.byref(link))
        return Link(bool(link.status), link.speed, bool(link.duplex), bool(link.autoneg))

    def stop(self, port: int) -> None:
        """rte_eth_dev_stop(), for a primary and its own ports. Raises EalError: not_supported, refused."""
        self.library.rte_eth_dev_stop(port)

    def close(self, port: int) -> None:
        """rte_eth_dev_close(), for a primary and its own stopped ports. Raises EalError: not_supported, refused."""
        self.library.rte_eth_dev_close(port)
