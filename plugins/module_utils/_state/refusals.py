# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import json
import time
import typing as t

from .._apps.app import App
from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from .model import AppSpec, DeviceState, PortSpec

# What is said when something is refused. It is imported when it is: a call that goes well does not pay for it.

# Seconds between the end of an application's sockets and its own; it is a few milliseconds.
_ENDING = 0.2
_POLL = 0.01


def bad_prefix(prefix: str) -> HotplugError:
    return HotplugError(
        "bad_prefix",
        f"file prefix {prefix[:80]!r} is not a name",
        way_out="It may hold letters, digits and _ . + : @ -, 64 characters at most, and is never a path.",
    )


def no_application(meant: t.Sequence[App], spec: AppSpec, there: t.Sequence[App]) -> HotplugError:
    """None that is meant is running; ``meant`` are what is left of it, ``there`` all that the host has."""
    what = f"no DPDK application '{spec.prefix}' is running" if spec.prefix else "no DPDK application is running"
    what += f" in {spec.runtime_dir}" if spec.runtime_dir else ""
    distrusted = [app.distrust for app in meant if app.distrust]
    if distrusted:
        what += f" that could be trusted: {'; '.join(distrusted)}"
    elif meant:
        what += f": {meant[0].directory} was left by one that ended"
    # By pid: what was found in the directory asked for comes first, and may be found again by another name of it.
    others = ", ".join(sorted({app.pid: _named(app, spec) for app in reversed(there) if app.running}.values()))
    return HotplugError(
        "no_application", what, way_out=f"Running are: {others}." if others else "Start it first.", app=spec.prefix
    )


def _named(app: App, spec: AppSpec) -> str:
    elsewhere = spec.runtime_dir and app.runtime_dir != spec.runtime_dir
    return f"{app.prefix} in {app.runtime_dir}" if elsewhere else app.prefix


def without_vfio(app: App, device: Devargs, system: System) -> HotplugError | None:
    """The error where a device is refused for the application has no vfio, else None.

    EAL opens it as it starts. Seen with 22.11 on Linux 6.1, and not with 24.11 on 6.12.
    Source: rte_vfio_enable() in lib/eal/linux/eal_vfio.c.
    """
    from .._host.binding import driver_of

    if device.bus != "pci" or driver_of(system, device.name) != "vfio-pci":
        return None
    place = f"/proc/{app.pid}/fd"
    opened = [system.link(f"{place}/{fd}") for fd in system.names(place)]
    if not opened or "/dev/vfio/vfio" in opened:
        return None
    return HotplugError(
        "no_vfio",
        f"cannot attach device '{device.name}': application '{app.prefix}' was started before the kernel had vfio, "
        "and takes no notice of it later",
        way_out="Start it anew. The role dpdk.hotplug.vfio has the modules loaded at boot, before applications start.",
    )


def several_applications(candidates: t.Sequence[App], spec: AppSpec) -> HotplugError:
    names = ", ".join(f"'{app.prefix}' (pid {app.pid}, {app.runtime_dir or 'no directory'})" for app in candidates)
    return HotplugError(
        "several_applications",
        f"{len(candidates)} DPDK applications are meant: {names}",
        way_out="Give app, and runtime_dir where the prefix alone does not tell them apart.",
        app=spec.prefix,
    )


def application_twice(prefix: str) -> HotplugError:
    return HotplugError(
        "given_twice",
        f"application '{prefix}' is given twice",
        way_out="Put all its ports under one entry.",
        app=prefix,
    )


def device_twice(name: str, one: PortSpec, other: PortSpec, prefix: str) -> HotplugError:
    return HotplugError(
        "given_twice",
        f"device '{name}' is given twice: as '{one}' and as '{other}'",
        way_out="Name each device once.",
        app=prefix,
        device=name,
    )


def _ports(seen: DeviceState) -> str:
    return ", ".join(f"{port.port_id} ({port.name})" for port in seen.ports)


def owned(seen: DeviceState) -> HotplugError:
    return HotplugError(
        "owned",
        f"device '{seen.device.name}' has ports that another device or the application owns: {_ports(seen)}",
        way_out="Detach their owner first, or set force.",
        device=seen.device.name,
    )


def port_started(seen: DeviceState) -> HotplugError:
    return HotplugError(
        "port_started",
        f"device '{seen.device.name}' has started ports: {_ports(seen)}. "
        "A detach would take them from under the application",
        way_out="Stop and close them in the application, or use an adapter that stops them. "
        "Only force goes past this; the application may crash.",
        device=seen.device.name,
    )


def other_arguments(device: Devargs, seen: DeviceState) -> HotplugError:
    return HotplugError(
        "other_arguments",
        f"device '{device.name}' is attached with other arguments: '{seen.device.args}', asked for is '{device.args}'",
        way_out="Set recreate to detach it and attach it anew, or ask for the arguments that it has.",
        device=device.name,
    )


def cannot(verb: str, device: Devargs) -> HotplugError:
    return HotplugError(
        "not_supported",
        f"the adapter cannot {verb} the ports of device '{device.name}'",
        way_out=f"Use an adapter that can {verb} ports, or with commands of your own give one for it."
        if verb in ("attach", "detach")
        else f"Leave 'started' out, or use an adapter that can {verb} ports.",
        device=device.name,
    )


def other_bridge(device: Devargs, seen: DeviceState, bridge: str) -> HotplugError:
    return HotplugError(
        "other_bridge",
        f"device '{device.name}' is on bridge '{seen.bridge}', asked for is '{bridge}'",
        way_out="Set recreate to move it, or ask for the bridge that it is on.",
        device=device.name,
    )


def together(refusals: t.Sequence[HotplugError], prefix: str) -> HotplugError:
    """One error for all of them."""
    first = refusals[0].about(app=prefix)
    if len(refusals) == 1:
        return first
    return HotplugError(
        first.reason,
        "; ".join(error.message for error in refusals),
        way_out=first.way_out,
        app=prefix,
        device=first.device,
        refusals=[error.result()["error"] for error in refusals],
    )


def gone(app: App, system: System) -> bool:
    """Whether the process that was found has ended. It may have closed its sockets a moment before it is dead."""
    process = system.process(app.pid)
    return process is None or process.start_time != app.start_time or process.state in "ZX"


def told(error: HotplugError, app: App, system: System) -> HotplugError:
    """The error as it is, or that the application has ended, where that is what lies behind it."""
    ending = error.reason in ("telemetry", "primary_gone", "no_mp_socket")
    if not (_ends if ending else gone)(app, system):
        return error
    cause = "" if ending else f": {error.message}"
    return HotplugError(
        "primary_gone",
        f"application '{app.prefix}' (pid {app.pid}) ended in the middle of it{cause}",
        way_out="Its ports went with it. Start it again and repeat.",
    )


def _ends(app: App, system: System) -> bool:
    end = time.monotonic() + _ENDING
    while not gone(app, system):
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL)
    return True


def unusable(path: str, why: str | None) -> HotplugError:
    """The error for a place of ours that cannot be used, before anything was changed."""
    return HotplugError(
        "no_journal",
        f"{path}, where locks and records are kept, cannot be used: {why}. Nothing was changed",
        way_out="It must be ours, writable by us alone, and have room.",
    )


def locked(what: str, note: bytes, timeout: float) -> HotplugError:
    """Another run holds the lock; ``note`` is what it wrote into it."""
    try:
        told: dict[str, t.Any] = json.loads(note)
        since = time.strftime("%H:%M:%S", time.localtime(told["since"]))
        holder = f"(pid {int(told['pid'])}, since {since})"
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        holder = "(it does not say who it is)"
    return HotplugError(
        "locked",
        f"another run works on {what} {holder}, and did not end within {timeout:.0f} s",
        way_out="Wait for it, or raise timeout; end it only if it hangs.",
    )


def unreachable(app: App, ways: dict[str, list[str]], adapter: str) -> HotplugError:
    """No adapter reaches it; ``ways`` has for each reason those that it stands in the way of."""
    obstacles = "; ".join(f"{', '.join(names)}: {why}" for why, names in ways.items())
    return HotplugError(
        "unreachable",
        f"application '{app.prefix}' (pid {app.pid}) cannot be reached: "
        + (obstacles or f"the adapter {adapter} is not for '{app.name}'"),
        way_out="Start it in a way that one of these can reach, or choose another adapter or channel.",
        app=app.prefix,
    )
