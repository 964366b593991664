# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards at vfio-pci become ports of a running testpmd, carry packets, and come back to the kernel."""

from __future__ import annotations

from typing import Any

from bed import CARDS, Bed, Pmd

FIRST, SECOND = CARDS.e1000e


def ports(channel: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apps": [{"app": "web", "adapter": "multiprocess", "channel": channel, "ports": entries, **more}]}


def drivers(driver: str, *devices: str) -> list[dict[str, str]]:
    return [{"device": one, "driver": driver} for one in devices]


def done(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """What the applications' part and then the host's part of a run have done."""
    listed = [one for app in answer["apps"] for one in app["actions"]] + answer.get("host", {}).get("actions", [])
    return [(one["action"], str(one.get("device"))) for one in listed]


def received(pmd: Pmd, *names: str) -> list[int]:
    found = pmd.ports()
    return [found[name]["stats"]["ipackets"] for name in names]


def test_cards_carry_packets_between_attach_and_detach(guest: Bed) -> None:
    guest.converge({"devices": drivers("vfio-pci", FIRST, SECOND)})
    pmd = guest.testpmd()
    for channel, card in (("ipc", FIRST), ("eal", SECOND)):
        answer = guest.converge(ports(channel, {"device": card}))
        assert answer["apps"][0]["app"]["channel"] == channel and done(answer) == [("attach", card)]
        assert not guest.converge(ports(channel, {"device": card}))["changed"]
    assert {name: one["port_id"] for name, one in pmd.ports().items()} == {FIRST: 0, SECOND: 1}
    holders = [one["in_use_by"] for one in guest.devices(device=[FIRST, SECOND]).values()]
    assert [[(one["pid"], one["name"]) for one in its] for its in holders] == [[(pmd.pid, "dpdk-testpmd")]] * 2

    # testpmd adopts ports that others have attached when it is asked for one of them.
    pmd.type(f"port attach {FIRST}", until="Port 1 is attached")
    pmd.type("port start all", until=r"Checking link statuses\.\.\.\s+Done")
    pmd.type("set fwd io", "start tx_first 4", until=r"nb forwarding ports=2[^$]*testpmd> ")
    guest.until(lambda: min(received(pmd, FIRST, SECOND)) > 100, "packets")
    pmd.type("stop", until=r"Done\.")  # of forwarding, so that this machine has a processor again; the ports go on

    # What is in use stays so: by who has it, and by its being started, whoever asks.
    back = drivers("kernel", FIRST, SECOND)
    alone = guest.refused({"devices": back})
    assert {one["reason"] for one in alone["refusals"]} == {"in_use"}
    assert f"dpdk-testpmd (pid {pmd.pid}, /dev/vfio/" in alone["message"]
    started = guest.refused({"devices": back, **ports("ipc")})
    assert {one["reason"] for one in started["refusals"]} == {"port_started"} and "actions" not in started
    assert guest.driver(FIRST, SECOND) == dict.fromkeys((FIRST, SECOND), "vfio-pci")
    assert [one["dev_started"] for one in pmd.ports().values()] == [1, 1]

    pmd.type("port stop all", until=r"Stopping ports[^$]*Done")
    for channel, device, state in (("eal", SECOND, "absent"), ("ipc", SECOND, "present")):
        answer = guest.converge(ports(channel, {"device": device, "state": state}))
        assert [one for one, _device in done(answer)] == ["detach" if state == "absent" else "attach"]
        assert (SECOND in pmd.ports()) == (state == "present")

    # Both change their driver and are attached: the same plan detaches them first.
    document = {"devices": back, **ports("ipc")}
    foreseen = guest.converge(document, check=True)
    assert guest.driver(FIRST) == "vfio-pci" and len(pmd.ports()) == 2
    whole = guest.converge(document)
    assert done(foreseen) == done(whole)
    assert sorted(done(whole)) == sorted((act, one) for act in ("bind", "detach") for one in (FIRST, SECOND))
    assert guest.driver(FIRST, SECOND) == dict.fromkeys((FIRST, SECOND), "e1000e")
    assert pmd.alive and not pmd.ports()
    assert not guest.converge(document)["changed"]


def test_one_task_makes_a_bare_host_ready_and_another_takes_it_back(guest: Bed) -> None:
    """Memory, VFs, drivers and ports, of two cards on one wire."""
    pmd = guest.testpmd()
    macs = [f"02:00:00:00:{number:02x}:00" for number in range(len(CARDS.igb))]
    settings = [[{"index": 0, "mac": mac}] for mac in macs]
    entries = [
        {"device": pf, "vfs": {"count": 2, "driver": "vfio-pci", "settings": one}}
        for pf, one in zip(CARDS.igb, settings)
    ]
    chosen = [{"select": {"pf": pf, "vf": 0}} for pf in CARDS.igb]
    for pf in CARDS.igb:
        guest.run("ip", "link", "set", guest.netdev(pf), "up")
    pages = [one for one in guest.hugepages()["pages"] if one["size"] == "2M"]
    more = [{"size": "2M", "count": one["count"] + 4, "node": one["node"]} for one in pages]
    document = {"hugepages": {"pages": more}, "devices": entries, **ports("ipc", *chosen)}
    foreseen = guest.converge(document, check=True)
    answer = guest.converge(document)
    assert done(foreseen) == done(answer)
    assert not guest.converge(document)["changed"]
    vfs = [guest.devices(device=[pf])[pf]["vfs"][0] for pf in CARDS.igb]
    numbers = [(pmd.ports()[vf]["port_id"], mac) for vf, mac in zip(vfs, macs)]
    assert {name: one["mac_addr"] for name, one in pmd.ports().items()} == dict(zip(vfs, macs))
    pmd.type(f"port attach {vfs[0]}", until="Port 1 is attached")
    pmd.type("port start all", until=r"Checking link statuses\.\.\.\s+Done")
    # A VF takes in what is sent to itself.
    pmd.type(*(f"set eth-peer {one} {mac}" for (one, _own), (_other, mac) in zip(numbers, reversed(numbers))))
    pmd.type("set fwd io", "start tx_first 4", until=r"nb forwarding ports=2[^$]*testpmd> ")
    guest.until(lambda: min(received(pmd, *vfs)) > 0, "packets between the VFs")
    pmd.type("stop", "port stop all", until=r"Stopping ports[^$]*Done")
    gone = {"devices": [{"device": pf, "vfs": {"count": 0}} for pf in CARDS.igb], **ports("ipc")}
    guest.converge(gone)
    assert not guest.converge(gone)["changed"] and not pmd.ports() and pmd.alive
    assert [one["vfs"] for one in guest.devices(device=list(CARDS.igb)).values()] == [[], []]


def test_testpmd_stops_a_started_card_by_itself_when_its_driver_is_to_change(guest: Bed) -> None:
    pmd = guest.served()
    port = {"device": FIRST, "started": True}
    document = {"devices": drivers("vfio-pci", FIRST), "apps": [{"app": "web", "adapter": "testpmd", "ports": [port]}]}
    answer = guest.converge(document)
    assert sorted(done(answer)) == [("attach", FIRST), ("bind", FIRST), ("start", FIRST)]
    assert not guest.converge(document)["changed"]
    guest.inside("frames", netdev=guest.netdev(SECOND), number=50)
    guest.until(lambda: received(pmd, FIRST)[0] >= 50, "what the other end of the wire has sent")
    back = {"devices": drivers("kernel", FIRST), "apps": [{"app": "web", "adapter": "testpmd", "ports": []}]}
    answer = guest.converge(back)
    assert sorted(done(answer)) == [("bind", FIRST), ("detach", FIRST), ("stop", FIRST)]
    assert guest.driver(FIRST) == "e1000e" and not pmd.ports() and pmd.alive
    assert not guest.converge(back)["changed"]


def test_an_application_that_was_started_before_vfio_was_there_is_told_of(guest: Bed) -> None:
    """DPDK itself says no more than -1, which might as well be wrong arguments."""
    guest.run("modprobe", "-r", "vfio-pci", "vfio_iommu_type1", "vfio")
    pmd = guest.testpmd(vfio=False)
    entry = {"app": "web", "adapter": "multiprocess", "ports": [{"device": CARDS.e1000e[0]}]}
    document = {"devices": [{"device": CARDS.e1000e[0], "driver": "vfio-pci"}], "apps": [entry]}
    if guest.machine.release == "24.11":  # on its kernel it is found all the same
        assert guest.converge(document)["changed"]
        return
    error = guest.refused(document)
    assert (error["reason"], error["app"]) == ("no_vfio", "web"), error
    assert guest.driver(CARDS.e1000e[0]) == "e1000e", "undone"
    pmd.stop()
    guest.testpmd()
    assert guest.converge(document)["changed"]
