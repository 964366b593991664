# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpdk_host returns of a fleet's hosts, and what it makes of an option for all that is to persist."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _host_modules
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import persistence
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.brief import brief

NIC, OTHER = "0000:01:00.0", "0000:02:00.0"


def port(device: str, *, started: bool = False) -> dict[str, t.Any]:
    return {"device": device, "port_id": 0, "started": started}


def result(**more: t.Any) -> dict[str, t.Any]:
    app = {"app": {"prefix": "web"}, "ports": [port(NIC, started=True), port(OTHER)], "actions": []}
    return {
        "changed": False,
        "warnings": ["w"],
        "actions": [],
        "devices": [{"address": NIC, "driver": "vfio-pci"}, {"address": OTHER, "driver": "vfio-pci"}],
        "hugepages": {"pages": [{"size": "2M"}], "mounts": []},
        "apps": [app],
        "diff": {"before": {}, "after": {}},
        **more,
    }


def test_what_is_as_it_was_is_counted() -> None:
    found = brief(result())
    assert found["counts"] == {"devices": 2, "apps": 1, "ports": 2, "started": 1}
    assert (found["devices"], found["apps"][0]["ports"], found["warnings"]) == ([], [], ["w"])
    assert "hugepages" not in found


def test_what_has_changed_is_there_whole() -> None:
    acts = [{"action": "bind", "device": NIC}, {"action": "reserve", "size": "2M", "node": 0}]
    app = {**result()["apps"][0], "actions": [{"action": "attach", "device": NIC}]}
    before = {"devices": {NIC: {"driver": "e1000e"}, OTHER: {"driver": "x"}}, "apps": {"web": {"a": 1}}}
    after = {"devices": {NIC: {"driver": "vfio-pci"}, OTHER: {"driver": "x"}}, "apps": {"web": {"a": 1, "b": 2}}}
    found = brief(result(actions=acts, apps=[app], diff={"before": before, "after": after}))
    assert [one["address"] for one in found["devices"]] == [NIC]
    assert [one["device"] for one in found["apps"][0]["ports"]] == [NIC]
    assert found["hugepages"] == result()["hugepages"]
    assert found["diff"] == {
        "before": {"devices": {NIC: {"driver": "e1000e"}}, "apps": {"web": {}}},
        "after": {"devices": {NIC: {"driver": "vfio-pci"}}, "apps": {"web": {"b": 2}}},
    }


@pytest.mark.parametrize(
    ("when", "installed", "expected"),
    [
        (None, True, [None, False]),
        ("always", False, [True, False]),
        ("never", True, [False, False]),
        ("installed", True, [True, False]),
        ("installed", False, [None, False]),
    ],
)
def test_what_an_entry_says_itself_of_persistence_goes_before(
    when: str | None, installed: bool, expected: list[bool | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "can_keep", lambda: installed)
    given = {
        "hugepages": {"pages": []},
        "devices": [{"device": NIC}, {"device": OTHER, "persistent": False}],
        "apps": [{"app": "web", "persistent": None}, {"app": "b", "persistent": False}],
    }
    nameless: list[t.Any] = [{"ports": []}, {"app": "c", "ports": [{"port_id": 1}]}, {"app": "c", "ports": ["x"]}, 7]
    assert _host_modules._persisting({"apps": nameless}, when) == {"apps": nameless}
    document = _host_modules._persisting(given, when)
    for name in ("devices", "apps"):
        assert [one.get("persistent") for one in document[name]] == expected, name
    assert document["hugepages"].get("persistent") == expected[0]
