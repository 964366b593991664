# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._apps import adapter as adapters
from .._apps.app import Port
from .._apps.ports import DEFAULT_SLOTS
from .._devices import Devargs
from .._errors import HotplugError
from .journal import Journal
from .plan import plan
from .refusals import gone, told, without_vfio
from .steps import Step
from .work import AppWork

_PCI = "/sys/bus/pci/devices"


class AppActs:
    """The acts on one application, by its adapter. Call prepare() first; it refuses what can be refused."""

    def __init__(self, work: AppWork) -> None:
        self.work = work
        self._adapter = adapters.connect(
            work.app, work.reach, work.system, timeout=work.spec.timeout, keep=work.held, means=work.means
        )
        self._journal = Journal(work.record)
        self._stopped = work.starting
        self._plugged: set[str] = set()  # PCI devices that were there before the first change
        self.silent = False  # it left a request unanswered, and gives no answer to any other

    def prepare(self, steps: t.Sequence[Step]) -> None:
        """The last refusals, and a record that holds what is about to happen, before the first change."""
        self._plugged.update(step.device.name for step in steps if self._on_bus(step.device))
        for step in steps:
            if step.verb == "attach" and step.device.name not in self.work.before.devices:
                self._journal.planned(step.device)
        try:
            self._adapter.precheck([step.device for step in steps if step.verb == "attach"])
            if any(step.verb in ("drain", "undrain") for step in steps):
                from . import drain

                drain.check(self.work.spec)
            self._journal.rehearse()
        except HotplugError as error:
            raise told(error, self.work.app, self.work.system).about(app=self.work.app.prefix) from error
        stopping = [self.work.before.devices[step.device.name] for step in steps if step.verb == "stop"]
        if stopping:
            self._adapter.release([port.port_id for one in stopping for port in one.ports])

    def do(self, step: Step) -> None:
        """One step, judged by what is there afterwards where the answer leaves a doubt."""
        try:
            getattr(self, "_" + step.verb)(step.device)
        except HotplugError as error:
            told = self._told(error)
            if told.reason in adapters.UNKNOWN_OUTCOME and self._settled(step):
                return
            if step.device.name in self._plugged and not self._on_bus(step.device):
                if step.verb in ("stop", "detach") and not self._now(step.device):
                    self._journal.detached(step.device)
                    return  # the application has let go of it by itself
                from .._host import binding

                told = binding.removed(step.device.name, told.message)
            elif told.reason == "bad_devargs":
                told = without_vfio(self.work.app, step.device, self.work.system) or told
            raise told.about(app=self.work.app.prefix, device=step.device.name) from error

    def take_back(self, step: Step) -> str | None:
        """Do the inverse of a step; why it could not, empty if it could, None where there is nothing left to do."""
        ended = gone(self.work.app, self.work.system)
        if ended and not self.work.spec.atomic:
            return None  # its ports went with it
        if ended:
            return self._adapter.revoke(step.verb, step.device) if step.verb in ("attach", "detach") else None
        if not self.work.spec.atomic:
            return "atomic is false"
        if self.silent:
            return "the application does not answer"
        if step.verb == "detach" and not step.args_known:
            return "its arguments are not known"
        if step.verb == "drain" and not self.work.spec.undrain:
            return "there is no command that takes it back (undrain)"
        try:
            self.do(step.inverse())
        except HotplugError as failure:
            return failure.message
        before = self.work.before.devices.get(step.device.name)
        if step.verb == "detach" and before and before.started and not self.work.can("start", "attach_started"):
            return "it is attached again, but not started, which the adapter cannot do"
        return ""

    def _on_bus(self, device: Devargs) -> bool:
        return device.bus == "pci" and bool(self.work.system.link(f"{_PCI}/{device.name}"))

    def _told(self, error: HotplugError) -> HotplugError:
        """DPDK has no errno of its own for want of a slot, and drivers make -1 of it: the number of ports tells."""
        ports = len(self.work.ports.read()) if error.reason in ("no_memory", "bad_devargs") else 0
        if ports < DEFAULT_SLOTS:
            return told(error, self.work.app, self.work.system)
        return HotplugError(
            "no_slot",
            f"application '{self.work.app.prefix}' has no free port slot: it has {ports} ports",
            way_out="Detach something first, or build DPDK with more RTE_MAX_ETHPORTS.",
            **error.fields,
        )

    def _settled(self, step: Step) -> bool:
        """Whether a step whose outcome was in doubt has taken effect; False as well where nothing tells."""
        try:
            self.silent = not self._adapter.settle()
            there = None if self.silent else self.work.observe().devices.get(step.device.name)
        except HotplugError as error:
            self.silent = True
            ended = self._told(error)
            if ended.reason == "primary_gone":
                raise ended.about(app=self.work.app.prefix, device=step.device.name) from error
        if self.silent:
            return False
        if step.verb == "detach":
            return there is None
        if step.verb == "attach":
            return there is not None and there.adopted
        return there is not None and there.started == (step.verb == "start")

    def _attach(self, device: Devargs) -> None:
        self._journal.attached(device)
        self._journal.save()
        self._adapter.attach(device)

    def _detach(self, device: Devargs) -> None:
        ports = self._now(device)
        if not ports:
            return  # gone meanwhile; a detach of what is not there ends a primary of 26.07
        if any(port.started for port in ports) and not (self.work.spec.force or self.work.can("detach_started")):
            raise HotplugError(
                "port_started",
                f"device '{device.name}' was started since it was looked at",
                way_out="Stop it in the application and run again.",
            )
        known = self._journal.detached(device)
        self._journal.save()
        try:
            self._adapter.detach(device, [port.port_id for port in ports])
        except HotplugError:
            self._journal.restored(device, known)
            raise

    def _start(self, device: Devargs) -> None:
        """Start its ports; of those that we stopped before, no others."""
        ports = self._now(device)
        names = [port.name for port in ports]
        ours = [name for name in self._stopped.pop(device.name, ()) if name in names] or names
        for port in ports:
            if not port.started and port.name in ours:
                self._adapter.start(port.port_id)

    def _stop(self, device: Devargs) -> None:
        """Stop its ports, all or none."""
        stopped: list[Port] = []
        try:
            for port in self._now(device):
                if port.started:
                    self._adapter.stop(port.port_id)
                    stopped.append(port)
        except HotplugError:
            for port in stopped:
                self._adapter.start(port.port_id)
            raise
        self._stopped[device.name] = [port.name for port in stopped]

    def _drain(self, device: Devargs) -> None:
        from . import drain

        drain.drain(self.work, device, self._now(device))
        ports = self._now(device)
        if any(port.started for port in ports) and not (
            self.work.spec.force or self.work.can("stop", "detach_started")
        ):
            raise drain.not_drained(self.work, device, ports)

    def _undrain(self, device: Devargs) -> None:
        from . import drain

        drain.undrain(self.work, device, self._now(device))

    def _now(self, device: Devargs) -> tuple[Port, ...]:
        """The device's ports as they are at this moment; it has other ids than before when it was attached anew."""
        seen = self.work.before.devices.get(device.name)
        if seen is not None:
            names = {port.name for port in seen.ports}
            ports = self.work.ports.again([port.port_id for port in seen.ports])
            if names == {port.name for port in ports}:
                return tuple(ports)
        seen = self.work.observe().devices.get(device.name)
        return seen.ports if seen else ()

    def verify(self, steps: t.Sequence[Step]) -> None:
        """Observe again, and refuse to call done what is not."""
        try:
            self.work.after = self.work.observe()
        except HotplugError as error:
            raise told(error, self.work.app, self.work.system).about(app=self.work.app.prefix) from error
        self._adopt(steps)
        left = plan(self.work.spec._replace(recreate=False, force=True), self.work.after, self.work.reach.verbs).steps
        if left:
            raise HotplugError(
                "not_effective",
                f"application '{self.work.app.prefix}' answered that it was done, but there is still to do: "
                + ", ".join(str(step) for step in left),
                way_out="Look at its log; a device of another kind than a network card has no ports.",
                app=self.work.app.prefix,
                device=left[0].device.name,
            )

    def _adopt(self, steps: t.Sequence[Step]) -> None:
        """Ports whose names do not tell their device belong to the one device that we attached that has none yet."""
        bare = [s.device for s in steps if s.verb == "attach" and s.device.name not in self.work.after.devices]
        asked = {step.device.name for step in steps}
        strange = [n for n in self.work.after.devices if n not in self.work.before.devices and n not in asked]
        if len(bare) == 1 and strange:
            names = [port.name for name in strange for port in self.work.after.devices[name].ports]
            self._journal.adopted(bare[0], names)
            self._journal.save()
            self.work.after = self.work.observe()

    def close(self) -> None:
        self._adapter.close()
