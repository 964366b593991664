# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dpdk.hotplug.plugins.plugin_utils._drift import Answers, Item, drift

Json = dict[str, Any]
PF = {"device": "0000:03:00.0", "vfs": {"count": 2, "driver": "vfio-pci"}}


def answer(*actions: Json, **given: Any) -> Json:
    return {"changed": bool(actions), "warnings": [], "actions": list(actions), "apps": [], **given}


def items(*actions: Json) -> list[Item]:
    return drift(Answers(answer(*actions)))[0]


@pytest.mark.parametrize(
    ("action", "item"),
    [
        pytest.param(
            {"action": "bind", "device": "0000:01:00.0", "before": "e1000e", "after": "vfio-pci"},
            Item("drivers", "0000:01:00.0 driver", "e1000e", "vfio-pci"),
            id="another driver",
        ),
        pytest.param(
            {"action": "unbind", "device": "0000:01:00.0", "before": "e1000e", "after": None},
            Item("drivers", "0000:01:00.0 driver", "e1000e", "none"),
            id="no driver",
        ),
        pytest.param(
            {"action": "resize", "device": "0000:03:00.0", "before": 0, "after": 2},
            Item("drivers", "0000:03:00.0 VFs", "0", "2"),
            id="VFs",
        ),
        pytest.param(
            {"action": "reserve", "size": "2M", "node": 1, "before": 0, "after": 1024},
            Item("hugepages", "2M pages on node 1", "0", "1024"),
            id="hugepages",
        ),
        pytest.param(
            {
                "action": "mount",
                "path": "/mnt/huge",
                "before": None,
                "after": {"path": "/mnt/huge", "size": "1G", "mode": "0750", "uid": 0, "gid": 42},
            },
            Item("hugepages", "mount /mnt/huge", "not mounted", "1G 0750 0:42"),
            id="a mount",
        ),
        pytest.param(
            {
                "action": "kernel_arguments",
                "target": "hugepages",
                "before": [],
                "after": ["hugepagesz=1G", "hugepages=4"],
            },
            Item("boot", "kernel arguments (hugepages)", "none", "hugepagesz=1G hugepages=4"),
            id="kernel arguments",
        ),
        pytest.param(
            {"action": "allow_noiommu", "target": "vfio", "before": False, "after": True},
            Item("drivers", "allow noiommu vfio", "off", "on"),
            id="without an IOMMU",
        ),
    ],
)
def test_each_change_is_told_as_what_is_and_what_should_be(action: Json, item: Item) -> None:
    assert items(action) == [item]


def test_of_a_vf_only_what_differs_is_told() -> None:
    before = {"mac": "02:00:00:00:00:01", "vlan": 0, "trust": None, "spoofchk": None}
    after = {"mac": "02:00:00:00:00:02", "vlan": None, "trust": True, "spoofchk": None}
    assert items({"action": "set_vf", "device": "0000:03:00.0", "vf": 1, "before": before, "after": after}) == [
        Item("drivers", "0000:03:00.0 VF 1 mac", "02:00:00:00:00:01", "02:00:00:00:00:02"),
        Item("drivers", "0000:03:00.0 VF 1 trust", "none", "on"),
    ]


def test_what_is_applied_at_boot_is_told_entry_by_entry() -> None:
    before = {"version": 1, "devices": [PF], "hugepages": {"pages": [{"size": "2M", "count": 4}]}}
    after = {
        "version": 1,
        "devices": [{**PF, "vfs": {"count": 4}}, {"select": {"netdev": "eth1"}, "driver": "vfio-pci"}],
    }
    found = items({"action": "persist", "target": "/etc/dpdk-hotplug/host.json", "before": before, "after": after})
    assert [(one.subject, one.before, one.after) for one in found] == [
        ("at boot 0000:03:00.0", "vfs count 2, driver vfio-pci", "vfs count 4"),
        ("at boot hugepages", "pages size 2M, count 4", "nothing"),
        ('at boot {"netdev": "eth1"}', "nothing", "driver vfio-pci"),
    ]


def test_ports_are_told_with_their_application() -> None:
    actions = [{"action": "detach", "device": "net_null0", "devargs": "net_null0"}]
    actions += [{"action": "attach", "device": "net_tap0", "devargs": "net_tap0,iface=t0"}]
    assert drift(Answers(answer(apps=[{"app": {"prefix": "router"}, "actions": actions}])))[0] == [
        Item("applications", "router net_null0", "attached", "not attached"),
        Item("applications", "router net_tap0,iface=t0", "not attached", "attached"),
    ]


@pytest.mark.parametrize(
    ("error", "area"),
    [
        ({"reason": "no_application", "app": "router"}, "applications"),
        ({"reason": "persistence_conflict"}, "boot"),
        ({"reason": "hugepages_in_use"}, "hugepages"),
        ({"reason": "bad_document"}, "document"),
        ({"reason": "group_not_viable", "device": "0000:01:00.0"}, "drivers"),
    ],
)
def test_a_document_that_cannot_be_had_is_drift_with_the_way_out(error: Json, area: str) -> None:
    error = {**error, "message": "it cannot be", "way_out": "Do this."}
    (found,) = drift(Answers({"failed": True, "msg": "it cannot be. Do this.", "error": error}))[0]
    assert (found.area, found.message, found.way_out) == (area, "it cannot be", "Do this.")


def test_a_task_that_could_not_be_started_tells_why_without_what_ansible_puts_before_it() -> None:
    (found,) = drift(Answers({"failed": True, "msg": "Task failed: Module failed: 'x' is undefined"}))[0]
    assert (found.area, found.message) == ("document", "'x' is undefined")


def test_what_is_refused_as_a_whole_still_differs_in_its_parts_and_each_thing_is_told_once() -> None:
    error = {"reason": "persistence_conflict", "message": "driverctl"}
    refused = {"failed": True, "error": error}
    bind = {"action": "bind", "device": "0000:01:00.0", "before": None, "after": "vfio-pci"}
    parts = [answer(bind), refused, answer(warnings=["noted"])]
    found, notes = drift(Answers(refused, parts=parts))
    assert [one.area for one in found] == ["boot", "drivers"]
    assert notes == ["noted"]


def test_what_is_applied_at_boot_and_not_asked_for_any_more_is_drift() -> None:
    boot = {"version": 1, "devices": [PF, {"device": "0000:05:00.0", "driver": "vfio-pci"}]}
    found, _notes = drift(Answers(answer(), boot=boot, devices=[PF]))
    assert found == [Item("boot", "at boot 0000:05:00.0", "driver vfio-pci", "not in the inventory")]


def test_a_boot_document_is_not_held_against_an_inventory_that_has_no_devices() -> None:
    assert drift(Answers(answer(), boot={"version": 1, "devices": [PF]}, devices=None)) == ([], [])


def test_a_kernel_that_waits_for_its_reboot_is_drift() -> None:
    found, _notes = drift(Answers(answer(), reboot_required=True, arguments=["hugepages=4"]))
    assert found == [Item("boot", "running kernel", "without them", "hugepages=4 (reboot)")]


def test_kernel_arguments_for_an_iommu_that_are_not_set_are_drift() -> None:
    diff = {"before": {"arguments": []}, "after": {"arguments": ["intel_iommu=on"]}}
    iommu = {"changed": False, "arguments": ["intel_iommu=on"], "reboot_required": True, "diff": diff}
    found, _notes = drift(Answers(answer(), iommu=iommu))
    assert found == [Item("boot", "kernel arguments (vfio)", "not set", "intel_iommu=on")]


def test_kernel_arguments_that_the_running_kernel_lacks_are_drift() -> None:
    iommu = {"arguments": ["intel_iommu=on"], "reboot_required": True, "diff": {"before": {}, "after": {}}}
    found, _notes = drift(Answers(answer(), iommu=iommu))
    assert found == [Item("boot", "running kernel", "without them", "intel_iommu=on (reboot)")]


def test_without_a_document_nothing_is_drift() -> None:
    assert drift(Answers(None, boot={"devices": [PF]}, reboot_required=True, devices=[])) == ([], [])
