# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import typing as t

from .._errors import HotplugError
from .._system import System
from .states import Pool

if t.TYPE_CHECKING:
    from .._state.host_model import PagesSpec
    from .writes import Writes

# Source: Documentation/admin-guide/mm/hugetlbpage.rst of the kernel.
_NODES = "/sys/devices/system/node"
_WHOLE = "/sys/kernel/mm/hugepages"
_COMPACT = "/proc/sys/vm/compact_memory"
_UNITS = {"K": 1, "M": 1 << 10, "G": 1 << 20}


def parse_size(value: t.Any) -> int:
    """``2M``, ``1G`` or ``2048K`` in KiB."""
    text = str(value).strip().upper().rstrip("B").rstrip("I")
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal() or not 0 < int(number) < 1 << 20:
        raise HotplugError("hugepages_size", f"{value!r} is no size of hugepages", way_out="Write it as 2M or 1G.")
    return int(number) * _UNITS[unit]


def size_text(kib: int) -> str:
    """A size in KiB as operators write it."""
    for unit in ("G", "M"):
        if kib % _UNITS[unit] == 0:
            return f"{kib // _UNITS[unit]}{unit}"
    return f"{kib}K"


def _places(system: System) -> list[tuple[int, str]]:
    nodes = sorted(int(name[4:]) for name in system.names(_NODES) if name.startswith("node") and name[4:].isdigit())
    # A node may have processors and no memory, and a kernel no nodes.
    found = [
        (node, f"{_NODES}/node{node}/hugepages") for node in nodes if system.names(f"{_NODES}/node{node}/hugepages")
    ]
    return found or [(0, _WHOLE)]


def pools(system: System) -> tuple[Pool, ...]:
    """Every size on every node."""
    found = []
    promised: dict[str, int] = {}
    for node, place in _places(system):
        for name in system.names(place):
            if name.startswith("hugepages-") and name.endswith("kB"):
                total, free, surplus = (_number(system, f"{place}/{name}/{one}") for one in _COUNTS)
                if name not in promised:
                    promised[name] = _number(system, f"{_WHOLE}/{name}/resv_hugepages")
                found.append(Pool(int(name[10:-2]), node, total, free, surplus, promised[name]))
    return tuple(sorted(found))


_COUNTS = ("nr_hugepages", "free_hugepages", "surplus_hugepages")


def _number(system: System, path: str) -> int:
    return int(system.read(path) or 0)


def wanted(asked: t.Sequence[PagesSpec], there: t.Sequence[Pool]) -> list[tuple[Pool, int]]:
    """The pools that must change, each with the number of pages it is to have. Refused is what is in use or unknown."""
    changes: list[tuple[Pool, int]] = []
    for one in asked:
        own = [pool for pool in there if pool.size == one.size and one.node in (-1, pool.node)]
        if not own:
            raise _unknown(one, there)
        if one.node >= 0:
            targets = [one.number]
        elif sum(pool.total - pool.surplus for pool in own) == one.number:
            continue
        else:
            targets = _spread(one.number, own)
        for pool, count in zip(own, targets):
            if count < pool.used:
                raise _in_use(pool, count)
            if count != pool.total - pool.surplus:
                changes.append((pool, count))
    for size in {pool.size for pool, count in changes if count < pool.total}:
        _keep_promises(size, there, {pool.node: count for pool, count in changes if pool.size == size})
    return changes


def _keep_promises(size: int, there: t.Sequence[Pool], targets: t.Mapping[int, int]) -> None:
    """Memory that a process has mapped and not touched yet is in use as well; which node it will be on is open."""
    own = [pool for pool in there if pool.size == size]
    taken = sum(pool.used for pool in own) + own[0].promised
    left = sum(targets.get(pool.node, pool.total) for pool in own)
    if left < taken:
        what = f"{taken} hugepages of {size_text(size)} are in use or promised to a process, asked for are {left}"
        raise HotplugError("hugepages_in_use", what, way_out="End what uses them first, or ask for as many.")


def _spread(count: int, own: t.Sequence[Pool]) -> list[int]:
    """As evenly as what is in use allows."""
    targets = [count // len(own) + (number < count % len(own)) for number in range(len(own))]
    for number, pool in enumerate(own):
        short = pool.used - targets[number]
        for other, its in enumerate(own):
            take = min(short, targets[other] - its.used) if other != number else 0
            if take > 0:
                targets[other] -= take
                targets[number] += take
                short -= take
    return targets


def arguments(asked: t.Sequence[PagesSpec]) -> list[str]:
    """The kernel arguments that reserve as much at boot: ``hugepagesz=1G hugepages=0:2,1:2``."""
    words = []
    for size in sorted({one.size for one in asked}):
        own = [one for one in asked if one.size == size and one.number]
        nodes = [f"{one.node}:{one.number}" for one in own if one.node >= 0]
        if own:
            words += [f"hugepagesz={size_text(size)}", f"hugepages={','.join(nodes) or own[0].number}"]
    return words


def set_count(system: System, writer: Writes, *, size: int, node: int, before: int, count: int) -> None:
    """Have that many pages of a size (KiB) on a node; where the kernel gives fewer, there are as many as before."""
    above = dict(_places(system))[node]
    place = f"{above}/hugepages-{size}kB"
    pool = Pool(size, node, *(_number(system, f"{place}/{one}") for one in _COUNTS))
    if count < pool.used:
        raise _in_use(pool, count)
    _fits(system, pool, count)
    has = pool.total - pool.surplus
    try:
        for tidy in (False, True):
            if has != count:
                if tidy:
                    with contextlib.suppress(OSError):  # a kernel need not be able to
                        writer.write(_COMPACT, "1")
                writer.write(f"{place}/nr_hugepages", str(count))
                total, _free, surplus = (_number(system, f"{place}/{one}") for one in _COUNTS)
                has = total - surplus
        if has == count:
            return
        writer.write(f"{place}/nr_hugepages", str(before))
    except OSError as exc:
        what = f"the kernel does not take {count} hugepages of {size_text(size)} on node {node}: {exc.strerror}"
        raise HotplugError("hugepages_short", what, way_out="Reserve them at boot (boot: true).", node=node) from exc
    raise _short(has, pool, count, "Its memory is too full or too scattered")


def _fits(system: System, pool: Pool, count: int) -> None:
    """What a node cannot have at all is not tried: the kernel would take every other page that is free for it."""
    words = system.read(f"{_NODES}/node{pool.node}/meminfo").split()
    whole = int(words[3]) if words[2:3] == [b"MemTotal:"] else 0
    if whole and count > pool.total and count * pool.size > whole:
        raise _short(pool.total, pool, count, f"It has {whole >> 10} MiB of memory in all")


def _short(has: int, pool: Pool, count: int, why: str) -> HotplugError:
    return HotplugError(
        "hugepages_short",
        f"the kernel gave {has} of {count} hugepages of {size_text(pool.size)} on node {pool.node}",
        way_out=f"{why}: reserve them at boot (boot: true), or ask for fewer.",
        gave=has,
        asked=count,
        node=pool.node,
    )


def _in_use(pool: Pool, count: int) -> HotplugError:
    what = f"{pool.used} hugepages of {size_text(pool.size)} on node {pool.node} are in use, asked for are {count}"
    return HotplugError("hugepages_in_use", what, way_out="End what uses them first, or ask for as many.")


def _unknown(one: PagesSpec, there: t.Sequence[Pool]) -> HotplugError:
    if any(pool.size == one.size for pool in there):
        nodes = ", ".join(str(pool.node) for pool in there if pool.size == one.size)
        what = f"there is no node {one.node} with hugepages of {size_text(one.size)}; there are {nodes}"
        return HotplugError("no_node", what, way_out="Name one of those, or leave node out.")
    return _no_such_size(one.size, there)


def check_size(size: int, there: t.Sequence[Pool]) -> None:
    """Refuse a size (KiB) that the kernel has no pools of, on whatever node."""
    if all(pool.size != size for pool in there):
        raise _no_such_size(size, there)


def _no_such_size(size: int, there: t.Sequence[Pool]) -> HotplugError:
    sizes = ", ".join(sorted({size_text(pool.size) for pool in there})) or "none"
    what = f"this kernel has no hugepages of {size_text(size)}: it has {sizes}"
    return HotplugError("hugepages_size", what, way_out="Ask for one of those; 1G needs a processor with pdpe1gb.")
