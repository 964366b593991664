# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any host, any document: what must hold of a run whatever it is asked for."""

from __future__ import annotations

import os
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.host import Host
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Card, Killed, bind, with_vfs

NICS = [f"0000:{bus:02x}:00.0" for bus in (1, 2, 3)]
PFS = ["0000:10:00.0", "0000:11:00.0"]
NOT_OURS = ("/var/lib", "/run")


class Case(t.NamedTuple):
    """A host to make, and what to ask of it."""

    nics: tuple[tuple[str, str], ...]  # driver and override of each
    vfs: tuple[tuple[str, ...], ...]  # of each PF, the drivers of its VFs
    probing: tuple[bool, ...]
    pages: tuple[int, int]
    document: dict[str, t.Any]


_STATES = st.sampled_from(
    [
        ("e1000e", ""),
        ("vfio-pci", "vfio-pci"),
        ("uio_pci_generic", "uio_pci_generic"),
        ("", ""),
        ("", "vfio-pci"),
        ("e1000e", "vfio-pci"),
    ]
)
_ASKED = st.sampled_from(["vfio-pci", "uio_pci_generic", "kernel", "none", "e1000e"])
_VF_ASKED = st.sampled_from(["vfio-pci", "kernel", "none", "igbvf"])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    devices: list[dict[str, t.Any]] = [
        {"device": one, "driver": draw(_ASKED)} for one in draw(st.lists(st.sampled_from(NICS), unique=True))
    ]
    for pf in draw(st.lists(st.sampled_from(PFS), unique=True)):
        vfs: dict[str, t.Any] = {}
        if draw(st.booleans()):
            vfs["count"] = draw(st.integers(0, 4))
        if draw(st.booleans()):
            vfs["driver"] = draw(_VF_ASKED)
        settings_of = st.fixed_dictionaries(
            {"index": st.integers(0, 3)},
            optional={
                "mac": st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"]),
                "vlan": st.integers(0, 3),
                "trust": st.booleans(),
                "spoofchk": st.booleans(),
                "driver": _VF_ASKED,
            },
        )
        vfs["settings"] = draw(st.lists(settings_of, max_size=2, unique_by=lambda one: one["index"]))
        devices.append({"device": pf, "vfs": vfs})
    document: dict[str, t.Any] = {"devices": draw(st.permutations(devices))}
    if draw(st.booleans()):
        count = st.integers(0, 8)
        document["hugepages"] = {
            "pages": draw(
                st.one_of(
                    count.map(lambda one: [{"size": "2M", "count": one}]),
                    st.tuples(count, count).map(
                        lambda two: [{"size": "2M", "count": one, "node": node} for node, one in enumerate(two)]
                    ),
                )
            )
        }
    of_vfs = st.lists(st.sampled_from(["vfio-pci", "igbvf", ""]), max_size=3).map(tuple)
    return Case(
        nics=tuple(draw(_STATES) for _nic in NICS),
        vfs=tuple(draw(of_vfs) for _pf in PFS),
        probing=tuple(draw(st.booleans()) for _pf in PFS),
        pages=draw(st.tuples(st.integers(0, 4), st.integers(0, 4))),
        document=document,
    )


class Bench:
    """Makes the host of each case, in a directory of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._directories: list[str] = []

    def host(self, case: Case) -> Host:
        self.clear()
        # In memory where that is: a journal is flushed to the disk before every run.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._directories.append(tempfile.mkdtemp(prefix="hp", dir=memory))
        host = Host(Path(self._directories[-1]), self._monkeypatch)
        for number, (address, (driver, override)) in enumerate(zip(NICS, case.nics), 1):
            card = Card(address, group=number, netdev=f"eth{number}", driver=driver, override=override)
            host.tree.add(card)
        for number, (address, drivers, probing) in enumerate(zip(PFS, case.vfs, case.probing)):
            host.tree.add(
                Card(address, "8086:10c9", "igb", group=10 + number, netdev=f"pf{number}", max_vfs=4, offset=1)
            )
            vfs = with_vfs(host.kernel, address, len(drivers)) if drivers else []
            for vf, driver in zip(vfs, drivers):
                bind(host.kernel, vf, driver)
            host.tree.write(f"{host.tree.place(address)}/sriov_drivers_autoprobe", f"{int(probing)}\n")
        for node, total in enumerate(case.pages):
            host.tree.pages(2048, node=node, total=total)
        return host

    def clear(self) -> None:
        for one in self._directories:
            shutil.rmtree(one, ignore_errors=True)
        self._directories.clear()


@pytest.fixture
def bench() -> t.Iterator[Bench]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        one = Bench(monkeypatch)
        yield one
        one.clear()


def planned(host: Host, case: Case) -> dict[str, t.Any]:
    """What check mode says; cases that are refused are of no use here."""
    try:
        return host.check(**case.document)
    except HotplugError as error:
        event(f"refused: {error.reason}")
        assume(False)
        raise


def state(host: Host) -> tuple[dict[str, str], dict[str, t.Any]]:
    # A VF that comes again has a group of its own again, of any number.
    files = {path: text for path, text in host.tree.snapshot().items() if "/iommu_group" not in path}
    return files, {pf: list(own) for pf, own in host.kernel.settings.items() if own}


@given(case=cases())
@settings(max_examples=50, derandomize=True)
def test_a_second_run_has_nothing_to_do(bench: Bench, case: Case) -> None:
    host = bench.host(case)
    checked = planned(host, case)
    assert host.converge(**case.document)["changed"] == checked["changed"]
    host.kernel.writes.clear()
    again = host.converge(**case.document)
    assert not again["changed"] and again["host"]["actions"] == []
    assert again["host"]["diff"] == {"before": {}, "after": {}}
    assert host.kernel.writes == []
    assert not host.journal


@given(case=cases())
@settings(max_examples=50, derandomize=True)
def test_check_mode_writes_nothing_and_tells_the_same_actions(bench: Bench, case: Case) -> None:
    host = bench.host(case)
    before = host.tree.snapshot("/")
    checked = planned(host, case)
    assert host.kernel.writes == []
    assert host.tree.snapshot("/") == before
    assert not host.home.exists()
    done = host.converge(**case.document)
    assert done["host"]["actions"] == checked["host"]["actions"]


@given(case=cases(), data=st.data())
@settings(max_examples=50, derandomize=True)
def test_what_fails_at_any_write_leaves_all_as_it_was(bench: Bench, case: Case, data: st.DataObject) -> None:
    host = bench.host(case)
    assume(planned(host, case)["changed"])
    host.converge(**case.document)
    writes = len(host.kernel.writes)
    assume(writes)
    host = bench.host(case)
    before = state(host)
    host.kernel.fails_at = data.draw(st.integers(0, writes - 1), label="the write that fails")
    try:
        host.converge(**case.document)
    except HotplugError as error:
        assert error.fields["not_undone"] == []
        assert state(host) == before
    else:
        event("done all the same")  # a driver that was asked for once more
    assert not host.journal


@given(case=cases())
@settings(max_examples=50, derandomize=True)
def test_only_devices_of_the_document_are_touched(bench: Bench, case: Case) -> None:
    host = bench.host(case)
    planned(host, case)
    named = {one["device"] for one in case.document["devices"]}
    strangers = {one: card for one, card in host.tree.cards.items() if one not in named and card.pf not in named}
    before = {one: host.tree.snapshot(host.tree.place(one)) for one in strangers}
    host.converge(**case.document)
    assert {one: host.tree.snapshot(host.tree.place(one)) for one in strangers} == before
    assert not [text for path, text in host.kernel.writes for one in strangers if one in path or one in text]


@given(case=cases(), data=st.data())
@settings(max_examples=50, derandomize=True)
def test_a_run_that_is_killed_at_any_write_is_repaired_by_the_next_of_the_same_document(
    bench: Bench, case: Case, data: st.DataObject
) -> None:
    host = bench.host(case)
    assume(planned(host, case)["changed"])
    host.converge(**case.document)
    writes = len(host.kernel.writes)
    assume(writes)
    wanted = drivers(host)
    host = bench.host(case)
    before = drivers(host)
    host.kernel.dies_at = data.draw(st.integers(0, writes - 1), label="the write that it is killed at")
    killed(host, case.document)
    host.converge(**case.document)
    has = drivers(host)
    assert has.keys() == wanted.keys()
    for address, driver in has.items():
        # A VF whose PF has autoprobe off loses its kernel driver with a resize; a repair gives it back.
        given_back = address not in {*NICS, *PFS} and driver == before.get(address)
        assert driver == wanted[address] or given_back, address
    assert not host.converge(**case.document)["changed"]


@given(case=cases(), data=st.data())
@settings(max_examples=50, derandomize=True)
def test_a_run_that_is_killed_is_repaired_by_one_that_asks_for_nothing_of_it(
    bench: Bench, case: Case, data: st.DataObject
) -> None:
    """Whatever was half done is then done or undone, and nothing is left without a driver that had one."""
    host = bench.host(case)
    assume(planned(host, case)["changed"])
    before = drivers(host)
    host.converge(**case.document)
    writes = len(host.kernel.writes)
    assume(writes)
    after = drivers(host)
    host = bench.host(case)
    host.kernel.dies_at = data.draw(st.integers(0, writes - 1), label="the write that it is killed at")
    killed(host, case.document)
    nothing = {"devices": [], "timeout": 0}
    host.converge(**nothing)
    assert not host.converge(**nothing)["changed"]
    has = drivers(host)
    for address in {*NICS, *PFS}:
        assert has[address] in (before[address], after[address]), address
    for pf, probing in zip(PFS, case.probing):
        own = host.tree.vfs(pf)
        assert len(own) in {sum(host_vf(one, pf) for one in side) for side in (before, after)}
        if probing:  # where it was off, a VF that is given to the kernel has it on for a moment
            assert host.tree.read(f"{host.tree.place(pf)}/sriov_drivers_autoprobe") == "1\n"
    assert not host.journal


def host_vf(address: str, pf: str) -> bool:
    return address[:7] == pf[:7] and address not in PFS


def drivers(host: Host) -> dict[str, tuple[str, str]]:
    return {one: (host.driver(one), host.tree.override_of(one)) for one in host.tree.cards}


def killed(host: Host, document: dict[str, t.Any]) -> None:
    """The run ends as by SIGKILL: its journal stays."""
    from ansible_collections.dpdk.hotplug.plugins.module_utils._state import host_journal

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(host_journal.Journal, "end", lambda _self: None)
        with pytest.raises(Killed):
            host.converge(**document)


def test_check_mode_shows_what_is_to_persist_before_the_command_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, monkeypatch)
    host.tree.add(Card(NICS[0], group=1, netdev="eth1", driver="e1000e"))
    asked = {"device": NICS[0], "driver": "vfio-pci", "persistent": True}
    checked = host.check(asked)
    assert [one["action"] for one in checked["host"]["actions"]] == ["persist", "bind"]
    assert len(checked["warnings"]) == 1 and "dpdk.hotplug.helper" in checked["warnings"][0]
    assert host.fails("no_helper", asked).message in checked["warnings"][0]
    assert host.driver(NICS[0]) == "e1000e" and host.kernel.writes == []
    host.tree.write("/usr/local/bin/dpdk-hotplug", "")
    os.chmod(host.system.path("/usr/local/bin/dpdk-hotplug"), 0o755)
    assert (host.check(asked)["warnings"], host.converge(asked)["warnings"]) == ([], [])
    os.unlink(host.system.path("/usr/local/bin/dpdk-hotplug"))
    again = host.check(asked)
    assert (again["changed"], again["warnings"]) == (False, []), "what is so already is not refused either"


def test_a_mount_of_a_size_that_the_kernel_lacks_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, monkeypatch)
    host.tree.add(Card(NICS[0], group=1, netdev="eth1", driver="e1000e"))
    host.tree.pages(2048, node=0, total=0)
    asked = {"device": NICS[0], "driver": "vfio-pci"}
    error = host.fails("hugepages_size", asked, hugepages={"mounts": [{"path": "/mnt/huge", "size": "1G"}]})
    assert "no hugepages of 1G: it has 2M" in error.message
    assert host.driver(NICS[0]) == "e1000e" and host.kernel.writes == []
    gone = {"path": "/mnt/huge", "size": "1G", "state": "absent"}
    assert not host.converge(hugepages={"mounts": [gone]})["changed"], "what shall not be there may be of any size"
