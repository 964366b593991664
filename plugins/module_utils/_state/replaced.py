# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import json
import typing as t

from .. import _devices
from .._devices import Devargs
from .._host import memory

# What is to persist, when one device has come in the place of another.


class _Card(t.NamedTuple):
    """A device in whose place another comes, and what selectors may know the two by."""

    old: str
    new: Devargs
    was: memory.Known
    becomes: memory.Known

    def is_selected(self, select: t.Mapping[str, t.Any]) -> bool:
        told = {name: getattr(self.was, name) for name in ("mac", "netdev") if select.get(name)}
        return any(value and str(select[name]).lower() == value.lower() for name, value in told.items())


def renamed(
    boot: t.Mapping[str, t.Any], replaced: t.Mapping[str, Devargs], known: t.Mapping[str, memory.Known]
) -> dict[str, t.Any]:
    """The boot document where entries of applications name the new device, and that of the old one is gone."""
    nobody = memory.Known()
    cards = [
        _Card(old, new, known.get(old, nobody), known.get(new.name, nobody))
        for old, new in replaced.items()
        if old != new.name or new.args
    ]
    devices = [one for one in boot.get("devices", ()) if not any(_is_of(one, card) for card in cards)]
    apps = [{**one, "ports": _ports(one["ports"], cards)} if one.get("ports") else one for one in boot.get("apps", ())]
    found = {name: one for name, one in boot.items() if name not in ("devices", "apps")}
    found.update({name: one for name, one in (("devices", devices), ("apps", apps)) if one or boot.get(name) == one})
    return found if set(found) - {"version"} else {}


def _is_of(entry: t.Mapping[str, t.Any], card: _Card) -> bool:
    """Whether an entry is of the old device, and no more of the new one."""
    if card.old == card.new.name:
        return False
    return bool(entry.get("device") == card.old or (entry.get("select") and card.is_selected(entry["select"])))


def _ports(ports: t.Sequence[t.Mapping[str, t.Any]], cards: t.Sequence[_Card]) -> list[dict[str, t.Any]]:
    found: dict[str, dict[str, t.Any]] = {}
    for port in ports:
        fresh = _port(port, cards)
        name = _devices.parse(fresh["device"]).name if fresh.get("device") else json.dumps(fresh, sort_keys=True)
        found.setdefault(name, fresh)
    return list(found.values())


def _port(port: t.Mapping[str, t.Any], cards: t.Sequence[_Card]) -> dict[str, t.Any]:
    """A port with the new device in the place of the old one, named or selected as that was."""
    old = _devices.parse(port["device"]) if port.get("device") else None
    for card in cards:
        if old and old.name == card.old:
            return {**port, "device": (card.new if card.new.args else card.new._replace(args=old.args)).text}
        if not old and port.get("select") and card.is_selected(port["select"]):
            told = {name: getattr(card.becomes, name) for name in ("mac", "netdev") if port["select"].get(name)}
            if all(told.values()):
                return {**port, "select": {**port["select"], **told}}
            args = card.new.args or str(port.get("args") or "")
            rest = {name: one for name, one in port.items() if name not in ("select", "args")}
            return {**rest, "device": card.new._replace(args=args).text}
    return dict(port)
