# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The card by which the guest is reached is not taken away, whatever it is hidden behind.

The guest has a second way by ssh, over a card of its own; every disguise is put on that one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bed import CARDS, COMMAND, Bed

CARD, FREE = CARDS.second, CARDS.e1000e[0]
DOCUMENT = {"devices": [{"device": FREE, "driver": "vfio-pci"}, {"device": CARD, "driver": "vfio-pci"}]}
# QEMU's network announces itself by IPv6: only what a disguise says shall be there.
_QUIET = """
modprobe -a bonding team bridge macvlan 8021q vxlan
n=enp5s0
echo 0 > /proc/sys/net/ipv6/conf/$n/accept_ra
ip link set $n down
"""
_OWN = "10.0.3.15"  # the other end sends ssh there
# What is done to the card, what the refusal says of it, and whether ssh over it works then.
DISGUISES = {
    "address": (f"ip link set $n up; ip address add {_OWN}/24 dev $n", f"$n has the address {_OWN}", True),
    "address_while_down": (f"ip address add {_OWN}/24 dev $n", f"$n has the address {_OWN}", False),
    "address_v6": ("ip link set $n up; ip address add 2001:db8::1/64 dev $n", "$n has the address 2001:db8::1", False),
    "default_route_v4": (
        f"ip link set $n up; ip address add {_OWN}/24 dev $n; ip route add default via 10.0.3.2 dev $n metric 500",
        "$n has the default route (IPv4)",
        True,
    ),
    "default_route_v6": (
        "ip link set $n up; ip -6 route add default via fe80::2 dev $n",
        "$n has the default route (IPv6)",
        False,
    ),
    "bond": (
        "ip link add bond7 type bond mode active-backup; ip link set $n master bond7; ip link set $n up; "
        f"ip link set bond7 up; ip address add {_OWN}/24 dev bond7",
        f"$n is a member of bond bond7, which has the address {_OWN}",
        True,
    ),
    "bridge": (
        "ip link add bridge7 type bridge; ip link set $n master bridge7; ip link set $n up; ip link set bridge7 up; "
        f"ip address add {_OWN}/24 dev bridge7",
        f"$n is a member of bridge bridge7, which has the address {_OWN}",
        True,
    ),
    "team": (
        "ip link add team7 type team; ip link set $n master team7; ip address add 10.7.0.1/24 dev team7",
        "$n is a member of team team7, which has the address 10.7.0.1",
        False,
    ),
    "vlan": (
        "ip link set $n up; ip link add link $n name vlan7 type vlan id 7; ip link set vlan7 up; "
        "ip address add 10.7.0.1/24 dev vlan7",
        "$n carries vlan vlan7, which has the address 10.7.0.1",
        False,
    ),
    "macvlan": (
        # With the card's own MAC: the other end knows that one.
        "ip link set $n up; ip link add link $n name macvlan7 type macvlan mode passthru; ip link set macvlan7 up; "
        f"ip address add {_OWN}/24 dev macvlan7",
        f"$n carries macvlan macvlan7, which has the address {_OWN}",
        True,
    ),
    "vlan_on_bridge_on_bond": (
        "ip link add bond7 type bond mode active-backup; ip link set $n master bond7; "
        "ip link add bridge7 type bridge; ip link set bond7 master bridge7; ip link set bridge7 up; "
        "ip link add link bridge7 name vlan7 type vlan id 7; ip link set vlan7 up; "
        "ip route add default dev vlan7 metric 500",
        "$n is a member of bond bond7, which is a member of bridge bridge7, which carries vlan vlan7, which has the "
        "default route (IPv4)",
        False,
    ),
    "macvlan_of_another_namespace": (
        "ip link set $n up; ip netns add other7; ip link add link $n name macvlan7 type macvlan mode bridge; "
        "ip link set macvlan7 netns other7",
        "of another network namespace",
        False,
    ),
}


@pytest.fixture
def netdev(guest: Bed) -> Iterator[str]:
    name = guest.netdev(CARD)
    assert name == "enp5s0"
    guest.shell(_QUIET)
    yield name
    guest.shell("for one in $(ip netns list | cut -d' ' -f1); do ip netns del $one; done")


def alive(guest: Bed, *, second: bool) -> bool:
    """Whether each of the ways to the guest that there are still works."""
    ports = [None, guest.machine.second_port] if second else [None]
    return all(guest.run("echo", "alive", port=port).stdout == "alive\n" for port in ports)


def carries_packets(guest: Bed) -> bool:
    """Whether ssh answers over the card by now: a link takes seconds to come up, and longer on a busy machine."""
    return guest.run("true", check=False, port=guest.machine.second_port).returncode == 0


def untouched(guest: Bed, error: dict[str, Any]) -> bool:
    """It was said before anything was done, to the card that is free too."""
    return "actions" not in error and guest.driver(CARD, FREE) == {CARD: "e1000e", FREE: "e1000e"}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_card_that_the_network_hangs_on_is_refused(guest: Bed, netdev: str, disguise: str) -> None:
    script, clause, carries = DISGUISES[disguise]
    guest.shell(f"n={netdev}; {script}")
    if carries:
        guest.until(lambda: carries_packets(guest), "packets over the card")
        assert alive(guest, second=True)
    error = guest.refused(DOCUMENT)
    assert error["reason"] == "active" and error["device"] == CARD, error
    assert clause.replace("$n", netdev) in error["message"] and "allow_active" in error["way_out"]
    assert untouched(guest, error) and guest.netdev(CARD) == netdev
    assert alive(guest, second=carries)


def test_the_way_to_whoever_asks_is_refused_also_when_the_environment_is_forgotten(guest: Bed, netdev: str) -> None:
    guest.shell(f"ip link set {netdev} up; ip address add {_OWN}/24 dev {netdev}")
    guest.until(lambda: carries_packets(guest), "packets over the card")
    asked = json.dumps({"converge": DOCUMENT, "check": True})
    # As sudo does it: the shell above has the variable, and is another process.
    for words in (f"{COMMAND} request", f"env -i setsid -w {COMMAND} request; :"):
        done = guest.run("sh", "-c", words, input=asked, check=False, port=guest.machine.second_port)
        error = json.loads(done.stdout)["error"]
        assert f"{netdev} leads to 10.0.3.2, who is connected by ssh" in error["message"]
    assert untouched(guest, error) and alive(guest, second=True)


def test_the_card_that_the_guest_is_managed_by_is_refused_with_every_reason(guest: Bed) -> None:
    document = {
        "devices": [{"device": FREE, "driver": "vfio-pci"}, {"device": CARDS.management, "driver": "vfio-pci"}],
        "allow_active": [CARD],
    }
    error = guest.refused(document)
    assert error["reason"] == "active" and error["device"] == CARDS.management
    clauses = (
        "has the default route (IPv4)",
        "leads to 10.0.2.2, who is connected by ssh",
        "has the address 10.0.2.15",
    )
    assert all(f"enp0s2 {one}" in error["message"] for one in clauses)
    assert untouched(guest, error) and guest.driver(CARDS.management) == "virtio-pci"
    seen = guest.devices(device=[CARDS.management, FREE])
    assert seen[CARDS.management]["bindable"] is False and "default route" in seen[CARDS.management]["reason"]
    assert seen[FREE]["bindable"] is True and seen[FREE]["reason"] is None


def test_a_card_of_another_network_namespace_is_refused(guest: Bed, netdev: str) -> None:
    guest.shell(f"ip netns add other7; ip link set {netdev} netns other7")
    error = guest.refused(DOCUMENT)
    assert error["reason"] == "active" and "another network namespace" in error["message"]
    assert untouched(guest, error)


def test_who_names_the_card_takes_it(guest: Bed, netdev: str) -> None:
    guest.shell(f"ip link set {netdev} up; ip address add {_OWN}/24 dev {netdev}")
    guest.converge({**DOCUMENT, "allow_active": [CARD]})
    assert guest.driver(CARD, FREE) == {CARD: "vfio-pci", FREE: "vfio-pci"}
    assert alive(guest, second=False)
    guest.converge({"devices": [{"select": {"netdev": netdev}, "driver": "kernel"}]})
    assert guest.driver(CARD) == "e1000e" and guest.netdev(CARD) == netdev


def test_a_link_that_is_up_with_nothing_on_it_is_nobodys(guest: Bed, netdev: str) -> None:
    """An address that the kernel gives to every link by itself does not count."""
    guest.shell(f"ip link set {netdev} up")
    guest.until(lambda: "fe80::" in guest.run("ip", "address", "show", "dev", netdev).stdout, "a link-local address")
    guest.converge(DOCUMENT)
    assert guest.driver(CARD) == "vfio-pci" and alive(guest, second=False)
