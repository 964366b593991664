# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that cannot be loaded, a kernel that is locked down, and writes that the kernel does not answer (row 17)."""

from __future__ import annotations

from typing import Any

import pytest
from bed import CARDS, PACKAGE, Bed

CARD, OTHER = CARDS.e1000e
_PLACE = "/etc/modprobe.d/fleet-test.conf"


def bind(driver: str, card: str = CARD) -> dict[str, Any]:
    return {"devices": [{"device": card, "driver": driver}]}


def untouched(guest: Bed) -> None:
    assert guest.driver(CARD) == "e1000e"
    assert guest.read(f"/sys/bus/pci/devices/{CARD}/driver_override") == "(null)"
    assert guest.run("ls", "/run/dpdk-hotplug/host").stdout.split() == ["lock"], "no journal is left"


# Modules


@pytest.mark.parametrize("driver", ["vfio-pci", "uio_pci_generic"])
@pytest.mark.parametrize("line", ["blacklist {}", "install {} /bin/false"])
def test_a_module_that_modprobe_must_not_load_is_told_and_nothing_is_changed(
    guest: Bed, driver: str, line: str
) -> None:
    module = driver.replace("-", "_")
    guest.run("modprobe", "-r", module)
    guest.machine.write(_PLACE, line.format(module) + "\n")
    for check in (True, False):
        error = guest.refused(bind(driver), check=check)
        assert error["reason"] == "module_blocked", error
        assert driver in error["message"] and error["way_out"], error
    untouched(guest)
    guest.run("rm", _PLACE)
    assert guest.converge(bind(driver))["changed"]


def test_a_module_that_is_not_there_is_told_and_nothing_is_changed(guest: Bed) -> None:
    for driver in ("igb_uio", "nosuch_driver"):
        error = guest.refused(bind(driver))
        assert error["reason"] == "driver_missing" and driver in error["message"], error
        untouched(guest)
    assert "dpdk-kmods" in guest.refused(bind("igb_uio"))["way_out"]


def test_a_broken_configuration_of_modprobe_keeps_no_module_from_its_work(guest: Bed) -> None:
    guest.run("modprobe", "-r", "uio_pci_generic")
    guest.machine.write(_PLACE, "this is no command\noptions\n")
    assert guest.converge(bind("uio_pci_generic"))["changed"]
    assert guest.driver(CARD) == "uio_pci_generic"


def test_a_module_that_is_not_signed_is_refused_on_a_kernel_that_is_locked_down(guest: Bed) -> None:
    """As with Secure Boot; only another boot ends that."""
    guest.run("modprobe", "-r", "uio_pci_generic")
    guest.python(
        """
        import lzma, os, subprocess
        path = subprocess.run(["modinfo", "-n", "uio_pci_generic"], capture_output=True, text=True).stdout.strip()
        data = open(path, "rb").read()
        data = lzma.decompress(data) if path.endswith(".xz") else data
        end = b"~Module signature appended~\\n"
        assert data.endswith(end)
        length = int.from_bytes(data[-len(end) - 4 : -len(end)], "big")
        data = data[: -len(end) - 12 - length]
        os.makedirs(f"/lib/modules/{os.uname().release}/updates", exist_ok=True)
        with open(f"/lib/modules/{os.uname().release}/updates/uio_pci_generic.ko", "wb") as file:
            file.write(data)
        subprocess.run(["depmod"], check=True)
        with open("/sys/kernel/security/lockdown", "w") as file:
            file.write("integrity")
        """
    )
    try:
        error = guest.refused(bind("uio_pci_generic"))
        assert error["reason"] == "module_blocked", error
        assert "locked down: integrity" in error["message"] and "Sign" in error["way_out"], error
        untouched(guest)
        assert guest.converge(bind("vfio-pci"))["changed"], "what is signed works"
    finally:
        guest.renew()


# The kernel does not answer


def test_a_card_that_an_application_has_is_refused_with_its_name_and_pid(guest: Bed) -> None:
    guest.converge(bind("vfio-pci"))
    pmd = guest.testpmd(allow=[CARD])
    guest.run("kill", "-STOP", str(pmd.pid))
    for driver in ("kernel", "none", "uio_pci_generic"):
        error = guest.refused(bind(driver))
        assert error["reason"] == "in_use", error
        assert "dpdk-testpmd" in error["message"] and str(pmd.pid) in error["message"], error
    assert guest.driver(CARD) == "vfio-pci"
    guest.run("kill", "-CONT", str(pmd.pid))
    assert list(pmd.ports()) == [CARD]


# A run as if nobody had the card, with less patience.
_CARELESS = f"""
    from {PACKAGE}._errors import HotplugError
    from {PACKAGE}._host import holders, writes
    from {PACKAGE}._state import engine, host_acts
    holders.holders = lambda *_given: {{}}
    real = writes.Writer.__init__
    writes.Writer.__init__ = lambda self, system: real(self, system, limit=3.0)
    try:
        answer = engine.converge(given)
    except HotplugError as error:
        answer = error.result()["error"]
"""


def test_a_write_that_the_kernel_does_not_answer_is_left_and_told_until_it_is_answered(guest: Bed) -> None:
    """An unbind waits for whoever has the card. The run ends all the same; the next ones refuse; then all is well."""
    guest.converge(bind("vfio-pci"))
    pmd = guest.testpmd(allow=[CARD])
    guest.run("kill", "-STOP", str(pmd.pid))
    error = guest.python(_CARELESS, bind("kernel"))
    assert error["reason"] == "kernel_stuck", error
    assert f"{CARD}/driver/unbind" in error["message"] and error["way_out"], error
    for document in (bind("kernel"), bind("kernel", OTHER)):
        again = guest.refused(document)
        assert again["reason"] == "kernel_stuck", again
        assert str(error["pid"]) in again["message"] and CARD in again["message"], again
    guest.run("kill", "-KILL", str(pmd.pid))
    # The card has lost its driver a moment before the write is answered.
    gone = ("test", "!", "-e", f"/proc/{error['pid']}")
    guest.until(lambda: guest.run(*gone, check=False).returncode == 0, "the kernel to get on")
    assert guest.converge(bind("kernel", OTHER))["changed"], "the card is repaired"
    assert guest.driver(CARD) == "vfio-pci"
    assert guest.converge(bind("kernel"))["changed"]
    assert guest.driver(CARD) == "e1000e"
    assert not guest.converge(bind("kernel"))["changed"]
