# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .. import _devices
from .._apps import adapter as adapters
from .._apps.app import App, Port
from .._apps.discovery import find
from .._apps.ports import DEFAULT_SLOTS, Ports
from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from . import home
from .locks import Lock
from .model import AppSpec, AppState, DeviceState, Step
from .plan import Plan, plan
from .record import Record, look


def select(apps: t.Sequence[App], spec: AppSpec) -> App:
    """The one running application that is meant."""
    meant = [app for app in apps if app.prefix == spec.prefix or not spec.prefix]
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
    """One application's part of a run: found, locked, observed, planned; then its steps, done and taken back."""

    def __init__(self, spec: AppSpec, system: System, apps: t.Sequence[App], *, change: bool) -> None:
        self.spec = spec
        self._system = system
        self._closing: list[t.Any] = []
        self.app = self._select(apps)
        self.home = home.key(self.app)
        self.change = change

    def _select(self, apps: t.Sequence[App]) -> App:
        try:
            return select(apps, self.spec)
        except HotplugError as error:
            if error.reason != "no_application" or not self.spec.prefix:
                raise
            others = sorted({app.prefix for app in find(self._system) if app.running})
            if others:
                error.way_out = f"Running are: {', '.join(others)}."
            raise

    def open(self) -> None:
        """Lock where something may be changed, then look who is there and what it has."""
        try:
            self._open()
        except HotplugError as error:
            raise error.about(app=self.app.prefix) from error

    def _open(self) -> None:
        directory = None
        if self.change:
            directory = home.open_home(self.home)
            self._closing.append(directory)
            lock = Lock(directory, self.app.prefix, timeout=self.spec.timeout)
            self._closing.append(lock)
            if lock.waited:
                self.app = select(
                    find(self._system, runtime_dir=self.app.runtime_dir, prefixes=[self.app.prefix]), self.spec
                )
        self.reach = adapters.choose(self.app, self._system, adapter=self.spec.adapter, channel=self.spec.channel)
        self._adapter: adapters.Adapter | None = None
        self._ports = Ports(self.app)
        self._record = Record(directory, self.app) if directory else look(self.app)
        self._at_start = arguments_at_start(self.app)
        self.before = self.after = self.observe()

    def observe(self) -> AppState:
        return assemble(self._ports.read(), self._record, self._at_start)

    def plan(self) -> Plan:
        return plan(self.spec, self.before, self.reach.verbs)

    def prepare(self, steps: t.Sequence[Step]) -> None:
        """The last refusals, and a record that holds what is about to happen, before the first change."""
        self._adapter = adapters.connect(self.app, self.reach, self._system, timeout=self.spec.timeout)
        self._closing.append(self._adapter)
        self._adapter.precheck()
        for step in steps:
            if step.verb == "attach" and step.device.name not in self.before.devices:
                self._record.attached(step.device)
        self._record.save()

    def do(self, step: Step) -> None:
        """One step, judged by what is there afterwards where the answer leaves a doubt."""
        try:
            getattr(self, "_" + step.verb)(step.device)
        except HotplugError as error:
            if error.reason not in adapters.UNKNOWN_OUTCOME or not self._settled(step):
                raise self._told(error).about(app=self.app.prefix, device=step.device.name) from error

    def _told(self, error: HotplugError) -> HotplugError:
        """DPDK has one errno for want of memory and for want of a port slot: the number of ports tells which."""
        ports = len(self._ports.read()) if error.reason == "no_memory" else 0
        if ports < DEFAULT_SLOTS:
            return error
        return HotplugError(
            "no_slot",
            f"application '{self.app.prefix}' has no free port slot: it has {ports} ports",
            way_out="Detach something first, or build DPDK with more RTE_MAX_ETHPORTS.",
            **error.fields,
        )

    def _settled(self, step: Step) -> bool:
        """Whether a step whose outcome was in doubt has taken effect."""
        self._using().settle()
        there = self.observe().devices.get(step.device.name)
        if step.verb in ("attach", "detach"):
            return (there is not None) == (step.verb == "attach")
        return there is not None and there.started == (step.verb == "start")

    def _using(self) -> adapters.Adapter:
        if self._adapter is None:
            raise RuntimeError("prepare() comes first")
        return self._adapter

    def _attach(self, device: Devargs) -> None:
        self._record.attached(device)
        self._record.save()
        self._using().attach(device)

    def _detach(self, device: Devargs) -> None:
        ports = self._now(device)
        if any(port.started for port in ports) and not self.spec.force:
            raise HotplugError(
                "port_started",
                f"device '{device.name}' was started since it was looked at",
                way_out="Stop it in the application and run again.",
            )
        self._using().detach(device, [port.port_id for port in ports])
        self._record.detached(device)
        self._record.save()

    def _start(self, device: Devargs) -> None:
        for port in self._now(device):
            if not port.started:
                self._using().start(port.port_id)

    def _stop(self, device: Devargs) -> None:
        for port in self._now(device):
            if port.started:
                self._using().stop(port.port_id)

    def _now(self, device: Devargs) -> tuple[Port, ...]:
        """The device's ports as they are at this moment."""
        seen = self.before.devices.get(device.name)
        if seen is None:
            seen = self.observe().devices.get(device.name)
        if seen is None:
            return ()
        names = {port.name for port in seen.ports}
        return tuple(port for port in self._ports.again(port.port_id for port in seen.ports) if port.name in names)

    def verify(self, steps: t.Sequence[Step]) -> None:
        """Observe again, and refuse to call done what is not."""
        self.after = self.observe()
        self._adopt(steps)
        left = plan(self.spec._replace(recreate=False, force=True), self.after, self.reach.verbs).steps
        if left:
            raise HotplugError(
                "not_effective",
                f"application '{self.app.prefix}' answered that it was done, but there is still to do: "
                + ", ".join(str(step) for step in left),
                way_out="Look at its log.",
                app=self.app.prefix,
                device=left[0].device.name,
            )

    def _adopt(self, steps: t.Sequence[Step]) -> None:
        """Ports whose names do not tell their device belong to the one device that we attached and that has none yet."""
        bare = [s.device for s in steps if s.verb == "attach" and s.device.name not in self.after.devices]
        asked = {step.device.name for step in steps}
        strange = [n for n in self.after.devices if n not in self.before.devices and n not in asked]
        if len(bare) == 1 and strange:
            names = [port.name for name in strange for port in self.after.devices[name].ports]
            self._record.devices[bare[0].name]["ports"] = names
            self._record.save()
            self.after = self.observe()

    def close(self) -> None:
        for resource in reversed(self._closing):
            resource.close()
        self._closing.clear()
