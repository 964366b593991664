# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binding: what is done, what is refused, and that a device is never left without a driver."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._host import binding, drivers
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.states import Binding
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, bind, with_vfs

NIC, OTHER, PF = "0000:01:00.0", "0000:02:00.0", "0000:10:00.0"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path, monkeypatch)
    one.tree.add(
        Card(NIC, driver="e1000e", group=1, netdev="eth1"),
        Card(OTHER, driver="vfio-pci", override="vfio-pci", group=2, netdev="eth2"),
        Card(PF, "8086:10c9", "igb", group=3, netdev="pf0", max_vfs=4, offset=1),
    )
    return one


def test_a_device_is_bound_and_a_second_run_leaves_it_alone(host: Host) -> None:
    result = host.converge({"device": NIC, "driver": "vfio-pci"})
    assert host.actions(result) == [("bind", NIC, "e1000e", "vfio-pci")]
    assert result["host"]["diff"] == {
        "before": {"devices": {NIC: {"driver": "e1000e"}}},
        "after": {"devices": {NIC: {"driver": "vfio-pci"}}},
    }
    (row,) = result["host"]["devices"]
    assert (row["driver"], row["override"], row["iommu_group"]) == ("vfio-pci", "vfio-pci", 1)
    host.kernel.writes.clear()
    assert not host.converge({"device": "01:00.0", "driver": "vfio-pci"})["changed"]
    assert host.kernel.writes == []


def test_nothing_else_can_take_a_device_between_two_drivers(host: Host) -> None:
    host.converge({"device": NIC, "driver": "vfio-pci"})
    words = [(path.rpartition("/")[2], text.strip()) for path, text in host.kernel.writes]
    assert words == [("driver_override", "vfio-pci"), ("unbind", NIC), ("drivers_probe", NIC)]


def test_kernel_gives_a_device_back_to_the_driver_that_it_had(host: Host) -> None:
    host.converge({"device": NIC, "driver": "uio_pci_generic"})
    result = host.converge({"device": NIC, "driver": "kernel"})
    assert host.actions(result) == [("bind", NIC, "uio_pci_generic", "e1000e")]
    assert host.tree.override_of(NIC) == ""


def test_none_unbinds(host: Host) -> None:
    assert host.actions(host.converge({"device": NIC, "driver": "none"})) == [("unbind", NIC, "e1000e", None)]
    assert host.driver(NIC) == ""
    assert not host.converge({"device": NIC, "driver": "none"})["changed"]


@pytest.mark.parametrize("wanted", ["vfio-pci", "uio_pci_generic"])
def test_a_driver_that_does_not_take_it_leaves_it_with_the_one_it_had(host: Host, wanted: str) -> None:
    host.kernel.probes_fail.add((wanted, NIC))
    before = host.tree.snapshot()
    error = host.fails("bind_failed", {"device": NIC, "driver": wanted})
    assert error.device == NIC and wanted in error.message
    assert host.tree.snapshot() == before
    assert not host.journal


def test_a_kernel_driver_for_other_cards_is_said_to_be_that(host: Host) -> None:
    error = host.fails("bind_failed", {"device": OTHER, "driver": "igb"})
    assert error.message == f"driver igb does not take device '{OTHER}': No such device"
    assert (host.driver(OTHER), host.tree.override_of(OTHER)) == ("vfio-pci", "vfio-pci")


def test_a_card_that_no_driver_of_the_kernel_takes_is_said_to_be_that(host: Host) -> None:
    host.tree.cards[OTHER] = host.tree.cards[OTHER]._replace(ids="1234:5678")
    error = host.fails("no_kernel_driver", {"device": OTHER, "driver": "kernel"})
    assert "no driver of the kernel takes" in error.message
    assert host.driver(OTHER) == "vfio-pci"


def test_what_cannot_be_given_back_is_said(host: Host) -> None:
    host.kernel.probes_fail |= {("vfio-pci", NIC), ("e1000e", NIC)}
    error = host.fails("bind_failed", {"device": NIC, "driver": "vfio-pci"})
    assert "it could not be given back to e1000e either" in error.message
    assert error.fields["not_undone"]


def test_an_unbind_that_the_kernel_refuses_changes_nothing(host: Host) -> None:
    host.kernel.failing["driver/unbind"] = errno.EPERM
    before = host.tree.snapshot()
    error = host.fails("bind_failed", {"device": NIC, "driver": "none"})
    assert "could not be unbound: Operation not permitted" in error.message
    assert host.tree.snapshot() == before


@pytest.mark.parametrize("moment", ["driver_override", "driver/unbind", "drivers_probe"])
def test_a_device_that_is_pulled_out_in_the_middle_is_said_to_be_gone_and_the_rest_goes_back(
    host: Host, moment: str
) -> None:
    host.tree.add(Card("0000:00:1f.0", driver="e1000e", group=9))

    def pull(path: str, text: str) -> None:
        if moment in path and NIC in path + text and NIC in host.tree.cards:
            host.tree.pull(NIC)

    host.kernel.before = pull
    error = host.fails(
        "removed_underneath",
        {"device": "0000:00:1f.0", "driver": "vfio-pci"},
        {"device": NIC, "driver": "vfio-pci"},
    )
    assert error.device == NIC and "vanished" in error.message
    assert host.driver("0000:00:1f.0") == "e1000e"
    assert error.fields["undone"] == ["bind 0000:00:1f.0 to vfio-pci"]


def test_a_driver_that_took_it_by_itself_meanwhile_is_no_failure(host: Host) -> None:
    def faster(path: str, _text: str) -> None:
        if path.endswith("/e1000e/bind"):
            host.tree.bound(OTHER, "e1000e")

    host.kernel.before = faster
    assert host.converge({"device": OTHER, "driver": "e1000e"})["changed"]
    assert host.driver(OTHER) == "e1000e"


def test_an_override_that_is_not_the_driver_s_comes_back_with_the_driver(host: Host) -> None:
    host.kernel.write(f"/sys/bus/pci/devices/{NIC}/driver_override", "vfio-pci\n")
    before = host.tree.snapshot()
    binding.change(
        host.system, host.kernel, NIC, Binding("e1000e", "vfio-pci"), Binding("uio_pci_generic", "uio_pci_generic")
    )
    binding.change(
        host.system, host.kernel, NIC, Binding("uio_pci_generic", "uio_pci_generic"), Binding("e1000e", "vfio-pci")
    )
    assert host.tree.snapshot() == before


def test_a_vf_goes_to_its_kernel_driver_where_the_kernel_gives_vfs_to_none(host: Host) -> None:
    (vf,) = with_vfs(host.kernel, PF, 1, driver="vfio-pci")
    place = f"{host.tree.place(PF)}/sriov_drivers_autoprobe"
    host.tree.write(place, "0\n")
    host.converge({"device": vf, "driver": "kernel"})
    assert host.driver(vf) == "igbvf"
    assert host.tree.read(place) == "0\n"
    host.kernel.probes_fail.add(("igbvf", vf))
    bind(host.kernel, vf, "vfio-pci")
    host.fails("no_kernel_driver", {"device": vf, "driver": "kernel"})
    assert (host.driver(vf), host.tree.read(place)) == ("vfio-pci", "0\n")


@pytest.mark.parametrize(
    ("card", "reason", "said"),
    [
        (Card(NIC, "15b3:1017", "mlx5_core"), "bifurcated", "beside its kernel driver mlx5_core"),
        (Card(NIC, "1b36:000c", "pcieport", class_code="060400"), "is_bridge", "everything behind it"),
        (None, "no_device", f"there is no PCI device {NIC}"),
    ],
)
def test_what_cannot_be_bound_is_refused(host: Host, card: Card | None, reason: str, said: str) -> None:
    host.tree.pull(NIC)
    if card:
        host.tree.add(card._replace(group=1))
    error = host.refuses(reason, {"device": NIC, "driver": "vfio-pci"})
    assert said in error.message and error.device == NIC


def test_everything_that_is_refused_is_said_at_once(host: Host) -> None:
    error = host.refuses(
        "no_sriov", {"device": "0000:77:00.0", "driver": "vfio-pci"}, {"device": NIC, "vfs": {"count": 1}}
    )
    assert sorted(one["reason"] for one in error.fields["refusals"]) == ["no_device", "no_sriov"]


def test_two_drivers_for_one_device_are_refused_with_both_places(host: Host) -> None:
    error = host.refuses(
        "given_twice", {"device": NIC, "driver": "vfio-pci"}, {"device": "1:0.0", "driver": "uio_pci_generic"}
    )
    assert "vfio-pci by devices[0] and uio_pci_generic by devices[1]" in error.message


def test_a_pf_with_vfs_keeps_its_driver(host: Host) -> None:
    with_vfs(host.kernel, PF, 2)
    error = host.refuses("has_vfs", {"device": PF, "driver": "vfio-pci"})
    assert "has 2 VFs, which would vanish" in error.message


def test_a_driver_that_is_not_there_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def modprobe(_system: object, *_words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "modprobe: FATAL: Module igb_uio not found")

    monkeypatch.setattr(drivers, "_modprobe", modprobe)
    error = host.refuses("driver_missing", {"device": NIC, "driver": "igb_uio"})
    assert "Module igb_uio not found" in error.message
    assert "Module" not in error.way_out


@pytest.mark.parametrize(
    ("lockdown", "said", "way_out"),
    [
        ("none [integrity] confidentiality\n", "Key was rejected (the kernel is locked down: integrity)", "Sign"),
        ("[none] integrity\n", "Key was rejected", "dmesg"),
    ],
)
def test_a_module_that_must_not_be_loaded_stops_a_run_before_the_first_write(
    host: Host, monkeypatch: pytest.MonkeyPatch, lockdown: str, said: str, way_out: str
) -> None:
    def modprobe(_system: object, *words: str) -> subprocess.CompletedProcess[str]:
        if "--dry-run" in words:
            return subprocess.CompletedProcess([], 0, "insmod igb_uio.ko\n", "")
        return subprocess.CompletedProcess([], 1, "", "modprobe: ERROR: Key was rejected")

    monkeypatch.setattr(drivers, "_modprobe", modprobe)
    host.tree.write("/sys/kernel/security/lockdown", lockdown)
    error = host.fails("module_blocked", {"device": NIC, "driver": "igb_uio"})
    assert said in error.message and way_out in error.way_out
    assert host.kernel.writes == [] and not host.journal


def test_a_module_on_the_blacklist_is_no_driver(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def modprobe(_system: object, *words: str) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(drivers, "_modprobe", modprobe)
    error = host.refuses("module_blocked", {"device": NIC, "driver": "igb_uio"})
    assert "held back" in error.message
    assert all("--use-blacklist" in one for one in asked)
    assert host.kernel.writes == []


def test_a_kernel_that_loads_no_modules_any_more_is_said_to_be_that(host: Host) -> None:
    host.tree.write("/proc/sys/kernel/modules_disabled", "1\n")
    error = host.refuses("module_blocked", {"device": NIC, "driver": "igb_uio"})
    assert "kernel.modules_disabled" in error.message
