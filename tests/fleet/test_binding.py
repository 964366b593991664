# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices change their drivers: real PCI devices, behind a real IOMMU and without one."""

from __future__ import annotations

from pathlib import Path

from bed import CARDS, Bed

from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, Kernel, Tree

FIRST, SECOND = CARDS.e1000e
PF = CARDS.igb[0]
BOOT = "/etc/dpdk-hotplug/host.json"
UNIT = "dpdk-hotplug-host.service"


def entry(device: str, driver: str, **more: object) -> dict[str, object]:
    return {"device": device, "driver": driver, **more}


def test_a_card_goes_to_vfio_and_back_and_nothing_is_done_twice(guest: Bed) -> None:
    netdev = guest.netdev(FIRST)
    there, back = ({"devices": [entry(FIRST, driver)]} for driver in ("vfio-pci", "kernel"))
    for document, before, after in ((there, "e1000e", "vfio-pci"), (back, "vfio-pci", "e1000e")):
        foreseen = guest.converge(document, check=True)
        assert guest.driver(FIRST) == before
        done = guest.converge(document)
        assert guest.driver(FIRST) == after
        again = guest.converge(document)
        assert (foreseen["changed"], done["changed"], again["changed"]) == (True, True, False)
        assert foreseen["host"]["actions"] == done["host"]["actions"]
        assert foreseen["host"]["diff"] == done["host"]["diff"]
        assert done["host"]["diff"] == {
            "before": {"devices": {FIRST: {"driver": before}}},
            "after": {"devices": {FIRST: {"driver": after}}},
        }
        assert again["host"]["diff"] == {"before": {}, "after": {}}
    # By its own name, which udev gives it only after the driver has made it.
    assert [one["netdevs"] for one in done["host"]["devices"]] == [[netdev]]
    assert guest.read(f"/sys/bus/pci/devices/{FIRST}/driver_override") == "(null)"


def test_cards_and_vfs_are_bound_in_one_document(guest: Bed) -> None:
    document = {
        "devices": [
            entry(FIRST, "vfio-pci"),
            {"device": PF, "vfs": {"count": 2, "driver": "vfio-pci"}},
            {"select": {"netdev": guest.netdev(SECOND)}, "driver": "vfio-pci"},
        ]
    }
    foreseen = guest.converge(document, check=True)["host"]
    done = guest.converge(document)["host"]
    assert foreseen["actions"] == done["actions"]
    vfs = guest.devices(device=[PF])[PF]["vfs"]
    bound = [FIRST, SECOND, *vfs]
    assert len(vfs) == 2 and guest.driver(*bound) == dict.fromkeys(bound, "vfio-pci")
    seen = guest.devices(device=bound)
    assert [(seen[one]["pf"], seen[one]["vf_index"]) for one in vfs] == [(PF, 0), (PF, 1)]
    assert len({seen[one]["iommu_group"] for one in bound}) == len(bound), "the guest's IOMMU isolates each"
    for one in bound:
        guest.run("test", "-c", f"/dev/vfio/{seen[one]['iommu_group']}")
    assert not guest.converge(document)["changed"]
    back = [entry(one, "kernel") for one in bound]
    assert guest.converge({"devices": back})["changed"]
    assert guest.driver(*bound) == {FIRST: "e1000e", SECOND: "e1000e", vfs[0]: "igbvf", vfs[1]: "igbvf"}
    assert not guest.converge({"devices": back})["changed"]


def test_a_card_is_found_by_what_its_netdev_was(guest: Bed) -> None:
    netdev = guest.netdev(FIRST)
    mac = guest.read(f"/sys/class/net/{netdev}/address")
    guest.converge({"devices": [{"select": {"mac": mac.upper()}, "driver": "vfio-pci"}]})
    assert guest.driver(FIRST) == "vfio-pci" and not guest.netdev(FIRST)
    for selector in ({"mac": mac}, {"netdev": netdev}, {"id_path": f"pci-{FIRST}"}):
        answer = guest.converge({"devices": [{"select": selector, "driver": "vfio-pci"}]})
        assert not answer["changed"]
        assert [one["address"] for one in answer["host"]["devices"]] == [FIRST]
    guest.converge({"devices": [{"select": {"netdev": netdev}, "driver": "kernel"}]})
    # At once again, before anybody else may have seen that it was there.
    guest.converge({"devices": [entry(FIRST, "vfio-pci")]})
    guest.converge({"devices": [{"select": {"netdev": netdev}, "driver": "kernel"}]})
    assert guest.netdev(FIRST) == netdev


def test_a_selector_that_fits_too_many_or_none_lists_the_candidates(guest: Bed) -> None:
    several = guest.refused({"devices": [{"select": {"vendor": "8086", "device": "10d3"}, "driver": "vfio-pci"}]})
    assert several["reason"] == "wrong_count"
    assert all(one in several["message"] for one in (FIRST, SECOND, CARDS.second))
    none = guest.refused({"devices": [{"select": {"mac": "02:00:00:00:00:99"}, "driver": "vfio-pci"}]})
    assert none["reason"] == "no_match"
    assert all(f"{one} (" in none["way_out"] for one in (FIRST, PF, CARDS.management))
    absent = guest.refused({"devices": [entry("0000:1f:00.0", "vfio-pci")]})
    assert absent["reason"] == "no_device" and "0000:1f:00.0" in absent["message"]
    assert guest.driver(FIRST, SECOND) == {FIRST: "e1000e", SECOND: "e1000e"}


def test_uio_takes_a_card(guest: Bed) -> None:
    assert guest.converge({"devices": [entry(FIRST, "uio_pci_generic")]})["changed"]
    assert guest.driver(FIRST) == "uio_pci_generic"
    assert not guest.converge({"devices": [entry(FIRST, "uio_pci_generic")]})["changed"]
    guest.converge({"devices": [entry(FIRST, "vfio-pci")]})
    guest.converge({"devices": [entry(FIRST, "kernel")]})
    assert guest.driver(FIRST) == "e1000e"


def test_a_driver_that_cannot_be_had_is_refused_before_anything_is_done(guest: Bed) -> None:
    documents = [entry(FIRST, "vfio-pci"), entry(SECOND, "igb_uio")]
    error = guest.refused({"devices": documents})
    assert error["reason"] == "driver_missing" and error["device"] == SECOND and "actions" not in error
    assert "dpdk-kmods" in error["way_out"]
    guest.run("dd", "of=/etc/modprobe.d/blocked.conf", input="blacklist uio_pci_generic\n")
    guest.run("modprobe", "-r", "uio_pci_generic")
    blocked = guest.refused({"devices": [entry(FIRST, "vfio-pci"), entry(SECOND, "uio_pci_generic")]})
    assert blocked["reason"] == "module_blocked" and "actions" not in blocked
    assert guest.driver(FIRST, SECOND) == {FIRST: "e1000e", SECOND: "e1000e"}


def test_a_driver_that_does_not_take_the_card_leaves_it_where_it_was(guest: Bed) -> None:
    netdev = guest.netdev(SECOND)
    error = guest.refused({"devices": [entry(FIRST, "vfio-pci"), entry(SECOND, "igb")]})
    assert error["reason"] == "bind_failed" and error["device"] == SECOND
    assert f"driver igb does not take device '{SECOND}'" in error["message"]
    assert [one["device"] for one in error["actions"]] == [FIRST] and len(error["undone"]) == 1
    assert not error["not_undone"]
    assert guest.driver(FIRST, SECOND) == {FIRST: "e1000e", SECOND: "e1000e"}
    assert guest.netdev(SECOND) == netdev
    for one in (FIRST, SECOND):
        assert guest.read(f"/sys/bus/pci/devices/{one}/driver_override") == "(null)"


def test_what_shall_persist_is_written_and_what_shall_not_leaves_no_trace(guest: Bed) -> None:
    device = entry(FIRST, "vfio-pci", persistent=True)
    assert not guest.converge({"devices": [entry(FIRST, "vfio-pci")]})["host"].get("boot")
    assert guest.run("test", "-e", BOOT, check=False).returncode
    foreseen = guest.converge({"devices": [device]}, check=True)
    assert foreseen["changed"] and guest.run("test", "-e", BOOT, check=False).returncode
    assert guest.converge({"devices": [device]})["changed"]
    assert not guest.converge({"devices": [device]})["changed"]
    assert FIRST in guest.read(BOOT)
    assert guest.run("systemctl", "is-enabled", UNIT).stdout.strip() == "enabled"
    gone = {"devices": [entry(FIRST, "kernel", persistent=False)]}
    assert guest.converge(gone)["changed"] and not guest.converge(gone)["changed"]
    left = guest.run("find", "/etc", "-path", "*dpdk-hotplug*").stdout
    assert guest.driver(FIRST) == "e1000e" and not left


# What is written where, one after the other.
_DEVICES, _DRIVERS = "/sys/bus/pci/devices", "/sys/bus/pci/drivers"
WRITES = [
    (f"{_DRIVERS}/vfio-pci/bind", FIRST),
    (f"{_DRIVERS}/e1000e/bind", FIRST),
    (f"{_DRIVERS}/igb/unbind", FIRST),
    (f"{_DRIVERS}/e1000e/unbind", FIRST),
    (f"{_DRIVERS}/e1000e/unbind", FIRST),
    (f"{_DEVICES}/{FIRST}/driver/unbind", FIRST),
    (f"{_DEVICES}/{FIRST}/driver_override", "vfio-pci\n"),
    (f"{_DRIVERS}/e1000e/bind", FIRST),
    ("/sys/bus/pci/drivers_probe", FIRST),
    ("/sys/bus/pci/drivers_probe", FIRST),
    ("/sys/bus/pci/drivers_probe", "0000:1f:00.0"),
    (f"{_DRIVERS}/vfio-pci/bind", FIRST),
    (f"{_DEVICES}/{FIRST}/driver_override", "\n"),
    (f"{_DEVICES}/{FIRST}/driver/unbind", FIRST),
    (f"{_DRIVERS}/igb/bind", FIRST),
    (f"{_DRIVERS}/nothing/bind", FIRST),
    (f"{_DRIVERS}/e1000e/bind", FIRST),
    (f"{_DEVICES}/{FIRST}/sriov_numvfs", "1"),
    (f"{_DEVICES}/{PF}/sriov_numvfs", "8"),
    (f"{_DEVICES}/{PF}/sriov_numvfs", "x"),
    (f"{_DEVICES}/{PF}/sriov_drivers_autoprobe", "2"),
    (f"{_DEVICES}/{PF}/sriov_drivers_autoprobe", "0"),
    (f"{_DEVICES}/{PF}/sriov_numvfs", "2"),
    (f"{_DEVICES}/{PF}/sriov_numvfs", "2"),
    (f"{_DEVICES}/{PF}/sriov_numvfs", "3"),
    ("/sys/bus/pci/drivers_probe", "0000:03:10.0"),
    (f"{_DEVICES}/0000:03:10.2/driver_override", "vfio-pci\n"),
    ("/sys/bus/pci/drivers_probe", "0000:03:10.2"),
    (f"{_DEVICES}/{PF}/sriov_drivers_autoprobe", "1"),
    ("/sys/bus/pci/drivers_probe", "0000:03:10.0"),
    (f"{_DEVICES}/0000:03:10.0/sriov_numvfs", "0"),
    (f"{_DRIVERS}/igb/unbind", PF),
    (f"{_DEVICES}/{PF}/sriov_numvfs", "1"),
    (f"{_DRIVERS}/igb/bind", PF),
    (f"{_DEVICES}/{PF}/sriov_numvfs", "1"),
    (f"{_DEVICES}/{PF}/sriov_numvfs", "0"),
    ("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "3"),
    ("/sys/devices/system/node/node7/hugepages/hugepages-2048kB/nr_hugepages", "3"),
    ("/proc/sys/vm/compact_memory", "1"),
]


def test_the_kernel_of_the_unit_tests_answers_as_the_real_one(guest: Bed, tmp_path: Path) -> None:
    guest.run("modprobe", "-a", "vfio-pci", "igbvf")
    real = guest.inside("write", writes=WRITES, look=[FIRST, PF, "0000:03:10.0", "0000:03:10.2"])
    tree = Tree(tmp_path)
    tree.add(Card(FIRST, driver="e1000e", group=1))
    tree.add(Card(PF, ids="8086:10c9", driver="igb", group=2, max_vfs=7))
    for name in ("nr", "free"):
        tree.write(f"/sys/devices/system/node/node0/hugepages/hugepages-2048kB/{name}_hugepages", "0\n")
    kernel = Kernel(tree)
    fake = []
    for path, text in WRITES:
        number = 0
        try:
            kernel.write(path, text)
        except OSError as exc:
            number = exc.errno or 5
        drivers = [tree.driver_of(one) if one in tree.cards else None for one in real[0][1]]
        fake.append([number, dict(zip(real[0][1], drivers))])
    pairs = zip(WRITES, fake, real)
    assert not [(*written, "fake", *ours, "real", *its) for written, ours, its in pairs if ours != its]


def test_without_an_iommu_there_is_no_vfio_and_uio_must_do(guest: Bed) -> None:
    guest.machine.kill()
    guest.machine.start("intel_iommu=off")
    guest.machine.wait()
    error = guest.refused({"devices": [entry(FIRST, "vfio-pci")]})
    assert error["reason"] == "no_iommu" and "intel_iommu=off" in error["way_out"] and "noiommu" in error["way_out"]
    assert guest.devices(device=[FIRST])[FIRST]["bindable"] is False
    # Debian's kernels are built without it, which is known before anything is changed.
    missing = guest.refused({"devices": [entry(FIRST, "vfio-pci", noiommu=True)]})
    assert missing["reason"] == "noiommu_missing" and "actions" not in missing
    assert "CONFIG_VFIO_NOIOMMU" in missing["message"] and "uio_pci_generic" in missing["way_out"]
    assert guest.driver(FIRST) == "e1000e"
    guest.converge({"devices": [entry(FIRST, "uio_pci_generic")]})
    pmd = guest.testpmd()
    guest.converge({"apps": [{"app": pmd.prefix, "ports": [{"device": FIRST}]}]})
    assert set(pmd.ports()) == {FIRST}
    held = guest.refused({"devices": [entry(FIRST, "kernel")]})
    assert held["reason"] == "in_use" and f"pid {pmd.pid}, /dev/uio" in held["message"]
