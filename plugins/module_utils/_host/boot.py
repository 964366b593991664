# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import time
import typing as t

from .._errors import HotplugError
from .._system import System
from . import pci, persistence

# At boot the cards may come after us. What is not there keeps a boot this long, however much of it there is.
_PATIENCE = 60.0  # seconds
_POLL = 0.2


def boot(
    system: System, converge: t.Callable[[dict[str, t.Any]], dict[str, t.Any]], log: t.Callable[[str], None]
) -> int:
    """Apply the boot document, each entry by itself, so that one that fails keeps no other; a line for each.

    0, or 1 where something failed. A card that is not the one the entry was written for is left alone.
    """
    found = [one for one in persistence.pieces(persistence.read(system)) if one.kind != "app"]
    end = time.monotonic() + _PATIENCE
    return int(sum(not _applied(system, one, converge, log, end) for one in found) > 0)


def _applied(
    system: System,
    piece: persistence.Piece,
    converge: t.Callable[[dict[str, t.Any]], dict[str, t.Any]],
    log: t.Callable[[str], None],
    end: float,
) -> bool:
    try:
        _wait(system, piece.entry, end)
        persistence.same_card(system, piece.entry)
        changed = converge({"version": 1, **piece.document})["changed"]
    except HotplugError as error:
        log(f"{piece.name}: {error}")
        return False
    log(f"{piece.name}: {'done' if changed else 'nothing to do'}")
    return True


def _wait(system: System, entry: t.Mapping[str, t.Any], end: float) -> None:
    """Until the device is there, with a driver where VFs are to be made."""
    address = entry.get("device")
    if not address:
        return
    while True:
        device = pci.read(system, address, {})
        if device is not None and (not entry.get("vfs") or device.driver):
            break
        if time.monotonic() >= end:
            what = "is not there" if device is None else "has no driver, without which it has no VFs"
            raise HotplugError("no_device", f"device '{address}' {what}", way_out="Is it plugged in?", device=address)
        time.sleep(_POLL)
