# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import json
import os
import typing as t

from .._apps.app import App
from .._devices import Devargs
from .._errors import HotplugError
from .._system import Directory
from .home import key, place

_LIMIT = 1 << 20


class Record:
    """What we attached to one life of an application: devices, their arguments, their ports' names.

    Telemetry gives neither arguments nor devices back. It holds for one process: another pid or start time begins anew.
    It is written before the act it tells of, so that a device that is there was attached with what it says.
    An argument of None says that we detached the device: who attached it since is not known.
    """

    def __init__(self, home: Directory | None, app: App) -> None:
        self._home = home
        self._life = {"pid": app.pid, "start_time": app.start_time}
        kept = self._load()
        self.devices: dict[str, dict[str, t.Any]] = kept if kept is not None else {}
        self._written = json.dumps(kept)

    def _load(self) -> dict[str, dict[str, t.Any]] | None:
        if self._home is None:
            return None
        try:
            fd = self._home.open("record.json")
        except OSError:
            return None
        try:
            data = json.loads(os.read(fd, _LIMIT))
        except (ValueError, RecursionError):
            return None
        finally:
            os.close(fd)
        if not isinstance(data, dict) or any(data.get(key) != value for key, value in self._life.items()):
            return None
        devices = data.get("devices")
        return devices if isinstance(devices, dict) and all(map(_sound, devices.values())) else None

    def planned(self, device: Devargs) -> None:
        """Room for what is going to be attached, and no claim on what it has until then."""
        self.devices[device.name] = {"bus": device.bus, "args": None, "ports": [], "planned": device.args}

    def attached(self, device: Devargs) -> None:
        self.devices[device.name] = {"bus": device.bus, "args": device.args, "ports": []}

    def detached(self, device: Devargs) -> None:
        self.devices[device.name] = {"bus": device.bus, "args": None, "ports": []}

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

    def save(self) -> None:
        """Onto the disk, whole or not at all."""
        text = json.dumps(self.devices)
        if text == self._written or self._home is None:
            return
        try:
            self._replace(self._home, json.dumps({**self._life, "devices": self.devices}).encode())
        except OSError as exc:
            raise HotplugError(
                "no_journal",
                f"the record in {self._home.path} cannot be written: {exc.strerror}",
                way_out="Make room there; it must be writable. Nothing was changed that the error does not name.",
            ) from exc
        self._written = text

    @staticmethod
    def _replace(home: Directory, data: bytes) -> None:
        fresh = "record.json.new"
        fd = home.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            if os.write(fd, data) != len(data):
                raise OSError(28, "no space left")
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(fresh, "record.json", src_dir_fd=home.fd, dst_dir_fd=home.fd)


def _sound(one: t.Any) -> bool:
    """Whether it is an entry as we write them."""
    if not isinstance(one, dict) or not isinstance(one.get("bus"), str) or not isinstance(one.get("ports"), list):
        return False
    return one.get("args") is None or isinstance(one.get("args"), str)


def look(app: App) -> Record:
    """The record of an application for reading only: looking makes no directory."""
    try:
        with Directory(place()) as above, Directory(key(app), parent=above) as own:
            return Record(own, app)
    except HotplugError:
        return Record(None, app)
