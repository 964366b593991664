# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import os
import typing as t

from .._errors import HotplugError
from .._host.states import Binding, VfSettings, VfsState
from .._system import Directory, System
from .host_model import Change

_FILE = "journal.json"
_MAX_BYTES = 1 << 22
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def begun(home: Directory, system: System) -> tuple[Change, ...]:
    """What a run of this boot had begun and not ended. Raises HotplugError while the kernel still hangs over it."""
    try:
        fd = home.open(_FILE)
    except FileNotFoundError:
        return ()
    import json

    with open(fd, "rb") as file:
        try:
            kept = json.loads(file.read(_MAX_BYTES))
            if kept["boot"] != _boot(system):
                return ()
            _still_stuck(kept.get("stuck"), system)
            return tuple(_change(*one) for one in kept["changes"])
        except (ValueError, KeyError, TypeError):
            return ()


def _boot(system: System) -> str:
    return system.read(_BOOT_ID).decode("ascii", "replace").strip()


def _still_stuck(stuck: t.Any, system: System) -> None:
    process = system.process(stuck["pid"]) if stuck else None
    # Our writer ends with its write. It need not be in state D: vfio waits in one that signals may end.
    if process is not None and process.state not in "ZX" and process.start_time == stuck["start_time"]:
        raise HotplugError(
            "kernel_stuck",
            f"the kernel still hangs over what an earlier run asked of {stuck['path']} (process {stuck['pid']})",
            way_out="See the kernel's log (dmesg); only a reboot may help.",
        )


def _change(kind: str, target: t.Any, before: t.Any, after: t.Any, place: int) -> Change:
    if kind == "driver":
        return Change(kind, target, Binding(*before), Binding(*after), place)
    return Change(kind, target, _vfs(*before), _vfs(*after), place)


def _vfs(count: int, settings: list[t.Any], probing: bool, bare: list[int]) -> VfsState:
    return VfsState(count, tuple(VfSettings(*one) for one in settings), probing, tuple(bare))


class Journal:
    """What is about to be done to devices, on disk before the first of it, and gone when it is done or undone."""

    def __init__(self, home: Directory, system: System) -> None:
        self._home = home
        self._system = system
        self._content: dict[str, t.Any] = {}

    def begin(self, changes: t.Sequence[Change]) -> None:
        """Only what can be left half done is noted: a driver, and a number of VFs."""
        noted = [one for one in changes if one.kind in ("driver", "vfs")]
        self._content = {"boot": _boot(self._system), "changes": noted}
        if noted:
            self._write()
            self._write()  # beside the one that is there it needs room again

    def stuck(self, error: HotplugError) -> None:
        """The kernel has not answered: the journal stays."""
        pid = error.fields.get("pid", 0)
        process = self._system.process(pid)
        start_time = process.start_time if process else 0
        self._content["stuck"] = {"pid": pid, "start_time": start_time, "path": error.fields.get("path", "")}
        with contextlib.suppress(HotplugError):
            self._write()

    def end(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_FILE, dir_fd=self._home.fd)

    def _write(self) -> None:
        import json

        fresh = f"{_FILE}.new"
        try:
            fd = self._home.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with open(fd, "w", encoding="ascii") as file:
                json.dump(self._content, file)
                file.flush()
                os.fsync(fd)
            os.rename(fresh, _FILE, src_dir_fd=self._home.fd, dst_dir_fd=self._home.fd)
        except OSError as exc:
            raise HotplugError(
                "no_journal",
                f"the journal in {self._home.path} cannot be written: {exc.strerror}. Nothing was changed",
                way_out="Make room there; it must be writable.",
            ) from exc
