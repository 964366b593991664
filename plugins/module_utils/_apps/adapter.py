# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from .app import App, Reach

# What may have been done although it was answered with an error: the state is read on before anything is decided.
UNKNOWN_OUTCOME = ("timeout", "secondary_failed")


class Adapter(t.Protocol):
    """How one kind of running application is told to attach and detach devices.

    Every method raises HotplugError. Whether an act took effect is decided by the ports that are there afterwards.
    """

    name: str
    channel: str
    verbs: frozenset[str]

    def precheck(self) -> None:
        """Refuse whatever can be refused before the first change."""

    def attach(self, device: Devargs) -> None: ...

    def detach(self, device: Devargs, port_ids: t.Sequence[int]) -> None:
        """Detach the device, which has these ports; they are stopped, or the operator has forced it."""

    def start(self, port_id: int) -> None: ...

    def stop(self, port_id: int) -> None: ...

    def settle(self) -> bool:
        """After an unknown outcome: wait until the application is done with it; False if it does not get there."""

    def close(self) -> None: ...


def reaches(app: App, system: System) -> t.Iterator[Reach]:
    """Every adapter and channel, the preferred one first, and whether it reaches the application."""
    # One after the other, since what is imported for a way that is not needed costs time on the host.
    if app.is_testpmd:
        from .testpmd import reach as testpmd

        yield from testpmd(app, system)
    from .multiprocess import reach as multiprocess

    yield from multiprocess(app, system)


def choose(app: App, system: System, *, adapter: str = "auto", channel: str = "auto") -> Reach:
    """The first usable one of those asked for; an error that says what stands in the way of each if there is none."""
    ways = []
    for one in reaches(app, system):
        if adapter not in ("auto", one.adapter) or (one.channel and channel not in ("auto", one.channel)):
            continue
        if one.usable:
            return one
        ways.append(f"{one.adapter}{f' ({one.channel})' if one.channel else ''}: {one.reason}")
    raise HotplugError(
        "unreachable",
        f"application '{app.prefix}' (pid {app.pid}) cannot be reached: "
        + ("; ".join(ways) or f"the adapter {adapter} is not for '{app.name}'"),
        way_out="Start it in a way that one of these can reach, or choose another adapter or channel.",
        app=app.prefix,
    )


def connect(app: App, reach: Reach, system: System, *, timeout: float) -> Adapter:
    """The adapter of that name and channel for the application; nothing is asked of it yet. Seconds."""
    if reach.adapter == "testpmd":
        from .testpmd import Testpmd

        return Testpmd(app, timeout=timeout)
    from .multiprocess import Multiprocess

    return Multiprocess(app, reach.channel, system, timeout=timeout)
