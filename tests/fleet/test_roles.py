# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks over ssh: the playbook host from a bare guest to a prepared one and back, and every module of the host."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import machines
import pytest
from bed import CARDS, COMMAND, HOME, Bed
from player import Player, listing

CARD, PF = CARDS.e1000e[0], CARDS.igb[0]
ACCESS = "intel_iommu=on iommu=pt"
REMAPPING = "iommu=pt intel_iommu=on"  # as the role has them
# What prepared hosts are asked to have, as an inventory has it.
WANTED = {
    "dpdk_hotplug_hugepages": {
        "pages": [{"size": "2M", "count": 16, "node": 0}],
        "mounts": [{"path": "/mnt/huge", "mode": "0770"}],
    },
    "dpdk_hotplug_devices": [
        {"device": CARD, "driver": "vfio-pci"},
        {"device": PF, "vfs": {"count": 2, "driver": "vfio-pci"}},
    ],
}


def _prepared(guest: Bed) -> None:
    """What WANTED asks for is so."""
    assert guest.driver(CARD) == "vfio-pci"
    vfs = [one for one in guest.devices().values() if one["pf"] == PF]
    assert [one["driver"] for one in vfs] == ["vfio-pci"] * 2
    pages = {(one["size"], one["node"]): one["count"] for one in guest.hugepages()["pages"]}
    assert pages["2M", 0] == 16
    mounts = {one["path"]: one["mode"] for one in guest.hugepages()["mounts"]}
    assert mounts["/mnt/huge"] == "0770"


def test_a_bare_host_is_prepared_stays_so_and_is_given_back_without_a_trace(guest: Bed, player: Player) -> None:
    guest.run("rm", "-r", HOME, COMMAND)
    bare = listing(guest)
    units = guest.shell("systemctl list-unit-files --no-legend | sort")

    looked = player.done("dpdk.hotplug.site", "--check", "--diff", **WANTED)
    assert looked.changed > 0
    assert "+            driver: vfio-pci" in looked.text
    assert (guest.driver(CARD), listing(guest) ^ bare) == ("e1000e", set())

    assert player.done("dpdk.hotplug.site", **WANTED).changed > 0
    _prepared(guest)
    again = player.done("dpdk.hotplug.site", **WANTED)
    assert again.changed == 0, again.text

    guest.machine.reboot()
    _prepared(guest)
    ready, network = (
        int(guest.run("systemctl", "show", "-P", f"{what}TimestampMonotonic", unit).stdout)
        for what, unit in (("ExecMainExit", "dpdk-hotplug-host.service"), ("ExecMainStart", "systemd-networkd.service"))
    )
    assert 0 < ready < network

    player.done("dpdk.hotplug.site", dpdk_hotplug_state="absent", **WANTED)
    assert guest.driver(CARD) == "e1000e"
    assert guest.read(f"/sys/bus/pci/devices/{PF}/sriov_numvfs") == "0"
    assert not listing(guest) ^ bare
    assert guest.shell("systemctl list-unit-files --no-legend | sort") == units
    gone = player.done("dpdk.hotplug.site", dpdk_hotplug_state="absent", **WANTED)
    assert gone.changed == 0, gone.text


@contextlib.contextmanager
def _booted_by_grub(guest: Bed) -> Iterator[None]:
    """While this lasts, a guest that reboots has the kernel arguments that its grub.cfg had when it was entered."""
    machine = guest.machine
    arguments = machine.grub_arguments()
    with contextlib.closing(machine.qmp()) as qmp:
        qmp.call("set-action", reboot="shutdown")
    over = threading.Event()

    def again() -> None:
        while not over.wait(0.1):
            if not machine.running:
                machine.start(arguments)
                return

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        machine.disconnect()


def test_the_kernel_argument_that_is_missing_is_named_and_set_with_consent(
    guest: Bed, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Debian's kernels have an IOMMU where they are not told otherwise.
    monkeypatch.setattr(machines, "_ARGUMENTS", machines._ARGUMENTS.replace(ACCESS, "intel_iommu=off"))
    guest.run("update-grub")  # a guest comes without what GRUB would read
    guest.machine.reboot(boot_loader=True)
    asked = {
        "dpdk_hotplug_devices": [{"device": CARD, "driver": "vfio-pci"}],
        "dpdk_hotplug_hugepages": {"pages": [{"size": "2M", "count": 8}], "boot": True},
    }
    try:
        refused = player.run("dpdk.hotplug.site", **asked)
        assert (refused.failed, guest.driver(CARD)) == (1, "e1000e")
        assert "Remove intel_iommu=off from the kernel's arguments" in " ".join(refused.text.split())
        assert "intel_iommu=on" not in guest.machine.grub_arguments()
        # Hugepages tell of it too, and do not fail.
        assert "this kernel was booted without them" in " ".join(refused.text.split())

        waits = player.run("dpdk.hotplug.site", dpdk_hotplug_kernel_args=True, **asked)
        assert waits.failed == 1
        assert "reboot the host, or set vfio_reboot" in " ".join(waits.text.split())
        assert REMAPPING in guest.machine.grub_arguments()
        assert "hugepagesz=2M hugepages=8" in guest.machine.grub_arguments()

        boot = guest.machine.boot_id()
        with _booted_by_grub(guest):
            consent = {"dpdk_hotplug_kernel_args": True, "dpdk_hotplug_reboot": True}
            player.done("dpdk.hotplug.site", **consent, **asked)
        assert guest.machine.boot_id() != boot
        assert guest.driver(CARD) == "vfio-pci"
        assert REMAPPING in guest.read("/proc/cmdline")
    finally:
        monkeypatch.undo()
        guest.renew()


MODULES = f"""
- dpdk.hotplug.dpdk_device_info:
    devices: ["{CARD}"]
  register: device_info
- dpdk.hotplug.dpdk_device: &device
    device: "{CARD}"
  check_mode: true
  diff: true
  register: device_check
- dpdk.hotplug.dpdk_device: *device
  register: device
- dpdk.hotplug.dpdk_device: *device
  register: device_again
- dpdk.hotplug.dpdk_device:
    device: "{CARDS.management}"
  ignore_errors: true
  register: management
- dpdk.hotplug.dpdk_sriov: &sriov
    devices:
      - device: "{PF}"
        count: 2
        vfs:
          - {{index: 1, mac: "02:00:00:00:00:11"}}
  register: sriov
- dpdk.hotplug.dpdk_sriov: *sriov
  register: sriov_again
- dpdk.hotplug.dpdk_hugepages: &hugepages
    pages:
      - {{size: 2M, count: 4, node: 1}}
  register: hugepages
- dpdk.hotplug.dpdk_hugepages: *hugepages
  register: hugepages_again
- dpdk.hotplug.dpdk_hugepages_info:
  register: hugepages_info
- dpdk.hotplug.dpdk_slot: &absent
    slots:
      - device: "{CARDS.e1000e[1]}"
        state: absent
  ignore_errors: true
  register: slot_held
- dpdk.hotplug.dpdk_device:
    device: "{CARDS.e1000e[1]}"
    driver: none
- dpdk.hotplug.dpdk_slot: *absent
  register: slot
- dpdk.hotplug.dpdk_slot: *absent
  register: slot_again
- dpdk.hotplug.dpdk_slot:
    slots:
      - device: "{CARDS.e1000e[1]}"
  register: slot_back
- dpdk.hotplug.dpdk_kernel_args: &arguments
    owner: tests
    arguments: [panic=10]
  register: arguments
- dpdk.hotplug.dpdk_kernel_args: *arguments
  register: arguments_again
- dpdk.hotplug.dpdk_kernel_args:
    owner: tests
    state: absent
  register: arguments_gone
- dpdk.hotplug.dpdk_host_info:
  register: host_info
"""


def test_every_module_of_the_host_does_what_it_says_over_ssh(guest: Bed, player: Player) -> None:
    found = player.tasks(MODULES)
    changed = {name: one["changed"] for name, one in found.items()}
    assert {name for name, one in changed.items() if one} == {
        *("device_check", "device", "sriov", "hugepages", "slot", "slot_back", "arguments", "arguments_gone"),
    }
    (card,) = found["device_info"]["devices"]
    assert (card["driver"], card["bindable"]) == ("e1000e", True)
    diff = found["device_check"]["diff"]
    assert [diff[side]["devices"][CARD]["driver"] for side in ("before", "after")] == ["e1000e", "vfio-pci"]
    assert found["device"]["devices"][0]["driver"] == "vfio-pci"
    assert found["management"]["error"]["reason"] == "active"
    assert found["slot_held"]["failed"]
    pf = next(one for one in found["sriov"]["devices"] if one["address"] == PF)
    assert (len(pf["vfs"]), pf["vf_settings"][1]["mac"]) == (2, "02:00:00:00:00:11")
    pages = {(one["size"], one["node"]): one["count"] for one in found["hugepages_info"]["pages"]}
    assert pages["2M", 1] == 4
    assert found["arguments"]["arguments"] == ["panic=10"]
    assert found["arguments"]["reboot_required"]
    drivers = {one["address"]: one["driver"] for one in found["host_info"]["devices"]}
    assert drivers[CARD] == "vfio-pci"
    assert CARDS.e1000e[1] in drivers
    assert "panic=10" not in guest.machine.grub_arguments()
