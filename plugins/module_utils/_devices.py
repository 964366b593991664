# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import re
import typing as t

from ._errors import HotplugError

# EAL_DEV_MP_DEV_ARGS_MAX_LEN is 128 with its NUL (lib/eal/common/hotplug_mp.h); before 26.07 longer text is just cut.
MAX_WIRE = 127
# RTE_DEV_NAME_MAX_LEN is 64 with its NUL (lib/eal/include/rte_dev.h).
MAX_NAME = 63

_PCI = re.compile(r"(?:([0-9a-fA-F]{1,8}):)?([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\.([0-7])")
_PCI_IN_NAME = re.compile(r"(?:^|_)([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?=$|[_ -])")
_VDEV = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_ARGS = re.compile(r"[!-~]+")


class Devargs(t.NamedTuple):
    """A device as DPDK names it: its bus, its name, and the arguments for its driver."""

    bus: str
    name: str
    args: str = ""

    @property
    def text(self) -> str:
        """As an operator writes it, the ``--vdev`` and ``--allow`` format: ``net_pcap0,iface=eth0``."""
        return self.name + ("," + self.args if self.args else "")

    @property
    def wire(self) -> str:
        """As EAL parses it without guessing the bus: ``vdev:net_pcap0,iface=eth0``."""
        return f"{self.bus}:{self.text}"

    @property
    def bare(self) -> Devargs:
        """The device alone, without its arguments."""
        return self._replace(args="")

    def same_args(self, args: str) -> bool:
        """Whether ``args`` say the same; the order of arguments does not count."""
        return sorted(self.args.split(",")) == sorted(args.split(","))


def pci_address(text: str) -> str:
    """``01:00.0`` or ``0000:01:00.0`` as ``0000:01:00.0``; empty if it is no PCI address."""
    match = _PCI.fullmatch(text)
    if match is None:
        return ""
    domain, bus, device, function = (int(part or "0", 16) for part in match.groups())
    return "" if device > 0x1F else f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"


def _refused(text: str, what: str, device: Devargs | None = None) -> HotplugError:
    from ._bad_devices import refusal

    return refusal(text, what, device)


def parse(text: str) -> Devargs:
    """The device of a PCI address or of the ``--vdev`` format, checked and in one spelling.

    Source: lib/eal/common/eal_common_devargs.c, rte_devargs_parse().
    """
    if not isinstance(text, str) or not text:
        raise _refused("", "empty")
    name, _comma, args = text.partition(",")
    bus = ""
    for known in ("pci:", "vdev:"):
        if name.startswith(known):
            bus, name = known[:-1], name[len(known) :]
    address = pci_address(name) if bus != "vdev" else ""
    if address:
        bus, name = "pci", address
    elif bus == "pci" or not _VDEV.fullmatch(name):
        raise _refused(text, "name")
    if _comma and not _ARGS.fullmatch(args):
        raise _refused(text, "args")
    device = Devargs(bus or "vdev", name, args)
    if len(name) > MAX_NAME or len(device.wire) > MAX_WIRE:
        raise _refused(text, "length", device)
    return device


def of_port(port_name: str) -> Devargs:
    """The device that a port of that name belongs to, as far as the name tells.

    Representors and further ports of a PCI device carry its address in their names
    (``0000:03:00.0_representor_vf0``); a virtual device's port has the device's own name.
    """
    match = _PCI_IN_NAME.search(port_name)
    return Devargs("pci", match.group(1)) if match else Devargs("vdev", port_name)
