# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import json
import os
import typing as t

from .._devices import Devargs
from .._errors import HotplugError
from .._system import Directory
from .record import Record


class Journal:
    """Writes the record of what is attached, before the act it tells of: a device that is there has what it says."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._written = record.kept

    def planned(self, device: Devargs) -> None:
        """Room for what is going to be attached, and no claim on what it has until then."""
        self._record.devices[device.name] = {"bus": device.bus, "args": None, "ports": [], "planned": device.args}

    def attached(self, device: Devargs) -> None:
        self._record.devices[device.name] = {"bus": device.bus, "args": device.args, "ports": []}

    def detached(self, device: Devargs) -> dict[str, t.Any] | None:
        """What was known of the device, for restored()."""
        known = self._record.devices.get(device.name)
        self._record.devices[device.name] = {"bus": device.bus, "args": None, "ports": []}
        return known

    def restored(self, device: Devargs, known: dict[str, t.Any] | None) -> None:
        """It was not detached after all. That is written with the next change; until then nothing false is."""
        if known is None:
            del self._record.devices[device.name]
        else:
            self._record.devices[device.name] = known

    def adopted(self, device: Devargs, ports: list[str]) -> None:
        """Ports of these names belong to the device."""
        self._record.devices[device.name]["ports"] = ports

    def rehearse(self) -> None:
        """Write it before the first change, and once more: it needs room beside the one that is there."""
        self._write()
        self._write()

    def save(self) -> None:
        """Onto the disk, whole or not at all."""
        if self._record.devices != (self._written or {}):
            self._write()

    def _write(self) -> None:
        record = self._record
        if record.home is None:
            return
        try:
            self._replace(record.home, json.dumps({**record.life, "devices": record.devices}).encode())
        except OSError as exc:
            raise HotplugError(
                "no_journal",
                f"the record in {record.home.path} cannot be written: {exc.strerror}",
                way_out="Make room there; it must be writable. Nothing was changed that the error does not name.",
            ) from exc
        self._written = {name: dict(one) for name, one in record.devices.items()}

    @staticmethod
    def _replace(home: Directory, data: bytes) -> None:
        fresh = "record.json.new"
        fd = home.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(fresh, "record.json", src_dir_fd=home.fd, dst_dir_fd=home.fd)
