# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import json
import os
import stat
import time
import typing as t

from .. import _devices
from .._apps.discovery import check_prefix
from .._devices import Devargs
from .._errors import HotplugError
from .._system import Directory, System
from . import checks, home

if t.TYPE_CHECKING:
    from .._apps.app import App
    from .plan import Plan
    from .work import AppWork

# What was taken from applications for a time, and how it comes back: the file that evacuation.py writes.

_VERSION = 1
_LIMIT = 1 << 20
_PLACE_OF_CARDS = "/sys/bus/pci/devices"
WAY_BACK = (
    "Bring it back with the playbook dpdk.hotplug.restore, with dpdk_evacuation and state absent, "
    "or with 'dpdk-hotplug restore'."
)


class Away(t.NamedTuple):
    """A device that was taken from its application. ``since``: seconds since the epoch.

    ``ports``: the names of those that were started, where it has others too.
    """

    device: Devargs
    started: bool
    since: int
    bridge: str = ""
    ports: tuple[str, ...] = ()


class Evacuated(t.NamedTuple):
    """An application, and what was taken from it. ``entry``: what a document said of how it is reached."""

    app: str
    runtime_dir: str
    devices: tuple[Away, ...]
    entry: t.Mapping[str, t.Any] = {}

    @property
    def key(self) -> tuple[str, str]:
        return self.app, os.path.realpath(self.runtime_dir) if self.runtime_dir else ""  # grout has none

    def get(self, name: str) -> Away | None:
        return next((one for one in self.devices if one.device.name == name), None)


def of(app: App, found: t.Iterable[Evacuated]) -> Evacuated:
    """What was taken from an application."""
    none = Evacuated(app.prefix, app.runtime_dir, ())
    return next((one for one in found if one.key == none.key), none)


def read(system: System) -> tuple[Evacuated, ...]:
    """All that is remembered. A file that is not ours alone, or not as we write it, is refused: nothing is guessed."""
    path = home.EVACUATED
    if not os.path.lexists(system.path(path)):
        return ()
    data = _data(system, path)
    try:
        kept = checks.mapping(json.loads(data), path, ("version", "apps"))
        if kept.get("version") != _VERSION:
            raise checks.bad(path, f"is of version {kept.get('version')!r}", "")
        return tuple(_app(one) for one in checks.listing(kept.get("apps"), "apps"))
    except (HotplugError, ValueError, RecursionError) as exc:
        raise HotplugError(
            "bad_file",
            f"{path} is not what this release writes: {exc}",
            way_out="Mend it, or remove it; what it remembers has to be attached by hand then.",
        ) from exc


def _data(system: System, path: str) -> bytes:
    place, _slash, name = system.path(path).rpartition("/")
    try:
        with Directory(place) as directory:
            why = directory.distrust(os.geteuid())
            fd = directory.open(name)
            with open(fd, "rb") as file:
                status = os.fstat(fd)
                why = why or _distrust(status)
                data = b"" if why else file.read(_LIMIT + 1)
    except FileNotFoundError:
        return b'{"version": 1}'  # it has gone this moment
    except OSError as exc:
        why = "it is a link" if exc.errno == errno.ELOOP else str(exc.strerror)
        data = b""
    if len(data) > _LIMIT:
        why = f"it has more than {_LIMIT} bytes"
    if why:
        raise HotplugError("foreign", f"{path} cannot be trusted: {why}", way_out="Check who put it there.")
    return data


def _distrust(status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "it is no file"
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def _app(value: t.Any) -> Evacuated:
    one = checks.mapping(value, "an application", ("app", "runtime_dir", "devices", "entry"))
    entry = one.get("entry", {})
    runtime_dir = checks.text(one.get("runtime_dir"), "runtime_dir")
    if runtime_dir:
        checks.path(runtime_dir, "runtime_dir")
    if not isinstance(entry, dict):
        raise checks.bad("entry", "is not an object", "")
    devices = tuple(_away(away) for away in checks.listing(one.get("devices"), "devices"))
    return Evacuated(check_prefix(checks.text(one.get("app"), "app")), runtime_dir, devices, entry)


def _away(value: t.Any) -> Away:
    one = checks.mapping(value, "a device", ("device", "started", "since", "bridge", "ports"))
    return Away(
        _devices.parse(one.get("device", "")),
        checks.flag(one.get("started"), "started"),
        checks.number(one.get("since"), "since", most=1 << 40),
        checks.text(one.get("bridge"), "bridge"),
        tuple(checks.text(name, "a port") for name in checks.listing(one.get("ports"), "ports")),
    )


def write(system: System, kept: t.Sequence[Evacuated]) -> None:
    """Onto the disk, whole or not at all; without the file where nothing is left."""
    from .._host import files

    found = [one for one in kept if one.devices]
    if not found:
        files.remove(system, home.EVACUATED, directory=False)
        return
    apps = [
        {
            "app": one.app,
            "runtime_dir": one.runtime_dir,
            "devices": [{**away._asdict(), "device": away.device.text} for away in one.devices],
            "entry": dict(one.entry),
        }
        for one in found
    ]
    data = json.dumps({"version": _VERSION, "apps": apps}, indent=1).encode() + b"\n"
    if len(data) > _LIMIT:
        raise HotplugError("bad_document", f"{home.EVACUATED} would have more than {_LIMIT} bytes", way_out="Less.")
    files.replace(system, home.EVACUATED, data, 0o644)  # who attaches as another user reads it too


def rows(kept: t.Iterable[Evacuated]) -> list[dict[str, t.Any]]:
    """What is remembered as modules return it, a row a device."""
    return [
        {
            "app": one.app,
            "runtime_dir": one.runtime_dir,
            "device": away.device.name,
            "devargs": away.device.text,
            "started": away.started,
            "since": shown(away.since),
        }
        for one in kept
        for away in one.devices
    ]


def shown(seconds: int) -> str:
    """The time in UTC, as RFC 3339 writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def heeded(
    works: t.Sequence[AppWork], plans: t.Sequence[Plan], leaving: t.Collection[str], system: System, *, leave: bool
) -> tuple[list[Plan], list[dict[str, t.Any]]]:
    """The plans, where none attaches what was evacuated; refused is what does, or with ``leave`` it is left away.

    Beside the plans the devices that are left away, as rows() has them.
    """
    found = read(system)
    refused: list[HotplugError] = []
    left: list[Evacuated] = []
    heeding: list[Plan] = []
    for work, plan in zip(works, plans):
        kept = of(work.app, found)
        attaching = {step.device.name for step in plan.steps if step.verb == "attach"}
        held = [away for away in kept.devices if away.device.name in attaching]
        if held and leave:
            left.append(kept._replace(devices=tuple(held)))
            names = {away.device.name for away in held}
            ports = [port for port in work.spec.ports if not port.device or port.device.name not in names]
            work.spec = work.spec._replace(ports=tuple(ports))
            again = work.plan(leaving)
            plan = again._replace(warnings=(*again.warnings, *(str(_refusal(kept, away)) for away in held)))
        elif held:
            refused += [_refusal(kept, away) for away in held]
        heeding.append(plan)
    if refused:
        from .refusals import together

        raise together(refused, refused[0].app)
    return heeding, rows(left)


def _refusal(kept: Evacuated, away: Away) -> HotplugError:
    return HotplugError(
        "evacuated",
        f"device '{away.device.name}' is evacuated from application '{kept.app}' since {shown(away.since)}",
        way_out=WAY_BACK,
        app=kept.app,
        device=away.device.name,
    )


def is_gone(device: Devargs, system: System) -> bool:
    """Whether it is a PCI device that the host does not have any more."""
    return device.bus == "pci" and not os.path.exists(system.path(f"{_PLACE_OF_CARDS}/{device.name}"))
