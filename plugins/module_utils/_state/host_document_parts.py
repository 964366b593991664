# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import posixpath
import typing as t

from .._errors import HotplugError
from .._host.states import Mount, VfSettings
from . import checks
from .host_document import driver, flag
from .host_model import HugepagesSpec, MountSpec, PagesSpec, VfSpec, VfsSpec

_MAX_COUNT = 1 << 30
_MAX_VFS = 1 << 16
_MAX_NODE = 1023
_MAX_ID = (1 << 32) - 2
# What a mount has where nothing else is said.
MOUNT = {"size": "2M", "mode": "0755", "state": "present"}


def vfs(value: t.Any, where: str) -> VfsSpec:
    entry = checks.mapping(value, where, ("count", "driver", "settings"))
    listed = checks.listing(entry.get("settings"), f"{where}.settings")
    vfs = [_vf(one, f"{where}.settings[{index}]") for index, one in enumerate(listed)]
    count = None
    if entry.get("count") is not None:
        count = checks.number(entry["count"], f"{where}.count", most=_MAX_VFS)
    indexes = [one.number for one in vfs]
    if len(set(indexes)) != len(indexes):
        raise checks.bad(f"{where}.settings", "has an index twice", "Write all of a VF in one entry.")
    if count is not None and indexes and max(indexes) >= count:
        what = f"has index {max(indexes)}, and count is {count}"
        raise checks.bad(f"{where}.settings", what, "Indexes are 0 to count - 1.")
    return VfsSpec(count, driver(entry.get("driver"), f"{where}.driver"), tuple(vfs))


def _vf(value: t.Any, where: str) -> VfSpec:
    entry = checks.mapping(value, where, ("index", "mac", "vlan", "trust", "spoofchk", "driver"))
    vlan = entry.get("vlan")
    settings = VfSettings(
        mac=_mac(entry.get("mac"), f"{where}.mac"),
        vlan=None if vlan is None else checks.number(vlan, f"{where}.vlan", most=4094),
        trust=flag(entry.get("trust"), f"{where}.trust"),
        spoofchk=flag(entry.get("spoofchk"), f"{where}.spoofchk"),
    )
    index = checks.number(entry.get("index"), f"{where}.index", most=_MAX_VFS)
    return VfSpec(index, settings, driver(entry.get("driver"), f"{where}.driver"))


def _mac(value: t.Any, where: str) -> str | None:
    if value is None:
        return None
    parts = value.lower().split(":") if isinstance(value, str) else []
    if len(parts) != 6 or any(len(part) != 2 or not set(part) <= set("0123456789abcdef") for part in parts):
        raise checks.bad(where, f"is {value!r}", "Write it as 02:00:00:00:00:01.")
    if int(parts[0], 16) & 1 or set(parts) == {"00"}:
        raise checks.bad(where, f"is {value!r}, which no single card can have", "It must be unicast, and not zero.")
    return ":".join(parts)


def hugepages(value: t.Any, where: str) -> HugepagesSpec:
    entry = checks.mapping(value, where, ("pages", "mounts", "boot", "persistent"))
    pages = [_pages(one, f"{where}.pages[{i}]") for i, one in enumerate(_listed(entry, "pages", where))]
    keys = [(one.size, one.node) for one in pages]
    sizes_of_all = {one.size for one in pages if one.node < 0}
    if len(set(keys)) != len(keys) or any(one.size in sizes_of_all and one.node >= 0 for one in pages):
        raise checks.bad(f"{where}.pages", "gives a size twice for a node", "Write one count for each size and node.")
    mounts = [_mount(one, f"{where}.mounts[{i}]") for i, one in enumerate(_listed(entry, "mounts", where))]
    paths = [one.mount.path for one in mounts]
    if len(set(paths)) != len(paths):
        raise checks.bad(f"{where}.mounts", "has a path twice", "Name each path once.")
    return HugepagesSpec(
        pages=tuple(pages),
        mounts=tuple(mounts),
        boot=flag(entry.get("boot"), f"{where}.boot"),
        persistent=flag(entry.get("persistent"), f"{where}.persistent"),
        entry={name: entry[name] for name in ("pages", "mounts") if entry.get(name)},
    )


def _listed(entry: t.Mapping[str, t.Any], name: str, where: str) -> list[t.Any]:
    return checks.listing(entry.get(name), f"{where}.{name}")


def _told(look: t.Callable[[t.Any], int], value: t.Any, where: str) -> int:
    """What another part makes of a value; where it is refused, the place is said."""
    try:
        return look(value)
    except HotplugError as error:
        error.message = f"{where}: {error.message}"
        raise


def _id(look: t.Callable[[t.Any], int], value: t.Any, where: str) -> int:
    """Of a user or a group, by its name or number."""
    if value is not None and not isinstance(value, str):
        return checks.number(value, where, most=_MAX_ID)
    number = _told(look, value, where)
    return checks.number(number, where, most=_MAX_ID)


def _pages(value: t.Any, where: str) -> PagesSpec:
    from .._host.hugepages import parse_size

    entry = checks.mapping(value, where, ("size", "count", "node"))
    node = entry.get("node")
    return PagesSpec(
        size=_told(parse_size, entry.get("size"), f"{where}.size"),
        number=checks.number(entry.get("count"), f"{where}.count", most=_MAX_COUNT),
        node=-1 if node is None else checks.number(node, f"{where}.node", most=_MAX_NODE),
    )


def _mount(value: t.Any, where: str) -> MountSpec:
    from .._host.hugepages import parse_size
    from .._host.mounts import group_id, user_id

    said = checks.mapping(value, where, ("path", "size", "mode", "owner", "group", "state"))
    entry = {**MOUNT, **{name: one for name, one in said.items() if one is not None}}
    path = checks.text(entry.get("path"), f"{where}.path")
    checks.path(path, f"{where}.path")
    path = "/" + posixpath.normpath(path).lstrip("/")
    if path == "/" or not path.isprintable() or "\\" in path:
        raise checks.bad(f"{where}.path", f"is {path!r}", "Name a directory, such as /dev/hugepages.")
    mode = checks.text(entry["mode"], f"{where}.mode")
    if not 3 <= len(mode) <= 4 or not set(mode) <= set("01234567"):
        raise checks.bad(f"{where}.mode", f"is {mode!r}", "Quote it, octal: '0755'.")
    mount = Mount(
        path=path,
        size=_told(parse_size, entry["size"], f"{where}.size"),
        mode=int(mode, 8),
        uid=_id(user_id, entry.get("owner"), f"{where}.owner"),
        gid=_id(group_id, entry.get("group"), f"{where}.group"),
    )
    return MountSpec(mount, checks.choice(entry["state"], ("present", "absent"), f"{where}.state") == "present")
