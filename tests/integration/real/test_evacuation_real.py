# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evacuating and restoring applications: each kind of them, started anew in between, killed half-way, two at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beds import BASE, BEDS, Bed, Commands, Console, Multiprocess, OpenVSwitch, running
from faults import HOMES, Run, args_of, converge, names_all, refused
from reconciled import COMMAND, ENVIRONMENT, Reconciled, host, names
from releases import Dpdk, Testpmd, count, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine, evacuated, evacuation
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.home import EVACUATED
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

Done = dict[str, Any]
KEPT = Path(EVACUATED)
WANTED = ("net_null1,size=128", "net_null2")
ARGS = {"net_null1": "size=128", "net_null2": ""}


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    yield
    for path in KEPT.parent.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.fixture(params=BEDS, ids=lambda kind: kind.adapter)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    with running(request.param, tmp_path) as made:
        yield made


def attach(bed: Bed, *devices: str) -> Done:
    ports = [{"device": device} for device in devices]
    return engine.converge({"apps": [{**bed.entry, "ports": ports}]})


def evacuate(bed: Bed | None = None, **more: Any) -> Done:
    entry = {"apps": [bed.entry]} if bed else {}
    return evacuation.run(**{**entry, **more})


def restore(**more: Any) -> Done:
    return evacuation.run(present=False, **more)


def fails(call: Callable[[], Any], reason: str) -> HotplugError:
    with pytest.raises(HotplugError) as caught:
        call()
    assert caught.value.reason == reason, str(caught.value)
    return caught.value


def acts(result: Done) -> list[str]:
    return [f"{act['action']} {act.get('device', '')}".strip() for act in result["actions"]]


def remembered() -> dict[str, bool]:
    return {row["devargs"]: row["started"] for row in evacuated.rows(evacuated.read(System()))}


def has(bed: Bed) -> dict[str, bool]:
    return {name: started for name, started in bed.devices().items() if name != BASE}


# Each kind of application


def test_away_and_back_and_each_twice(bed: Bed) -> None:
    attach(bed, *WANTED)
    before = has(bed)
    checked = evacuate(bed, check=True)
    assert has(bed) == before and not KEPT.exists()
    result = evacuate(bed)
    assert has(bed) == {}
    assert acts(result) == acts(checked) and result["memory"] == checked["memory"]
    assert remembered() == dict.fromkeys(WANTED, bed.settles_itself)
    for check in (True, False):
        assert not evacuate(bed, check=check)["changed"]
    assert not evacuate()["changed"], "there is nothing else that is hot-attached"
    refused_here = fails(lambda: attach(bed, "net_null1"), "evacuated")
    names_all(refused_here, "net_null1", bed.prefix, "restore")
    checked = restore(check=True)
    assert has(bed) == {}
    result = restore()
    assert acts(result) == acts(checked) and result["warnings"] == []
    assert has(bed) == before
    (app,) = result["apps"]
    assert {port["devargs"] for port in app["ports"]} >= {*WANTED}, "the arguments are those from before"
    for check in (True, False):
        assert not restore(check=check)["changed"]
    assert bed.alive


def test_started_ports(bed: Bed) -> None:
    attach(bed, *WANTED)
    bed.make_started("net_null2")
    before = has(bed)
    assert before["net_null2"]
    if not bed.can & {"stop", "detach_started"}:
        fails(lambda: evacuate(bed), "port_started")
        assert has(bed) == before and not KEPT.exists()
        return
    evacuate(bed)
    assert has(bed) == {}
    assert remembered()["net_null2"]
    restore()
    assert has(bed) == before
    assert bed.alive


@pytest.mark.parametrize("kind", [Console, Multiprocess, Commands, OpenVSwitch], ids=lambda kind: kind.adapter)
def test_what_it_was_started_with_goes_where_it_is_named(kind: type[Bed], tmp_path: Path) -> None:
    with running(kind, tmp_path) as bed:
        attach(bed, "net_null1")
        forced = not bed.can & {"stop", "detach_started"}  # testpmd has it started, and polls nothing
        evacuate(apps=[{**bed.entry, "force": forced}], devices=[BASE])
        assert set(bed.devices()) == {"net_null1"}
        result = restore()
        assert set(bed.devices()) == {BASE, "net_null1"}
        assert ["were started" in one for one in result["warnings"]] == [True] * forced


@pytest.mark.parametrize("kind", [Console, Multiprocess, Commands], ids=lambda kind: kind.adapter)
def test_started_anew_in_between_and_after_a_reboot(kind: type[Bed], tmp_path: Path) -> None:
    with running(kind, tmp_path) as bed:
        attach(bed, *WANTED)
        if "stop" in bed.can:
            bed.make_started("net_null2")
        evacuate(bed)
        bed.end()
        error = fails(restore, "no_application")
        assert "forget" in error.way_out
        assert len(remembered()) == 2
        shutil.rmtree(HOMES)  # as a reboot does
        bed.start()
        assert not evacuate()["changed"]
        # What commands there are is remembered; those of this test have the pipe of the process that they type at.
        restore(apps=[bed.entry])
        assert has(bed) == {"net_null1": False, "net_null2": "stop" in bed.can}
        assert remembered() == {}


def test_a_drain_hook_goes_before_and_comes_back_after(tmp_path: Path) -> None:
    with running(Multiprocess, tmp_path) as bed:
        attach(bed, "net_null1", "net_null2")
        bed.make_started("net_null2")
        noted = tmp_path / "noted"
        hook = ["sh", "-c", f'echo "$0 $1" >>{noted}']
        entry = {**bed.entry, "drain": [*hook, "drain", "{device}"], "undrain": [*hook, "undrain", "{device}"]}
        # The hook of this test stops nothing: that is told, and taken back.
        error = fails(lambda: evacuate(apps=[entry]), "drain_failed")
        assert "net_null2" in str(error)
        assert noted.read_text().splitlines() == ["drain net_null2", "undrain net_null2"]
        assert remembered() == {} and set(has(bed)) == {"net_null1", "net_null2"}
        noted.unlink()
        evacuate(apps=[{**entry, "force": True}])
        restore()
        assert noted.read_text().splitlines() == ["drain net_null2", "undrain net_null2"]


# Killed half-way


# The file is written once by an evacuation and twice by a restoration; each device goes or comes by one request.
FAULTS = [
    (present, place, when, number)
    for present, place, most in (
        (True, "_state.evacuated:write", 1),
        (True, "_apps.multiprocess:Multiprocess.detach", 2),
        (False, "_state.evacuated:write", 2),
        (False, "_apps.multiprocess:Multiprocess.attach", 2),
    )
    for number in range(1, most + 1)
    for when in ("before", "after")
]


def _options(app: Testpmd, *, present: bool) -> dict[str, Any]:
    return {"apps": [{"app": app.prefix, "adapter": "multiprocess"}], "present": present, "timeout": 30}


def _prepared(dpdk: Dpdk, *, present: bool) -> Testpmd:
    app = dpdk.start_testpmd("victim", ["net_ring0"], memory=64)
    converge(app, *WANTED)
    if not present:
        evacuation.run(**_options(app, present=True))
    return app


def _finished(app: Testpmd, *, present: bool) -> None:
    evacuation.run(**_options(app, present=present))
    args = args_of(app)
    if present:
        assert args == {"net_ring0": ""} and remembered() == dict.fromkeys(WANTED, False)
        assert not evacuation.run(**_options(app, present=True))["changed"]
        evacuation.run(**_options(app, present=False))
    assert args_of(app) == {"net_ring0": "", **ARGS}
    assert remembered() == {}


@pytest.mark.parametrize("then", [True, False], ids=["evacuated", "restored"])
@pytest.mark.parametrize("present, place, when, number", FAULTS)
def test_killed_at_each_write(host_dpdk: Dpdk, present: bool, place: str, when: str, number: int, then: bool) -> None:
    app = _prepared(host_dpdk, present=present)
    run = Run({}, evacuation=_options(app, present=present), fault=[place, when, number])
    assert run.outcome()["code"] == -signal.SIGKILL
    _finished(app, present=then)


def test_killed_at_any_time(host_dpdk: Dpdk) -> None:
    killed = 0
    for number in range(count(60)):
        present, then = bool(number % 2), bool(number // 2 % 2)
        app = _prepared(host_dpdk, present=present)
        run = Run({}, evacuation=_options(app, present=present))
        run.ready.wait(30)
        time.sleep(random.uniform(0, 0.04))
        run.signal(signal.SIGKILL)
        killed += run.outcome()["code"] != 0
        _finished(app, present=then)
        app.kill()
    assert killed, "not one kill came before the end: nothing was shown"


# Several at once


def test_eight_evacuations_and_eight_restorations(host_dpdk: Dpdk) -> None:
    apps = [host_dpdk.start_testpmd(f"crowd{number}", memory=64) for number in range(2)]
    for _round in range(count(20)):
        for app in apps:
            converge(app, *WANTED)
        for present, verb in ((True, "detach"), (False, "attach")):
            order = {"present": present, "timeout": 60}
            runs = [Run({}, evacuation=order) for _number in range(8)]
            outcomes = [run.outcome() for run in runs]
            assert all("result" in one for one in outcomes), outcomes
            assert sum(one["result"]["changed"] for one in outcomes) == 1
            steps = [step for run in runs for step in run.steps if f": {verb} " in step]
            assert len(steps) == 4, "something was done twice"
            assert len(remembered()) == (2 if present else 0)
        assert [args_of(app) for app in apps] == [ARGS, ARGS]


def test_there_and_back_at_once(host_dpdk: Dpdk) -> None:
    """Whoever comes last has it as he wants; nothing is lost, and nothing is there twice."""
    app = host_dpdk.start_testpmd("crowd", memory=64)
    converge(app, *WANTED)
    for _round in range(count(20)):
        runs = [Run({}, evacuation={"present": bool(number % 2), "timeout": 60}) for number in range(4)]
        assert all("result" in run.outcome() for run in runs)
        away = remembered()
        there = {name if not args else f"{name},{args}" for name, args in args_of(app).items()}
        assert there | set(away) == {*WANTED} and not there & set(away)


def test_a_document_waits_and_is_refused(host_dpdk: Dpdk) -> None:
    """One that comes while an application is evacuated does not attach in between."""
    app = host_dpdk.start_testpmd("crowd", memory=64)
    converge(app, *WANTED)
    run = Run({}, evacuation={"timeout": 30}, gate=True)
    run.await_step(1)
    run.go()
    run.await_step(2)  # the first has written the file
    other = Run({"apps": [{"app": "crowd", "ports": [{"device": one} for one in (*WANTED, "net_null3")]}]})
    for _number in range(2):
        run.go()
    assert run.outcome()["result"]["changed"]
    error = other.outcome()["error"]["error"]
    assert error["reason"] == "evacuated" and len(error["refusals"]) == 2
    assert args_of(app) == {}


# What the file may be


def _owned_by_another(path: Path) -> None:
    os.chown(path, 65534, 65534)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


HOSTILE: list[tuple[Callable[[Path], Any], str, int]] = [
    (_owned_by_another, "foreign", 3),
    (_link, "foreign", 3),
    (lambda path: path.chmod(0o666), "foreign", 3),
    (lambda path: path.write_text(" " * (1 << 20) + "{}"), "foreign", 3),
    (lambda path: path.write_text("nonsense"), "bad_file", 2),
    (lambda path: path.write_text('{"version": 1, "apps": [{"app": "../x"}]}'), "bad_file", 2),
]


@pytest.mark.parametrize("spoil, reason, code", HOSTILE)
def test_a_file_that_is_not_to_be_trusted(
    host_dpdk: Dpdk, spoil: Callable[[Path], Any], reason: str, code: int
) -> None:
    app = host_dpdk.start_testpmd("victim", memory=64)
    converge(app, *WANTED)
    evacuate(devices=["net_null1"])
    spoil(KEPT)
    for words in (["evacuate"], ["restore"], ["restore", "--forget"], ["attach", "net_null3"]):
        done = subprocess.run(
            [*COMMAND, *words, "--json"], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=False
        )
        answer = json.loads(done.stdout)
        assert (answer["error"]["reason"], done.returncode) == (reason, code), answer
        assert answer["error"]["way_out"]
    assert args_of(app) == {"net_null2": ""}


def test_no_room_to_remember(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("victim", memory=64)
    converge(app, *WANTED)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=755", "tmpfs", str(KEPT.parent)], check=True)
    ballast = KEPT.parent / "ballast"
    try:
        _fill(ballast)
        fails(evacuate, "no_journal")
        assert args_of(app) == ARGS and not KEPT.exists()
        ballast.unlink()
        evacuate()
        _fill(ballast)
        fails(restore, "no_journal")
        assert args_of(app) == {} and len(remembered()) == 2
        ballast.unlink()
        restore()
        assert args_of(app) == ARGS
    finally:
        subprocess.run(["umount", "--lazy", str(KEPT.parent)], check=True)


def _fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            pass


# The reconciler


@pytest.fixture
def reconciled(tmp_path: Path) -> Iterator[Reconciled]:
    with host(tmp_path) as made:
        yield made


def test_the_reconciler_leaves_alone_what_is_evacuated(reconciled: Reconciled, host_dpdk: Dpdk) -> None:
    ports = [{"device": device} for device in WANTED]
    app = host_dpdk.start_testpmd("web", memory=64)
    reconciled.wants({"app": "web", "exclusive": True, "ports": ports})
    wait_until(lambda: names("web") == frozenset(ARGS), "the ports")
    evacuate(devices=["net_null1"])
    assert names("web") == frozenset({"net_null2"})
    app.kill()
    app = host_dpdk.start_testpmd("web", memory=64)
    wait_until(lambda: names("web") == frozenset({"net_null2"}), "the other port")
    wait_until(lambda: reconciled.status()["parts"][0]["state"] == "evacuated", "the state")
    status = reconciled.status()
    assert status["holds"] and [row["device"] for row in status["evacuated"]] == ["net_null1"]
    assert "since" in status["parts"][0]["message"] and status["parts"][0]["tries"] == 0
    time.sleep(1)
    assert names("web") == frozenset({"net_null2"})
    error = refused(app, "net_null1")
    assert error.reason == "evacuated"
    restore()
    assert names("web") == frozenset(ARGS)
    wait_until(lambda: reconciled.status()["parts"][0]["state"] == "holds", "the state")
    assert names("web") == frozenset(ARGS)
    evacuate()
    assert names("web") == frozenset()
    restore(forget=True)
    wait_until(lambda: names("web") == frozenset(ARGS), "the reconciler to attach what is not evacuated any more")
    assert "error" not in reconciled.log.read_text().lower()
