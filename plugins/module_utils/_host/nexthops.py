# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import struct

from .netlink import Netlink, attributes, integer

# Source: include/uapi/linux/{rtnetlink,nexthop}.h of the kernel.
_GETNEXTHOP = 106
_NEXTHOP = struct.Struct("=BBBBI")


def nexthops(netlink: Netlink) -> dict[int, list[int]]:
    """Netdevs by the number of a nexthop object, or of a group of them."""
    own: dict[int, list[int]] = {}
    groups: dict[int, list[int]] = {}
    for body in netlink.table(_GETNEXTHOP, _NEXTHOP):
        has = attributes(body, _NEXTHOP.size)
        number = integer(has.get(1))
        if 5 in has:
            own[number] = [integer(has[5])]
        raw = has.get(2, b"")
        groups[number] = [struct.unpack_from("=I", raw, at)[0] for at in range(0, len(raw) - 7, 8)]
    return own | {one: [i for m in members for i in own.get(m, ())] for one, members in groups.items() if members}
