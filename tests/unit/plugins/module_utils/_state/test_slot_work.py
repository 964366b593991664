# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices off the bus and on it again, and slots that are switched."""

from __future__ import annotations

import errno
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import slot_work
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card

PORT, NIC, SECOND, OTHER = "0000:00:1c.0", "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path, monkeypatch)
    one.tree.add(
        Card(PORT, "1b36:000c", "pcieport", class_code="060400"),
        Card(NIC, behind=PORT),
        Card(SECOND, behind=PORT),
        Card(OTHER, driver="e1000e"),
    )
    one.tree.slot("7", "0000:01:00", power=True)
    one.tree.slot("8", "0000:02:00")
    return one


def run(host: Host, *entries: dict[str, t.Any], check: bool = False) -> dict[str, t.Any]:
    return slot_work.run(list(entries), check=check, timeout=0, system=host.system)


def refused(host: Host, reason: str, *entries: t.Any) -> HotplugError:
    for check in (True, False):
        with pytest.raises(HotplugError) as caught:
            run(host, *entries, check=check)
        assert caught.value.reason == reason and caught.value.way_out
    assert host.kernel.writes == []
    return caught.value


def test_a_device_is_removed_and_found_again_and_second_runs_do_nothing(host: Host) -> None:
    away, back = {"device": NIC, "state": "absent"}, {"device": NIC, "state": "present"}
    checked = run(host, away, check=True)
    assert host.kernel.writes == []
    done = run(host, away)
    assert done["actions"] == [{"action": "remove", "target": NIC}]
    assert (checked["diff"], checked["actions"]) == (done["diff"], done["actions"])
    assert NIC not in done["diff"]["after"]["devices"] and SECOND in done["diff"]["after"]["devices"]
    assert not run(host, away)["changed"]
    assert run(host, back)["diff"]["after"] == done["diff"]["before"]
    assert not run(host, back)["changed"]


def test_a_scan_alone_tells_whether_it_has_found_something(host: Host) -> None:
    run(host, {"device": NIC, "state": "absent"})
    writes = len(host.kernel.writes)
    looked = slot_work.run([], check=True, rescan=True, system=host.system)
    assert not looked["changed"] and len(host.kernel.writes) == writes
    found = slot_work.run([], rescan=True, system=host.system)
    assert found["changed"] and found["actions"] == []
    assert {*found["diff"]["after"]["devices"]} - {*found["diff"]["before"]["devices"]} == {NIC}
    assert not slot_work.run([], rescan=True, system=host.system)["changed"]


def test_a_slot_is_switched_off_and_on_with_all_that_is_in_it(host: Host) -> None:
    off = run(host, {"slot": "7", "state": "off"})
    assert off["diff"]["after"]["slots"] == {"7": False}
    assert NIC not in host.tree.cards and SECOND not in host.tree.cards
    assert not run(host, {"slot": "7", "state": "off"})["changed"]
    on = run(host, {"slot": "7", "state": "on"})
    assert [one for one in on["slots"] if one["slot"] == "7"] == [
        {"slot": "7", "address": "0000:01:00", "power": True, "devices": [NIC, SECOND]}
    ]


@pytest.mark.parametrize("entry", [{"device": NIC, "state": "absent"}, {"slot": "7", "state": "off"}])
def test_what_a_driver_holds_stays(host: Host, entry: dict[str, t.Any]) -> None:
    host.tree.bound(NIC, "vfio-pci")
    error = refused(host, "driver_holds", entry)
    assert error.message == f"device '{NIC}' is held by driver vfio-pci"


@pytest.mark.parametrize("entry", [{"device": NIC, "state": "absent"}, {"slot": "7", "state": "off"}])
def test_a_bridge_stays_while_a_driver_holds_what_is_behind_it(host: Host, entry: dict[str, t.Any]) -> None:
    behind = "0000:05:00.0"
    host.tree.pull(NIC)
    host.tree.add(Card(NIC, "1b36:000e", class_code="060400", behind=PORT), Card(behind, behind=NIC, driver="e1000e"))
    assert refused(host, "driver_holds", entry).device == behind
    host.tree.unbound(behind)
    assert run(host, entry)["changed"]


def test_a_root_port_is_held_by_its_own_driver(host: Host) -> None:
    assert refused(host, "driver_holds", {"device": PORT, "state": "absent"}).device == PORT


def test_everything_that_is_refused_is_said_at_once(host: Host) -> None:
    error = refused(
        host,
        "no_slot_power",
        {"slot": "8", "state": "off"},
        {"slot": "9", "state": "off"},
        {"device": OTHER, "state": "absent"},
    )
    assert "slot 8 cannot be switched; slot 9 is not there; device" in error.message
    assert error.way_out == "Slots that can be switched: 7."


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ("7", "slots[0]"),
        ({"slot": "7", "device": NIC}, "slots[0]"),
        ({"state": "on"}, "slots[0]"),
        ({"slot": "7"}, "slots[0]"),
        ({"slot": "../7", "state": "on"}, "slots[0]"),
        ({"slot": 7, "state": "on"}, "slots[0].slot"),
        ({"slot": "7", "state": "up"}, "slots[0].state"),
        ({"device": "eth0", "state": "absent"}, "slots[0]"),
        ({"device": NIC, "state": "off"}, "slots[0]"),
        ({"device": NIC, "power": True}, "slots[0]"),
    ],
)
def test_bad_input_is_refused_with_its_place(host: Host, entry: t.Any, place: str) -> None:
    assert refused(host, "bad_document", entry).message.startswith(f"{place} ")


def test_one_that_is_named_twice_is_refused(host: Host) -> None:
    refused(host, "bad_document", {"device": NIC, "state": "absent"}, {"device": "1:0.0", "state": "present"})


@pytest.mark.parametrize(
    ("pattern", "entry", "said"),
    [
        ("remove", {"device": NIC, "state": "absent"}, "could not be removed: Operation not permitted"),
        ("rescan", {"device": "0000:09:00.0"}, "the bus could not be scanned"),
        ("power", {"slot": "7", "state": "off"}, "slot 7 could not be switched off"),
    ],
)
def test_what_the_kernel_refuses_is_said(host: Host, pattern: str, entry: dict[str, t.Any], said: str) -> None:
    host.kernel.failing[pattern] = errno.EPERM
    with pytest.raises(HotplugError) as caught:
        run(host, entry)
    assert (caught.value.reason, said in caught.value.message) == ("slot_failed", True)


def test_a_device_that_a_scan_does_not_find_is_said_and_the_rest_goes_back(host: Host) -> None:
    with pytest.raises(HotplugError) as caught:
        run(host, {"device": NIC, "state": "absent"}, {"device": "0000:09:00.0", "state": "present"})
    assert "there is no device at 0000:09:00.0 after the bus was scanned" in caught.value.message
    assert caught.value.fields["undone"] == [f"remove {NIC}"]
    assert NIC in host.tree.cards


def test_a_slot_that_keeps_its_power_is_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.kernel, "write", lambda _path, _text: None)
    with pytest.raises(HotplugError, match="slot 7 is on still"):
        run(host, {"slot": "7", "state": "off"})
    with pytest.raises(HotplugError, match="is on the bus still"):
        run(host, {"device": NIC, "state": "absent"})
