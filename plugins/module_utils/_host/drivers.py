# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._errors import HotplugError
from .._system import System
from . import programs

if t.TYPE_CHECKING:
    import subprocess

_DRIVERS = "/sys/bus/pci/drivers"
# The module of a driver has its name but for this.
_MODULES = {"vfio-pci": "vfio_pci"}
_LIMIT = 60  # seconds


def unavailable(system: System, driver: str) -> HotplugError | None:
    """Why a driver cannot be had, or None; nothing is loaded."""
    if os.path.isdir(system.path(f"{_DRIVERS}/{driver}")):
        return None
    if system.read("/proc/sys/kernel/modules_disabled").strip() == b"1":
        return _blocked(driver, "loading modules is switched off (kernel.modules_disabled)", "Reboot to have it back.")
    done = _modprobe(system, "--dry-run", "--verbose", "--use-blacklist", module(driver))
    if done is None:
        return None
    if done.returncode:
        return _missing(system, driver, done.stderr)
    return _held_back(driver, done.stdout)


def _held_back(driver: str, would: str) -> HotplugError | None:
    """What the configuration of modprobe says, from what it would do: a line a module, or an ``install`` command."""
    lines = [line.split() for line in would.splitlines() if line.strip()]
    if not lines:
        why = "its module is held back by a blacklist, or is loaded and has no such driver"
    elif lines[-1][0] == "install" and os.path.basename(lines[-1][1]) in ("false", "true"):
        why = f"the configuration of modprobe runs {lines[-1][1]} in place of its module"
    else:
        return None
    return _blocked(driver, why, "See modprobe -c, and the files in /etc/modprobe.d.")


def load(system: System, driver: str) -> None:
    """Have a driver in the kernel. Raises HotplugError when it is not there or must not be loaded."""
    if os.path.isdir(system.path(f"{_DRIVERS}/{driver}")):
        return
    error = unavailable(system, driver)
    if error is not None:
        raise error
    done = _modprobe(system, "--use-blacklist", module(driver))
    if done is not None and done.returncode:
        text = done.stderr.strip().rpartition(": ")[2]
        locked = system.read("/sys/kernel/security/lockdown").decode("ascii", "replace")
        if "[none]" not in locked and "[" in locked:
            mode = locked.partition("[")[2].partition("]")[0]
            way_out = "Sign the module with a key that the kernel trusts, or switch Secure Boot off."
            raise _blocked(driver, f"{text} (the kernel is locked down: {mode})", way_out)
        raise _blocked(driver, text, "See the kernel's log (dmesg).")
    if not os.path.isdir(system.path(f"{_DRIVERS}/{driver}")):
        raise _blocked(driver, "its module was loaded, and there is no such driver", "See the kernel's log (dmesg).")


def module(driver: str) -> str:
    return _MODULES.get(driver, driver)


def _modprobe(system: System, *words: str) -> subprocess.CompletedProcess[str] | None:
    """None on a tree that is not the machine's own: nothing can be loaded for it."""
    import subprocess

    program = programs.find("modprobe")
    if system.root or not program:
        return None
    try:
        return programs.run(program, *words, limit=_LIMIT)
    except subprocess.TimeoutExpired as exc:
        raise HotplugError(
            "kernel_stuck",
            f"modprobe {' '.join(words)} has not ended within {_LIMIT} s",
            way_out="See the kernel's log (dmesg); only a reboot may help.",
        ) from exc


def _missing(system: System, driver: str, said: str) -> HotplugError:
    release = os.uname().release
    if not os.path.isdir(f"/lib/modules/{release}"):
        way_out = f"There are no modules for the running kernel {release}: reboot into the one that is installed."
    elif driver == "igb_uio":
        way_out = "It is not part of Linux: use vfio-pci, or build it from dpdk-kmods."
    else:
        way_out = "Check the name; a slim kernel may have its modules in a package of their own."
    return HotplugError(
        "driver_missing", f"there is no driver {driver}: {said.strip() or 'no module has it'}", way_out=way_out
    )


def _blocked(driver: str, why: str, way_out: str) -> HotplugError:
    return HotplugError("module_blocked", f"the driver {driver} cannot be loaded: {why}", way_out=way_out)
