# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.dpdk.hotplug.plugins.plugin_utils import _fleet, _page

Json = dict[str, Any]
SKIPPED = {"changed": False, "skipped": True}


def device(address: str, **given: Any) -> Json:
    row: Json = {"address": address, "driver": "e1000e", "numa_node": -1, "pf": None, "vf_index": None}
    return {**row, "class": "020000", **given}


def port(name: str, number: int = 0, *, started: bool = False) -> Json:
    return {"device": name, "devargs": name, "port_id": number, "started": started}


def app(prefix: str, *ports: Json, **given: Any) -> Json:
    ways = [{"adapter": "multiprocess", "channel": "ipc", "usable": True, "reason": ""}]
    row: Json = {"prefix": prefix, "state": "running", "ports": list(ports), "adapters": ways, "command": ["x"]}
    return {**row, "eal_params": ["y"], **given}


def pool(node: int, total: int, free: int) -> Json:
    return {"size": "2M", "size_kib": 2048, "node": node, "count": total, "free": free, "surplus": 0}


def info(devices: list[Json] | None = None, apps: list[Json] | None = None, **given: Any) -> Json:
    memory = {"pages": [pool(0, 8, 2)], "mounts": [], "kernel_arguments": [], "reboot_required": False}
    row: Json = {"devices": devices or [], "apps": apps or [], "hugepages": memory, "iommu": True, "iommu_hint": None}
    return {**row, "boot": None, "drivers": [], **given}


def answer(*actions: Json) -> Json:
    return {"changed": bool(actions), "actions": list(actions), "apps": [], "warnings": []}


BIND = {"action": "bind", "device": "0000:01:00.0", "before": "e1000e", "after": "vfio-pci"}


@pytest.mark.parametrize(
    ("variables", "state"),
    [
        pytest.param({_fleet.INFO: info(), _fleet.CHECK: answer()}, "sync", id="as asked for"),
        pytest.param({_fleet.INFO: info(), _fleet.CHECK: answer(BIND)}, "drift", id="another driver"),
        pytest.param({_fleet.INFO: info(), _fleet.CHECK: SKIPPED}, "unmanaged", id="no document"),
        pytest.param({_fleet.INFO: {"unreachable": True, "msg": "no route"}}, "unreachable", id="no connection"),
        pytest.param({_fleet.INFO: {"failed": True, "msg": "no python"}}, "failed", id="no Python"),
        pytest.param({_fleet.INFO: info(), _fleet.CHECK: {"unreachable": True}}, "unreachable", id="gone meanwhile"),
        pytest.param({}, "failed", id="nothing came back"),
    ],
)
def test_every_host_is_there_with_its_state(variables: Json, state: str) -> None:
    document = _fleet.fleet({"a": variables}, ["a"], title="", generated="", version="")
    (row,) = document["hosts"]
    assert (row["name"], row["state"]) == ("a", state)
    assert document["summary"]["states"][state] == 1
    assert sum(document["summary"]["states"].values()) == 1


def test_hosts_are_in_the_order_of_people() -> None:
    names = ["node10", "node9", "Node1", "10.0.0.9", "10.0.0.10"]
    document = _fleet.fleet({name: {} for name in names}, names, title="", generated="", version="")
    assert [row["name"] for row in document["hosts"]] == ["10.0.0.9", "10.0.0.10", "Node1", "node9", "node10"]


def test_a_lost_host_tells_why_and_the_way_out() -> None:
    error = {"message": "it takes root", "way_out": "become: true"}
    row = _fleet.host("a", {_fleet.INFO: {"failed": True, "msg": "it takes root. become: true", "error": error}})
    assert (row["message"], row["way_out"]) == ("it takes root", "become: true")


def test_command_lines_are_left_out_and_secrets_hidden() -> None:
    told = app("x", port("net_x,password=hunter2,iface=eth0"), ports_error="token: abcdef")
    row = _fleet.host("a", {_fleet.INFO: info(apps=[told])})
    text = json.dumps(row)
    assert "command" not in row["apps"][0] and "eal_params" not in row["apps"][0]
    assert "hunter2" not in text and "abcdef" not in text
    assert row["apps"][0]["ports"][0]["devargs"] == "net_x,password=(hidden),iface=eth0"


@pytest.mark.parametrize("words", ["keyboard=us", "0000:01:00.0", "hugepages=4", "02:00:00:00:00:01", "monkey: no"])
def test_what_is_no_secret_is_left_alone(words: str) -> None:
    assert _fleet.hidden(words) == words


def test_what_is_no_text_is_written_out() -> None:
    assert _fleet.hidden("a\x1b[31m\ud800\u202eb\r\nc") == "a\\x1b[31m\\ud800\\x202eb\nc"


def test_values_of_ansible_become_plain_ones() -> None:
    class Tagged(str):
        pass

    found = _fleet.plain({Tagged("a"): (Tagged("b"), 1, True, None, 1.5)})
    assert found == {"a": ["b", 1, True, None, 1.5]}
    assert next(iter(found)).__class__ is str and found["a"][0].__class__ is str


def test_the_sum_counts_what_there_is() -> None:
    devices = [device("0000:01:00.0"), device("0000:01:02.0", pf="0000:01:00.0", vf_index=0, driver="vfio-pci")]
    apps = [app("a", port("net_a", started=True), port("net_b", 1)), app("b", ports=None), app("c", state="leftover")]
    both = {"one": {_fleet.INFO: info(devices, apps), _fleet.CHECK: answer(BIND)}, "two": {_fleet.INFO: info()}}
    found = _fleet.fleet(both, both, title="", generated="", version="")["summary"]
    assert (found["hosts"], found["devices"], found["vfs"], found["userspace"]) == (2, 1, 1, 1)
    assert (found["apps"], found["ports"], found["ports_started"]) == (2, 2, 1)
    assert (found["hugepages_kib"], found["hugepages_free_kib"]) == (2 * 8 * 2048, 2 * 2 * 2048)
    assert found["drift"]["drivers"] == 1


AWAY: Json = {"app": "router", "device": "net_tap0", "since": "2026-01-31T12:00:00Z"}
TOLD = "device 'net_tap0' is evacuated from application 'router' since 2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("check", "notes"),
    [
        pytest.param(answer(), [TOLD], id="nobody asks for it"),
        pytest.param(
            {**answer(), "warnings": [f"{TOLD}. Bring it back."]}, [f"{TOLD}. Bring it back."], id="asked for"
        ),
    ],
)
def test_an_evacuated_host_is_no_broken_one(check: Json, notes: list[str]) -> None:
    row = _fleet.host("a", {_fleet.INFO: info(evacuated=[AWAY]), _fleet.CHECK: check})
    assert (row["state"], row["drift"], row["notes"]) == ("sync", [], notes)


def test_the_json_has_a_line_for_each_host_and_reads_back() -> None:
    document = _fleet.fleet({"a": {}, "b": {}}, ["a", "b"], title="T", generated="now", version="1")
    text = _fleet.as_json(document)
    assert json.loads(text) == document
    assert sum(line.startswith("{") and '"name":' in line for line in text.splitlines()) == 2


def test_an_audit_tells_the_sum_and_each_difference_in_a_line() -> None:
    error = {"reason": "no_application", "app": "router", "message": "no DPDK application 'router' is running"}
    hosts = {
        "good": {_fleet.INFO: info(), _fleet.CHECK: answer()},
        "off": {_fleet.INFO: info(), _fleet.CHECK: answer(BIND)},
        "none": {_fleet.INFO: info(), _fleet.CHECK: {"failed": True, "error": {**error, "way_out": "Start it."}}},
        "gone": {_fleet.INFO: {"unreachable": True, "msg": "no route\nto host"}},
    }
    assert _fleet.audit(_fleet.fleet(hosts, hosts, title="", generated="", version="")) == [
        "4 hosts: 2 with drift, 1 unreachable, 1 as asked for",
        "gone: unreachable: no route to host",
        "none: applications: no DPDK application 'router' is running. Start it.",
        "off: drivers: 0000:01:00.0 driver: e1000e -> vfio-pci",
    ]


def test_vfs_stand_behind_their_pf_on_its_node() -> None:
    vf = {"pf": "0000:03:00.0", "numa_node": -1}
    devices = [
        device("0000:01:00.0", numa_node=1),
        device("0000:02:10.0", vf_index=10, **vf),
        device("0000:02:02.0", vf_index=2, **vf),
        device("0000:03:00.0", numa_node=0),
    ]
    row = {**_fleet.host("a", {_fleet.INFO: info(devices)}), "hugepages": {"pages": [pool(0, 1, 1), pool(1, 0, 0)]}}
    assert [(node["number"], [one["address"] for one in node["devices"]]) for node in _page.nodes(row, ())] == [
        (0, ["0000:03:00.0", "0000:02:02.0", "0000:02:10.0"]),
        (1, ["0000:01:00.0"]),
    ]


def test_a_device_without_a_node_is_on_the_only_one() -> None:
    row = _fleet.host("a", {_fleet.INFO: info([device("0000:01:00.0")])})
    assert [node["number"] for node in _page.nodes(row, ())] == [0]


def test_a_device_tells_which_port_of_which_application_it_is() -> None:
    row = _fleet.host("a", {_fleet.INFO: info([device("0000:01:00.0")], [app("router", port("0000:01:00.0", 3))])})
    (node,) = _page.nodes(row, ())
    assert [(one["app"], one["port_id"]) for one in node["devices"][0]["users"]] == [("router", 3)]


def test_what_differs_is_marked_where_it_is() -> None:
    start = {"action": "start", "device": "net_b", "devargs": "net_b,size=1"}
    attach = {"action": "attach", "device": "net_c", "devargs": "net_c"}
    check = {**answer(BIND), "apps": [{"app": {"prefix": "router"}, "actions": [start, attach]}]}
    apps = [app("router", port("net_a"), port("net_b", 1)), app("other", port("net_b"))]
    devices = [device("0000:01:00.0"), device("0000:02:00.0")]
    shown = _page.view(_fleet.host("a", {_fleet.INFO: info(devices, apps), _fleet.CHECK: check}))
    assert [one["differs"] for one in shown["nodes"][0]["devices"]] == [True, False]
    assert [[one["differs"] for one in each["ports"]] for each in shown["apps"]] == [[False, True], [False]]
    assert [each["missing"] for each in shown["apps"]] == [["net_c"], []]


def test_no_state_is_invisible_on_the_bar() -> None:
    shares = _page.shares({"drift": 1, "unreachable": 0, "failed": 0, "unmanaged": 0, "sync": 9999})
    assert [state for state, _start, _width in shares] == ["sync", "drift"]
    assert shares[1][2] > 9
    assert sum(width for _state, _start, width in shares) == pytest.approx(1000, abs=0.1)


@pytest.mark.parametrize(
    ("kib", "text"), [(0, "none"), (2048, "2 MiB"), (3 << 19, "1.5 GiB"), (5 << 30, "5.0 TiB"), (123 << 30, "123 TiB")]
)
def test_sizes_are_as_people_write_them(kib: int, text: str) -> None:
    assert _page.size(kib) == text
