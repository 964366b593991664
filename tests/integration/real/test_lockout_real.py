# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lockout guard (FAULTS.md, row 16) on this kernel's own network: each disguise of a management link is named.

A veth stands for the card. Bond, team, VLAN and Open vSwitch are modules that a machine of tests need not have: here
their links are told to the guard as values, as the kernel has them; in the guests of tests/fleet they are real.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from links import Links

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import lockout, pci
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.model import PciDevice
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.netlink import Address, Link, Netlink
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import modalias

SSH = {"SSH_CONNECTION": "203.0.113.9 50000 198.51.100.1 22"}
NIC = PciDevice("0000:01:00.0", driver="e1000e", netdevs=("nic",))


@pytest.fixture
def net() -> Iterator[Links]:
    links = Links()
    links.nic("nic")
    yield links
    links.remove()


def reasons(environ: dict[str, str] | None = None, device: PciDevice = NIC) -> list[str]:
    with Netlink() as netlink:
        return lockout.guard(netlink, System(), environ or {}).reasons(device)


def test_a_netdev_that_was_renamed_between_two_looks_is_looked_at_again(
    net: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    del net
    there = NIC._replace(netdevs=("nic",))
    monkeypatch.setattr(pci, "seen", lambda *_of: {NIC.address: there})
    assert lockout.active([NIC._replace(netdevs=("eth0",))], System()) == {NIC.address: ()}
    there = NIC._replace(netdevs=("eth0",))
    (why,) = lockout.active([there], System())[NIC.address]
    assert why.startswith("eth0 is in another network namespace")


# What was done with ip(8), and why the card must stay.
DISGUISES: dict[str, tuple[Sequence[str], list[str]]] = {
    "nothing is on it": ((), []),
    "the default route of IPv4": (["route add default dev nic"], ["nic has the default route (IPv4)"]),
    "the default route of IPv6": (["-6 route add default via fe80::1 dev nic"], ["nic has the default route (IPv6)"]),
    "both": (
        ["route add default dev nic", "-6 route add default via fe80::1 dev nic"],
        ["nic has the default route (IPv4)", "nic has the default route (IPv6)"],
    ),
    "a default route in a table of its own": (
        ["route add default dev nic table 77"],
        ["nic has the default route (IPv4)"],
    ),
    "one of two ways of the default route": (
        ["route add default nexthop dev nic-wire nexthop dev nic"],
        ["nic has the default route (IPv4)"],
    ),
    "one of two ways of the default route of IPv6": (
        ["-6 route add default nexthop via fe80::1 dev nic-wire nexthop via fe80::2 dev nic"],
        ["nic has the default route (IPv6)"],
    ),
    "a next hop that the default route names by its number": (
        ["nexthop add id 7 dev nic", "route add default nhid 7"],
        ["nic has the default route (IPv4)"],
    ),
    "a member of the group of next hops that the default route names": (
        [
            "nexthop add id 7 dev nic",
            "nexthop add id 8 dev nic-wire",
            "nexthop add id 9 group 7/8",
            "route add default nhid 9",
        ],
        ["nic has the default route (IPv4)"],
    ),
    "another's default route": (["route add default dev nic-wire"], []),
    "a default route that leads nowhere": (["route add unreachable default"], []),
    "an address": (["address add 192.0.2.7/24 dev nic"], ["nic has the address 192.0.2.7"]),
    "an address of IPv6": (["address add 2001:db8::7/64 dev nic"], ["nic has the address 2001:db8::7"]),
    "an address of a wire to one peer": (
        ["address add 192.0.2.7 peer 192.0.2.8 dev nic"],
        ["nic has the address 192.0.2.7"],
    ),
    "an address while it is down": (
        ["address add 192.0.2.7/24 dev nic", "link set nic down"],
        ["nic has the address 192.0.2.7"],
    ),
    "a link-local address alone": (["address add fe80::7/64 dev nic"], []),
    "a bridge without anything": (["link add br0 type bridge", "link set nic master br0"], []),
    "a bridge": (
        ["link add br0 type bridge", "link set nic master br0", "address add 192.0.2.7/24 dev br0"],
        ["nic is a member of bridge br0, which has the address 192.0.2.7"],
    ),
    "a macvlan without anything": (["link add mv0 link nic type macvlan mode bridge"], []),
    "a macvlan": (
        ["link add mv0 link nic type macvlan mode bridge", "link set mv0 up", "route add default dev mv0"],
        ["nic carries macvlan mv0, which has the default route (IPv4)"],
    ),
    "a macvtap": (
        ["link add mt0 link nic type macvtap mode bridge", "address add 192.0.2.7/24 dev mt0"],
        ["nic carries macvtap mt0, which has the address 192.0.2.7"],
    ),
    "a tunnel": (
        ["link add vx0 type vxlan id 5 dev nic dstport 4789", "address add 192.0.2.7/24 dev vx0"],
        ["nic carries vxlan vx0, which has the address 192.0.2.7"],
    ),
    "a macvlan on a bridge": (
        [
            "link add br0 type bridge",
            "link set nic master br0",
            "link add mv0 link br0 type macvlan mode bridge",
            "address add 192.0.2.7/24 dev mv0",
        ],
        ["nic is a member of bridge br0, which carries macvlan mv0, which has the address 192.0.2.7"],
    ),
    "a bridge on a macvlan on a bridge": (
        [
            "link add br0 type bridge",
            "link set nic master br0",
            "link add mv0 link br0 type macvlan mode passthru",
            "link add br1 type bridge",
            "link set br1 up",
            "link add vx0 type vxlan id 5 dev mv0 dstport 4789",
            "link set vx0 master br1",
            "-6 route add default via fe80::1 dev br1",
        ],
        [
            "nic is a member of bridge br0, which carries macvlan mv0, which carries vxlan vx0, which is a member of "
            "bridge br1, which has the default route (IPv6)"
        ],
    ),
    "two of them": (
        [
            "link add mv0 link nic type macvlan mode bridge",
            "link add mv1 link nic type macvlan mode bridge",
            "address add 192.0.2.7/24 dev mv0",
            "address add 192.0.2.8/24 dev mv1",
        ],
        [
            "nic carries macvlan mv0, which has the address 192.0.2.7",
            "nic carries macvlan mv1, which has the address 192.0.2.8",
        ],
    ),
    "the way to the ssh peer": (
        ["route add 203.0.113.0/24 dev nic"],
        ["nic leads to 203.0.113.9, who is connected by ssh"],
    ),
    "one of two ways to the ssh peer": (
        ["route add 203.0.113.0/24 nexthop dev nic nexthop dev nic-wire"],
        ["nic leads to 203.0.113.9, who is connected by ssh"],
    ),
    "the way to the ssh peer by a rule": (
        ["rule add to 203.0.113.9 table 55 priority 55", "route add 203.0.113.9 dev nic table 55"],
        ["nic leads to 203.0.113.9, who is connected by ssh"],
    ),
    "the way to the ssh peer over a bridge": (
        ["link add br0 type bridge", "link set nic master br0", "link set br0 up", "route add 203.0.113.0/24 dev br0"],
        ["nic is a member of bridge br0, which leads to 203.0.113.9, who is connected by ssh"],
    ),
    "the default route by which the ssh peer is reached": (
        ["route add default dev nic"],
        ["nic has the default route (IPv4)", "nic leads to 203.0.113.9, who is connected by ssh"],
    ),
    "another's way to the ssh peer": (["route add 203.0.113.0/24 dev nic-wire"], []),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_each_disguise_is_seen_through_and_named(net: Links, name: str) -> None:
    commands, expected = DISGUISES[name]
    try:
        for command in commands:
            net.ip(command)
        assert reasons(SSH if "ssh" in name else {}) == expected
    finally:
        if any(command.startswith("rule") for command in commands):
            net.ip("rule del priority 55")


@pytest.mark.parametrize("group", [False, True])
def test_next_hops_by_number_alone_are_resolved(net: Links, group: bool) -> None:
    """A kernel that is told so leaves the netdev out of such a route."""
    knob = Path("/proc/sys/net/ipv4/nexthop_compat_mode")
    knob.write_text("0")
    try:
        net.ip("nexthop add id 7 dev nic")
        net.ip("nexthop add id 8 dev nic-wire")
        if group:
            net.ip("nexthop add id 9 group 7/8")
        net.ip(f"route add default nhid {9 if group else 7}")
        assert reasons() == ["nic has the default route (IPv4)"]
        net.ip(f"route add 203.0.113.0/24 nhid {9 if group else 7}")
        assert "nic leads to 203.0.113.9, who is connected by ssh" in reasons(SSH)
    finally:
        knob.write_text("1")


@pytest.mark.parametrize(
    "connection, route",
    [
        ("2001:db8:9::9 50000 2001:db8::1 22", "-6 route add 2001:db8:9::/48 via fe80::1 dev nic"),
        ("fe80::9%nic 50000 fe80::1%nic 22", "address add fe80::1/64 dev nic"),
    ],
)
def test_an_ssh_peer_of_ipv6_is_found_also_by_a_link_local_address(net: Links, connection: str, route: str) -> None:
    net.ip(route)
    peer = connection.split()[0]
    assert reasons({"SSH_CONNECTION": connection}) == [f"nic leads to {peer}, who is connected by ssh"]


@pytest.mark.parametrize("value", ["", "garbage", "203.0.113.999 1 2 3", "UNKNOWN 65535 UNKNOWN 65535", "-1", "%nic"])
def test_an_ssh_connection_that_makes_no_sense_is_no_reason(net: Links, value: str) -> None:
    net.ip("route add 203.0.113.0/24 dev nic")
    assert reasons({"SSH_CONNECTION": value}) == []


def test_the_ssh_peer_is_known_where_sudo_has_forgotten_the_variable(net: Links) -> None:
    """The process's own environment is bare; that of the shell two generations above it has the variable."""
    net.ip("route add 203.0.113.0/24 dev nic")
    code = "import json, os, test_lockout_real as here; print(json.dumps(here.reasons(dict(os.environ))))"
    path = os.pathsep.join([str(Path(__file__).parent), *(one for one in sys.path if one)])
    bare = f"env -i PYTHONPATH='{path}' '{sys.executable}' -c '{code}'; true"

    def seen(more: dict[str, str]) -> list[str]:
        line = ["sh", "-c", 'env -i PATH="$PATH" sh -c "$0"; true', bare]
        environ = {"PATH": os.environ["PATH"], **more}
        done = subprocess.run(line, env=environ, stdout=subprocess.PIPE, check=True, text=True)
        return list(json.loads(done.stdout))

    assert seen({}) == []
    assert seen(SSH) == ["nic leads to 203.0.113.9, who is connected by ssh"]


def test_a_card_that_was_moved_to_another_namespace_is_refused(net: Links) -> None:
    net.move("nic")
    assert reasons() == ["nic is in another network namespace, where it may be in use"]


def test_a_card_that_carries_a_macvlan_of_a_container_is_refused(net: Links) -> None:
    net.ip("link add mv0 link nic type macvlan mode bridge")
    assert reasons() == []
    net.move("mv0")
    assert reasons() == ["nic carries macvlan mv0 of another network namespace"]


def test_a_bridge_that_carries_a_macvlan_of_a_container_holds_its_cards(net: Links) -> None:
    for command in ("link add br0 type bridge", "link set nic master br0", "link add mv0 link br0 type macvlan"):
        net.ip(command)
    net.move("mv0")
    assert reasons() == ["nic is a member of bridge br0, which carries macvlan mv0 of another network namespace"]


def test_this_machines_own_cards_are_refused_from_another_namespace() -> None:
    """The tests run in a network namespace of their own: no card of the machine has its netdev here."""
    cards = [
        one for one in pci.inventory(System()).values() if one.is_network and one.driver.startswith(("virtio", "e1"))
    ]
    for card in cards:
        assert card.netdevs == ()
        assert reasons(device=card) == ["its netdev is in another network namespace, where it may be in use"]


def test_hundreds_of_links_do_not_hide_the_one_that_counts(net: Links) -> None:
    net.batch(*(f"link add mv{number} link nic type macvlan mode bridge" for number in range(300)))
    net.ip("address add 192.0.2.7/24 dev mv299")
    assert reasons() == ["nic carries macvlan mv299, which has the address 192.0.2.7"]


# What this machine's kernel need not have, told as values


class Told:
    """A network as it is told: links, and what has an address or the default route by name."""

    def __init__(self, links: Sequence[Link], *, address: str = "", route: str = "") -> None:
        self._links = list(links)
        self._number = {link.name: link.ifindex for link in links}
        self._address, self._route = address, route

    def links(self) -> list[Link]:
        return self._links

    def links_elsewhere(self) -> list[Link]:
        return []

    def addresses(self) -> list[Address]:
        return [Address(self._number[self._address], "192.0.2.7")] if self._address else []

    def default_routes(self) -> list[tuple[int, int]]:
        return [(4, self._number[self._route])] if self._route else []

    def routes_to(self, _address: str) -> list[int]:
        return []


BOND, BRIDGE = Link(10, "bond0", "bond"), Link(20, "br0", "bridge")
OVS = [Link(30, "ovs-system", "openvswitch"), Link(31, "br-ex", "openvswitch")]


@pytest.mark.parametrize(
    "network, expected",
    [
        (
            Told([Link(1, "nic", master=10), BOND], address="bond0"),
            "nic is a member of bond bond0, which has the address 192.0.2.7",
        ),
        (
            Told([Link(1, "nic", master=10), Link(10, "team0", "team")], route="team0"),
            "nic is a member of team team0, which has the default route (IPv4)",
        ),
        (
            Told([Link(1, "nic"), Link(11, "nic.5", "vlan", lower=1)], address="nic.5"),
            "nic carries vlan nic.5, which has the address 192.0.2.7",
        ),
        (
            Told(
                [Link(1, "nic", master=10), BOND, Link(11, "bond0.5", "vlan", master=20, lower=10), BRIDGE], route="br0"
            ),
            "nic is a member of bond bond0, which carries vlan bond0.5, which is a member of bridge br0, "
            "which has the default route (IPv4)",
        ),
        (
            Told([Link(1, "nic", master=30), *OVS], address="br-ex"),
            "nic is a port of Open vSwitch, as is br-ex, which has the address 192.0.2.7",
        ),
        (
            Told([Link(1, "nic", master=40), Link(40, "red", "vrf")], address="red"),
            "nic is a member of vrf red, which has the address 192.0.2.7",
        ),
    ],
    ids=["bond", "team", "VLAN", "VLAN on a bond in a bridge", "Open vSwitch", "VRF"],
)
def test_disguises_of_other_kernels_are_named(network: Told, expected: str, tmp_path: Path) -> None:
    assert lockout.guard(network, System(str(tmp_path)), {}).reasons(NIC) == [expected]


def test_links_in_a_ring_come_to_an_end(tmp_path: Path) -> None:
    ring = [Link(1, "nic", master=2), Link(2, "a", "bridge", master=3), Link(3, "b", "bridge", master=2, lower=1)]
    assert len(lockout.guard(Told(ring, address="b"), System(str(tmp_path)), {}).reasons(NIC)) == 1


# The whole run


def tree(root: Path) -> Path:
    """A host with one card, whose netdev is ``nic``; the network is the kernel's own."""
    device = root / "sys/bus/pci/devices/0000:01:00.0"
    (device / "net/nic").mkdir(parents=True)
    (device / "iommu_group").symlink_to("../../../kernel/iommu_groups/5")
    (device / "driver").symlink_to("../../../../bus/pci/drivers/e1000e")
    (device / "modalias").write_text(modalias("8086:10d3"))
    (device / "driver_override").write_text("(null)\n")
    (root / "sys/bus/pci/drivers/vfio-pci").mkdir(parents=True)
    return device


@pytest.mark.parametrize("check", [True, False])
def test_a_run_refuses_the_card_before_it_touches_anything(net: Links, tmp_path: Path, check: bool) -> None:
    device = tree(tmp_path)
    for command in ("link add br0 type bridge", "link set nic master br0", "address add 192.0.2.7/24 dev br0"):
        net.ip(command)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    wanted = {"devices": [{"device": "0000:01:00.0", "driver": "vfio-pci"}]}
    with pytest.raises(HotplugError) as caught:
        engine.converge(wanted, check=check, system=System(str(tmp_path)))
    assert caught.value.reason == "active" and "allow_active" in caught.value.way_out
    assert "'0000:01:00.0'" in caught.value.message
    assert "nic is a member of bridge br0, which has the address 192.0.2.7" in caught.value.message
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert device.exists()


def test_consent_is_of_the_device_that_is_named_only(net: Links, tmp_path: Path) -> None:
    tree(tmp_path)
    net.ip("address add 192.0.2.7/24 dev nic")
    wanted = {"devices": [{"device": "0000:01:00.0", "driver": "vfio-pci"}], "allow_active": ["0000:02:00.0"]}
    with pytest.raises(HotplugError, match="in use by the network"):
        engine.converge(wanted, check=True, system=System(str(tmp_path)))
    wanted["allow_active"] = ["0000:01:00.0"]
    answer = engine.converge(wanted, check=True, system=System(str(tmp_path)))
    assert [(one["action"], one["device"]) for one in answer["host"]["actions"]] == [("bind", "0000:01:00.0")]
