# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for a test: a tree of files, the kernel and the network behind it, and the library told to use them."""

from __future__ import annotations

import contextlib
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import binding, netlink, pci, reads, slots, sriov
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.model import PciDevice
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine, home, host_acts, slot_work
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Kernel, Network, Tree

Document = t.Mapping[str, t.Any]


class Host:
    """``converge`` and ``check`` go through the engine, with the writes of the library taken by ``kernel``."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tree = Tree(directory / "root")
        self.kernel = Kernel(self.tree)
        self.network = Network(self.kernel)
        self.home = directory / "run"

        def writer(_system: System) -> Kernel:
            return self.kernel

        for module in (host_acts, slot_work):
            monkeypatch.setattr(module, "Writer", writer)
        monkeypatch.setattr(netlink, "Netlink", self.network)
        monkeypatch.setattr(sriov, "VfNetlink", self.network)
        for module in (binding, sriov, slots):
            monkeypatch.setattr(module, "_PATIENCE", 0.0)
            monkeypatch.setattr(module, "_POLL", 0.0)
        monkeypatch.setattr(sriov, "_has_network", lambda _system: True)
        monkeypatch.setattr(home, "place", lambda _app=None: str(self.home))

    @property
    def system(self) -> System:
        return self.tree.system

    def devices(self) -> dict[str, PciDevice]:
        return pci.inventory(self.system)

    def driver(self, address: str) -> str:
        return self.tree.driver_of(address)

    @contextlib.contextmanager
    def silent(self, *addresses: str) -> t.Iterator[None]:
        """Meanwhile the kernel does not tell the driver_override of devices: a FIFO that nobody writes."""
        paths = [f"{self.tree.root}{self.tree.place(one)}/driver_override" for one in addresses]
        for path in paths:
            os.rename(path, f"{path}.told")
            os.mkfifo(path)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(reads, "_PATIENCE", 0.5)
                yield
        finally:
            for path in paths:
                waiting = os.open(path, os.O_RDWR)
                os.rename(f"{path}.told", path)
                os.close(waiting)  # whoever reads gets to the end
            for pid in reads._hanging.values():
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    def converge(self, *devices: Document, **more: t.Any) -> dict[str, t.Any]:
        """The engine's result for a document with these devices and parts."""
        return engine.converge(_document(devices, more), system=self.system)

    def check(self, *devices: Document, **more: t.Any) -> dict[str, t.Any]:
        return engine.converge(_document(devices, more), check=True, system=self.system)

    def refuses(self, reason: str, *devices: Document, **more: t.Any) -> HotplugError:
        """The error of a document that is refused before the first write, by check mode as well."""
        before = self.tree.snapshot()
        errors = []
        for call in (self.check, self.converge):
            with pytest.raises(HotplugError) as caught:
                call(*devices, **more)
            errors.append(caught.value)
        assert [error.reason for error in errors] == [reason] * 2, [str(error) for error in errors]
        assert errors[0].message == errors[1].message
        assert errors[0].way_out
        assert self.kernel.writes == []
        assert self.tree.snapshot() == before
        return errors[0]

    def fails(self, reason: str, *devices: Document, **more: t.Any) -> HotplugError:
        """The error of a document that fails while it is applied."""
        with pytest.raises(HotplugError) as caught:
            self.converge(*devices, **more)
        assert caught.value.reason == reason, str(caught.value)
        assert caught.value.way_out
        return caught.value

    def actions(self, result: Document) -> list[tuple[str, str, t.Any, t.Any]]:
        """What was done, in short."""
        return [
            (one["action"], one.get("device", ""), one.get("before"), one.get("after"))
            for one in result["host"]["actions"]
        ]

    @property
    def journal(self) -> bool:
        return (self.home / "host" / "journal.json").exists()


def _document(devices: t.Sequence[Document], more: Document) -> dict[str, t.Any]:
    return {**({"devices": [dict(one) for one in devices]} if devices else {}), "timeout": 0, **more}
