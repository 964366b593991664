# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is Open vSwitch's own: bridges, a database that outlives the switch, settings of ports, devices in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beds import OpenVSwitch, running
from faults import names_all

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import openvswitch, ovsdb
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.jsonrpc import JsonRpc
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._apps.fake_ovs import FakeOvs


class TwoBridges(OpenVSwitch):
    bridges = ("br0", "br1")


@pytest.fixture(scope="module")
def started_switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenVSwitch]:
    with running(TwoBridges, tmp_path_factory.mktemp("switch")) as bed:
        assert isinstance(bed, OpenVSwitch)
        yield bed


@pytest.fixture
def switch(started_switch: OpenVSwitch) -> OpenVSwitch:
    if not started_switch.alive:
        started_switch.switch_on()
    for name in started_switch.vsctl("--columns=name", "--bare", "find", "Port").split():
        if name not in started_switch.bridges:
            started_switch.vsctl("--if-exists", "del-port", name)
    return started_switch


def run(switch: OpenVSwitch, *ports: Any, progress: Callable[[str], None] | None = None, **more: Any) -> dict[str, Any]:
    listed = [{"device": port} if isinstance(port, str) else port for port in ports]
    entry = {**switch.entry, "bridge": "br0", "ports": listed, **more}
    result = converge(
        {"apps": [{name: value for name, value in entry.items() if value is not None}]}, progress=progress
    )
    return {"changed": result["changed"], **result["apps"][0]}


def fails(switch: OpenVSwitch, *ports: Any, **more: Any) -> HotplugError:
    with pytest.raises(HotplugError) as error:
        run(switch, *ports, **more)
    return error.value


def absent(device: str) -> dict[str, Any]:
    return {"device": device, "state": "absent"}


def ports_of(switch: OpenVSwitch, bridge: str) -> list[str]:
    return switch.vsctl("list-ports", bridge).split()


def test_a_port_goes_onto_the_bridge_that_is_asked_for(switch: OpenVSwitch) -> None:
    result = run(switch, "net_null1", {"device": "net_null2", "bridge": "br1"})
    assert (ports_of(switch, "br0"), ports_of(switch, "br1")) == (["net_null1"], ["net_null2"])
    assert {port["device"]: port.get("bridge") for port in result["ports"]} == {
        "net_null1": "br0",
        "net_null2": "br1",
        "net_ring9": None,
    }
    assert run(switch, "net_null1", {"device": "net_null2", "bridge": "br1"})["changed"] is False
    error = fails(switch, "net_null1", bridge="br1")
    assert error.reason == "other_bridge"
    names_all(error, "net_null1", "br0", "br1")
    run(switch, "net_null1", bridge="br1", recreate=True)
    assert (ports_of(switch, "br0"), ports_of(switch, "br1")) == ([], ["net_null1", "net_null2"])


NO_BRIDGE: list[tuple[str | None, str]] = [
    ("br7", "no bridge 'br7'"),
    (None, "not exactly one"),
    ("kernel", "'kernel'"),
]


@pytest.mark.parametrize("bridge, text", NO_BRIDGE)
def test_a_bridge_that_is_missing_or_not_clear_is_refused_before_anything_is_done(
    switch: OpenVSwitch, bridge: str | None, text: str
) -> None:
    if bridge == "kernel":
        switch.vsctl("--no-wait", "--may-exist", "add-br", "kernel")  # of datapath type system: no DPDK
    error = fails(switch, "net_null1", bridge=bridge)
    switch.vsctl("--if-exists", "del-br", "kernel")
    assert error.reason == "no_bridge"
    names_all(error, text, "br0, br1")
    assert switch.interfaces() == {}


def test_no_bridge_needs_to_be_named_to_take_a_port_away(switch: OpenVSwitch) -> None:
    run(switch, "net_null1", bridge="br1")
    assert run(switch, absent("net_null1"), bridge=None)["changed"]
    assert switch.interfaces() == {}


def test_what_was_asked_for_before_the_switch_died_does_not_come_back_with_it(switch: OpenVSwitch) -> None:
    run(switch, "net_null3")

    def kill(text: str) -> None:
        if "net_null2" in text and switch.alive:
            switch.kill()

    error = fails(switch, absent("net_null3"), "net_null1", "net_null2", progress=kill)
    assert error.reason == "primary_gone"
    assert set(error.fields["undone"]) == {"attach net_null1", "detach net_null3"}
    assert set(switch.interfaces()) == {"net_null3"}
    switch.switch_on()
    assert set(switch.devices()) == {"net_ring9", "net_null3"}


def test_what_the_operator_set_of_a_port_is_there_again_when_its_detach_is_undone(switch: OpenVSwitch) -> None:
    settings = ["type=dpdk", "options:dpdk-devargs=net_null1,size=96", "options:n_rxq=2", "external_ids:who=me"]
    switch.vsctl("add-port", "br1", "uplink", "tag=7", "--", "set", "Interface", "uplink", *settings)
    error = fails(switch, absent("net_null1"), "net_nosuch9")
    assert error.fields["undone"] == ["detach net_null1,size=96"]
    assert switch.vsctl("get", "Port", "uplink", "tag") == "7"
    assert switch.vsctl("get", "Interface", "uplink", "options:n_rxq", "external_ids:who").split() == ['"2"', "me"]
    assert ports_of(switch, "br1") == ["uplink"]
    run(switch, "net_null1,size=64", bridge=None, recreate=True)
    assert switch.interfaces()["uplink"]["devargs"] == "net_null1,size=64", "it has lost its name"
    assert switch.vsctl("get", "Port", "uplink", "tag") == "7"


def test_an_interface_that_failed_is_tried_again_or_taken_away(
    switch: OpenVSwitch, veth: Callable[[str, str], None]
) -> None:
    text = "net_af_packet1,iface=ova"
    switch.vsctl("add-port", "br0", "late", *_dpdk("late", text))
    assert switch.interfaces()["late"]["ofport"] == -1
    error = fails(switch, text)
    assert error.reason == "bad_devargs"
    names_all(error, "Error attaching device")
    assert set(switch.interfaces()) == {"late"}, "what the operator has asked for is left"
    veth("ova", "ovb")
    assert run(switch, text)["changed"]
    assert switch.devices()["net_af_packet1"]
    assert set(switch.interfaces()) == {"late"}
    switch.vsctl("add-port", "br0", "other", *_dpdk("other", "net_nosuch1"))
    assert run(switch, absent("net_nosuch1"))["changed"]
    assert set(switch.interfaces()) == {"late"}
    run(switch, absent("net_af_packet1"))


def _dpdk(name: str, devargs: str) -> list[str]:
    return ["--", "set", "Interface", name, "type=dpdk", f'options:dpdk-devargs="{devargs}"']


def test_a_device_that_dpdk_has_and_no_bridge_is_put_onto_one(switch: OpenVSwitch) -> None:
    assert switch.devices() == {"net_ring9": False}
    result = run(switch, "net_ring9")
    assert [act["action"] for act in result["actions"]] == ["attach"]
    assert switch.devices() == {"net_ring9": True}
    assert fails(switch, absent("net_ring9"), "net_nosuch1").fields["not_undone"] == []
    assert switch.devices() == {"net_ring9": True}


def test_what_open_vswitch_says_of_a_device_in_use_is_passed_on(switch: OpenVSwitch) -> None:
    """Open vSwitch gives a port to one interface only; what it answers then, and to a detach of it, is understood."""
    run(switch, "net_null1")
    mac = switch.vsctl("get", "Interface", "net_null1", "mac_in_use").strip('"')
    switch.vsctl("add-port", "br1", "second", *_dpdk("second", f"class=eth,mac={mac}"))
    assert "already in use by" in switch.interfaces()["second"]["error"]
    link = JsonRpc(f"/run/openvswitch/ovs-vswitchd-dpdk.{switch.pid}.ctl", uids={0}, timeout=10, pid=switch.pid)
    with pytest.raises(HotplugError) as refusal:
        link.call("netdev-dpdk/detach", "net_null1")
    error = openvswitch._refused(parse("net_null1"), refusal.value)
    assert error.reason == "in_use"
    names_all(error, "net_null1", "used by")
    assert link.call("version").startswith("ovs-vswitchd"), "it goes on to answer"
    link.close()
    assert switch.devices()["net_null1"]


def test_a_member_of_a_bond_is_left_to_it(switch: OpenVSwitch) -> None:
    members = [*_dpdk("m1", "net_null1"), *_dpdk("m2", "net_null2")]
    switch.vsctl("add-bond", "br0", "bond0", "m1", "m2", *members)
    error = fails(switch, absent("net_null1"))
    assert error.reason == "owned"
    names_all(error, "m1", "bond0")
    assert {"net_null1", "net_null2"} <= set(switch.devices())


def _script(path: str) -> list[Any]:
    """What a database answers to what the library does with it, without what differs from one to the other."""
    database = ovsdb.Database(path, uids={0}, timeout=20)
    said: list[Any] = [database.bridges(), sorted(database.names() - set(database.bridges()))]
    options = ["map", [["dpdk-devargs", "net_null1,size=96"]]]

    def look() -> list[Any]:
        return [
            (one.name, one.devargs, bool(one.error), one.ofport > 0, one.port_name, one.bridge, one.members, one.works)
            for one in sorted(database.interfaces(), key=lambda one: one.name)
        ]

    number = database.add("br1", {"name": "p1", "tag": 7}, {"name": "p1", "type": "dpdk", "options": options})
    said += [database.applied(number, 20), look()]
    (one,) = database.interfaces()
    saved = database.saved(one)
    said += [saved.bridge, saved.port["tag"], saved.port["name"], saved.interface["options"], saved.interface["type"]]
    number = database.remove([one])
    said += [database.applied(number, 20), look()]
    number = database.add(*saved.of("net_null1,size=64"))
    said += [database.applied(number, 20), look(), database.applied(database.again(), 20)]
    bad = ["map", [["dpdk-devargs", "net_nosuch1"]]]
    number = database.add("br0", {"name": "p2"}, {"name": "p2", "type": "dpdk", "options": bad})
    said += [database.applied(number, 20), look()]
    with pytest.raises(HotplugError) as error:
        database.add("br9", {"name": "p3"}, {"name": "p3", "type": "dpdk", "options": bad})
    said += [error.value.reason, sorted(database.names() - set(database.bridges()))]
    database.applied(database.remove(database.interfaces()), 20)
    said += [look(), database.applied(database.again() + 1, 0.2)]
    database.close()
    return said


def test_the_fake_of_the_unit_tests_answers_as_open_vswitch_does(switch: OpenVSwitch, tmp_path: Path) -> None:
    fake = FakeOvs(str(tmp_path), dict.fromkeys(switch.bridges, "netdev"))
    fake.bad["net_nosuch1"] = "Error attaching device 'net_nosuch1' to DPDK"
    assert _script(fake.database) == _script("/run/openvswitch/db.sock")
    answers = []
    for path in (fake.control, f"/run/openvswitch/ovs-vswitchd-dpdk.{switch.pid}.ctl"):
        link = JsonRpc(path, uids={0}, timeout=10)
        with pytest.raises(HotplugError) as error:
            link.call("netdev-dpdk/detach", "net_null7")
        answers.append(error.value.message)
        link.close()
    fake.close()
    assert answers[0] == answers[1]
