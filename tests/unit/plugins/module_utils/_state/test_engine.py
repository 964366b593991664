# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine against a stateful fake application: a process with a lock, a telemetry and a multi-process socket."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import tempfile
import threading
import time
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.discovery import find
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import Release
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import home
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.journal import Journal
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_adapter import SwitchingAdapter
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import Act, FakeApp

pytestmark = pytest.mark.usefixtures("place", "patient")
Start = t.Callable[..., FakeApp]
Switching = t.Callable[[FakeApp], FakeApp]


def entry(fake: FakeApp, /, *devices: t.Any, **more: t.Any) -> dict[str, t.Any]:
    ports = [one if isinstance(one, dict) else {"device": one} for one in devices]
    return {"app": fake.prefix, "runtime_dir": fake.runtime_dir, "ports": ports, "timeout": 0.3, **more}


def run_on(fake: FakeApp, /, *devices: t.Any, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
    return converge({"apps": [entry(fake, *devices, **more)]}, check=check)


def fails(call: t.Callable[[], t.Any], reason: str) -> HotplugError:
    with pytest.raises(HotplugError) as error:
        call()
    assert error.value.reason == reason, str(error.value)
    assert error.value.way_out
    json.dumps(error.value.result())
    return error.value


def record_of(app: FakeApp) -> dict[str, t.Any]:
    (found,) = find(System(), runtime_dir=app.runtime_dir, prefixes=[app.prefix])
    with open(f"{home.place()}/{home.key(found)}/record.json") as file:
        data: dict[str, t.Any] = json.load(file)
    assert (data["pid"], data["start_time"]) == (app.pid, found.start_time)
    return {name: one["args"] for name, one in data["devices"].items()}


def files(*places: str) -> list[str]:
    return sorted(os.path.join(above, name) for place in places for above, _dirs, own in os.walk(place) for name in own)


@pytest.mark.parametrize("release", [Release(22, 11, 11), Release(25, 11, 4)])
def test_check_do_repeat_undo_repeat(fake: Start, release: Release) -> None:
    app = fake(vdevs=["net_ring0"], release=release)
    wanted = ("net_null0,size=64", "net_null1")
    checked = run_on(app, *wanted, check=True)
    assert app.requests == []
    result = run_on(app, *wanted)
    assert app.attached == {"net_ring0": "", "net_null0": "size=64", "net_null1": ""}
    assert checked["changed"] and result["changed"]
    assert checked["apps"][0]["diff"] == result["apps"][0]["diff"]
    (of_app,) = result["apps"]
    assert of_app["app"] == {
        "prefix": "web",
        "pid": app.pid,
        "version": f"DPDK {release}",
        "runtime_dir": app.runtime_dir,
        "adapter": "multiprocess",
        "channel": "ipc",
    }
    assert of_app["actions"] == [
        {"action": "attach", "device": "net_null0", "devargs": "net_null0,size=64", "port_ids": [1]},
        {"action": "attach", "device": "net_null1", "devargs": "net_null1", "port_ids": [2]},
    ]
    assert of_app["ports"][1] == {
        "device": "net_null0",
        "devargs": "net_null0,size=64",
        "name": "net_null0",
        "port_id": 1,
        "mac": "02:00:00:00:00:01",
        "numa_node": 0,
        "attached": True,
        "configured": False,
        "started": False,
        "owned": False,
        "siblings": [],
    }
    assert record_of(app) == {"net_null0": "size=64", "net_null1": ""}
    app.forget()
    for check in (False, True):
        again = run_on(app, *wanted, check=check)
        assert (again["changed"], again["apps"][0]["actions"]) == (False, [])
        assert again["apps"][0]["diff"]["before"] == again["apps"][0]["diff"]["after"]
    assert app.requests == []
    assert run_on(app, *wanted, state="absent")["changed"]
    assert app.attached == {"net_ring0": ""}
    assert not run_on(app, *wanted, state="absent")["changed"]


def test_check_mode_makes_no_file(fake: Start, run: str) -> None:
    app = fake(vdevs=["net_null1"])
    before = files(run)
    assert run_on(app, "net_null0", exclusive=True, check=True)["changed"]
    assert files(run) == before
    assert not os.path.exists(home.place())
    assert app.requests == []


def test_nothing_to_do_asks_for_nothing(fake: Start) -> None:
    app = fake(vdevs=["net_null0"])
    assert not run_on(app, "net_null0")["changed"]
    assert app.requests == []


def _mixed(app: FakeApp, **more: t.Any) -> dict[str, t.Any]:
    """Four steps: two detaches, two attaches."""
    return run_on(app, "net_null2,size=2", "net_null3", "net_null4,size=4", exclusive=True, **more)


STARTED_WITH = ["net_null0,size=64", "net_null1", "net_null2,size=2"]


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("result", [-1, -12, -95])
def test_a_failing_step_undoes_those_before(fake: Start, step: int, result: int) -> None:
    app = fake(vdevs=STARTED_WITH)
    before = app.attached
    app.script(*[Act()] * step, Act(result=result))
    with pytest.raises(HotplugError) as error:
        _mixed(app)
    assert app.attached == before
    fields = error.value.fields
    assert len(fields["actions"]) == len(fields["undone"]) == step
    assert fields["not_undone"] == []
    assert error.value.app == "web" and error.value.device.startswith("net_null")
    assert len(app.requests) == 2 * step + 1
    assert _mixed(app)["changed"]
    assert not _mixed(app)["changed"]


@pytest.mark.parametrize("step", range(4))
def test_not_atomic_keeps_what_was_done(fake: Start, step: int) -> None:
    app = fake(vdevs=STARTED_WITH)
    app.script(*[Act()] * step, Act(result=-1))
    with pytest.raises(HotplugError) as error:
        _mixed(app, atomic=False)
    assert len(app.requests) == step + 1
    assert len(error.value.fields["not_undone"]) == step
    assert all("atomic is false" in why for why in error.value.fields["not_undone"])
    assert _mixed(app)["changed"]


def test_an_undo_that_fails_is_said_and_does_not_stop_the_rest(fake: Start) -> None:
    app = fake(vdevs=STARTED_WITH)
    app.script(Act(), Act(), Act(), Act(result=-1), Act(result=-16), Act())
    with pytest.raises(HotplugError) as error:
        _mixed(app)
    assert error.value.fields["undone"] == ["detach net_null1", "detach net_null0,size=64"]
    (left,) = error.value.fields["not_undone"]
    assert "attach net_null3" in left and "in use" in left
    assert "Not undone" in str(error.value)
    assert app.attached == {"net_null0": "size=64", "net_null1": "", "net_null2": "size=2", "net_null3": ""}


def test_a_detach_of_unknown_arguments_cannot_be_taken_back(fake: Start) -> None:
    app = fake()
    app.attach("vdev:net_null0,size=64")
    app.script(Act(), Act(result=-1))
    with pytest.raises(HotplugError) as error:
        run_on(app, "net_null1", exclusive=True)
    assert "arguments are not known" in error.value.fields["not_undone"][0]
    assert app.attached == {}


UNKNOWN: list[tuple[str, Act, str]] = [
    ("late", Act(delay=0.6), ""),
    ("done without an answer", Act(reply="none"), ""),
    ("neither done nor answered", Act(result=0, reply="none"), "timeout"),
    ("a secondary fails and it stays", Act(result=-42, done=True), ""),
    ("a secondary fails and it is taken back", Act(result=-42, done=True, undo_after=0.4), "secondary_failed"),
    ("an answer of a wrong length", Act(reply="short"), ""),
    ("still starting", Act(result=0, reply="ignore"), "not_ready"),
]


@pytest.mark.parametrize("_what, act, reason", UNKNOWN)
def test_an_unknown_outcome_is_decided_by_what_is_there(fake: Start, _what: str, act: Act, reason: str) -> None:
    app = fake()
    app.script(Act(), act)
    if not reason:
        assert run_on(app, "net_null0", "net_null1")["changed"]
        assert app.attached == {"net_null0": "", "net_null1": ""}
        return
    fails(lambda: run_on(app, "net_null0", "net_null1"), reason)
    assert app.attached == {}


@pytest.mark.parametrize("act", [Act(delay=0.6), Act(reply="none")])
def test_an_unknown_detach_as_well(fake: Start, act: Act) -> None:
    app = fake(vdevs=["net_null0"])
    app.script(act)
    assert run_on(app, "net_null0", state="absent")["changed"]
    assert app.attached == {}


def test_one_that_falls_silent_is_not_asked_again(fake: Start) -> None:
    app = fake()
    app.script(Act(), Act(delay=30))
    begin = time.monotonic()
    error = fails(lambda: run_on(app, "net_null0", "net_null1"), "timeout")
    assert time.monotonic() - begin < 5
    assert "does not answer" in error.fields["not_undone"][0]
    assert [name for _verb, name in app.requests] == ["vdev:net_null0", "vdev:net_null1"]


def test_an_answer_that_is_not_true_is_found_out(fake: Start) -> None:
    app = fake(vdevs=["net_ring0"])
    app.script(Act(), Act(result=0))
    error = fails(lambda: run_on(app, "net_null0", "net_null1"), "not_effective")
    assert "attach net_null1" in str(error)
    assert app.attached == {"net_ring0": ""}


@pytest.mark.parametrize("dies", ["before", "after"])
@pytest.mark.parametrize("step", range(3))
def test_an_application_that_dies_in_the_middle(fake: Start, dies: str, step: int) -> None:
    app = fake()
    app.script(*[Act()] * step, Act(dies=dies))
    wanted = ("net_null0", "net_null1", "net_null2")
    # While its process is not reaped its lock is gone, and so are its ports.
    error = fails(lambda: run_on(app, *wanted), "primary_gone")
    assert error.fields["not_undone"] == error.fields["undone"] == []
    app.gone()
    fails(lambda: run_on(app, *wanted), "no_application")
    again = fake()
    assert run_on(again, *wanted)["changed"]
    assert sorted(again.attached) == sorted(wanted)


def test_the_record_is_of_one_life(fake: Start) -> None:
    app = fake()
    run_on(app, "net_null0,size=64")
    app.end()
    again = fake()
    again.attach("vdev:net_null0,size=32")
    result = run_on(again, "net_null0,size=64")
    assert not result["changed"]
    assert "not known" in result["warnings"][0]
    assert result["apps"][0]["ports"][0]["devargs"] is None


def test_arguments_given_at_the_start_are_known(fake: Start) -> None:
    app = fake(vdevs=["net_null0,size=64"])
    fails(lambda: run_on(app, "net_null0,size=32"), "other_arguments")
    assert not run_on(app, "net_null0,size=64")["changed"]
    assert app.requests == []


def test_recreate(fake: Start) -> None:
    app = fake(vdevs=["net_null0,size=64"])
    result = run_on(app, "net_null0,size=32", recreate=True)
    assert [one["action"] for one in result["apps"][0]["actions"]] == ["detach", "attach"]
    assert app.attached == {"net_null0": "size=32"}
    assert not run_on(app, "net_null0,size=32", recreate=True)["changed"]
    fails(lambda: run_on(app, "net_null0,size=64"), "other_arguments")


def test_recreate_of_unknown_arguments_once(fake: Start) -> None:
    app = fake()
    app.attach("vdev:net_null0")
    assert run_on(app, "net_null0,size=32", recreate=True)["changed"]
    assert not run_on(app, "net_null0,size=32", recreate=True)["changed"]


def test_a_failed_recreate_brings_the_old_one_back(fake: Start) -> None:
    app = fake(vdevs=["net_null0,size=64"])
    fails(lambda: run_on(app, "net_null0,bogus=1", recreate=True), "bad_devargs")
    assert app.attached == {"net_null0": "size=64"}
    assert not run_on(app, "net_null0,size=64")["changed"]


def test_what_somebody_detached_and_attached_again_is_not_known(fake: Start) -> None:
    app = fake()
    run_on(app, "net_null0,size=64")
    app.detach("vdev:net_null0")
    run_on(app, "net_null1")
    app.attach("vdev:net_null0,size=1")
    assert "not known" in run_on(app, "net_null0,size=64")["warnings"][0]


def test_started_ports(fake: Start) -> None:
    app = fake(vdevs=["net_null0"])
    app.start(0)
    error = fails(lambda: run_on(app, "net_null0", state="absent"), "port_started")
    assert "0 (net_null0)" in str(error) and "'web'" in str(error)
    assert app.requests == []
    assert run_on(app, "net_null0", state="absent", force=True)["changed"]


def test_a_port_that_is_started_after_the_plan(fake: Start) -> None:
    app = fake(vdevs=["net_null0", "net_null1"])
    app.script(Act(starts_port=1))
    fails(lambda: run_on(app, "net_null0", "net_null1", state="absent"), "port_started")
    assert app.attached == {"net_null0": "", "net_null1": ""}
    assert ("detach", "vdev:net_null1") not in app.requests


def test_a_device_that_is_gone_when_it_is_to_be_detached(fake: Start) -> None:
    app = fake(vdevs=["net_null0", "net_null1"])

    def meanwhile(text: str) -> None:
        if "net_null1" in text:
            app.detach("vdev:net_null1")

    wanted = entry(app, "net_null0", "net_null1", state="absent")
    assert converge({"apps": [wanted]}, progress=meanwhile)["changed"]
    assert app.attached == {}
    assert app.requests == [("detach", "vdev:net_null0")]


def test_owned_ports_and_exclusive(fake: Start) -> None:
    app = fake(vdevs=["net_null0", "net_null1", "net_null2"])
    app.own(1)
    assert run_on(app, "net_null0", exclusive=True)["changed"]
    assert sorted(app.attached) == ["net_null0", "net_null1"]
    assert not run_on(app, "net_null0", exclusive=True)["changed"]
    fails(lambda: run_on(app, "net_null1", state="absent"), "owned")


def test_port_ids(fake: Start) -> None:
    app = fake(vdevs=["net_null0", "net_null1"])
    assert run_on(app, {"port_id": 0}, {"port_id": 9}, state="absent")["changed"]
    assert app.attached == {"net_null1": ""}
    assert not run_on(app, {"port_id": 0}, state="absent")["changed"]


@pytest.mark.parametrize(
    "ports",
    [
        [{"port_id": 0, "state": "absent"}, {"device": "net_null5"}],
        [{"device": "net_null5"}, {"port_id": 0, "state": "absent"}],
    ],
)
def test_a_port_id_that_another_takes_over_in_the_same_run(fake: Start, ports: list[dict[str, t.Any]]) -> None:
    app = fake(vdevs=["net_null0", "net_null1"])
    assert run_on(app, *ports)["changed"]
    assert [port and port["name"] for port in app.ports[:3]] == ["net_null5", "net_null1", None]


def test_slots_and_memory_are_told_apart(fake: Start) -> None:
    app = fake(vdevs=[f"net_null{number}" for number in range(30)])
    error = fails(lambda: run_on(app, "net_ring0", "net_ring1", "net_ring2"), "no_slot")
    assert "32 ports" in str(error) and error.fields["errno"] == -12
    assert len(app.attached) == 30
    app.script(Act(result=-12))
    fails(lambda: run_on(app, "net_ring0"), "no_memory")


def test_ports_whose_names_do_not_tell_their_device(fake: Start) -> None:
    app = fake(pci={"0000:01:00.0": ["odd a", "odd b"]}, vdevs=["net_null0"])
    result = run_on(app, "01:00.0")
    rows = [(row["device"], row["name"], row["siblings"]) for row in result["apps"][0]["ports"] if row["port_id"]]
    assert rows == [("0000:01:00.0", "odd a", [2]), ("0000:01:00.0", "odd b", [1])]
    assert not run_on(app, "01:00.0")["changed"]
    assert run_on(app, {"port_id": 2}, state="absent")["changed"]
    assert app.attached == {"net_null0": ""}


# Locks


def _locked(app: FakeApp) -> int:
    (found,) = find(System(), runtime_dir=app.runtime_dir)
    with home.open_home(home.key(found)) as directory:
        fd = directory.open("lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def test_another_run_is_waited_for_and_then_named(fake: Start) -> None:
    app = fake()
    fd = _locked(app)
    error = fails(lambda: run_on(app, "net_null0"), "locked")
    assert "'web'" in str(error)
    assert app.requests == []
    assert run_on(app, "net_null0", check=True)["changed"], "looking needs no lock"
    threading.Timer(0.2, os.close, [fd]).start()
    assert run_on(app, "net_null0", timeout=5)["changed"]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_an_application_that_is_restarted_while_we_wait(fake: Start) -> None:
    app = fake()
    fd = _locked(app)
    started: list[FakeApp] = []

    def restart() -> None:
        app.end()
        started.append(fake())
        os.close(fd)

    threading.Timer(0.2, restart).start()
    result = run_on(app, "net_null0", timeout=5)
    assert result["apps"][0]["app"]["pid"] == started[0].pid
    assert started[0].attached == {"net_null0": ""}


def test_a_run_leaves_neither_lock_nor_descriptor(fake: Start) -> None:
    app = fake()
    run_on(app, "net_null0")
    before = sorted(os.listdir("/proc/self/fd"))
    app.script(Act(result=-1))
    for wanted in (("net_null0",), ("net_null1",), ("net_null1",)):
        with contextlib.suppress(HotplugError):
            run_on(app, *wanted)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert not [name for name in os.listdir(app.directory) if name.startswith("hotplug")]


# Several applications


def test_two_applications_in_one_document(fake: Start) -> None:
    web, db = fake("web", vdevs=["net_null0"]), fake("db")
    told: list[str] = []
    wanted = {"apps": [entry(web, "net_null1", exclusive=True), entry(db, "net_ring0")]}
    result = converge(wanted, progress=told.append)
    assert told == ["web: detach net_null0", "web: attach net_null1", "db: attach net_ring0"]
    assert [one["app"]["prefix"] for one in result["apps"]] == ["web", "db"]
    assert [len(one["actions"]) for one in result["apps"]] == [2, 1]
    assert (web.attached, db.attached) == ({"net_null1": ""}, {"net_ring0": ""})
    assert not converge(wanted)["changed"]


def test_a_failure_in_one_application_undoes_the_other(fake: Start) -> None:
    web, db = fake("web", vdevs=["net_null0"]), fake("db")
    db.script(Act(result=-1))
    error = fails(
        lambda: converge({"apps": [entry(web, "net_null1", exclusive=True), entry(db, "net_ring0")]}), "bad_devargs"
    )
    assert error.app == "db"
    assert (web.attached, db.attached) == ({"net_null0": ""}, {})


def test_a_death_of_one_application_undoes_the_other(fake: Start) -> None:
    web, db = fake("web"), fake("db")
    db.script(Act(dies="before"))
    error = fails(lambda: converge({"apps": [entry(web, "net_null1"), entry(db, "net_ring0")]}), "primary_gone")
    assert error.fields["undone"] == ["attach net_null1"]
    assert web.attached == {}
    db.gone()


def test_the_same_prefix_in_two_directories(fake: Start, run: str) -> None:
    other = tempfile.mkdtemp(prefix="hp")
    try:
        web = fake("web")
        with FakeApp(other, "web") as second:
            result = converge({"apps": [entry(web, "net_null0"), entry(second, "net_null1")]})
            assert [one["app"]["pid"] for one in result["apps"]] == [web.pid, second.pid]
            assert (web.attached, second.attached) == ({"net_null0": ""}, {"net_null1": ""})
    finally:
        shutil.rmtree(other)


def test_an_application_given_twice(fake: Start) -> None:
    app = fake()
    error = fails(
        lambda: converge({"apps": [entry(app, "net_null0"), entry(app, "net_null1", app=None)]}), "given_twice"
    )
    assert "'web'" in str(error)
    assert app.requests == []


def test_the_only_application_needs_no_name(fake: Start) -> None:
    app = fake()
    assert run_on(app, "net_null0", app=None)["apps"][0]["app"]["prefix"] == "web"


def test_several_applications_need_a_name(fake: Start) -> None:
    apps = fake("web"), fake("db")
    error = fails(lambda: run_on(apps[0], "net_null0", app=None), "several_applications")
    assert "'web'" in str(error) and "'db'" in str(error)


def test_no_application(fake: Start, run: str) -> None:
    app = fake("web")
    error = fails(lambda: run_on(app, "net_null0", app="none"), "no_application")
    assert "'none'" in str(error)
    app.end()
    assert "was left by one that ended" in str(fails(lambda: run_on(app, "net_null0"), "no_application"))
    os.rename(f"{run}/web", f"{run}/real")
    os.symlink("real", f"{run}/web")
    assert "trusted" in str(fails(lambda: run_on(app, "net_null0"), "no_application"))


@pytest.mark.parametrize(
    "how, text",
    [
        ({"shared": False}, "--in-memory"),
        ({"release": Release(26, 11)}, "not known"),
        ({"telemetry": False}, "ports cannot be read"),
    ],
)
def test_what_no_channel_reaches(fake: Start, how: dict[str, t.Any], text: str) -> None:
    app = fake(**how)
    assert text in str(fails(lambda: run_on(app, "net_null0"), "unreachable"))
    assert app.requests == []


def test_a_stopped_application(fake: Start) -> None:
    app = fake()
    app.signal(signal.SIGSTOP)
    fails(lambda: run_on(app, "net_null0"), "unreachable")
    app.signal(signal.SIGCONT)
    assert app.requests == []


def test_a_stuck_multi_process_thread_is_found_before_the_first_change(fake: Start) -> None:
    import socket

    app = fake()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.sendto(b"too short", f"{app.directory}/mp_socket")
    fails(lambda: run_on(app, "net_null0"), "primary_stuck")


# What may go wrong on our side


def test_no_room_for_the_record_is_found_before_the_first_change(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    app = fake()

    def full(_home: t.Any, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    run_on(app, "net_null1")
    before = list(app.requests)
    monkeypatch.setattr(Journal, "_replace", staticmethod(full))
    attach = fails(lambda: run_on(app, "net_null0"), "no_journal")
    detach = fails(lambda: run_on(app, "net_null1", state="absent"), "no_journal")
    assert {str(error).partition(": ")[0] for error in (attach, detach)} == {"application 'web'"}
    assert app.requests == before


def test_what_was_not_foreseen_is_undone_too(fake: Start) -> None:
    app = fake()

    def broken(text: str) -> None:
        if "net_null1" in text:
            raise RuntimeError("out of order")

    error = fails(lambda: converge({"apps": [entry(app, "net_null0", "net_null1")]}, progress=broken), "internal")
    assert "RuntimeError: out of order" in str(error)
    assert app.attached == {}


def test_nobody_reads_the_progress(fake: Start) -> None:
    app = fake()

    def gone(_text: str) -> None:
        raise BrokenPipeError()

    assert converge({"apps": [entry(app, "net_null0")]}, progress=gone)["changed"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE])
def test_signals_do_not_leave_half_of_a_plan(fake: Start, number: int) -> None:
    app = fake()
    kept = signal.getsignal(number)
    wanted = {"apps": [entry(app, "net_null0", "net_null1")]}
    assert converge(wanted, progress=lambda _text: os.kill(os.getpid(), number))["changed"]
    assert signal.getsignal(number) == kept
    assert len(app.attached) == 2


def test_in_another_thread(fake: Start) -> None:
    app = fake()
    results: list[dict[str, t.Any]] = []
    thread = threading.Thread(target=lambda: results.append(run_on(app, "net_null0")))
    thread.start()
    thread.join(10)
    assert results[0]["changed"]


# An adapter that starts and stops ports


def test_start_and_stop(fake: Start, switching: Switching) -> None:
    app = switching(fake(vdevs=["net_null0"]))
    result = run_on(app, "net_null0", "net_null1", started=True)
    assert result["apps"][0]["app"]["adapter"] == "testpmd"
    assert app.started == {0, 1}
    assert not run_on(app, "net_null0", "net_null1", started=True)["changed"]
    assert run_on(app, "net_null0", started=False)["changed"]
    assert app.started == {1}
    app.forget()
    assert run_on(app, "net_null1", state="absent")["changed"]
    assert app.requests == [("stop", "1"), ("detach", "vdev:net_null1")]


def test_started_without_an_adapter_for_it(fake: Start) -> None:
    app = fake()
    fails(lambda: run_on(app, "net_null0", started=True), "not_supported")
    assert app.requests == []


@pytest.mark.parametrize("started", [None, True, False])
def test_recreate_where_a_lower_slot_is_free(fake: Start, switching: Switching, started: bool | None) -> None:
    app = switching(fake(vdevs=["net_null0", "net_null1,size=64"]))
    app.start(1)
    app.detach("vdev:net_null0")
    run_on(app, "net_null1,size=32", recreate=True, started=started)
    assert app.attached == {"net_null1": "size=32"}
    assert app.started == (set() if started is False else {0}), "as it is, or as it is asked for"


def test_the_undo_starts_a_port_again_wherever_it_is_now(fake: Start, switching: Switching) -> None:
    app = switching(fake(vdevs=["net_null0,size=64", "net_null1", "net_null2"]))
    app.start(0)
    app.start(1)
    app.script(Act(), Act(), Act(result=-1))
    fails(lambda: run_on(app, "net_null2", "net_null9", exclusive=True), "bad_devargs")
    names = {port["name"]: port["started"] for port in app.ports if port}
    assert names == {"net_null0": True, "net_null1": True, "net_null2": False}


def test_the_undo_of_a_recreate_that_took_another_slot(fake: Start, switching: Switching) -> None:
    app = switching(fake(vdevs=["net_null0", "net_null1,size=64"]))
    app.start(1)
    app.detach("vdev:net_null0")
    SwitchingAdapter.failing["start"] = HotplugError("refused", "it cannot be started", way_out="Look at its log.")
    error = fails(lambda: run_on(app, "net_null1,size=32", recreate=True, started=True), "refused")
    assert app.attached == {"net_null1": "size=64"}
    assert error.fields["undone"] == ["attach net_null1,size=32", "detach net_null1,size=64"]
    assert error.fields["not_undone"] == ["stop net_null1,size=64: it cannot be started"]


@pytest.mark.parametrize("verb, wanted", [("start", True), ("stop", False)])
def test_an_unknown_start_or_stop_is_decided_by_what_is_there(
    fake: Start, switching: Switching, verb: str, wanted: bool
) -> None:
    app = switching(fake(vdevs=["net_null0"]))
    if not wanted:
        app.start(0)
    SwitchingAdapter.failing[verb] = HotplugError("timeout", "no answer", way_out="Wait.")
    fails(lambda: run_on(app, "net_null0", started=wanted), "timeout")
    assert app.started == (set() if wanted else {0})


def test_the_undo_of_a_stop_starts_the_ports_that_were_started_and_no_others(fake: Start, switching: Switching) -> None:
    app = switching(fake(pci={"0000:01:00.0": ["0000:01:00.0", "0000:01:00.0_representor_0"]}))
    run_on(app, "01:00.0")
    app.start(1)
    app.script(Act(), Act(result=-14))
    ports = [{"device": "01:00.0", "state": "absent"}, {"device": "net_null0"}]
    error = fails(lambda: run_on(app, *ports), "unknown_driver")
    assert error.fields["undone"] == ["detach 0000:01:00.0", "stop 0000:01:00.0"]
    assert app.started == {1}


def test_a_stop_that_fails_at_the_second_port_starts_the_first_again(
    fake: Start, switching: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = switching(fake(pci={"0000:01:00.0": ["0000:01:00.0", "0000:01:00.0_representor_0"]}))
    run_on(app, "01:00.0", started=True)
    stop = SwitchingAdapter.stop

    def only_the_first(self: SwitchingAdapter, port_id: int) -> None:
        if port_id == 1:
            raise HotplugError("refused", "port 1 stays", way_out="Leave it.")
        stop(self, port_id)

    monkeypatch.setattr(SwitchingAdapter, "stop", only_the_first)
    fails(lambda: run_on(app, "01:00.0", state="absent"), "refused")
    assert app.started == {0, 1}
    assert list(app.attached) == ["0000:01:00.0"]
