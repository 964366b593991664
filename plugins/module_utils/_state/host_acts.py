# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError
from .._host import binding, drivers, holders, memory, pci
from .._host.model import USERSPACE_DRIVERS
from .._host.writes import Writer
from .host_journal import Journal
from .host_model import KERNEL, Change
from .host_plan import plan
from .host_work import told

if t.TYPE_CHECKING:
    from .host_work import HostWork


class HostActs:
    """The changes of a host, each done whole or not at all. Call prepare() first; it refuses what can be refused."""

    def __init__(self, work: HostWork, writer: t.Any = None) -> None:
        self.work = work
        self._writer = writer or Writer(work.system)
        self._journal = Journal(work.home, work.system) if work.home else None
        # Something is neither as it was nor as it shall be: so an earlier run left it, until this one has ended well.
        self._left = bool(work.before.half_done)

    def prepare(self, steps: t.Sequence[Change]) -> None:
        """The modules that are needed, and a journal of what is about to happen, before the first change."""
        if self._journal:
            self._journal.begin(steps)
        moves = [step for step in steps if step.kind == "driver"]
        for driver in sorted({step.after.driver for step in moves} - {"", KERNEL}):
            drivers.load(self.work.system, driver)
        leaving = [move.target for move in moves if move.before.driver]
        there = self.work.before.devices
        memory.remember(self.work.system, [there[one] for one in leaving if one in there])

    def do(self, step: Change) -> None:
        try:
            getattr(self, "_" + step.kind)(step)
        except HotplugError as error:
            if error.reason == "kernel_stuck" and self._journal:
                self._journal.stuck(error)
            self._left = self._left or error.reason == "kernel_stuck" or "not_undone" in error.fields
            raise told(error, step) from error
        except BaseException:
            self._left = True
            raise

    def take_back(self, step: Change) -> str | None:
        try:
            self.do(step.inverse())
        except HotplugError as failure:
            self._left = True
            return failure.message
        return ""

    def verify(self, steps: t.Sequence[Change]) -> None:
        """Observe again; what is then still to do has not taken effect."""
        work = self.work
        given = [step.target for step in steps if step.kind == "driver" and step.after.driver not in USERSPACE_DRIVERS]
        if given:
            from .._host import udev

            udev.settle(work.system, given)
        work.after = work.observe()
        left = [one for one in plan(work.spec, work.after._replace(half_done=())).changes if one.kind != "boot"]
        if left:
            from .host_refusals import not_effective

            raise not_effective(left)
        self._left = False

    def close(self) -> None:
        """The journal is kept where something is left half done, for the next run to repair."""
        if self._journal and not self._left:
            self._journal.end()
        self._writer.close()

    def _driver(self, step: Change) -> None:
        if step.before.driver:
            self._let_go(step.target)
        binding.change(self.work.system, self._writer, step.target, step.before, step.after)

    def _let_go(self, address: str) -> None:
        """The kernel waits for ever for a userspace driver's holder, and would hold its locks meanwhile."""
        device = pci.read(self.work.system, address)
        using = holders.holders(self.work.system, {address: device}, [address]) if device else {}
        if using.get(address):
            from .host_refusals import in_use

            raise in_use(address, using[address])

    def _vfs(self, step: Change) -> None:
        from .._host import sriov

        sriov.change(self.work.system, self._writer, step.target, step.before, step.after)

    def _vf(self, step: Change) -> None:
        from .._host import sriov

        pf, index = step.target
        sriov.set_vf(self.work.system, pf, index, step.after)

    def _noiommu(self, step: Change) -> None:
        from .._host import noiommu

        noiommu.allow(self.work.system, self._writer, on=step.after)

    def _pages(self, step: Change) -> None:
        from .._host import hugepages

        size, node = step.target
        try:
            hugepages.set_count(
                self.work.system, self._writer, size=size, node=node, before=step.before, count=step.after
            )
        except HotplugError as error:
            if error.reason != "hugepages_short" or not self._due_at_boot():
                raise
            self.work.warnings.append(f"{error.message}: they come with the next boot.")

    def _due_at_boot(self) -> bool:
        """Whether the next boot reserves the hugepages, and this one has not."""
        from .._host import hugepages, kernel_args

        asked = self.work.spec.hugepages
        wanted = hugepages.arguments(asked.pages) if asked is not None and asked.boot else ()
        return kernel_args.reboot_required(self.work.system, "hugepages", wanted)

    def _mount(self, step: Change) -> None:
        from .._host import mounts

        mounts.change(self.work.system, step.target, step.before, step.after)

    def _arguments(self, step: Change) -> None:
        from .._host import kernel_args

        kernel_args.change(self.work.system, step.target, step.before, step.after)

    def _boot(self, step: Change) -> None:
        from .._host import persistence

        persistence.change(self.work.system, step.before, step.after)
