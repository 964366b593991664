# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals of runs that were killed, of this boot and of another, and hosts of many devices."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._host import holders, pci
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import host_journal
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import (
    Card,
    Killed,
    fleet_of,
    with_vfs,
)

NIC, OTHER, PF = "0000:01:00.0", "0000:02:00.0", "0000:10:00.0"
VFS = ["0000:10:00.1", "0000:10:00.3"]
TO_VFIO = {"device": NIC, "driver": "vfio-pci"}
UNRELATED = {"device": OTHER, "driver": "e1000e"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path, monkeypatch)
    one.tree.add(
        Card(NIC, driver="e1000e", group=1, netdev="eth1"),
        Card(OTHER, driver="e1000e", group=2),
        Card(PF, "8086:10c9", "igb", group=3, netdev="pf0", max_vfs=4, offset=1),
    )
    return one


def kill(host: Host, at: int, *document: dict[str, t.Any]) -> None:
    """A run that is killed before its write of that number."""
    host.kernel.writes.clear()
    host.kernel.dies_at = at
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(host_journal.Journal, "end", lambda _self: None)
        with pytest.raises(Killed):
            host.converge(*document)
    host.kernel.dies_at = -1
    host.kernel.writes.clear()
    assert host.journal


@pytest.mark.parametrize("at", [1, 2])
def test_a_device_between_two_drivers_is_given_back_by_a_run_that_does_not_name_it(host: Host, at: int) -> None:
    kill(host, at, TO_VFIO)
    assert (host.driver(NIC) or "none", host.tree.override_of(NIC)) == (["e1000e", "none"][at - 1], "vfio-pci")
    result = host.converge(UNRELATED)
    assert result["changed"] and [one["device"] for one in result["host"]["actions"]] == [NIC]
    assert (host.driver(NIC), host.tree.override_of(NIC)) == ("e1000e", "")
    assert not host.journal
    assert not host.converge(UNRELATED)["changed"]


def test_the_same_document_finishes_what_was_begun(host: Host) -> None:
    kill(host, 2, TO_VFIO)
    assert host.converge(TO_VFIO)["changed"]
    assert host.driver(NIC) == "vfio-pci" and not host.journal


def test_a_run_that_fails_after_one_that_was_killed_gives_back_what_the_device_had_at_first(host: Host) -> None:
    kill(host, 2, TO_VFIO)
    host.kernel.probes_fail.add(("vfio-pci", NIC))
    host.fails("bind_failed", TO_VFIO)
    assert (host.driver(NIC), host.tree.override_of(NIC)) == ("e1000e", "")


def test_what_was_finished_is_left_so(host: Host) -> None:
    kill(host, 3, TO_VFIO, {"device": OTHER, "driver": "vfio-pci"})
    result = host.converge({"device": PF, "driver": "igb"})
    assert (host.driver(NIC), host.driver(OTHER)) == ("vfio-pci", "e1000e")
    assert NIC not in [one["device"] for one in result["host"]["actions"]]


def test_what_somebody_else_has_bound_since_is_left_alone(host: Host) -> None:
    kill(host, 2, TO_VFIO)
    host.kernel.write(f"/sys/bus/pci/devices/{NIC}/driver_override", "uio_pci_generic\n")
    host.kernel.write("/sys/bus/pci/drivers_probe", NIC)
    host.converge(UNRELATED)
    assert host.driver(NIC) == "uio_pci_generic"


def test_a_journal_of_another_boot_is_ignored(host: Host) -> None:
    kill(host, 2, TO_VFIO)
    host.tree.write("/proc/sys/kernel/random/boot_id", "6c6b9b1e-0000-4000-8000-000000000002\n")
    assert not host.converge(UNRELATED)["changed"]
    assert host.driver(NIC) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"boot": 1}', '{"changes": []}'])
def test_a_journal_that_cannot_be_read_is_none(host: Host, text: str) -> None:
    kill(host, 2, TO_VFIO)
    (host.home / "host/journal.json").write_text(text)
    assert not host.converge(UNRELATED)["changed"]


def test_changes_of_a_journal_that_this_release_does_not_know_are_ignored(host: Host) -> None:
    kill(host, 2, TO_VFIO)
    path = host.home / "host/journal.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "changes": [["driver", NIC, 1]]}))
    assert not host.converge(UNRELATED)["changed"]


def test_vfs_that_a_killed_run_took_away_come_back_with_their_drivers(host: Host) -> None:
    with_vfs(host.kernel, PF, 2, driver="vfio-pci")
    gone = next(n for n in range(20) if _killed_without_vfs(host, n))
    assert host.tree.vfs(PF) == {}, gone
    result = host.converge(UNRELATED)
    assert result["host"]["diff"]["before"]["devices"][PF]["vfs"] == 0
    assert [host.driver(one) for one in host.tree.vfs(PF).values()] == ["vfio-pci"] * 2
    assert host.tree.read(f"{host.tree.place(PF)}/sriov_drivers_autoprobe") == "1\n"
    assert not host.converge(UNRELATED)["changed"]


def _killed_without_vfs(host: Host, at: int) -> bool:
    kill(host, at, {"device": PF, "vfs": {"count": 3}})
    return not host.tree.vfs(PF)


def _finish(host: Host, *document: dict[str, t.Any]) -> None:
    """A run that is killed when all is done but its journal is there."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(host_journal.Journal, "end", lambda _self: None)
        host.converge(*document)
    host.kernel.writes.clear()
    assert host.journal


@pytest.mark.parametrize("driver", ["vfio-pci", "igbvf"])
def test_a_vf_that_was_to_have_no_driver_does_not_get_one_by_a_repair(host: Host, driver: str) -> None:
    with_vfs(host.kernel, PF, 1, driver=driver)
    (vf,) = host.tree.vfs(PF).values()
    _finish(host, {"device": vf, "driver": "none"})
    assert not host.converge(UNRELATED)["changed"]
    assert host.driver(vf) == "" and not host.journal


def test_vfs_that_came_without_a_driver_because_nothing_probes_them_stay_so(host: Host) -> None:
    with_vfs(host.kernel, PF, 1, driver="igbvf")
    host.tree.write(f"{host.tree.place(PF)}/sriov_drivers_autoprobe", "0\n")
    _finish(host, {"device": PF, "vfs": {"count": 2}})
    assert [host.driver(one) for one in host.tree.vfs(PF).values()] == ["", ""]
    assert not host.converge(UNRELATED)["changed"]
    assert [host.driver(one) for one in host.tree.vfs(PF).values()] == ["", ""]


def test_512_devices_are_told_apart(tmp_path: Path) -> None:
    tree = fleet_of(tmp_path / "root", 512)
    inventory = pci.inventory(tree.system)
    assert len(inventory) == 512
    pfs = [one for one in inventory.values() if one.max_vfs]
    assert [len(one.vfs) for one in pfs] == [63] * 8
    for pf in pfs:
        assert [inventory[vf].vf_index for vf in pf.vfs] == list(range(63))
        assert {inventory[vf].pf for vf in pf.vfs} == {pf.address}
    macs = pci.macs(tree.system, inventory.values())
    assert len(set(macs.values())) == len(macs) == 8 + 4 * 63
    tree.process(77, "testpmd", f"/dev/vfio/{inventory[pfs[1].vfs[5]].iommu_group}")
    held = holders.holders(tree.system, inventory, inventory)
    assert {address: [one.pid for one in own] for address, own in held.items()} == {pfs[1].vfs[5]: [77]}
