# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpdk_device_info tells of devices: who uses them, and whether they can be bound."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._state import device_info
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, with_vfs

NIC, PAIR, TWIN, PF, DISK = "0000:01:00.0", "0000:02:00.0", "0000:02:00.1", "0000:10:00.0", "0000:03:00.0"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path, monkeypatch)
    one.tree.add(
        Card(NIC, driver="e1000e", group=1, netdev="eth1"),
        Card(PAIR, driver="e1000e", group=2, netdev="eth2"),
        Card(TWIN, driver="e1000e", group=2, netdev="eth3"),
        Card(PF, "8086:10c9", "igb", group=3, netdev="pf0", max_vfs=4, offset=1),
    )
    return one


def look(host: Host, **options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {one["address"]: one for one in device_info.devices(system=host.system, **options)["devices"]}


def test_each_device_and_why_it_cannot_be_bound(host: Host) -> None:
    found = look(host)
    assert found[NIC]["bindable"] and found[NIC]["reason"] is None
    assert found[PAIR]["group_members"] == [PAIR, TWIN] and not found[PAIR]["bindable"]
    assert TWIN in found[PAIR]["reason"] and "e1000e" in found[PAIR]["reason"]
    with_vfs(host.kernel, PF, 2)
    assert look(host)[PF]["reason"] == "it has 2 VFs"


def test_only_those_that_are_asked_for(host: Host) -> None:
    assert list(look(host, device=["01:00.0"])) == [NIC]
    assert list(look(host, select={"netdev": "eth2"})) == [PAIR]
    assert list(look(host, device=["0000:09:00.0"])) == []


def test_what_a_card_was_is_remembered_of_this_card_only(host: Host) -> None:
    host.converge({"device": NIC, "driver": "vfio-pci"})
    assert look(host)[NIC]["remembered"]["netdev"] == "eth1"
    host.tree.pull(NIC)
    host.tree.add(Card(NIC, "15b3:1017", group=1))
    assert look(host)[NIC]["remembered"] is None


def test_who_has_a_device_open(host: Host) -> None:
    host.converge({"device": NIC, "driver": "vfio-pci"})
    host.tree.process(77, "testpmd", "/dev/vfio/1")
    (user,) = look(host)[NIC]["in_use_by"]
    assert (user["pid"], user["name"], user["path"]) == (77, "testpmd", "/dev/vfio/1")
