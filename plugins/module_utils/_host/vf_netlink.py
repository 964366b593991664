# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import socket
import struct

from .netlink import ACK, GETLINK, LINK, REQUEST, Netlink, attribute, attributes, each, integer
from .states import VfSettings

# Source: include/uapi/linux/if_link.h of the kernel.
_SETLINK = 19
_VF = struct.Struct("=II")
_VFINFO_LIST, _VF_INFO = 22, 1
_VF_MAC, _VF_VLAN, _VF_SPOOFCHK, _VF_TRUST = 1, 2, 4, 9


class VfNetlink(Netlink):
    """What PFs impose on their VFs."""

    def vfs(self, netdev: str) -> list[VfSettings]:
        """What a PF imposes on its VFs, by index."""
        body = LINK.pack(0, 0, socket.if_nametoindex(netdev), 0, 0) + attribute(29, struct.pack("=I", 1))
        (answer,) = self.ask(GETLINK, REQUEST, body)
        found: dict[int, VfSettings] = {}
        for _kind, raw in each(attributes(answer, LINK.size).get(_VFINFO_LIST, b""), 0):
            has = attributes(raw)
            index = integer(has.get(_VF_MAC, b"\0" * 4)[:4])
            vlan = has.get(_VF_VLAN, b"")
            found[index] = VfSettings(
                mac=":".join(f"{one:02x}" for one in has.get(_VF_MAC, b"")[4:10]) or None,
                vlan=integer(vlan[4:8]) if len(vlan) >= 8 else None,
                trust=_setting(has.get(_VF_TRUST)),
                spoofchk=_setting(has.get(_VF_SPOOFCHK)),
            )
        return [found.get(index, VfSettings()) for index in range(max(found, default=-1) + 1)]

    def set_vf(self, netdev: str, vf: int, settings: VfSettings) -> None:
        """Have a PF impose this on one of its VFs. Raises OSError as its driver says."""
        parts = []
        if settings.mac is not None:
            raw = bytes.fromhex(settings.mac.replace(":", ""))
            parts.append(attribute(_VF_MAC, struct.pack("=I32s", vf, raw)))
        if settings.vlan is not None:
            parts.append(attribute(_VF_VLAN, struct.pack("=III", vf, settings.vlan, 0)))
        if settings.spoofchk is not None:
            parts.append(attribute(_VF_SPOOFCHK, _VF.pack(vf, settings.spoofchk)))
        if settings.trust is not None:
            parts.append(attribute(_VF_TRUST, _VF.pack(vf, settings.trust)))
        for part in parts:  # one at a time: the driver's refusal is then of that one
            body = LINK.pack(0, 0, socket.if_nametoindex(netdev), 0, 0)
            body += attribute(_VFINFO_LIST, attribute(_VF_INFO, part))
            self.ask(_SETLINK, REQUEST | ACK, body)


def _setting(data: bytes | None) -> bool | None:
    """A driver that does not know says so by all ones."""
    if data is None or len(data) < 8 or data[4:8] == b"\xff" * 4:
        return None
    return bool(integer(data[4:8]))
