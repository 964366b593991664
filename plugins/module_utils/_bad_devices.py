# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

from ._devices import MAX_NAME, MAX_WIRE, Devargs, parse
from ._errors import HotplugError

# What is said of the devices that _devices.parse() refuses.
_REASONS = {
    "name": (
        "neither a PCI address nor the name of a virtual device",
        "Write 0000:01:00.0, or a name of letters, digits, '_', '-' and '.' such as net_pcap0, then its arguments.",
    ),
    "args": ("its arguments are empty or hold blanks or unprintable characters", "Write key=value,key=value."),
}


def refusal(text: str, what: str, device: Devargs | None) -> HotplugError:
    """``what``: a reason; ``device``: one that is too long."""
    if not text:
        return HotplugError("bad_devargs", "a device is empty", way_out="Give a PCI address or a --vdev string.")
    why, way_out = _too_long(device) if device else _REASONS[what]
    return HotplugError("bad_devargs", f"device {text[:160]!r}: {why}", way_out=way_out, device=text[:160])


def _too_long(device: Devargs) -> tuple[str, str]:
    if len(device.name) > MAX_NAME:
        return f"its name has {len(device.name)} characters, DPDK takes {MAX_NAME}", "Shorten the name."
    why = f"with its bus it has {len(device.wire)} bytes, DPDK takes {MAX_WIRE} and would cut the rest"
    return why, "Shorten the arguments, for instance the paths in them."


def name_of(text: str) -> str:
    """The name of a device that is told of; what is none is left as it is."""
    try:
        return parse(text).name
    except HotplugError:
        return text
