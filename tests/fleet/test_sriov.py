# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of a real PF: their number, what the PF imposes on them, and who uses them."""

from __future__ import annotations

import json
from typing import Any

from bed import CARDS, Bed

PF, OTHER = CARDS.igb
MACS = ["02:00:00:00:03:00", "02:00:00:00:03:01"]


def vfs(count: int | None = None, *settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    wanted = {"count": count, "settings": list(settings), **more}
    return {"devices": [{"device": PF, "vfs": {name: one for name, one in wanted.items() if one not in (None, [])}}]}


def imposed(guest: Bed) -> list[dict[str, Any]]:
    """As ip(8) has it of each VF."""
    (link,) = json.loads(guest.run("ip", "-j", "link", "show", "dev", guest.netdev(PF)).stdout)
    found = []
    for one in link["vfinfo_list"]:
        vlans = [vlan["vlan"] for vlan in one.get("vlan_list", []) if vlan] or [0]
        found.append({"mac": one["address"], "vlan": vlans[0], "trust": one["trust"], "spoofchk": one["spoofchk"]})
    return found


def addresses(guest: Bed, pf: str = PF) -> list[str]:
    found: list[str] = guest.devices(device=[pf])[pf]["vfs"]
    return found


def test_vfs_have_what_is_asked_for_each_and_keep_it_when_their_number_changes(guest: Bed) -> None:
    guest.run("ip", "link", "set", guest.netdev(PF), "up")
    first = {"index": 0, "mac": MACS[0], "vlan": 100, "trust": True, "spoofchk": False}
    second = {"index": 1, "mac": MACS[1]}
    document = vfs(3, first, second)
    foreseen = guest.converge(document, check=True)
    assert not addresses(guest)
    done = guest.converge(document)
    assert foreseen["host"]["actions"] == done["host"]["actions"]
    assert not guest.converge(document)["changed"]
    seen = imposed(guest)
    assert len(seen) == 3
    assert seen[0] == {"mac": MACS[0], "vlan": 100, "trust": True, "spoofchk": False}
    assert (seen[1]["mac"], seen[1]["vlan"], seen[1]["trust"], seen[1]["spoofchk"]) == (MACS[1], 0, False, True)
    own = addresses(guest)
    guest.until(lambda: guest.netdev(own[1]), "the VF's driver")
    assert guest.read(f"/sys/class/net/{guest.netdev(own[1])}/address") == MACS[1]

    # One setting is no reason to take the others' VFs away.
    again = guest.converge(vfs(None, {"index": 0, "vlan": 200}))
    assert [one["action"] for one in again["host"]["actions"]] == ["set_vf"]
    assert imposed(guest)[0] == {"mac": MACS[0], "vlan": 200, "trust": True, "spoofchk": False}

    # What is up and has nothing on it does not stand in the way; who stays has what it had.
    guest.converge(vfs(2))
    assert addresses(guest) == own[:2]
    assert [one["mac"] for one in imposed(guest)] == MACS and imposed(guest)[0]["vlan"] == 200
    assert guest.converge(vfs(0))["changed"] and not guest.converge(vfs(0))["changed"]
    assert not addresses(guest) and guest.driver(PF) == "igb"


def test_a_number_that_cannot_be_is_refused_before_anything_is_done(guest: Bed) -> None:
    over = guest.refused(vfs(8))
    assert over["reason"] == "vf_count" and "can have 7 VFs, asked for are 8" in over["message"]
    none = guest.refused({"devices": [{"device": CARDS.e1000e[0], "vfs": {"count": 1}}]})
    assert none["reason"] == "no_sriov"
    beyond = guest.refused(vfs(None, {"index": 2, "vlan": 5}))
    assert beyond["reason"] == "vf_count" and "has no VF 2: it has 0" in beyond["message"]
    assert not any("actions" in one for one in (over, none, beyond)) and not addresses(guest)


def test_a_pf_that_is_down_has_vfs_and_stays_down(guest: Bed) -> None:
    """This driver's does; of one that does not take it (ENETDOWN) the unit tests tell."""
    answer = guest.converge(vfs(1, {"index": 0, "mac": MACS[0]}, driver="vfio-pci"))
    (vf,) = addresses(guest)
    assert guest.driver(vf) == "vfio-pci" and imposed(guest)[0]["mac"] == MACS[0]
    assert answer["host"]["devices"] and "UP" not in guest.run("ip", "-j", "link", "show", guest.netdev(PF)).stdout


def test_vfs_in_use_keep_their_number(guest: Bed) -> None:
    guest.converge(vfs(2))
    one, other = addresses(guest)
    guest.converge({"devices": [{"device": one, "driver": "vfio-pci"}]})
    pmd = guest.testpmd()
    guest.converge({"apps": [{"app": pmd.prefix, "ports": [{"device": one}]}]})
    for count in (0, 1, 4):
        error = guest.refused(vfs(count))
        assert error["reason"] == "in_use" and error["device"] == one and "actions" not in error
        assert f"dpdk-testpmd (pid {pmd.pid}, /dev/vfio/" in error["message"]
    assert addresses(guest) == [one, other] and set(pmd.ports()) == {one}
    # Its PF cannot leave either: its VFs would go with it.
    leaves = guest.refused({"devices": [{"device": PF, "driver": "vfio-pci"}]})
    assert leaves["reason"] == "has_vfs" and "2 VFs" in leaves["message"]

    # The other is the kernel's, with an address on it.
    netdev = guest.until(lambda: guest.netdev(other), "the VF's driver")
    guest.shell(f"ip link set {guest.netdev(PF)} up; ip link set {netdev} up; ip address add 10.7.0.1/24 dev {netdev}")
    lets_go = {"apps": [{"app": pmd.prefix, "ports": [{"device": one, "state": "absent"}]}]}
    busy = guest.refused({**vfs(4), **lets_go})
    assert busy["reason"] == "active" and f"{netdev} has the address 10.7.0.1" in busy["message"]
    assert set(pmd.ports()) == {one} and "actions" not in busy

    # With consent to the one, and the other detached by the same plan, and at vfio-pci again afterwards.
    guest.converge({**vfs(4), **lets_go, "allow_active": [other]})
    assert not pmd.ports() and pmd.alive
    assert len(addresses(guest)) == 4 and addresses(guest)[:2] == [one, other]
    assert guest.driver(one) == "vfio-pci"
    guest.converge(vfs(0))
    assert not addresses(guest)
