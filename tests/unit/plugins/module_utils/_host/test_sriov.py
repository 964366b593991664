# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of VFs, what is imposed on each, and their drivers."""

from __future__ import annotations

import errno
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, bind, with_vfs

PF, OTHER, NIC = "0000:10:00.0", "0000:11:00.0", "0000:01:00.0"
VFS = ["0000:10:00.1", "0000:10:00.3", "0000:10:00.5", "0000:10:00.7"]
MAC = "02:00:00:00:00:07"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path, monkeypatch)
    one.tree.add(
        Card(PF, "8086:10c9", "igb", group=3, netdev="pf0", max_vfs=4, offset=1),
        Card(OTHER, "8086:10c9", "igb", group=4, netdev="pf1", max_vfs=4, offset=1),
        Card(NIC, driver="e1000e", group=5, netdev="eth1"),
    )
    return one


def test_vfs_are_made_told_and_bound_and_a_second_run_leaves_them(host: Host) -> None:
    document = {"device": PF, "vfs": {"count": 2, "driver": "vfio-pci", "settings": [{"index": 1, "mac": MAC}]}}
    result = host.converge(document)
    assert host.actions(result) == [
        ("resize", PF, 0, 2),
        ("bind", VFS[0], None, "vfio-pci"),
        ("bind", VFS[1], None, "vfio-pci"),
    ]
    assert [host.driver(one) for one in VFS[:2]] == ["vfio-pci"] * 2
    assert [one.mac for one in host.kernel.settings[PF]] == ["00:00:00:00:00:00", MAC]
    assert not host.converge(document)["changed"]
    result = host.converge({"device": PF, "vfs": {"settings": [{"index": 0, "vlan": 7, "trust": True}]}})
    assert [one["action"] for one in result["host"]["actions"]] == ["set_vf"]
    assert host.kernel.settings[PF][0][1:3] == (7, True)


def test_a_vf_has_its_address_before_its_driver_starts(host: Host) -> None:
    seen: list[str | None] = []
    host.kernel.before = lambda path, _text: (
        seen.append(host.kernel.settings[PF][0].mac) if path.endswith("drivers_probe") else None
    )
    host.converge({"device": PF, "vfs": {"count": 1, "settings": [{"index": 0, "mac": MAC}]}})
    assert seen == [MAC] and host.driver(VFS[0]) == "igbvf"


def test_another_number_keeps_drivers_and_settings_of_those_that_stay(host: Host) -> None:
    with_vfs(host.kernel, PF, 3)
    bind(host.kernel, VFS[0], "vfio-pci")
    bind(host.kernel, VFS[1], "")
    host.converge({"device": PF, "vfs": {"settings": [{"index": 0, "mac": MAC}]}})
    for count in (4, 2):
        host.converge({"device": PF, "vfs": {"count": count}})
        expected = ["vfio-pci", "", "igbvf", "igbvf"][:count]
        assert [host.driver(one) for one in host.tree.vfs(PF).values()] == expected
        assert host.kernel.settings[PF][0].mac == MAC
    assert host.converge({"device": PF, "vfs": {"count": 0}})["changed"]
    assert host.tree.vfs(PF) == {}


@pytest.mark.parametrize("first", ["vf", "pf"])
def test_entries_may_come_in_any_order(host: Host, first: str) -> None:
    entries: list[dict[str, t.Any]] = [{"device": VFS[1], "driver": "vfio-pci"}, {"device": PF, "vfs": {"count": 2}}]
    host.converge(*(entries if first == "vf" else entries[::-1]))
    assert [host.driver(one) for one in VFS[:2]] == ["igbvf", "vfio-pci"]


def test_what_another_entry_asks_of_a_vf_goes_before_what_it_had(host: Host) -> None:
    with_vfs(host.kernel, PF, 2, driver="vfio-pci")
    document: list[dict[str, t.Any]] = [{"device": PF, "vfs": {"count": 4}}, {"device": VFS[0], "driver": "kernel"}]
    host.converge(*document)
    assert [host.driver(one) for one in VFS] == ["igbvf", "vfio-pci", "igbvf", "igbvf"]
    assert not host.converge(*document)["changed"]


def test_vfs_can_come_without_a_driver(host: Host) -> None:
    document = {"device": PF, "vfs": {"count": 2, "driver": "none"}}
    host.converge(document)
    assert [host.driver(one) for one in VFS[:2]] == ["", ""]
    assert not host.converge(document)["changed"]


def test_a_pf_gets_its_driver_before_it_makes_vfs_and_loses_it_after_they_went(host: Host) -> None:
    bind(host.kernel, PF, "vfio-pci")
    host.converge({"device": PF, "driver": "kernel", "vfs": {"count": 2, "settings": [{"index": 0, "mac": MAC}]}})
    assert (host.driver(PF), len(host.tree.vfs(PF)), host.kernel.settings[PF][0].mac) == ("igb", 2, MAC)
    host.converge({"device": PF, "driver": "none", "vfs": {"count": 0}})
    assert (host.driver(PF), len(host.tree.vfs(PF))) == ("", 0)


def _refusals(pf: str = PF) -> list[tuple[str, list[dict[str, t.Any]], str]]:
    return [
        ("vf_count", [{"device": pf, "vfs": {"count": 5}}], "can have 4 VFs, asked for are 5"),
        ("no_sriov", [{"device": NIC, "vfs": {"count": 1}}], "has no SR-IOV"),
        ("vf_count", [{"device": pf, "vfs": {"settings": [{"index": 2, "vlan": 1}]}}], "has no VF 2: it has 2"),
        ("given_twice", [{"device": pf, "vfs": {"count": 3}}, {"device": pf, "vfs": {"count": 4}}], "devices[1]"),
        ("vf_count", [{"device": VFS[1], "driver": "none"}, {"device": pf, "vfs": {"count": 1}}], "takes away"),
        ("no_device", [{"device": VFS[3], "driver": "none"}, {"device": pf, "vfs": {"count": 3}}], VFS[3]),
        (
            "given_twice",
            [{"device": VFS[0], "driver": "none"}, {"device": pf, "vfs": {"driver": "vfio-pci"}}],
            "none by devices[0]",
        ),
    ]


@pytest.mark.parametrize(("reason", "document", "said"), _refusals())
def test_what_cannot_be_is_refused(host: Host, reason: str, document: list[dict[str, t.Any]], said: str) -> None:
    with_vfs(host.kernel, PF, 2)
    assert said in host.refuses(reason, *document).message


def test_the_same_vfs_twice_are_no_conflict(host: Host) -> None:
    entry = {"device": PF, "vfs": {"count": 1}}
    assert host.actions(host.converge(entry, dict(entry))) == [("resize", PF, 0, 1)]


def test_settings_need_the_pf_s_netdev(host: Host) -> None:
    host.tree.gone(f"{host.tree.place(PF)}/net")
    host.refuses("vf_setting", {"device": PF, "vfs": {"count": 1, "settings": [{"index": 0, "mac": MAC}]}})


def test_a_resize_is_refused_while_a_process_has_a_vf(host: Host) -> None:
    vfs = with_vfs(host.kernel, PF, 2, driver="vfio-pci")
    group = host.devices()[vfs[1]].iommu_group
    host.tree.process(4321, "testpmd", "/dev/null", f"/dev/vfio/{group}")
    error = host.refuses("in_use", {"device": PF, "vfs": {"count": 3}})
    assert f"device '{vfs[1]}' is in use by testpmd (pid 4321, /dev/vfio/{group})" in error.message
    assert error.fields["in_use_by"] == [{"pid": 4321, "name": "testpmd", "path": f"/dev/vfio/{group}"}]


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        (errno.ENOMEM, "resize_failed", "the firmware left no room"),
        (errno.EBUSY, "resize_failed", "in use"),
        (errno.ENETDOWN, "pf_down", "the PF is down"),
        (errno.EXFULL, "resize_failed", "Exchange full"),
    ],
)
def test_a_resize_that_fails_gives_the_vfs_of_before_back(host: Host, code: int, reason: str, said: str) -> None:
    with_vfs(host.kernel, PF, 2, driver="vfio-pci")
    host.converge({"device": PF, "vfs": {"settings": [{"index": 1, "mac": MAC, "vlan": 5}]}})
    before, settings = host.tree.snapshot(), list(host.kernel.settings[PF])

    def fail(path: str, text: str) -> None:
        if path.endswith(f"{PF}/sriov_numvfs") and text == "4":
            raise OSError(code, errno.errorcode[code] if code != errno.EXFULL else "Exchange full", path)

    host.kernel.before = fail
    error = host.fails(reason, {"device": OTHER, "driver": "none"}, {"device": PF, "vfs": {"count": 4}})
    assert said in error.message
    assert (host.tree.snapshot(), host.kernel.settings[PF]) == (before, settings)
    assert error.fields["not_undone"] == []


def test_vfs_that_do_not_come_back_are_said(host: Host) -> None:
    with_vfs(host.kernel, PF, 2)
    host.kernel.room[PF] = 0
    error = host.fails("resize_failed", {"device": PF, "vfs": {"count": 4}})
    assert "nor could it have its 2 VFs again" in error.message
    assert f"have 2 VFs on {PF}" in error.fields["not_undone"]


def test_a_driver_that_takes_a_number_and_makes_none_is_seen(host: Host) -> None:
    host.kernel._new_vf = lambda pf, index: None  # type: ignore[method-assign]
    error = host.fails("resize_failed", {"device": PF, "vfs": {"count": 2}})
    assert "took the number 2 of VFs, and has 0" in error.message


def test_a_pf_that_is_down_takes_no_settings(host: Host) -> None:
    with_vfs(host.kernel, PF, 1)
    host.kernel.down.add(PF)
    error = host.fails("pf_down", {"device": PF, "vfs": {"settings": [{"index": 0, "vlan": 3}]}})
    assert "vlan of VF 0 cannot be set while the PF" in error.message


def test_what_the_driver_of_the_pf_cannot_set_is_said_and_the_vfs_go_back(host: Host) -> None:
    host.network.supports.discard("trust")
    before = host.tree.snapshot()
    document = {"device": PF, "vfs": {"count": 2, "settings": [{"index": 1, "vlan": 3, "trust": True}]}}
    error = host.fails("vf_setting", document)
    assert "does not set trust of VF 1 to True" in error.message
    assert host.tree.snapshot() == before


def test_a_setting_that_does_not_take_effect_is_seen(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with_vfs(host.kernel, PF, 1)
    monkeypatch.setattr(host.network, "set_vf", lambda *_args: None)
    error = host.fails("vf_setting", {"device": PF, "vfs": {"settings": [{"index": 0, "vlan": 3}]}})
    assert "vlan of VF 0" in error.message and "is 0 after it was set to 3" in error.message
