# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards come and go while applications run (row 14), and slots are switched by dpdk_slot.

100 times under load in `make soak`; DPDK_HOTPLUG_SOAK_SEED repeats a run.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bed import CARDS, PACKAGE, Bed, Pmd
from releases import count

NEW = "0000:06:00.0"  # behind CARDS.ports[0]
MAC = "52:54:00:99:00:01"
FIRST = CARDS.e1000e[0]


def plug(guest: Bed, **more: str) -> None:
    with contextlib.closing(guest.machine.qmp()) as qmp:
        qmp.call("device_add", driver="e1000e", id="new", bus=CARDS.ports[0], mac=MAC, romfile="", **more)
    guest.until(lambda: guest.driver(NEW) == "e1000e" and guest.netdev(NEW), "the plugged card")


@pytest.fixture
def plugged(guest: Bed) -> Iterator[Bed]:
    """A guest with one card more, which its kernel drives."""
    plug(guest)
    yield guest


def pull(guest: Bed, *, wait: bool = True) -> None:
    """Take the card out: QEMU asks the guest to let go of it, and it is gone when that has."""
    with contextlib.closing(guest.machine.qmp()) as qmp:
        qmp.call("device_del", id="new")
        if wait:
            qmp.wait("DEVICE_DELETED", device="new")
    if wait:
        guest.until(lambda: not there(guest), "the card to vanish")


def there(guest: Bed) -> bool:
    return guest.run("test", "-e", f"/sys/bus/pci/devices/{NEW}", check=False).returncode == 0


def bind(driver: str, card: str = NEW) -> dict[str, Any]:
    return {"devices": [{"device": card, "driver": driver}]}


def port(state: str, card: str = NEW, **more: Any) -> dict[str, Any]:
    entry = {"device": card, "state": state}
    return {"apps": [{"app": "web", "adapter": "multiprocess", "channel": "ipc", "ports": [entry], **more}]}


# Cards come and go


def test_a_plugged_card_is_found_bound_and_attached_by_one_document(plugged: Bed) -> None:
    pmd = plugged.testpmd()
    document = {"devices": [{"select": {"mac": MAC}, "driver": "vfio-pci"}], **port("present")}
    assert plugged.converge(document)["changed"]
    assert list(pmd.ports()) == [NEW]
    assert not plugged.converge(document)["changed"]


def test_a_card_that_shall_go_while_an_application_has_it_goes_when_that_lets_go(plugged: Bed) -> None:
    """The kernel waits for the application; our detach is what ends that, and nothing else is touched."""
    pmd = plugged.testpmd()
    plugged.converge({"devices": [bind("vfio-pci")["devices"][0], bind("vfio-pci", FIRST)["devices"][0]]})
    plugged.converge({"apps": [{**port("present")["apps"][0], "ports": [{"device": NEW}, {"device": FIRST}]}]})
    pull(plugged, wait=False)
    assert there(plugged) and set(pmd.ports()) == {NEW, FIRST}
    plugged.converge(port("absent"))
    plugged.until(lambda: not there(plugged), "the card to vanish")
    assert pmd.alive and list(pmd.ports()) == [FIRST]
    assert not plugged.converge(port("absent"))["changed"]
    error = plugged.refused({**bind("vfio-pci"), **port("present")})
    assert error["reason"] == "no_device" and NEW in error["message"], error
    assert list(pmd.ports()) == [FIRST]
    plug(plugged)
    assert plugged.converge({**bind("vfio-pci"), **port("present")})["changed"]
    assert set(pmd.ports()) == {NEW, FIRST}


def test_a_card_that_goes_while_it_is_given_back_is_told_and_its_port_is_detached(plugged: Bed) -> None:
    """One document detaches it and gives it to the kernel; in between the kernel takes it off the bus."""
    pmd = plugged.testpmd()
    plugged.converge({**bind("vfio-pci"), **port("present")})
    pull(plugged, wait=False)
    error = plugged.refused({**bind("kernel"), **port("absent")})
    assert error["reason"] in ("removed_underneath", "no_device"), error
    assert NEW in error["message"] and error["way_out"], error
    plugged.until(lambda: not there(plugged), "the card to vanish")
    assert pmd.alive
    assert not pmd.ports()
    assert not plugged.converge(bind("kernel", FIRST))["changed"], "nothing is left to repair"


def waits(guest: Bed) -> int:
    """How many times the kernel has asked an application to let go of the card. Source: vfio_pci_core_request."""
    return guest.run("dmesg").stdout.count(f"{NEW}: Relaying device request to user")


def test_a_card_that_the_kernel_waits_for_hinders_no_run_and_goes_with_its_port(plugged: Bed) -> None:
    """The kernel holds the card's lock until the application lets go, and does not tell its driver_override before."""
    pmd = plugged.testpmd()
    plugged.converge({**bind("vfio-pci"), **port("present")})
    before = waits(plugged)
    pull(plugged, wait=False)
    plugged.until(lambda: waits(plugged) > before, "the kernel to wait for the application")
    begin = time.monotonic()
    found = plugged.devices()
    looked = time.monotonic()
    assert NEW in found and found[FIRST]["driver"] == "e1000e"
    assert plugged.converge(bind("vfio-pci", FIRST))["changed"]
    print(f"looked in {looked - begin:.1f} s, bound in {time.monotonic() - looked:.1f} s")
    assert time.monotonic() - begin < 30
    assert there(plugged) and list(pmd.ports()) == [NEW]
    plugged.converge(port("absent"))
    plugged.until(lambda: not there(plugged), "the card to vanish")
    assert pmd.alive and not pmd.ports()
    assert NEW not in plugged.devices()
    assert not plugged.converge(bind("vfio-pci", FIRST))["changed"], "nothing is left to repair"


@pytest.mark.parametrize("step", ["driver_override", "unbind", "drivers_probe"])
def test_a_card_that_is_pulled_out_in_the_middle_of_a_bind_is_told(plugged: Bed, step: str) -> None:
    """The run stops before or after a write until the card is gone."""
    code = f"""
        import os, time
        from {PACKAGE}._errors import HotplugError
        from {PACKAGE}._host import writes
        from {PACKAGE}._state import engine
        real = writes.Writer.write
        def write(self, path, text):
            real(self, path, text)
            if path.endswith(given["step"]):
                open("/run/gate", "w").close()
                while os.path.exists("/sys/bus/pci/devices/" + given["card"]):
                    time.sleep(0.05)
        writes.Writer.write = write
        try:
            answer = engine.converge(given["document"])
        except HotplugError as error:
            answer = error.result()["error"]
        os.unlink("/run/gate")
    """
    given = {"step": step, "card": NEW, "document": bind("vfio-pci")}
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(plugged.python, code, given)
        plugged.until(lambda: plugged.run("test", "-e", "/run/gate", check=False).returncode == 0, "the gate")
        pull(plugged)
        error = run.result()
    assert error["reason"] == "removed_underneath", error
    assert NEW in error["message"] and error["way_out"], error
    assert plugged.refused(bind("vfio-pci"))["reason"] == "no_device"
    assert not plugged.converge(bind("kernel", FIRST))["changed"], "nothing is left to repair"
    plug(plugged)
    assert plugged.converge(bind("vfio-pci"))["changed"]
    assert plugged.driver(NEW) == "vfio-pci"


# Under load


def moving(pmd: Pmd, *cards: str) -> None:
    """Each of the cards sends packets, and gets those that another has sent: there is nobody else on the wire."""
    names = ("opackets", "ipackets") if len(cards) > 1 else ("opackets",)

    def counted() -> list[int]:
        found = pmd.ports()
        return [found[card]["stats"][name] for card in cards for name in names]

    before = counted()
    pmd.bed.until(lambda: all(now > was for now, was in zip(counted(), before)), "packets")


def started(*cards: str, **more: Any) -> dict[str, Any]:
    ports = [{"device": one, "started": True} for one in cards]
    return {"apps": [{"app": "web", "adapter": "testpmd", "ports": [*ports, *more.get("others", ())]}]}


@pytest.mark.parametrize("lets_go", ["application", "run"])
def test_a_card_is_pulled_out_again_and_again_while_packets_move(guest: Bed, lets_go: str) -> None:
    """The application lets go of it by itself (--hot-plug) while a run may be at it, or a run has it let go.

    The other card goes on, the next run has nothing to do, and with another card there all is as before.
    """
    seed = int(os.environ.get("DPDK_HOTPLUG_SOAK_SEED") or random.randrange(1 << 32))
    print(f"DPDK_HOTPLUG_SOAK_SEED={seed}")
    chance = random.Random(seed)
    pmd = guest.served(options=["--hot-plug"] if lets_go == "application" else [])
    guest.converge({**bind("vfio-pci", FIRST), **started(FIRST)})
    guest.console("set fwd flowgen", "start")
    absent = {"device": NEW, "state": "absent"}
    for number in range(count(50)):
        plug(guest, netdev=CARDS.wire)
        guest.converge({**bind("vfio-pci"), **started(FIRST, NEW)})
        moving(pmd, FIRST, NEW)
        gone = started(FIRST, others=[absent])
        asked = gone if lets_go == "run" or chance.random() < 0.5 else {**bind("kernel"), **gone}
        late = chance.uniform(0, 1.0)

        def run(late: float, asked: dict[str, Any]) -> dict[str, Any]:
            time.sleep(late)
            return guest.request({"converge": asked})

        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(run, late, asked)
            pull(guest, wait=False)
        said = answer.result()
        reason = said["error"]["reason"] if said.get("failed") else ""
        print(f"pulled out {number + 1} times; after {late:.2f} s: {reason or said['changed']}", flush=True)
        assert not reason or lets_go == "application", said
        assert reason in ("", "removed_underneath", "no_device") and (not reason or NEW in said["error"]["message"])
        guest.until(lambda: not there(guest), "the card to vanish")
        guest.until(lambda: list(pmd.ports()) == [FIRST], "its port to go")
        assert pmd.alive and guest.driver(FIRST) == "vfio-pci"
        moving(pmd, FIRST)
        assert not guest.converge(gone)["changed"]
        assert guest.run("ls", "/run/dpdk-hotplug/host").stdout.split() == ["lock"], "nothing is left to repair"


# Slots


def slot_of(guest: Bed, address: str) -> str:
    """The name of the slot with power that a card is in."""
    listed = guest.slots()["slots"]
    (name,) = [one["slot"] for one in listed if address in one["devices"] and one["power"] is not None]
    return str(name)


def test_a_card_leaves_the_bus_and_comes_back_only_when_nothing_drives_it(plugged: Bed) -> None:
    away, back = {"device": NEW, "state": "absent"}, {"device": NEW, "state": "present"}
    error = plugged.slots(away)["error"]
    assert error["reason"] == "driver_holds" and "e1000e" in error["message"], error
    assert plugged.driver(NEW) == "e1000e"
    plugged.converge(bind("none"))
    assert plugged.slots(away, check=True)["changed"] and there(plugged)
    assert plugged.slots(away)["changed"] and not there(plugged)
    assert not plugged.slots(away)["changed"]
    assert plugged.slots(back)["changed"] and there(plugged)
    assert not plugged.slots(back)["changed"]
    plugged.until(lambda: plugged.driver(NEW) == "e1000e", "its driver, as at any boot")


def test_a_slot_is_switched_only_when_nothing_drives_what_is_in_it(plugged: Bed) -> None:
    name = slot_of(plugged, NEW)
    off, on = {"slot": name, "state": "off"}, {"slot": name, "state": "on"}
    assert not plugged.slots(on)["changed"]
    error = plugged.slots(off)["error"]
    assert error["reason"] == "driver_holds" and NEW in error["message"], error
    assert there(plugged)
    plugged.converge(bind("none"))
    assert plugged.slots(off, check=True)["changed"] and there(plugged)
    assert plugged.slots(off)["changed"] and not there(plugged)
    # What is off is gone for this machine: QEMU takes such a card out.
    assert not plugged.slots(off)["changed"]


def test_a_slot_is_not_switched_while_an_application_has_its_card(plugged: Bed) -> None:
    pmd: Pmd = plugged.testpmd()
    plugged.converge({**bind("vfio-pci"), **port("present")})
    name = slot_of(plugged, NEW)
    for entry in ({"slot": name, "state": "off"}, {"device": NEW, "state": "absent"}):
        error = plugged.slots(entry)["error"]
        assert error["reason"] == "driver_holds" and "vfio-pci" in error["message"], error
        assert "dpdk_port" in error["way_out"]
    assert pmd.alive and list(pmd.ports()) == [NEW] and there(plugged)


def test_a_slot_that_is_not_there_or_has_no_switch_is_refused_with_those_there_are(guest: Bed) -> None:
    listed = guest.slots()["slots"]
    error = guest.slots({"slot": "nowhere", "state": "off"})["error"]
    assert error["reason"] == "no_slot_power", error
    switchable = [one["slot"] for one in listed if one["power"] is not None]
    assert switchable and all(name in error["way_out"] for name in switchable), error
