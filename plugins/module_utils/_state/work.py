# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._apps.app import App, Means
from .._apps.discovery import find
from .._apps.ports import observer
from .._apps.reach import choose
from .._errors import HotplugError
from .._system import System
from . import home
from .model import AppSpec, AppState
from .observe import assemble, ports_result
from .plan import Plan, by_name, plan, view
from .record import Record

if t.TYPE_CHECKING:
    from .app_acts import AppActs
    from .steps import Step


def select(apps: t.Sequence[App], spec: AppSpec, system: System) -> App:
    """The one running application that is meant."""
    running = [app for app in apps if app.running and (not spec.prefix or app.prefix in ("", spec.prefix))]
    if len(running) == 1:
        return running[0]
    from .which import which

    return which(apps, spec, system)


class AppWork:
    """One application's part of a run: found, locked, observed, planned."""

    def __init__(self, spec: AppSpec, system: System, apps: t.Sequence[App], *, change: bool) -> None:
        self.spec = self.asked = spec
        self.system = system
        self.closing: list[t.Any] = []
        self.starting: dict[str, list[str]] = {}  # which ports of a device are started, where not all are to be
        self.held: tuple[int, ...] = ()  # the descriptor of the lock, for a child process that may outlive us
        self.app = select(apps, spec, system)
        # From here on it is this one, also where none was named: errors and later looks name it.
        self.spec = spec._replace(prefix=self.app.prefix)
        self.name = self.app.prefix
        self.home = home.key(self.app)
        self.change = change

    def open(self) -> None:
        """Lock where something may be changed, then look who is there and what it has."""
        try:
            self._open()
        except HotplugError as error:
            from .refusals import told

            raise told(error, self.app, self.system).about(app=self.app.prefix) from error

    def _open(self) -> None:
        directory = None
        if self.change:
            directory = home.open_home(self.home, self.app)
            self.closing.append(directory)
            lock = home.Lock(directory, f"application '{self.app.prefix}'", timeout=self.spec.timeout)
            self.closing.append(lock)
            self.held = (lock.fd,)
            if lock.waited:
                again = find(self.system, runtime_dir=self.app.runtime_dir, prefixes=[self.app.prefix])
                self.app = select(again, self.spec, self.system)
        means = self.means
        self.reach = choose(self.app, self.system, adapter=self.spec.adapter, channel=self.spec.channel, means=means)
        self.ports = observer(self.app, self.reach, means, self.system, timeout=self.spec.timeout)
        self.record = Record(directory, self.app) if directory else self._looked_at()
        self.before = self.after = self.observe()
        self.spec = by_name(self.spec, self.before)
        self.record.forget_absent(self.before.devices)

    def _looked_at(self) -> Record:
        from .looks import look

        return look(self.app)

    @property
    def means(self) -> Means:
        """What the document says of how devices get into the application."""
        bridges = {port.device.name: port.bridge for port in self.spec.ports if port.device and port.bridge}
        return Means(self.spec.commands, self.spec.bridge, bridges)

    def observe(self) -> AppState:
        return assemble(self.ports.read(), self.record, self.app)

    def plan(self, leaving: t.Collection[str] = ()) -> Plan:
        """``leaving``: devices that are going to lose their driver, and get one again before anything is attached."""
        return plan(self.spec, self.before, self.reach.verbs, leaving)

    def can(self, *verbs: str) -> bool:
        """Whether its adapter can do one of these."""
        return any(verb in self.reach.verbs for verb in verbs)

    def acts(self) -> AppActs:
        from .app_acts import AppActs

        return AppActs(self)

    def action(self, step: Step) -> dict[str, t.Any]:
        from .steps import told

        return told(step, self.after.devices.get(step.device.name) or self.before.devices.get(step.device.name))

    def result(self, steps: t.Sequence[Step], *, predicted: bool) -> dict[str, t.Any]:
        """What modules return of it; ``predicted``: the difference tells what the steps would do."""
        before = view(self.before)
        after = view(self.after)
        if predicted:
            from .preview import predict

            after = predict(before, steps, self.reach.verbs)
        return {
            "app": {
                "prefix": self.app.prefix,
                "pid": self.app.pid,
                "version": self.app.version,
                "runtime_dir": self.app.runtime_dir,
                "adapter": self.reach.adapter,
                "channel": self.reach.channel,
            },
            "ports": ports_result(self.after.devices),
            "actions": [self.action(step) for step in steps],
            "diff": {"before": {"ports": before}, "after": {"ports": after}},
        }

    def close(self) -> None:
        for resource in reversed(self.closing):
            resource.close()
        self.closing.clear()
