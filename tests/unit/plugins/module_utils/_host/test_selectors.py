# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices a selector finds, and what it says where it finds none or too many."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import Devargs
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import memory, selectors
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import host_document, selected
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.model import AppSpec, PortSpec
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, with_vfs

NIC, OTHER, PF, CONNECTX = "0000:01:00.0", "0000:02:00.0", "0000:10:00.0", "0001:81:00.1"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path, monkeypatch)
    one.tree.add(
        Card(NIC, driver="e1000e", group=1, netdev="eth1", mac="02:00:00:00:00:01", node=0),
        Card(OTHER, driver="e1000e", group=2, netdev="eth2", mac="02:00:00:00:00:02", node=1),
        Card(PF, "8086:10c9", "igb", group=3, netdev="pf0", mac="02:00:00:00:00:03", max_vfs=4, offset=1),
        Card(CONNECTX, "15b3:1017", "mlx5_core", group=4, netdev="cx", mac="02:00:00:00:00:04", node=1),
    )
    with_vfs(one.kernel, PF, 3)
    return one


VFS = ["0000:10:00.1", "0000:10:00.3", "0000:10:00.5"]


def find(host: Host, select: t.Any) -> list[str]:
    inventory, known = host.devices(), memory.read(host.system)
    return selected.found(selectors.parse(select, "select"), inventory, known, host.system)


def refused(host: Host, select: t.Any) -> HotplugError:
    with pytest.raises(HotplugError) as caught:
        find(host, select)
    assert caught.value.way_out
    return caught.value


@pytest.mark.parametrize(
    ("select", "found"),
    [
        ({"mac": "02:00:00:00:00:01"}, [NIC]),
        ({"mac": "02:00:00:00:00:01".upper()}, [NIC]),
        ({"netdev": "eth2"}, [OTHER]),
        ({"id_path": "pci-0000:01:00.0"}, [NIC]),
        ({"pf": "pf0", "vf": 1}, [VFS[1]]),
        ({"pf": PF, "vf": [2, 0]}, [VFS[2], VFS[0]]),
        ({"pf": "10:00.0"}, VFS),
        ({"pf": PF, "vf": "all"}, VFS),
        ({"vendor": "0x15B3"}, [CONNECTX]),
        ({"vendor": "8086", "device": "10d3", "count": 2}, [NIC, OTHER]),
        ({"driver": "e1000e", "numa_node": 1}, [OTHER]),
        ({"numa_node": 1, "count": 2}, [OTHER, CONNECTX]),
    ],
)
def test_a_selector_finds_what_it_says(host: Host, select: t.Any, found: list[str]) -> None:
    assert find(host, select) == found


@pytest.mark.parametrize("select", [{"mac": "02:00:00:00:00:01"}, {"netdev": "eth1"}])
def test_a_device_is_found_after_its_netdev_has_vanished(host: Host, select: t.Any) -> None:
    host.converge({"select": select, "driver": "vfio-pci"})
    assert host.driver(NIC) == "vfio-pci" and "eth1" not in host.tree.names("/sys/class/net")
    assert find(host, select) == [NIC]
    assert not host.converge({"select": select, "driver": "vfio-pci"})["changed"]
    host.converge({"select": select, "driver": "kernel"})
    assert host.driver(NIC) == "e1000e"


@pytest.mark.parametrize("select", [{"mac": "02:00:00:00:00:01"}, {"netdev": "eth1"}])
def test_what_is_remembered_of_another_card_at_the_same_address_is_ignored(host: Host, select: t.Any) -> None:
    host.converge({"select": select, "driver": "vfio-pci"})
    host.tree.pull(NIC)
    host.tree.add(Card(NIC, "15b3:1018", group=1))
    assert refused(host, select).reason == "no_match"


def test_a_device_that_has_another_netdev_now_is_not_the_one_of_the_old_name(host: Host) -> None:
    host.converge({"device": NIC, "driver": "vfio-pci"})
    host.converge({"device": NIC, "driver": "kernel"})
    host.tree.unbound(NIC)
    host.tree.cards[NIC] = host.tree.cards[NIC]._replace(netdev="lan", mac="02:00:00:00:00:aa")
    host.tree.bound(NIC, "e1000e")
    assert refused(host, {"netdev": "eth1"}).reason == "no_match"
    assert refused(host, {"mac": "02:00:00:00:00:01"}).reason == "no_match"


def test_no_match_names_the_network_cards_that_there_are(host: Host) -> None:
    error = refused(host, {"netdev": "eth9"})
    assert error.reason == "no_match" and "netdev=eth9" in error.message
    assert all(one in error.way_out for one in (f"{NIC} (eth1)", f"{OTHER} (eth2)", f"{CONNECTX} (cx)"))


def test_too_many_matches_name_the_candidates(host: Host) -> None:
    error = refused(host, {"vendor": "8086", "device": "10d3"})
    assert error.reason == "wrong_count"
    assert f"2 devices have vendor=8086, device=10d3, asked for is 1: {NIC} (eth1), {OTHER} (eth2)" in error.message


def test_too_few_matches_are_refused_and_many_candidates_are_cut_short(host: Host) -> None:
    assert refused(host, {"driver": "e1000e", "count": 3}).reason == "wrong_count"
    host.tree.add(*(Card(f"0000:{bus:02x}:00.0") for bus in range(0x20, 0x30)))
    assert "and 10 more" in refused(host, {"vendor": "8086", "device": "10d3", "count": 9}).message


@pytest.mark.parametrize(("vf", "which"), [(3, "VF 3"), ([0, 7], "VF 7")])
def test_a_vf_that_is_not_there_is_refused(host: Host, vf: t.Any, which: str) -> None:
    error = refused(host, {"pf": PF, "vf": vf})
    assert (error.reason, error.device) == ("no_match", PF)
    assert f"has no {which}: it has 3 of 4" in error.message


def test_all_vfs_of_a_pf_that_has_none_are_refused(host: Host) -> None:
    assert "has no VFs: it has 0 of 0" in refused(host, {"pf": NIC}).message
    assert refused(host, {"pf": "0000:99:00.0"}).reason == "no_match"


@pytest.mark.parametrize(
    ("select", "place"),
    [
        ("eth1", "devices[0].select"),
        ({}, "devices[0].select"),
        ({"mac": "02:00:00:00:00:01", "netdev": "eth1"}, "devices[0].select"),
        ({"netdev": "eth1", "vendor": "8086"}, "devices[0].select"),
        ({"name": "eth1"}, "devices[0].select"),
        ({"vf": 1, "netdev": "eth1"}, "devices[0].select"),
        ({"mac": ""}, "devices[0].select.mac"),
        ({"mac": "02-00-00-00-00-01"}, "devices[0].select.mac"),
        ({"mac": 2}, "devices[0].select.mac"),
        ({"netdev": ""}, "devices[0].select.netdev"),
        ({"pf": ""}, "devices[0].select.pf"),
        ({"vendor": ""}, "devices[0].select.vendor"),
        ({"vendor": "intel"}, "devices[0].select.vendor"),
        ({"vendor": "8086", "device": "10g3"}, "devices[0].select.device"),
        ({"driver": ""}, "devices[0].select.driver"),
        ({"numa_node": -1}, "devices[0].select.numa_node"),
        ({"vendor": "8086", "count": 0}, "devices[0].select.count"),
        ({"id_path": "0000:01:00.0"}, "devices[0].select.id_path"),
        ({"pf": "pf0", "vf": []}, "devices[0].select.vf"),
        ({"pf": "pf0", "vf": [1, 1]}, "devices[0].select.vf"),
        ({"pf": "pf0", "vf": "1"}, "devices[0].select.vf"),
        ({"pf": "pf0", "vf": -1}, "devices[0].select.vf"),
    ],
)
def test_a_bad_selector_is_refused_with_its_place(host: Host, select: t.Any, place: str) -> None:
    error = host.refuses("bad_document", {"select": select, "driver": "vfio-pci"})
    assert error.message.startswith(f"{place} "), error.message


def test_a_selector_of_a_pf_finds_vfs_that_the_same_document_makes(host: Host) -> None:
    result = host.converge(
        {"device": PF, "vfs": {"count": 4}}, {"select": {"pf": "pf0", "vf": 3}, "driver": "vfio-pci"}
    )
    assert host.driver("0000:10:00.7") == "vfio-pci"
    assert ("bind", "0000:10:00.7", None, "vfio-pci") in host.actions(result)


def test_a_port_by_a_selector_gets_the_addresses_of_its_devices(host: Host) -> None:
    entry = {"device": PF, "vfs": {"count": 4}}
    spec = host_document.parse({"devices": [entry], "hugepages": None, "allow_active": None, "timeout": None})
    every = PortSpec(Devargs("pci", "", "x=1"), select=selectors.parse({"pf": PF}, "select"))
    plain = PortSpec(Devargs("vdev", "net_null0"))
    (app,) = selected.resolved([AppSpec("web", ports=(every, plain))], host.system, spec)
    assert [str(port) for port in app.ports] == [f"{one},x=1" for one in (*VFS, "0000:10:00.7")] + ["net_null0"]


def test_where_a_vf_is_going_to_be_is_not_known_of_a_card_without_sriov(host: Host) -> None:
    assert selectors.future_vf(host.system, NIC, 0) == ""
    assert selectors.future_vf(host.system, PF, 3) == "0000:10:00.7"
