# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError

# Characters of what is wrong that an error shows.
_SHOWN = 200
_MAX_TIMEOUT = 3600
PATIENCE = 30.0


def bad(where: str, what: str, way_out: str) -> HotplugError:
    return HotplugError("bad_document", f"{where} {what[:_SHOWN]}", way_out=way_out)


def mapping(value: t.Any, where: str, names: tuple[str, ...]) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise bad(where, "is not an object", f"It takes {', '.join(names)}.")
    unknown = sorted(str(name) for name in value if name not in names)
    if unknown:
        raise bad(where, f"has what is not known here: {', '.join(unknown)}", f"It takes {', '.join(names)}.")
    return value


def listing(value: t.Any, where: str) -> list[t.Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad(where, "is not a list", "Write a list, be it of one.")
    return value


def text(value: t.Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad(where, "is not a text", "Quote it.")
    return value


def path(value: str, where: str) -> None:
    """Refuse what is no absolute path, or not what it seems."""
    if not value.startswith("/") or "\0" in value or ".." in value.split("/"):
        raise bad(where, f"{value!r} is not an absolute path", "Write it out, without '..'.")


def flag(value: t.Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise bad(where, f"is {value!r}", "It is true or false.")
    return value


def choice(value: t.Any, among: tuple[str, ...], where: str) -> str:
    if value is None:
        return among[0]
    if value not in among:
        raise bad(where, f"is {value!r}", f"It is one of {', '.join(among)}.")
    return str(value)


def number(value: t.Any, where: str, *, least: int = 0, most: int = 1 << 31) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise bad(where, f"is {value!r}", f"It is a whole number, {least} to {most}.")
    return value


def seconds(value: t.Any, where: str) -> float:
    """How long to wait for another run."""
    if value is None:
        return PATIENCE
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MAX_TIMEOUT:
        raise bad(where, f"is {value!r}", f"It is a number of seconds, 0 to {_MAX_TIMEOUT}.")
    return float(value)
