# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .. import _devices
from .._apps.discovery import check_prefix
from .._errors import HotplugError
from .model import AppSpec, PortSpec

VERSION = 1
MAX_BYTES = 1 << 20
ADAPTERS = ("auto", "multiprocess", "testpmd")
CHANNELS = ("auto", "ipc", "eal")
_FLAGS = ("exclusive", "force", "atomic", "recreate")
_MAX_TIMEOUT = 3600
# Characters of what is wrong that an error shows.
_SHOWN = 200


def parse(document: t.Any) -> tuple[AppSpec, ...]:
    """The applications of a state document, checked and in one spelling; refused with the place of what is wrong.

    ``{"version": 1, "apps": [{"app": PREFIX, "ports": [{"device": DEVARGS, ...}], ...}]}``; see the README.
    """
    top = _object(document, "the document", ("version", "apps"))
    if top.get("version", VERSION) != VERSION:
        raise _bad("version", f"is {top['version']!r}; this release reads version {VERSION}", "Use a matching release.")
    return tuple(_named(one, f"apps[{index}]") for index, one in enumerate(_list(top.get("apps"), "apps")))


def _named(value: t.Any, where: str) -> AppSpec:
    try:
        return _app(value, where)
    except HotplugError as error:
        name = value.get("app") if isinstance(value, dict) and error.reason != "bad_prefix" else ""
        raise error.about(app=name[:64] if isinstance(name, str) else "") from error


def _app(value: t.Any, where: str) -> AppSpec:
    names = ("app", "runtime_dir", "ports", "state", "started", "adapter", "channel", "timeout", *_FLAGS)
    entry = _object(value, where, names)
    prefix = _text(entry.get("app"), f"{where}.app")
    runtime_dir = _text(entry.get("runtime_dir"), f"{where}.runtime_dir")
    if runtime_dir and (not runtime_dir.startswith("/") or "\0" in runtime_dir or ".." in runtime_dir.split("/")):
        raise _bad(f"{where}.runtime_dir", f"{runtime_dir!r} is not an absolute path", "Write it out, without '..'.")
    listed = enumerate(_list(entry.get("ports"), f"{where}.ports"))
    ports = [_port(one, f"{where}.ports[{index}]", entry) for index, one in listed]
    flags = {name: _flag(entry[name], f"{where}.{name}") for name in _FLAGS if entry.get(name) is not None}
    if flags.get("exclusive") and entry.get("ports") is None:
        raise _bad(where, "has exclusive but no ports", "Write an empty list to detach all of them.")
    if flags.get("exclusive") and any(not port.present for port in ports):
        raise _bad(where, "has exclusive beside ports with state absent", "What is not listed is detached anyway.")
    return AppSpec(
        prefix=check_prefix(prefix) if prefix else "",
        runtime_dir=runtime_dir.rstrip("/") or runtime_dir[:1],
        ports=tuple(ports),
        adapter=_choice(entry.get("adapter"), ADAPTERS, f"{where}.adapter"),
        channel=_choice(entry.get("channel"), CHANNELS, f"{where}.channel"),
        timeout=_seconds(entry.get("timeout"), f"{where}.timeout"),
        **flags,
    )


def _port(value: t.Any, where: str, app: dict[str, t.Any]) -> PortSpec:
    entry = _object(value, where, ("device", "port_id", "state", "started"))
    state = _choice(entry.get("state") or app.get("state") or "present", ("present", "absent"), f"{where}.state")
    started = entry.get("started") if entry.get("started") is not None else app.get("started")
    device, port_id = entry.get("device"), entry.get("port_id")
    if (device is None) == (port_id is None):
        raise _bad(where, "needs exactly one of device and port_id", "A port id is for state absent only.")
    if port_id is not None and state == "present":
        raise _bad(where, f"asks for port_id {port_id} to be present", "Name the device: port ids are given by DPDK.")
    if port_id is not None and (not isinstance(port_id, int) or isinstance(port_id, bool) or port_id < 0):
        raise _bad(f"{where}.port_id", f"{port_id!r} is not a port id", "Port ids are 0 and up.")
    return PortSpec(
        device=_devices.parse(device) if device is not None else None,
        port_id=-1 if port_id is None else port_id,
        present=state == "present",
        started=_flag(started, f"{where}.started") if started is not None and state == "present" else None,
    )


def _bad(where: str, what: str, way_out: str) -> HotplugError:
    return HotplugError("bad_document", f"{where} {what[:_SHOWN]}", way_out=way_out)


def _object(value: t.Any, where: str, names: tuple[str, ...]) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise _bad(where, "is not an object", f"It takes {', '.join(names)}.")
    unknown = sorted(str(name) for name in value if name not in names)
    if unknown:
        raise _bad(where, f"has what is not known here: {', '.join(unknown)}", f"It takes {', '.join(names)}.")
    return value


def _list(value: t.Any, where: str) -> list[t.Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _bad(where, "is not a list", "Write a list, be it of one.")
    return value


def _text(value: t.Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _bad(where, "is not a text", "Quote it.")
    return value


def _flag(value: t.Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _bad(where, f"is {value!r}", "It is true or false.")
    return value


def _choice(value: t.Any, among: tuple[str, ...], where: str) -> str:
    if value is None:
        return among[0]
    if value not in among:
        raise _bad(where, f"is {value!r}", f"It is one of {', '.join(among)}.")
    return str(value)


def _seconds(value: t.Any, where: str) -> float:
    if value is None:
        return AppSpec().timeout
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MAX_TIMEOUT:
        raise _bad(where, f"is {value!r}", f"It is a number of seconds, 0 to {_MAX_TIMEOUT}.")
    return float(value)
