# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import re
import typing as t

from .._devices import pci_address
from .._errors import HotplugError
from .._state import checks
from .._system import System
from . import memory, pci
from .model import PciDevice

if t.TYPE_CHECKING:
    from .memory import Known

_KEYS = ("mac", "netdev", "pf", "vf", "id_path", "vendor", "device", "driver", "numa_node", "count")
_MANY = 8  # candidates that an error names


class Selector(t.NamedTuple):
    """How a device is found. "" and -1: not asked for; ``vf``: indexes, () for all; ``number``: of matches wanted."""

    mac: str = ""
    netdev: str = ""
    pf: str = ""
    vf: tuple[int, ...] = ()
    id_path: str = ""
    vendor: str = ""
    device: str = ""
    driver: str = ""
    numa_node: int = -1
    number: int = 1

    def __str__(self) -> str:
        asked = [
            f"{name}={value}"
            for name, value in self._asdict().items()
            if value not in ("", -1, ()) and name != "number"
        ]
        return ", ".join(asked)


def parse(value: t.Any, where: str) -> Selector:
    """A selector of a document, checked."""
    entry = {name: one for name, one in checks.mapping(value, where, _KEYS).items() if one is not None}
    kinds = [name for name in ("mac", "netdev", "pf", "id_path") if name in entry]
    traits = [name for name in ("vendor", "device", "driver", "numa_node") if name in entry]
    if len(kinds) + bool(traits) != 1:
        what = "needs one of mac, netdev, pf, id_path, or some of vendor, device, driver and numa_node"
        raise checks.bad(where, what, "Only the last can be combined.")
    if "vf" in entry and "pf" not in entry:
        raise checks.bad(where, "has vf without pf", "A VF is found by its PF and its index.")
    texts = {name: checks.text(entry[name], f"{where}.{name}") for name in (*kinds, *traits) if name != "numa_node"}
    for name, text in texts.items():
        if not text:
            raise checks.bad(f"{where}.{name}", "is empty", "Leave it out, or say what is to be found.")
    selector = Selector(
        **texts,
        vf=_indexes(entry.get("vf", "all"), f"{where}.vf") if "pf" in entry else (),
        numa_node=checks.number(entry["numa_node"], f"{where}.numa_node") if "numa_node" in entry else -1,
        number=checks.number(entry["count"], f"{where}.count", least=1) if "count" in entry else 1,
    )
    return _plain(selector, where)


def _plain(selector: Selector, where: str) -> Selector:
    """In the one spelling that sysfs has."""
    for name in ("vendor", "device"):
        text = getattr(selector, name).lower()
        text = text[2:] if text.startswith("0x") else text
        if text and (len(text) != 4 or not set(text) <= set("0123456789abcdef")):
            raise checks.bad(f"{where}.{name}", f"is {text!r}", "Write the four hexadecimal digits of lspci -n: 8086.")
        selector = selector._replace(**{name: text})
    id_path = selector.id_path
    if id_path and not pci_address(id_path[4:] if id_path.startswith("pci-") else ""):
        raise checks.bad(f"{where}.id_path", f"is {id_path!r}", "Write it as udev does: pci-0000:01:00.0.")
    mac = selector.mac.lower()
    if mac and not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac):
        raise checks.bad(f"{where}.mac", f"is {mac!r}", "Write it as 02:00:00:00:00:01.")
    return selector._replace(mac=mac, pf=pci_address(selector.pf) or selector.pf)


def _indexes(value: t.Any, where: str) -> tuple[int, ...]:
    if value == "all":
        return ()
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise checks.bad(where, "is empty", "Give an index, a list of them, or all.")
    indexes = tuple(checks.number(one, where) for one in listed)
    if len(set(indexes)) != len(indexes):
        raise checks.bad(where, "has an index twice", "Give each VF once.")
    return indexes


def resolve(
    selector: Selector,
    inventory: t.Mapping[str, PciDevice],
    *,
    known: t.Mapping[str, Known],
    macs: t.Mapping[str, str],
    future: t.Mapping[tuple[str, int], str],
) -> list[str]:
    """The addresses of the devices that it finds: as many as it asks for, or it is an error that lists the candidates.

    ``macs``: by netdev; ``known``: what is remembered of devices whose netdev is gone; ``future``: VFs that come.
    """
    if selector.pf:
        return _vfs(selector, inventory, future, _by_netdev(selector.pf, inventory, known))
    if selector.mac:
        found = [one.address for one in inventory.values() if selector.mac in [macs.get(name) for name in one.netdevs]]
        found = found or [one for one, memo in _remembered(inventory, known) if memo.mac == selector.mac]
    elif selector.netdev:
        found = _by_netdev(selector.netdev, inventory, known)
    elif selector.id_path:
        found = [one for one in inventory if one == pci_address(selector.id_path[4:])]
    else:
        found = [one.address for one in inventory.values() if _fits(selector, one)]
    if len(found) == selector.number:
        return found
    raise _wrong_number(selector, found, inventory)


def _by_netdev(name: str, inventory: t.Mapping[str, PciDevice], known: t.Mapping[str, Known]) -> list[str]:
    """By the netdev that a device has, else by that which it had before it left its driver."""
    if pci_address(name):
        return [name] if name in inventory else []
    found = [one.address for one in inventory.values() if name in one.netdevs]
    return found or [one for one, memo in _remembered(inventory, known) if memo.netdev == name]


def _remembered(inventory: t.Mapping[str, PciDevice], known: t.Mapping[str, Known]) -> t.Iterator[tuple[str, Known]]:
    """What is known of the cards whose netdev is gone: of these very cards, and of none that has another netdev now."""
    for address, memo in known.items():
        device = inventory.get(address)
        if device is not None and not device.netdevs and memory.holds(memo, device):
            yield address, memo


def _fits(selector: Selector, device: PciDevice) -> bool:
    asked = (selector.vendor, selector.device, selector.driver)
    has = (device.vendor, device.device, device.driver)
    return all(want in ("", one) for want, one in zip(asked, has)) and selector.numa_node in (-1, device.numa_node)


def _vfs(
    selector: Selector,
    inventory: t.Mapping[str, PciDevice],
    future: t.Mapping[tuple[str, int], str],
    pfs: t.Sequence[str],
) -> list[str]:
    if len(pfs) != 1:
        raise _wrong_number(selector, pfs, inventory)
    pf = inventory[pfs[0]]
    coming = {index: address for (one, index), address in future.items() if one == pf.address}
    there = coming or dict(enumerate(pf.vfs))
    missing = [index for index in selector.vf if index not in there]
    if missing or not there:
        which = f"VF {missing[0]}" if missing else "VFs"
        raise HotplugError(
            "no_match",
            f"device '{pf.address}' has no {which}: it has {len(pf.vfs)} of {pf.max_vfs}",
            way_out="Ask for that many with vfs and count (dpdk_sriov), in the same document.",
            device=pf.address,
        )
    return [there[index] for index in selector.vf or sorted(there)]


def _wrong_number(selector: Selector, found: t.Sequence[str], inventory: t.Mapping[str, PciDevice]) -> HotplugError:
    some = [inventory[one] for one in found] or [one for one in inventory.values() if one.is_network]
    names = ", ".join(f"{one.address} ({', '.join(one.netdevs) or one.driver or 'no driver'})" for one in some[:_MANY])
    more = f" and {len(some) - _MANY} more" if len(some) > _MANY else ""
    if not found:
        return HotplugError(
            "no_match", f"no device has {selector}", way_out=f"Network cards are: {names or 'none'}{more}."
        )
    return HotplugError(
        "wrong_count",
        f"{len(found)} devices have {selector}, asked for is {selector.number}: {names}{more}",
        way_out="Ask for that count, or say more of the device.",
    )


def future_vf(system: System, pf: str, index: int) -> str:
    """Where a VF of a PF is, or will be. Source: the SR-IOV capability's offset and stride (PCIe base, 9.2.1.2)."""
    place = f"{pci.DEVICES}/{pf}"
    try:
        offset, stride = (int(system.read(f"{place}/sriov_{name}")) for name in ("offset", "stride"))
    except ValueError:
        return ""
    domain, bus, rest = pf.split(":")
    device, function = rest.split(".")
    routing = (int(bus, 16) << 8 | int(device, 16) << 3 | int(function, 16)) + offset + stride * index
    return f"{domain}:{routing >> 8:02x}:{routing >> 3 & 0x1F:02x}.{routing & 7}"
