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
_ARGS = "args="  # what grubby --info puts before the arguments of an entry
_BY_HAND = "Have the arguments written into the boot entries by hand."
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
    """Whether the kernel runs without what is wanted, or configured."""
    return not _has(running(system), list(configured(system, owner) if wanted is None else wanted))


def _has(words: t.Sequence[str], own: t.Sequence[str]) -> bool:
    """Whether a command line has these of ours. Where one says what those after it are of, all in their order."""
    if any(one.startswith("hugepagesz=") for one in own):
        return any(words[at : at + len(own)] == own for at in range(len(words)))
    return set(own) <= set(words)


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
    if make is _redhat and after:
        _refuse_others(before, after)
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
        was = _entries()
        _run(grubby, "--update-kernel=ALL", f"--args={' '.join(after)}")
        now = _entries()
        if not all(_has(words, list(after)) for words in now):
            # Some releases keep one argument of a name, or take the end of a name for all of it.
            if come := sorted(set().union(*now) - set().union(*was)):
                _run(grubby, "--update-kernel=ALL", f"--remove-args={' '.join(come)}")
            what = f"{grubby} did not write the arguments as they are: {' '.join(after)}"
            raise HotplugError("boot_loader", what, way_out=_BY_HAND)
        files.replace(system, f"{_RECORD}-{owner}", f"{' '.join(after)}\n".encode(), 0o644)
    else:
        files.remove(system, f"{_RECORD}-{owner}")


def _refuse_others(before: t.Sequence[str], after: t.Sequence[str]) -> None:
    """Refuse arguments of which others have one of that name in an entry, since grubby would replace it."""
    names = {one.partition("=")[0] for one in after}
    found = {one for words in _entries() for one in words if one.partition("=")[0] in names}
    if others := sorted(found - {*before, *after}):
        what = f"the boot entries have {' '.join(others)}, which is not ours, and grubby would replace it"
        raise HotplugError("boot_loader", what, way_out="Take it out of them (grubby --info=ALL shows all).")


def _entries() -> list[list[str]]:
    """The arguments of each boot entry. Raises HotplugError where there is none."""
    text = _run(programs.find("grubby"), "--info=ALL")
    found = [line[len(_ARGS) :].strip().strip('"').split() for line in text.splitlines() if line.startswith(_ARGS)]
    if not found:
        raise HotplugError("boot_loader", "grubby --info=ALL shows no boot entry", way_out=_BY_HAND)
    return found


def _run(program: str, *words: str) -> str:
    import subprocess

    try:
        done = programs.run(program, *words, limit=_LIMIT)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise HotplugError("boot_loader", f"{program}: {exc}", way_out="Run it by hand to see why.") from exc
    if done.returncode:
        text = (done.stderr or done.stdout).strip()[-400:]
        raise HotplugError("boot_loader", f"{program} failed: {text}", way_out="Run it by hand to see why.")
    return done.stdout
