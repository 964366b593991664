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
    if flags.get("exclusive"):
        from . import app_ports

        app_ports.check_exclusive(None if entry.get("ports") is None else ports, where)
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
    port = PortSpec(
        present=state == "present",
        started=checks.flag(started, f"{where}.started") if started is not None and state == "present" else None,
    )
    if named == ["device"] and entry.get("bridge") is None and entry.get("args") is None:
        return port._replace(device=_devices.parse(entry["device"]))
    from . import app_ports

    return app_ports.completed(port, entry, named, where)
