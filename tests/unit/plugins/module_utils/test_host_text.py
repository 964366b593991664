# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _cli, _helper
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_text import devices_text, result_text, status_text
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import device_info, slot_work

DEVICE: dict[str, t.Any] = {
    "address": "0000:01:00.0",
    "vendor": "8086",
    "device": "10c9",
    "driver": "igb",
    "numa_node": 0,
    "iommu_group": 7,
    "netdevs": ["enp1s0f0"],
    "pf": None,
    "max_vfs": 7,
    "vfs": [],
    "in_use_by": [],
    "bindable": True,
    "reason": None,
}


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, "0000:01:00.0 8086:10c9 igb 0 7 enp1s0f0 0 of 7 yes"),
        ({"driver": None, "netdevs": [], "iommu_group": None, "max_vfs": 0}, "0000:01:00.0 8086:10c9 - 0 - - - yes"),
        (
            {"pf": "0000:01:00.1", "max_vfs": 0, "in_use_by": [{"name": "testpmd", "pid": 7}], "numa_node": -1},
            "0000:01:00.0 8086:10c9 igb - 7 enp1s0f0 VF of 0000:01:00.1 yes, used by testpmd (pid 7)",
        ),
        (
            {"bindable": False, "reason": "enp1s0f0 has the address 192.0.2.1"},
            "0000:01:00.0 8086:10c9 igb 0 7 enp1s0f0 0 of 7 no: enp1s0f0 has the address 192.0.2.1",
        ),
    ],
)
def test_devices_table(changes: dict[str, t.Any], row: str) -> None:
    lines = devices_text([{**DEVICE, **changes}], 120)
    assert lines[0].split() == ["DEVICE", "ID", "DRIVER", "NUMA", "GROUP", "NETDEVS", "VFS", "FOR", "DPDK"]
    assert " ".join(lines[1].split()) == row


def test_acts_on_the_host_are_told_by_their_names() -> None:
    acts = [
        {"action": "reserve", "size": "2M", "node": 1, "before": 0, "after": 64},
        {"action": "mount", "path": "/mnt/huge", "before": None, "after": {"size": "2M"}},
        {"action": "resize", "device": "0000:01:00.0", "before": 0, "after": 2},
        {"action": "set_vf", "device": "0000:01:00.0", "vf": 1, "before": {"vlan": 0}, "after": {"vlan": 7}},
        {"action": "bind", "device": "0000:01:10.1\x1b[2J", "before": None, "after": "vfio-pci"},
        {"action": "kernel_arguments", "target": "hugepages", "before": [], "after": ["hugepages=64"]},
    ]
    result = {"actions": acts, "diff": {"before": {}, "after": {}}, "reboot_required": True}
    assert result_text(result, check=False, diff=False) == [
        "host: hugepages of 2M on node 1: 0 to 64",
        "host: mount /mnt/huge",
        "host: VFs of 0000:01:00.0: 0 to 2",
        "host: VF 1 of 0000:01:00.0",
        "host: bind 0000:01:10.1\\x1b[2J: none to vfio-pci",
        "host: kernel arguments hugepages: none to hugepages=64",
        "host: a reboot is required for the kernel arguments",
    ]


def test_nothing_to_do_and_a_difference() -> None:
    result = {"actions": [], "diff": {"before": {}, "after": {}}, "reboot_required": False}
    assert result_text(result, check=False, diff=True) == ["host: nothing to do"]
    bind = {"action": "bind", "device": "0000:01:00.0", "before": "igb", "after": "vfio-pci"}
    sides = [{"devices": {"0000:01:00.0": {"driver": driver}}} for driver in ("igb", "vfio-pci")]
    result = {"actions": [bind], "diff": {"before": sides[0], "after": sides[1]}, "reboot_required": False}
    lines = result_text(result, check=True, diff=True)
    assert lines[0] == "host: would be: bind 0000:01:00.0: igb to vfio-pci"
    assert [line.strip() for line in lines if line[0] in "-+" and "driver" in line] == [
        '-   "driver": "igb"',
        '+   "driver": "vfio-pci"',
    ]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, t.Any]]:
    asked: list[dict[str, t.Any]] = []

    def devices(**given: t.Any) -> dict[str, t.Any]:
        asked.append(given)
        return {"devices": [DEVICE], "iommu": False, "iommu_hint": "Add intel_iommu=on."}

    monkeypatch.setattr(device_info, "devices", devices)
    return asked


def test_the_command_devices(looked: list[dict[str, t.Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli.main(["devices", "01:00.0"]) == 0
    shown = capsys.readouterr()
    assert "0000:01:00.0" in shown.out and "intel_iommu=on" in shown.err
    assert _cli.main(["devices", "--all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"] == [DEVICE]
    assert looked == [{"device": ["01:00.0"], "every": False}, {"device": [], "every": True}]
    assert _cli.main(["devices", "0000:07:00.0"]) == 3
    assert "there is no PCI device 0000:07:00.0" in capsys.readouterr().err


def test_tasks_about_the_host(looked: list[dict[str, t.Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    slots: list[t.Any] = []

    def run(*given: t.Any, **more: t.Any) -> dict[str, t.Any]:
        slots.append((given, more))
        return {"changed": True}

    monkeypatch.setattr(slot_work, "run", run)
    options: dict[str, t.Any] = {"devices": ["01:00.0"], "select": None, "every": True}
    answer = _helper._answer({"module": "dpdk_device_info", "options": options})
    assert answer["changed"] is False and answer["devices"] == [DEVICE]
    assert looked == [{"device": ["01:00.0"], "select": None, "every": True}]
    options = {"slots": [{"slot": "3", "device": None, "state": "on"}], "rescan": False, "timeout": 5}
    assert _helper._answer({"module": "dpdk_slot", "options": options, "check": True})["changed"]
    assert slots == [(([{"slot": "3", "state": "on"}],), {"check": True, "timeout": 5, "rescan": False})]


def test_status_in_words() -> None:
    rows = [
        {"name": "0000:01:00.0", "kind": "device", "state": "differs", "acted": 0.0, "message": ""},
        {"name": "web", "kind": "app", "state": "failed", "acted": 1700000000.0, "message": "no way\x1b"},
    ]
    todo = [[{"action": "bind", "device": "0000:01:00.0"}], []]
    rest = {"holds": False, "tries": 0}
    found = {"running": False, "parts": [{**row, **rest, "todo": acts} for row, acts in zip(rows, todo)]}
    lines = status_text(found, 100)
    assert [line.split() for line in lines[:3]] == [
        ["PART", "KIND", "STATE", "LAST", "ACTED"],
        ["0000:01:00.0", "device", "differs", "-"],
        ["web", "app", "failed", "2023-11-14", "22:13:20", "UTC"],
    ]
    assert lines[3:5] == ["0000:01:00.0: to do: bind 0000:01:00.0", "web: no way\\x1b"]
    assert "No reconciler runs" in lines[-1]
    assert status_text({"running": True, "parts": []}, 100) == ["Nothing is to persist."]
