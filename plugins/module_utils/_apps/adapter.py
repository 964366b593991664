# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._devices import Devargs
from .._system import System
from .app import App, Means, Reach

# What may have been done although it was answered with an error: the state is read on before anything is decided.
UNKNOWN_OUTCOME = ("timeout", "secondary_failed", "command_failed")


class Adapter(t.Protocol):
    """How one kind of running application is told to attach and detach devices.

    Every method raises HotplugError. Whether an act took effect is decided by the ports that are there afterwards.
    """

    name: str
    channel: str
    verbs: frozenset[str]

    def precheck(self, attaching: t.Sequence[Devargs] = ()) -> None:
        """Refuse whatever can be refused before the first change. ``attaching``: what is going to be attached."""

    def release(self, port_ids: t.Sequence[int]) -> None:
        """Make ready, all at once, for these ports to be stopped. What is not stopped after all ends as it was."""

    def attach(self, device: Devargs) -> None:
        """Attach the device."""

    def detach(self, device: Devargs, port_ids: t.Sequence[int]) -> None:
        """Detach the device, which has these ports; they are stopped, or the operator has forced it."""

    def start(self, port_id: int) -> None:
        """Start a port."""

    def stop(self, port_id: int) -> None:
        """Stop a port."""

    def settle(self) -> bool:
        """After an unknown outcome: wait until the application is done with it; False if it does not get there."""

    def revoke(self, verb: str, device: Devargs) -> str | None:
        """Take back an act after the application's end: why it cannot, empty if it did, None where it went with it."""

    def close(self) -> None:
        """Let go of everything that is held."""


def connect(
    app: App,
    reach: Reach,
    system: System,
    *,
    timeout: float,
    keep: t.Sequence[int] = (),
    means: Means = Means(),  # noqa: B008 - it is a constant
) -> Adapter:
    """The adapter of that name and channel for the application; nothing is asked of it yet.

    ``timeout``: seconds. ``keep``: descriptors that a child process of ours has to hold as long as it acts.
    """
    if reach.adapter == "command":
        from .command import Command
        from .ports import observer

        return Command(app, means.commands, observer(app, reach, means, system, timeout=timeout), timeout=timeout)
    if reach.adapter == "openvswitch":
        from .openvswitch import OpenVSwitch

        return OpenVSwitch(app, means, system, timeout=timeout)
    if reach.adapter == "grout":
        from .grout import Grout

        return Grout(app, system, timeout=timeout)
    if reach.adapter == "testpmd":
        from .testpmd import Testpmd

        return Testpmd(app, timeout=timeout)
    from .multiprocess import Multiprocess

    return Multiprocess(app, reach.channel, system, timeout=timeout, keep=keep)
