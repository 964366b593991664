# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._apps import hooks
from .._apps.app import Port
from .._apps.command import values
from .._devices import Devargs
from .._errors import HotplugError
from .model import AppSpec
from .work import AppWork

# The operator's hook that takes the traffic away from a port before it is stopped or detached, and its inverse.


def check(spec: AppSpec) -> None:
    """Refuse hooks whose programs are not there."""
    for words, what in ((spec.drain, "command for drain"), (spec.undrain, "command for undrain")):
        if words:
            hooks.check(words, what)


def drain(work: AppWork, device: Devargs, ports: t.Sequence[Port]) -> None:
    """Run the hook for a device. What it has done before it failed is taken back, where there is a command for that."""
    try:
        _run(work, work.spec.drain, "drain", device, ports)
    except HotplugError as error:
        error.way_out = "The port was left as it is. " + error.way_out
        raise _taken_back(work, device, ports, error) from error


def undrain(work: AppWork, device: Devargs, ports: t.Sequence[Port]) -> None:
    """Take back what the hook did."""
    _run(work, work.spec.undrain, "undrain", device, ports)


def not_drained(work: AppWork, device: Devargs, ports: t.Sequence[Port]) -> HotplugError:
    """The hook ended well, and ports are still started that nobody else stops."""
    started = ", ".join(str(port.port_id) for port in ports if port.started)
    error = HotplugError(
        "drain_failed",
        f"the command for drain ended well, but ports of device '{device.name}' are still started: {started}",
        way_out="The adapter cannot stop them: the command must, or force has to be set.",
        device=device.name,
    )
    return _taken_back(work, device, ports, error)


def _taken_back(work: AppWork, device: Devargs, ports: t.Sequence[Port], error: HotplugError) -> HotplugError:
    if work.spec.undrain and work.spec.atomic:
        try:
            undrain(work, device, ports)
        except HotplugError as failure:
            error.way_out += f" Not undone: {failure.message}."
    return error


def _run(work: AppWork, words: tuple[str, ...], verb: str, device: Devargs, ports: t.Sequence[Port]) -> None:
    hooks.must(
        hooks.filled(words, values(work.app, device, [port.port_id for port in ports])),
        f"command for {verb}",
        timeout=work.spec.drain_timeout,
        late=f"{verb}_failed",
        failed=f"{verb}_failed",
    )
