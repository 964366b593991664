# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import time
import typing as t

from .. import _devices
from .._apps.app import App, Port
from .._apps.discovery import find
from .._apps.ports import Ports
from .._apps.reach import choose
from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from . import home
from .locks import Lock
from .model import AppSpec, AppState, DeviceState, Step
from .plan import Plan, by_name, plan
from .record import Record, look

# Seconds; it is a few milliseconds.
_ENDING = 0.2
_POLL = 0.01


def select(apps: t.Sequence[App], spec: AppSpec) -> App:
    """The one running application that is meant."""
    meant = [app for app in apps if app.prefix in ("", spec.prefix) or not spec.prefix]
    running = [app for app in meant if app.running]
    # Another user's application of the same prefix must not be able to stand in the way of root's.
    ours = [app for app in running if app.uid in (0, os.geteuid())]
    candidates = running if len(running) == 1 else ours or running
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(f"'{app.prefix}' (pid {app.pid}, {app.runtime_dir or 'no directory'})" for app in candidates)
        raise HotplugError(
            "several_applications",
            f"{len(candidates)} DPDK applications are meant: {names}",
            way_out="Give app, and runtime_dir where the prefix alone does not tell them apart.",
            app=spec.prefix,
        )
    raise _none(meant, spec)


def _none(meant: t.Sequence[App], spec: AppSpec) -> HotplugError:
    what = f"no DPDK application '{spec.prefix}' is running" if spec.prefix else "no DPDK application is running"
    distrusted = [app.distrust for app in meant if app.distrust]
    if distrusted:
        what += f" that could be trusted: {'; '.join(distrusted)}"
    elif meant:
        what += f": {meant[0].directory} was left by one that ended"
    return HotplugError("no_application", what, way_out="Start it first.", app=spec.prefix)


def arguments_at_start(app: App) -> dict[str, str]:
    """The devices that the application was started with, with their arguments. Source: EAL options --vdev, -a, -w."""
    found: dict[str, str] = {}
    for text in app.option_values("--vdev", "--allow", "-a", "-w"):
        try:
            device = _devices.parse(text)
        except HotplugError:
            continue
        found[device.name] = device.args
    return found


def assemble(ports: t.Sequence[Port], record: Record, at_start: dict[str, str]) -> AppState:
    """The devices behind ports, with what is known of their arguments: from our record, else from the start."""
    grouped: dict[Devargs, list[Port]] = {}
    for port in ports:
        device = record.device_of(port.name) or _devices.of_port(port.name)
        grouped.setdefault(device, []).append(port)
    devices = {}
    for device, own in grouped.items():
        args = record.args(device.name) if device.name in record.devices else at_start.get(device.name)
        devices[device.name] = DeviceState(device._replace(args=args or ""), args is not None, tuple(own))
    return AppState(devices)


class AppWork:
    """One application's part of a run: found, locked, observed, planned. What follows is apply.Acts."""

    def __init__(self, spec: AppSpec, system: System, apps: t.Sequence[App], *, change: bool) -> None:
        self.spec = spec
        self.system = system
        self.closing: list[t.Any] = []
        self.app = self._select(apps)
        # From here on it is this application, also where none was named: errors and a look after a wait name it.
        self.spec = spec._replace(prefix=self.app.prefix)
        self.home = home.key(self.app)
        self.change = change

    def _select(self, apps: t.Sequence[App]) -> App:
        try:
            return select(apps, self.spec)
        except HotplugError as error:
            if error.reason != "no_application" or not self.spec.prefix:
                raise
            others = sorted({app.prefix for app in find(self.system) if app.running})
            if others:
                error.way_out = f"Running are: {', '.join(others)}."
            raise

    def open(self) -> None:
        """Lock where something may be changed, then look who is there and what it has."""
        try:
            self._open()
        except HotplugError as error:
            raise self.told(error).about(app=self.app.prefix) from error

    def _open(self) -> None:
        directory = None
        if self.change:
            directory = home.open_home(self.home)
            self.closing.append(directory)
            lock = Lock(directory, self.app.prefix, timeout=self.spec.timeout)
            self.closing.append(lock)
            if lock.waited:
                self.app = select(
                    find(self.system, runtime_dir=self.app.runtime_dir, prefixes=[self.app.prefix]), self.spec
                )
        self.reach = choose(self.app, self.system, adapter=self.spec.adapter, channel=self.spec.channel)
        self.ports = Ports(self.app)
        self.record = Record(directory, self.app) if directory else look(self.app)
        self.at_start = arguments_at_start(self.app)
        self.before = self.after = self.observe()
        self.spec = by_name(self.spec, self.before)
        self.record.forget_absent(self.before.devices)

    def observe(self) -> AppState:
        return assemble(self.ports.read(), self.record, self.at_start)

    def plan(self) -> Plan:
        return plan(self.spec, self.before, self.reach.verbs)

    def gone(self) -> bool:
        """Whether the process that was found has ended. It may have closed its sockets a moment before it is dead."""
        process = self.system.process(self.app.pid)
        return process is None or process.start_time != self.app.start_time or process.state in "ZX"

    def told(self, error: HotplugError) -> HotplugError:
        """The error as it is, or that the application has ended, where that is what lies behind it."""
        if error.reason not in ("telemetry", "primary_gone", "no_mp_socket") or not self._ends():
            return error
        return HotplugError(
            "primary_gone",
            f"application '{self.app.prefix}' (pid {self.app.pid}) ended in the middle of it",
            way_out="Its ports went with it. Start it again and repeat.",
        )

    def _ends(self) -> bool:
        end = time.monotonic() + _ENDING
        while not self.gone():
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL)
        return True

    def close(self) -> None:
        for resource in reversed(self.closing):
            resource.close()
        self.closing.clear()


def action(step: Step, work: AppWork) -> dict[str, t.Any]:
    """A step as results list it."""
    state = work.after.devices.get(step.device.name) or work.before.devices.get(step.device.name)
    ports = [port.port_id for port in state.ports] if state else []
    return {"action": step.verb, "device": step.device.name, "devargs": step.device.text, "port_ids": ports}
