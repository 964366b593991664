# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._errors import HotplugError
from .._system import System
from . import files, programs

# Debian and its family: what lies here is read by update-grub, in the order of names.
_DEBIAN = "/etc/default/grub.d"
# RedHat and its family: grubby changes the boot entries; what is ours in them we write down.
_RECORD = "/etc/dpdk-hotplug/kernel-arguments"
_LIMIT = 300  # seconds
_LINE = 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX '
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:=-+/@")


def checked(arguments: t.Sequence[str]) -> tuple[str, ...]:
    """Arguments that are words, and nothing that a boot loader's shell would act on."""
    for one in arguments:
        if not one or not set(one) <= _SAFE:
            why = f"{one[:80]!r} is no kernel argument of letters, digits and _.,:=-+/@"
            raise HotplugError("bad_document", why, way_out="Write one word for each: iommu=pt.")
    return tuple(arguments)


def _file(owner: str) -> str:
    return f"{_DEBIAN}/90-dpdk-hotplug-{owner}.cfg"


def configured(system: System, owner: str) -> tuple[str, ...]:
    """The arguments of ours in the boot loader's configuration."""
    for line in system.read(_file(owner)).decode("utf-8", "replace").splitlines():
        if line.startswith(_LINE):
            return tuple(line[len(_LINE) :].rstrip('"').split())
    return tuple(system.read(f"{_RECORD}-{owner}").decode("utf-8", "replace").split())


def running(system: System) -> list[str]:
    """The arguments that the kernel was booted with."""
    return system.read("/proc/cmdline").decode("utf-8", "replace").split()


def reboot_required(system: System, owner: str, wanted: t.Sequence[str] | None = None) -> bool:
    """Whether the kernel runs without what is wanted, or configured. Order counts: hugepagesz is of what follows."""
    words, own = running(system), list(configured(system, owner) if wanted is None else wanted)
    return bool(own) and not any(words[at : at + len(own)] == own for at in range(len(words)))


def change(system: System, owner: str, before: t.Sequence[str], after: t.Sequence[str]) -> None:
    """Have these arguments at the next boot, and none of those before; where that fails, as it was."""
    checked(after)
    make = _debian if programs.find("update-grub") else _redhat if programs.find("grubby") else None
    if make is None:
        raise HotplugError(
            "no_boot_loader",
            "neither update-grub nor grubby is there: this boot loader is not known",
            way_out=f"Add to its kernel arguments by hand: {' '.join(after) or 'nothing'}.",
        )
    try:
        make(system, owner, before, after)
    except HotplugError as error:
        try:
            make(system, owner, after, before)
        except HotplugError as again:
            error.fields["not_undone"] = [f"kernel arguments of {owner}: {again.message}"]
        raise


def _debian(system: System, owner: str, _before: t.Sequence[str], after: t.Sequence[str]) -> None:
    if after:
        text = f'# Written by dpdk.hotplug; it is replaced as a whole.\n{_LINE}{" ".join(after)}"\n'
        files.replace(system, _file(owner), text.encode(), 0o644)
    else:
        files.remove(system, _file(owner), directory=False)
    _run(programs.find("update-grub"))


def _redhat(system: System, owner: str, before: t.Sequence[str], after: t.Sequence[str]) -> None:
    grubby = programs.find("grubby")
    if before:
        _run(grubby, "--update-kernel=ALL", f"--remove-args={' '.join(before)}")
    if after:
        _run(grubby, "--update-kernel=ALL", f"--args={' '.join(after)}")
        files.replace(system, f"{_RECORD}-{owner}", f"{' '.join(after)}\n".encode(), 0o644)
    else:
        files.remove(system, f"{_RECORD}-{owner}")


def _run(program: str, *words: str) -> None:
    import subprocess

    try:
        done = programs.run(program, *words, limit=_LIMIT)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise HotplugError("boot_loader", f"{program}: {exc}", way_out="Run it by hand to see why.") from exc
    if done.returncode:
        text = (done.stderr or done.stdout).strip()[-400:]
        raise HotplugError("boot_loader", f"{program} failed: {text}", way_out="Run it by hand to see why.")
