# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of three from bare to forwarding, and what becomes of changes of it that go wrong at the second host.

One test goes on from where the one before has ended: with all three forwarding, as the inventory asks.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from bed import CARDS, Bed
from three import APP, DOCUMENT, PORTS, SOCKET, UNIT, Three

FIRST, SECOND = CARDS.e1000e
BOTH = dict.fromkeys(CARDS.e1000e, True)
NEW = "0000:06:00.0"  # behind CARDS.ports[0]
OTHER = "52:54:00:99:00:09"
MORE = [*PORTS, {"device": "net_null7", "started": True}]


def apps(ports: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"dpdk_hotplug_apps": [{"app": APP, "exclusive": True, "ports": ports, **more}]}


def state(fleet: Three) -> list[Any]:
    """What a change could change, of each guest."""
    return [(fleet.ports(guest), guest.driver(*CARDS.e1000e), _boot(guest)) for guest in fleet.guests]


def _boot(guest: Bed) -> str:
    return guest.read("/etc/dpdk-hotplug/host.json")


def test_site_takes_bare_hosts_to_forwarding_and_its_second_run_changes_nothing(fleet: Three) -> None:
    looked = fleet.done("dpdk.hotplug.site", "--check", "--diff", "--limit", "guest1", dpdk_hotplug_serial=1)
    assert looked[0].changed > 0
    assert [guest.driver(FIRST) for guest in fleet.guests] == ["e1000e"] * 3

    # All at once here, which takes less time than one after the other.
    played = fleet.done("dpdk.hotplug.site", dpdk_hotplug_serial="100%")
    assert all(one.changed > 0 for one in played)
    for guest in fleet.guests:
        fleet.forwards(guest)

    again = fleet.done("dpdk.hotplug.site", dpdk_hotplug_serial="100%")
    assert [one.changed for one in again] == [0, 0, 0], again[0].text
    audit = fleet.done("dpdk.hotplug.audit", dpdk_hotplug_audit_fail=True)
    assert "3 hosts: 3 as asked for" in audit[0].text


def test_a_host_with_nothing_to_do_is_one_task(fleet: Three) -> None:
    played = fleet.done("dpdk.hotplug.converge")
    assert [(one.ok, one.changed) for one in played] == [(1, 0)] * 3, played[0].text
    assert played[0].text.count("PLAY [") == 3, "one batch after the other"


# A change goes wrong at the second host


def _killed(guest: Bed) -> Callable[[], object]:
    """The application ends in the middle of the change."""
    guest.shell(
        f"""
        pid=$(systemctl show -P MainPID {UNIT})
        setsid sh -c 'until grep -qs net_null7 /run/dpdk-hotplug/*/record.json; do sleep 0.02; done;
            pkill -KILL -P '$pid' -f dpdk-testpmd' >/dev/null 2>&1 </dev/null &
        """
    )
    return lambda: None


def _drain_fails(guest: Bed) -> Callable[[], object]:
    guest.run("touch", "/run/drain-fails")
    return lambda: guest.run("rm", "/run/drain-fails")


DRAIN = ["sh", "-c", "test ! -e /run/drain-fails"]
CHANGES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "killed": (_killed, apps(MORE), "ended in the middle of it"),
    "drain": (_drain_fails, apps(PORTS[:1], drain=DRAIN), "command for drain"),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_a_change_that_goes_wrong_at_the_second_host_stops_there_and_is_put_back(fleet: Three, fault: str) -> None:
    inject, change, said = CHANGES[fault]
    second = fleet.guests[1]
    before = state(fleet)
    forget = inject(second)
    try:
        played = fleet.run("dpdk.hotplug.converge", **change)
    finally:
        forget()
    text = played[0].text
    assert [(one.failed, one.changed) for one in played] == [(0, 1), (1, 0)], text
    assert said in " ".join(text.split()), text
    # The service starts the application anew, and the reconciler attaches what it had before the change.
    second.until(lambda: fleet.ports(second) == before[1][0], "the second host to be as it was")
    after = state(fleet)
    assert after[1:] == before[1:]
    assert after[0] != before[0]
    fleet.done("dpdk.hotplug.converge")
    assert state(fleet) == before


def plug(guest: Bed, mac: str = "") -> None:
    mac = mac or f"52:54:00:99:00:0{guest.machine.name[-1]}"
    with contextlib.closing(guest.machine.qmp()) as qmp:
        qmp.call("device_add", driver="e1000e", id="new", bus=CARDS.ports[0], mac=mac, romfile="")
    guest.until(lambda: guest.driver(NEW) == "e1000e" and guest.netdev(NEW), "the plugged card")


def pull(guest: Bed) -> None:
    with contextlib.closing(guest.machine.qmp()) as qmp:
        qmp.call("device_del", id="new")
        qmp.wait("DEVICE_DELETED", device="new")


def there(guest: Bed, path: str = f"/sys/bus/pci/devices/{NEW}") -> bool:
    return guest.run("test", "-e", path, check=False).returncode == 0


def test_a_card_that_is_pulled_out_of_the_second_host_stops_the_change_there(fleet: Three) -> None:
    """A port is drained, the new card is bound; while the second host drains, its card is pulled out."""
    _first, second, _third = fleet.guests
    before = state(fleet)
    gone = f"while [ -e /sys/bus/pci/devices/{NEW} ]; do sleep 0.1; done"
    wait = f"[ ! -e /run/pull ] || {{ touch /run/pulling; {gone}; }}"
    change = apps([PORTS[0], {"device": NEW, "started": True}], drain=["sh", "-c", wait])
    change["dpdk_hotplug_devices"] = [*DOCUMENT["dpdk_hotplug_devices"], {"device": NEW, "driver": "vfio-pci"}]
    # No one is on the wire of the new card.
    change["dpdk_hotplug_health"] = {"started": True, "link": True}
    for guest in fleet.guests:
        plug(guest)
    try:
        second.run("touch", "/run/pull")
        with fleet.started("dpdk.hotplug.converge", **change) as play:
            second.until(lambda: there(second, "/run/pulling"), "the drain", 300)
            pull(second)
            text, _none = play.communicate(timeout=600)
        assert "guest3" not in text.rpartition("PLAY RECAP")[2], text
        assert NEW in text and "guest2" in text.rpartition("PLAY RECAP")[2]
        second.until(lambda: fleet.ports(second) == BOTH, "the second host to be as it was")
        assert state(fleet)[1:] == before[1:]
        assert fleet.ports(fleet.guests[0]) == {FIRST: True, NEW: True}
    finally:
        second.run("rm", "-f", "/run/pull", "/run/pulling")
        back = [*DOCUMENT["dpdk_hotplug_devices"], {"device": NEW, "driver": "kernel", "persistent": False}]
        fleet.done("dpdk.hotplug.converge", "--limit", "guest1", dpdk_hotplug_devices=back)
        for guest in (fleet.guests[0], fleet.guests[2]):
            pull(guest)
    assert state(fleet) == before


# The controller


def test_a_change_whose_controller_is_killed_half_way_is_finished_by_the_next_run(fleet: Three) -> None:
    first, _second, third = fleet.guests
    before = state(fleet)
    with fleet.started("dpdk.hotplug.converge", **apps(MORE)) as play:
        first.until(lambda: "net_null7" in fleet.ports(first), "the first host", 300)
        play.kill()
    assert "net_null7" not in fleet.ports(third)
    fleet.done("dpdk.hotplug.converge", **apps(MORE))
    assert [set(fleet.ports(guest)) for guest in fleet.guests] == [{*BOTH, "net_null7"}] * 3
    fleet.done("dpdk.hotplug.converge")
    assert state(fleet) == before


# Maintenance


def test_a_host_is_evacuated_stays_so_and_is_restored(fleet: Three) -> None:
    _first, second, _third = fleet.guests
    before = state(fleet)
    checked = fleet.run("dpdk.hotplug.evacuate", "--check", "--limit", "guest2")
    assert checked[0].changed == 1
    assert state(fleet) == before
    fleet.run("dpdk.hotplug.evacuate", "--limit", "guest2")
    assert fleet.ports(second) == {}
    assert fleet.run("dpdk.hotplug.evacuate", "--limit", "guest2")[0].changed == 0
    passed = fleet.done("dpdk.hotplug.converge")
    assert [one.changed for one in passed] == [0, 0, 0], passed[0].text
    assert "dpdk.hotplug.restore" in passed[0].text
    second.run("systemctl", "restart", UNIT)
    time.sleep(5)
    assert fleet.ports(second) == {}, "an application that is started anew has them again, and nobody asked for that"
    restored = fleet.run("dpdk.hotplug.restore", "--limit", "guest2")
    assert (restored[0].failed, restored[0].changed) == (0, 1), restored[0].text
    fleet.forwards(second)
    assert fleet.run("dpdk.hotplug.restore", "--limit", "guest2")[0].changed == 0
    assert state(fleet) == before


def test_a_card_is_replaced_by_another_one_in_the_same_slot(fleet: Three) -> None:
    first = fleet.guests[0]
    devices = [*DOCUMENT["dpdk_hotplug_devices"], {"device": NEW, "driver": "vfio-pci"}]
    change = {**apps([*PORTS, {"device": NEW, "started": True}]), "dpdk_hotplug_devices": devices}
    change["dpdk_hotplug_health"] = {"started": True, "link": True}
    plug(first)
    try:
        fleet.run("dpdk.hotplug.converge", "--limit", "guest1", **change)
        assert fleet.ports(first) == {**BOTH, NEW: True}

        def swap() -> None:
            first.until(lambda: not there(first), "the old card to go", 300)
            first.until(lambda: "new" not in first.plugged(), "the slot to be empty")
            time.sleep(30)  # a person is slower than the task that sees that the old one has gone
            plug(first, OTHER)

        person = threading.Thread(target=swap)
        person.start()
        options = {"dpdk_hotplug_device": NEW, "dpdk_hotplug_wait": 300}
        played = fleet.run("dpdk.hotplug.replace_nic", "--limit", "guest1", **options)
        person.join()
        assert played[0].failed == 0, played[0].text
        assert fleet.ports(first) == {**BOTH, NEW: True}
        (port,) = [one for name, one in first.inside("ports", socket=SOCKET).items() if name == NEW]
        assert port["mac_addr"].lower() == OTHER
        again = fleet.run("dpdk.hotplug.converge", "--limit", "guest1", **change)
        assert again[0].changed == 0, again[0].text
    finally:
        back = [*DOCUMENT["dpdk_hotplug_devices"], {"device": NEW, "driver": "kernel", "persistent": False}]
        fleet.run("dpdk.hotplug.converge", "--limit", "guest1", dpdk_hotplug_devices=back)
        pull(first)
    assert fleet.ports(first) == BOTH


# By themselves


def test_an_application_that_is_started_anew_has_its_ports_again(fleet: Three, record_property: Any) -> None:
    first = fleet.guests[0]
    first.run("systemctl", "restart", UNIT)
    begin = time.monotonic()
    first.until(lambda: fleet.ports(first) == BOTH, "its ports")
    record_property("seconds_to_ports", round(time.monotonic() - begin, 1))
    fleet.forwards(first)


def test_a_host_that_is_rebooted_forwards_by_itself(fleet: Three) -> None:
    third = fleet.guests[2]
    third.machine.reboot()
    third.until(lambda: fleet.ports(third) == BOTH, "its ports", 240)
    fleet.forwards(third)
    assert [one.changed for one in fleet.done("dpdk.hotplug.site", "--limit", "guest3")] == [0]
