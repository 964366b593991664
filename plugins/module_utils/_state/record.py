# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import json
import os
import typing as t

from .._apps.app import App
from .._devices import Devargs
from .._system import Directory

_LIMIT = 1 << 20


class Record:
    """What we attached to one life of an application: devices, their arguments, their ports' names.

    Telemetry gives neither arguments nor devices back. It holds for one process: another pid or start time begins anew.
    An argument of None says that we detached the device: who attached it since is not known. Journal writes it.
    """

    def __init__(self, home: Directory | None, app: App) -> None:
        self.home = home
        self.life = {"pid": app.pid, "start_time": app.start_time}
        self.kept = self._load()
        self.devices: dict[str, dict[str, t.Any]] = {name: dict(one) for name, one in (self.kept or {}).items()}

    def _load(self) -> dict[str, dict[str, t.Any]] | None:
        if self.home is None:
            return None
        try:
            fd = self.home.open("record.json")
        except OSError:
            return None
        try:
            data = json.loads(os.read(fd, _LIMIT))
        except (OSError, ValueError, RecursionError):  # a directory; nonsense
            return None
        finally:
            os.close(fd)
        if not isinstance(data, dict) or any(data.get(key) != value for key, value in self.life.items()):
            return None
        devices = data.get("devices")
        return devices if isinstance(devices, dict) and all(map(_sound, devices.values())) else None

    def forget_absent(self, present: t.Container[str]) -> None:
        """A device that is not there has no arguments, whatever a run meant that was killed before it attached it."""
        for name, one in self.devices.items():
            if name not in present:
                one.update(args=None, ports=[])

    def args(self, name: str) -> str | None:
        return t.cast("str | None", self.devices[name].get("args"))

    def device_of(self, port_name: str) -> Devargs | None:
        """The device that the port of that name was seen to belong to when we attached it."""
        for name, one in self.devices.items():
            if port_name in one.get("ports", ()):
                return Devargs(str(one.get("bus", "vdev")), name)
        return None


def _sound(one: t.Any) -> bool:
    """Whether it is an entry as we write them."""
    if not isinstance(one, dict) or not isinstance(one.get("bus"), str) or not isinstance(one.get("ports"), list):
        return False
    return one.get("args") is None or isinstance(one.get("args"), str)
