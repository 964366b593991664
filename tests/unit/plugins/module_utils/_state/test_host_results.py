# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a host: its differences, and what check mode says will be."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, bind, with_vfs

NIC, PF = "0000:01:00.0", "0000:10:00.0"
VFS = ["0000:10:00.1", "0000:10:00.3", "0000:10:00.5", "0000:10:00.7"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path, monkeypatch)
    one.tree.add(
        Card(NIC, driver="e1000e", group=1, netdev="eth1"),
        Card(PF, "8086:10c9", "igb", group=3, netdev="pf0", max_vfs=4, offset=1),
    )
    for node in (0, 1):
        one.tree.pages(2048, node=node, total=4, free=3)
    return one


@pytest.mark.parametrize(
    ("devices", "more"),
    [
        ([{"device": NIC, "driver": "vfio-pci"}], {}),
        ([{"device": NIC, "driver": "none"}], {}),
        ([{"device": PF, "vfs": {"count": 4, "driver": "vfio-pci"}}], {}),
        ([{"device": PF, "vfs": {"count": 1}}], {}),
        ([{"device": PF, "vfs": {"count": 0}}], {}),
        ([{"device": PF, "vfs": {"settings": [{"index": 1, "vlan": 9, "mac": "02:00:00:00:00:09"}]}}], {}),
        ([], {"hugepages": {"pages": [{"size": "2M", "count": 12}]}}),
        ([], {"hugepages": {"pages": [{"size": "2M", "count": 2, "node": 1}]}}),
    ],
)
def test_check_mode_tells_the_difference_that_there_will_be(
    host: Host, devices: list[dict[str, t.Any]], more: dict[str, t.Any]
) -> None:
    with_vfs(host.kernel, PF, 2)
    bind(host.kernel, VFS[0], "vfio-pci")
    checked, done = host.check(*devices, **more), host.converge(*devices, **more)
    assert checked["changed"] and done["changed"]
    assert checked["host"]["diff"]["before"] == done["host"]["diff"]["before"]
    expected = _without_new_settings(checked["host"]["diff"]["after"])
    assert expected == _without_new_settings(done["host"]["diff"]["after"])
    assert checked["host"]["actions"] == done["host"]["actions"]
    json.dumps([checked, done])


def _without_new_settings(shown: dict[str, t.Any]) -> dict[str, t.Any]:
    """What a driver makes up for a VF that is new is known only then."""
    devices = {address: dict(one) for address, one in shown.get("devices", {}).items()}
    for one in devices.values():
        one["vf"] = {
            index: {name: value for name, value in its.items() if value not in (None, False, True, 0)}
            for index, its in one.get("vf", {}).items()
        }
        one["vf"] = {index: its for index, its in one["vf"].items() if its.get("mac") != "00:00:00:00:00:00" and its}
    return {**shown, "devices": devices}


def test_rows_of_devices_pages_and_actions_have_what_modules_document(host: Host) -> None:
    document = {"device": PF, "vfs": {"count": 1, "settings": [{"index": 0, "vlan": 5}]}}
    result = host.converge(document, hugepages={"pages": [{"size": "2M", "count": 6, "node": 0}]})["host"]
    rows = {one["address"]: one for one in result["devices"]}
    assert rows[PF]["vf_settings"][0]["vlan"] == 5 and rows[PF]["vfs"] == [VFS[0]]
    assert (rows[VFS[0]]["pf"], rows[VFS[0]]["vf_index"], rows[VFS[0]]["driver"]) == (PF, 0, "igbvf")
    assert result["hugepages"]["pages"][0] == {
        "size": "2M",
        "size_kib": 2048,
        "node": 0,
        "count": 6,
        "free": 5,
        "surplus": 0,
    }
    assert result["actions"] == [
        {"action": "reserve", "size": "2M", "node": 0, "before": 4, "after": 6},
        {"action": "resize", "device": PF, "before": 0, "after": 1},
    ]
    assert result["reboot_required"] is False


def test_pages_that_the_kernel_cannot_give_put_all_back(host: Host) -> None:
    host.kernel.memory[2048, 0] = 5
    before = host.tree.snapshot()
    pages = [{"size": "2M", "count": 7, "node": 1}, {"size": "2M", "count": 9, "node": 0}]
    error = host.fails("hugepages_short", {"device": NIC, "driver": "vfio-pci"}, hugepages={"pages": pages})
    assert "gave 5 of 9 hugepages of 2M on node 0" in error.message
    assert host.tree.snapshot() == before
    host.kernel.writes.clear()
    host.refuses("hugepages_in_use", hugepages={"pages": [{"size": "2M", "count": 0, "node": 1}]})
    assert json.dumps(error.result())
