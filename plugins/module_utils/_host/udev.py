# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import time
import typing as t

from .._system import System
from .pci import DEVICES

_PATIENCE = 20.0  # seconds
_POLL = 0.02


def settle(system: System, addresses: t.Iterable[str]) -> None:
    """Wait until udev has seen the netdevs of devices, and has given them their names; not for ever, nor without udev.

    Source: udev writes its file on a netdev after it has renamed it (systemd, src/udev/udev-event.c).
    """
    if not os.path.exists(system.path("/run/udev/control")):
        return
    end = time.monotonic() + _PATIENCE
    for address in addresses:
        while not all(_seen(system, name) for name in system.names(f"{DEVICES}/{address}/net")):
            if time.monotonic() >= end:
                return
            time.sleep(_POLL)


def _seen(system: System, name: str) -> bool:
    number = system.read(f"/sys/class/net/{name}/ifindex").decode("ascii", "replace").strip()
    return bool(number) and os.path.exists(system.path(f"/run/udev/data/n{number}"))
