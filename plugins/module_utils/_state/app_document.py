# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .. import _devices
from .._apps.discovery import check_prefix
from .._errors import HotplugError
from . import checks
from .model import AppSpec, PortSpec

ADAPTERS = ("auto", "multiprocess", "testpmd", "openvswitch", "grout", "command")
CHANNELS = ("auto", "ipc", "eal")
# Read by app_options.py, which is imported where one of them is given.
_MEANS = ("bridge", "commands", "drain", "undrain", "drain_timeout", "health")
_FLAGS = ("exclusive", "force", "atomic", "recreate", "required")


def parse(apps: t.Any) -> tuple[AppSpec, ...]:
    """The applications of a state document, ``[{"app": PREFIX, "ports": [{"device": DEVARGS, ...}], ...}]``."""
    return tuple(_named(one, f"apps[{index}]") for index, one in enumerate(checks.listing(apps, "apps")))


def _named(value: t.Any, where: str) -> AppSpec:
    try:
        return _app(value, where)
    except HotplugError as error:
        name = value.get("app") if isinstance(value, dict) and error.reason != "bad_prefix" else ""
        raise error.about(app=name[:64] if isinstance(name, str) else "") from error


def _app(value: t.Any, where: str) -> AppSpec:
    names = ("app", "runtime_dir", "ports", "state", "started", "adapter", "channel", "timeout", *_MEANS, *_FLAGS)
    entry = checks.mapping(value, where, names)
    prefix = checks.text(entry.get("app"), f"{where}.app")
    runtime_dir = checks.text(entry.get("runtime_dir"), f"{where}.runtime_dir")
    if runtime_dir:
        checks.path(runtime_dir, f"{where}.runtime_dir")
    listed = enumerate(checks.listing(entry.get("ports"), f"{where}.ports"))
    ports = [_port(one, f"{where}.ports[{index}]", entry) for index, one in listed]
    flags: dict[str, t.Any] = {
        name: checks.flag(entry[name], f"{where}.{name}") for name in _FLAGS if entry.get(name) is not None
    }
    if flags.get("exclusive") and entry.get("ports") is None:
        raise checks.bad(where, "has exclusive but no ports", "Write an empty list to detach all of them.")
    if flags.get("exclusive") and any(not port.present for port in ports):
        what = "has exclusive beside ports with state absent"
        raise checks.bad(where, what, "What is not listed is detached anyway.")
    means: dict[str, t.Any] = {}
    if any(entry.get(name) is not None for name in _MEANS):
        from . import app_options

        means = app_options.parse(entry, where)._asdict()
    return AppSpec(
        prefix=check_prefix(prefix) if prefix else "",
        runtime_dir=runtime_dir.rstrip("/") or runtime_dir[:1],
        ports=tuple(ports),
        adapter=checks.choice(entry.get("adapter"), ADAPTERS, f"{where}.adapter"),
        channel=checks.choice(entry.get("channel"), CHANNELS, f"{where}.channel"),
        timeout=checks.seconds(entry.get("timeout"), f"{where}.timeout"),
        **means,
        **flags,
    )


def _port(value: t.Any, where: str, app: dict[str, t.Any]) -> PortSpec:
    entry = checks.mapping(value, where, ("device", "port_id", "select", "args", "state", "started", "bridge"))
    state = checks.choice(entry.get("state") or app.get("state") or "present", ("present", "absent"), f"{where}.state")
    started = entry.get("started") if entry.get("started") is not None else app.get("started")
    named = [name for name in ("device", "port_id", "select") if entry.get(name) is not None]
    if len(named) != 1:
        what = "needs exactly one of device, select and port_id"
        raise checks.bad(where, what, "A port id is for state absent only.")
    port = PortSpec(
        present=state == "present",
        started=checks.flag(started, f"{where}.started") if started is not None and state == "present" else None,
    )
    if entry.get("bridge") is not None:
        from . import app_options

        port = port._replace(bridge=app_options.bridge(entry["bridge"], f"{where}.bridge"))
    if entry.get("args") is not None and named != ["select"]:
        raise checks.bad(where, "has args without select", "Write them behind the device: 0000:01:00.0,key=value.")
    return {"device": _by_device, "port_id": _by_port_id, "select": _by_selector}[named[0]](port, entry, where)


def _by_device(port: PortSpec, entry: dict[str, t.Any], where: str) -> PortSpec:
    return port._replace(device=_devices.parse(entry["device"]))


def _by_port_id(port: PortSpec, entry: dict[str, t.Any], where: str) -> PortSpec:
    port_id = entry["port_id"]
    if port.present:
        what = f"asks for port_id {port_id} to be present"
        raise checks.bad(where, what, "Name the device: port ids are given by DPDK.")
    if not isinstance(port_id, int) or isinstance(port_id, bool) or port_id < 0:
        raise checks.bad(f"{where}.port_id", f"{port_id!r} is not a port id", "Port ids are 0 and up.")
    return port._replace(port_id=port_id)


def _by_selector(port: PortSpec, entry: dict[str, t.Any], where: str) -> PortSpec:
    from .._host import selectors

    args = checks.text(entry.get("args"), f"{where}.args")
    # Any address serves to check the arguments: which one it is, is known when the host is looked at.
    device = _devices.parse(f"0000:00:00.0,{args}" if args else "0000:00:00.0")
    return port._replace(device=device, select=selectors.parse(entry["select"], f"{where}.select"))
