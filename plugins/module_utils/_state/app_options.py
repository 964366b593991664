# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import re
import typing as t

from . import checks

# What an application's entry says of how its ports come and go. Most say nothing of it.

_COMMANDS = ("attach", "detach", "start", "stop", "status")
# An application drains as long as it takes sessions to move; longer than the longest of them is a hook that hangs.
_DRAINING = 300.0
_BRIDGE = re.compile(r"[!-.0-~]{1,255}")  # a name of OVSDB, which OVS wants without '/'


class Health(t.NamedTuple):
    """What must come true of an application's ports after something was changed, or that is undone; see health.py.

    ``timeout``: seconds that it may take.
    """

    started: bool = False
    link: bool = True
    packets: bool = False
    timeout: float = 30.0


class Options(t.NamedTuple):
    """``commands``, ``drain`` and ``undrain`` are lists of arguments; ``drain_timeout`` is in seconds."""

    bridge: str = ""
    commands: t.Mapping[str, tuple[str, ...]] = {}
    drain: tuple[str, ...] = ()
    undrain: tuple[str, ...] = ()
    drain_timeout: float = _DRAINING
    health: Health | None = None


def parse(entry: t.Mapping[str, t.Any], where: str) -> Options:
    """These options of an application's entry, checked."""
    given = checks.mapping(entry.get("commands") or {}, f"{where}.commands", (*_COMMANDS, "drain", "undrain"))
    commands = {
        verb: _words(given[verb], f"{where}.commands.{verb}", ("app", "pid", "runtime_dir") if verb == "status" else ())
        for verb in _COMMANDS
        if given.get(verb) is not None
    }
    adapter = entry.get("adapter") or "auto"
    if commands and adapter not in ("auto", "command"):
        raise checks.bad(where, f"has commands beside the adapter {adapter}", "They are for the adapter command.")
    if set(commands) == {"status"}:
        raise checks.bad(f"{where}.commands", "has nothing but status", "Give attach or detach beside it.")
    bridge_of = bridge(entry.get("bridge"), f"{where}.bridge")
    if entry.get("bridge") and adapter not in ("auto", "openvswitch"):
        raise checks.bad(where, f"has a bridge beside the adapter {adapter}", "It is for the adapter openvswitch.")
    hooks = {name: _hook(name, entry, given, where) for name in ("drain", "undrain")}
    if hooks["undrain"] and not hooks["drain"]:
        raise checks.bad(where, "has undrain without drain", "It takes back what drain did.")
    timeout = entry.get("drain_timeout")
    return Options(
        bridge=bridge_of,
        commands=commands,
        drain=hooks["drain"],
        undrain=hooks["undrain"],
        drain_timeout=_DRAINING if timeout is None else checks.seconds(timeout, f"{where}.drain_timeout"),
        health=None if entry.get("health") is None else _health(entry["health"], f"{where}.health"),
    )


def _health(value: t.Any, where: str) -> Health:
    given = checks.mapping(value, where, Health._fields)
    told: dict[str, t.Any] = {
        name: checks.flag(one, f"{where}.{name}")
        for name, one in given.items()
        if name != "timeout" and one is not None
    }
    if given.get("timeout") is not None:
        told["timeout"] = checks.seconds(given["timeout"], f"{where}.timeout")
    return Health(**told)


def bridge(value: t.Any, where: str) -> str:
    """The name of a bridge."""
    name = checks.text(value, where)
    if name and not _BRIDGE.fullmatch(name):
        raise checks.bad(where, f"{name!r} is not the name of a bridge", "It has no blanks and no '/'.")
    return name


def _hook(name: str, entry: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any], where: str) -> tuple[str, ...]:
    places = [(one.get(name), place) for one, place in ((entry, where), (given, f"{where}.commands"))]
    told = [(value, place) for value, place in places if value is not None]
    if len(told) > 1:
        raise checks.bad(where, f"has {name} twice", f"Give it once; {name} and commands.{name} are the same.")
    return _words(told[0][0], f"{told[0][1]}.{name}", ()) if told else ()


def _words(value: t.Any, where: str, placeholders: tuple[str, ...]) -> tuple[str, ...]:
    """A command: a list of arguments, the program first. No shell will read it."""
    from .._apps import hooks

    if not isinstance(value, list) or not all(isinstance(word, str) and "\0" not in word for word in value):
        what = "is not a list of texts"
        raise checks.bad(where, what, 'Write [program, argument, ...]; for a shell, ["sh", "-c", "..."].')
    if not value or not value[0]:
        raise checks.bad(where, "is empty", "Its first item is the program.")
    known = placeholders or hooks.PLACEHOLDERS
    unknown = [name for name in hooks.placeholders(value) if name not in known]
    if unknown or hooks.placeholders(value[:1]):
        what = f"has a placeholder that is not known: {{{unknown[0]}}}" if unknown else "has a placeholder as program"
        raise checks.bad(where, what, f"Arguments may hold {', '.join(f'{{{name}}}' for name in known)}.")
    return tuple(value)
