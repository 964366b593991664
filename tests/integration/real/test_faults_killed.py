# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application is killed or stopped in the middle of a change; the run itself is signalled, cut off or killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from faults import Run, args_of, converge, document, ipc_lives, names_all, refused, strangers
from releases import Dpdk, Testpmd, count, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import multiprocess
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine

THREE = ("net_null0,size=64", "net_null1,size=128", "net_null2,size=256")
ALL_ARGS = {"net_null0": "size=64", "net_null1": "size=128", "net_null2": "size=256"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits for a silent application, shortened: their length is DPDK's matter and no part of what is shown."""
    monkeypatch.setattr(multiprocess, "_ANSWER", 0.5)
    monkeypatch.setattr(multiprocess, "_SETTLE", 1.5)
    monkeypatch.setattr(multiprocess, "_PING", 1.0)


# The primary is killed (row 1)


def test_primary_killed_while_ports_are_attached(dpdk: Dpdk) -> None:
    """SIGKILL 0 to 50 ms after the first request; 28 attaches take about 10 ms, half of the kills come within these."""
    devices = [f"net_null{number},size={64 + number}" for number in range(28)]
    failed = 0
    for number in range(count(67)):  # 200 over the three releases
        app = dpdk.start_testpmd("victim", memory=64)
        delay = random.uniform(0, random.choice((0.01, 0.05))) if number else 0.001
        error = _killed_within(app, delay, document(app, *devices))
        if error is not None:
            failed += 1
            assert error.reason == "primary_gone", error.result()
            names_all(error, "victim", str(app.pid))
            assert not error.fields.get("not_undone"), error.result()
        assert strangers(app) == []
    assert failed, "not one kill came before the end: nothing was shown"
    app = dpdk.start_testpmd("victim", memory=64)
    assert converge(app, *devices)["changed"]
    assert args_of(app) == dict(device.split(",") for device in devices)
    assert not converge(app, *devices)["changed"]


def _killed_within(app: Testpmd, seconds: float, wanted: dict[str, object]) -> HotplugError | None:
    """Kills the application so long after the first step began; the run's error, if it had one."""
    timer = threading.Timer(seconds, app.kill)

    def first(_step: str) -> None:
        if not timer.is_alive() and not timer.finished.is_set():
            timer.start()

    try:
        engine.converge(wanted, progress=first)
    except HotplugError as error:
        return error
    finally:
        timer.join()
    return None


def test_primary_killed_between_two_steps(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("victim")
    run = Run(document(app, *THREE), gate=True)
    run.await_step(1)
    run.go()
    run.await_step(2)
    app.kill()
    run.go()
    error = run.outcome()["error"]
    assert error["error"]["reason"] == "primary_gone"
    assert [one["device"] for one in error["error"]["actions"]] == ["net_null0"]
    again = refused("victim", *THREE)
    assert again.reason == "no_application"
    names_all(again, "victim", "left by one that ended")


def test_primary_killed_while_it_is_stopped_in_a_request(host_dpdk: Dpdk) -> None:
    """The end of a process is seen at once, also where it can answer nothing."""
    app = host_dpdk.start_testpmd("victim")
    run = Run(document(app, *THREE), gate=True)
    run.await_step(1)
    app.pause()
    run.go()
    time.sleep(0.3)
    begin = time.monotonic()
    app.kill()
    assert run.outcome()["error"]["error"]["reason"] == "primary_gone"
    assert time.monotonic() - begin < 2


def test_primary_killed_while_ports_are_detached(host_dpdk: Dpdk) -> None:
    for _round in range(count(40)):
        app = host_dpdk.start_testpmd("victim", memory=64)
        names = [f"net_null{number}" for number in range(20)]
        converge(app, *names)
        error = _killed_within(app, random.uniform(0, 0.02), document(app, absent=tuple(names)))
        assert error is None or error.reason == "primary_gone", error.result()
        assert strangers(app) == []


# The run is signalled, cut off, killed (row 5)


def test_a_run_that_applies_is_not_ended_by_signals(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("calm")
    run = Run(document(app, *THREE), gate=True)
    for step in (1, 2, 3):
        run.await_step(step)
        run.signal(signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE)
        run.go()
    outcome = run.outcome()
    assert outcome["code"] == 0 and outcome["result"]["changed"], outcome
    assert args_of(app) == ALL_ARGS


def test_a_run_that_applies_outlives_its_terminal_and_its_reader(host_dpdk: Dpdk) -> None:
    """The connection is cut: its output goes nowhere, its session gets SIGHUP."""
    app = host_dpdk.start_testpmd("calm")
    reader, writer = os.pipe()
    run = Run(document(app, *THREE), gate=True, output=writer)
    os.close(writer)
    assert b"ready" in os.read(reader, 4096)
    wait_until(lambda: b"step" in os.read(reader, 4096), "its first step")
    os.close(reader)
    os.killpg(run.pid, signal.SIGHUP)
    for _round in THREE:
        run.go()
    run.process.wait(20)
    assert args_of(app) == ALL_ARGS
    assert not converge(app, *THREE)["changed"]


def test_a_waiting_run_can_be_ended(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("calm")
    holder = Run(document(app, *THREE), gate=True)
    holder.await_step(1)
    waiting = Run(document(app, "net_null9", timeout=60))
    assert waiting.ready.wait(10)
    time.sleep(0.3)
    waiting.signal(signal.SIGTERM)
    assert waiting.outcome()["code"] == -signal.SIGTERM
    for _round in THREE:
        holder.go()
    assert holder.outcome()["code"] == 0
    assert set(app.ports()) == set(ALL_ARGS)


def test_a_second_run_says_who_holds_the_lock(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("calm")
    holder = Run(document(app, *THREE), gate=True)
    holder.go()
    holder.await_step(2)
    begin = time.monotonic()
    error = refused(app, *THREE, timeout=0.5)
    assert error.reason == "locked" and 0.5 <= time.monotonic() - begin < 3
    names_all(error, "calm", f"pid {holder.pid}", "since ")
    second = Run(document(app, *THREE, timeout=30))
    assert second.ready.wait(10)
    time.sleep(0.2)
    holder.go()
    holder.go()
    assert holder.outcome()["result"]["changed"]
    outcome = second.outcome()
    assert not outcome["result"]["changed"] and second.steps == [], "it was applied twice"
    assert sorted(app.ports()) == sorted(ALL_ARGS)


FAULTS = [
    ("_state.home:open_home", "after", 1),
    ("_state.home:Lock", "after", 1),
    ("_state.app_acts:AppActs.prepare", "before", 1),
    ("_state.journal:Journal._replace", "before", 1),
    ("os:fsync", "before", 1),
    ("os:rename", "before", 1),
    ("os:rename", "after", 1),
    *((f"_state.app_acts:AppActs.{name}", when, 1) for name in ("prepare",) for when in ("after",)),
    *(("_state.app_acts:AppActs.do", when, number) for number in (1, 2, 3) for when in ("before", "after")),
    *(("_binding.ipc:Primary._bind", "after", number) for number in (2, 3)),
    *(("_binding.ipc:Primary._send", "after", number) for number in (1, 2, 3, 4)),
    *(("_binding.ipc:Primary._await", "after", number) for number in (2, 4)),
    ("_state.app_acts:AppActs.verify", "before", 1),
    ("_state.app_acts:AppActs.verify", "after", 1),
    ("_state.work:AppWork.close", "before", 1),
]


def test_a_run_killed_at_every_step(host_dpdk: Dpdk) -> None:
    """SIGKILL at each fail point; the next run finishes, and knows the arguments of all, the dead run's too."""
    app = host_dpdk.start_testpmd("calm")
    for place, when, number in FAULTS:
        run = Run(document(app, *THREE), fault=[place, when, number])
        assert run.outcome()["code"] == -signal.SIGKILL, f"the fail point {place} {when} {number} was not reached"
        answer = converge(app, *THREE)
        where = f"after {when} {place} {number}"
        assert args_of(app) == ALL_ARGS, where
        assert not converge(app, *THREE)["changed"], where
        assert answer["changed"] == (run_left(answer) < 3), where
        converge(app, absent=("net_null0", "net_null1", "net_null2"))
        assert app.ports() == {}
    assert ipc_lives(app)
    assert len(strangers(app)) <= len(FAULTS)


def run_left(answer: dict[str, Any]) -> int:
    """How many of the three ports a dead run had left behind."""
    return len(answer["diff"]["before"]["ports"])


def test_a_dead_run_makes_no_wrong_claims(host_dpdk: Dpdk) -> None:
    """What it planned and did not do is attached by hand, with other arguments: they are not said to be ours."""
    app = host_dpdk.start_testpmd("calm")
    run = Run(document(app, *THREE), fault=["_state.app_acts:AppActs.do", "before", 2])
    assert run.outcome()["code"] == -signal.SIGKILL
    app.console("port attach net_null2,size=512")
    app.wait_for("Done")
    known = args_of(app)
    assert known["net_null0"] == "size=64" and known["net_null2"] is None
    answer = engine.converge(document(app, *THREE))
    assert any("net_null2" in text for text in answer["warnings"]), answer
    assert args_of(app) == {**ALL_ARGS, "net_null2": None}


def test_killed_runs_in_detach(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("calm")
    names = tuple(ALL_ARGS)
    for when in ("before", "after"):
        for number in (1, 2, 3):
            converge(app, *THREE)
            run = Run(document(app, absent=names), fault=["_state.app_acts:AppActs.do", when, number])
            assert run.outcome()["code"] == -signal.SIGKILL
            assert converge(app, *THREE)["changed"] == (when == "after" or number > 1)
            assert args_of(app) == ALL_ARGS
            converge(app, absent=names)
            assert app.ports() == {}


def test_a_leftover_of_a_killed_run_is_swept(host_dpdk: Dpdk) -> None:
    """The reply socket of a run that was killed in a request goes with the next run."""
    app = host_dpdk.start_testpmd("calm")
    # Once the answer is there: a primary that finds nobody to give it to removes the socket by itself.
    run = Run(document(app, *THREE), fault=["_binding.ipc:Primary._await", "after", 2])
    run.outcome()
    assert strangers(app), "the kill left nothing: nothing is shown"
    converge(app, *THREE)
    assert strangers(app) == []


# No answer in time: unknown is not failed


@pytest.mark.usefixtures("impatient")
def test_a_late_answer_is_not_a_failure(dpdk: Dpdk) -> None:
    app = dpdk.start_testpmd("slow")
    resume = threading.Timer(1.4, app.resume)

    def stop_it(_step: str) -> None:
        app.pause()
        resume.start()

    answer = engine.converge(document(app, "net_null0,size=64", timeout=1), progress=stop_it)
    assert answer["changed"] and args_of(app) == {"net_null0": "size=64"}
    resume = threading.Timer(1.4, app.resume)
    answer = engine.converge(document(app, absent=("net_null0",), timeout=1), progress=stop_it)
    assert answer["changed"] and app.ports() == {} and strangers(app) == []


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_never_comes_is_unknown(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("slow")
    steps = iter(range(9))

    def stop_it(_step: str) -> None:
        if next(steps) == 2:
            app.pause()

    begin = time.monotonic()
    with pytest.raises(HotplugError) as caught:
        engine.converge(document(app, *THREE, timeout=1), progress=stop_it)
    error = caught.value
    assert error.reason == "timeout", error.result()
    names_all(error, "slow", "net_null2", "not known")
    assert [one["device"] for one in error.fields["actions"]] == ["net_null0", "net_null1"]
    assert error.fields["undone"] == [] and len(error.fields["not_undone"]) == 2, error.result()
    assert time.monotonic() - begin < 12, "a stuck application is waited for once, not at every step"
    assert refused(app, *THREE).reason == "unreachable"  # its telemetry is silent as well: still nothing is guessed
    app.resume()
    wait_until(lambda: "net_null2" in app.ports(), "the late attach")
    assert not converge(app, *THREE)["changed"]
    assert args_of(app) == ALL_ARGS and strangers(app) == []


def test_a_stopped_primary_is_refused_before_the_first_change(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("slow")
    app.pause()
    begin = time.monotonic()
    error = refused(app, *THREE)
    assert error.reason == "unreachable" and time.monotonic() - begin < 8
    names_all(error, "slow", str(app.pid), "the process is stopped")
    app.resume()
    assert app.ports() == {}


def test_a_primary_without_its_multiprocess_thread_is_refused(host_dpdk: Dpdk) -> None:
    """A datagram of a wrong length ends that thread for good (22.03 and later), and telemetry lives on."""
    import socket

    app = host_dpdk.start_testpmd("deaf")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.sendto(b"x" * 100, app.mp_socket)
    error = refused(app, *THREE)
    assert error.reason == "primary_stuck"
    names_all(error, "deaf", str(app.pid), "nothing was changed", "Restart it")
    assert app.ports() == {} and strangers(app) == []
    assert Path(app.telemetry).exists()
