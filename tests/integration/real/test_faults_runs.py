# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several runs at once (row 6), and nowhere to keep locks and records (row 20)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import HOMES, Run, args_of, converge, document, ipc_lives, names_all, refused, strangers
from releases import Dpdk, Testpmd, count

from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine, info


@pytest.fixture
def clean_homes() -> Iterator[None]:
    """A test's own /run/dpdk-hotplug: whatever it mounts or leaves there goes with it."""
    HOMES.mkdir(0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", HOMES], check=True)
    yield
    subprocess.run(["umount", "-l", HOMES], check=True)


# Several runs at once


def test_eight_runs_on_one_application(dpdk: Dpdk) -> None:
    """All want the same: all succeed, each device is attached once, and whoever changed it says so."""
    app = dpdk.start_testpmd("crowd")
    wanted = [f"net_null{number},size={64 + number}" for number in range(4)]
    for _round in range(count(34)):  # 100 over the three releases
        runs = [Run(document(app, *wanted, timeout=60)) for _round in range(8)]
        outcomes = [run.outcome() for run in runs]
        assert all("result" in one for one in outcomes), outcomes
        results = [one["result"] for one in outcomes]
        assert sum(result["changed"] for result in results) == 1
        assert sum(len(run.steps) for run in runs) == len(wanted), "something was applied twice"
        assert args_of(app) == dict(device.split(",") for device in wanted)
        assert converge(app, exclusive=True, ports=[])["changed"]
    assert ipc_lives(app) and strangers(app) == []


def test_eight_runs_that_want_different_things(host_dpdk: Dpdk) -> None:
    """Each attaches and detaches its own; nobody's is lost and nobody's is left."""
    app = host_dpdk.start_testpmd("crowd")
    for _round in range(count(30)):
        runs = [Run(document(app, f"net_null{number}", f"net_ring{number}", timeout=60)) for number in range(8)]
        assert all(run.outcome()["result"]["changed"] for run in runs)
        assert set(app.ports()) == {f"net_{kind}{number}" for kind in ("null", "ring") for number in range(8)}
        runs = [
            Run(document(app, absent=(f"net_null{number}", f"net_ring{number}"), timeout=60)) for number in range(8)
        ]
        assert all(run.outcome()["result"]["changed"] for run in runs)
        assert app.ports() == {}


def test_one_run_for_several_applications(host_dpdk: Dpdk) -> None:
    """Two documents with the same applications in other order do not wait for each other for ever."""
    apps = [host_dpdk.start_testpmd(f"twin{number}") for number in range(2)]
    entries = [document(app, "net_null0", timeout=60)["apps"][0] for app in apps]
    for _round in range(count(30)):
        runs = [Run({"apps": entries}), Run({"apps": entries[::-1]})]
        assert sorted(run.outcome()["result"]["changed"] for run in runs) == [False, True]
        engine.converge({"apps": [document(app, absent=("net_null0",))["apps"][0] for app in apps]})


def test_a_failure_in_one_application_is_undone_in_the_other(host_dpdk: Dpdk) -> None:
    apps = [host_dpdk.start_testpmd(f"twin{number}") for number in range(2)]
    entries = [document(apps[0], "net_null0")["apps"][0], document(apps[1], "net_none0")["apps"][0]]
    run = Run({"apps": entries})
    error = run.outcome()["error"]
    assert error["error"]["reason"] == "unknown_driver"
    assert "twin1" in error["msg"] and "net_none0" in error["msg"]
    assert error["error"]["undone"] == ["attach net_null0"] and error["error"]["not_undone"] == []
    assert apps[0].ports() == {} == apps[1].ports()


def test_looking_waits_for_nobody(host_dpdk: Dpdk) -> None:
    app = host_dpdk.start_testpmd("crowd", ["net_null0"])
    holder = Run(document(app, "net_null1"), gate=True)
    holder.await_step(1)
    begin = time.monotonic()
    assert [port["device"] for port in info.apps(app="crowd")[0]["ports"]] == ["net_null0"]
    assert engine.converge(document(app, "net_null2"), check=True)["changed"]
    assert time.monotonic() - begin < 2
    holder.go()
    assert holder.outcome()["code"] == 0


# Nowhere to keep locks and records


def _fill(directory: Path) -> None:
    with open(directory / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            pass


def _full(app: Testpmd) -> None:
    _fill(HOMES)


def _full_with_a_home(app: Testpmd) -> None:
    """The application's own directory is there, with its lock; only the record has no room."""
    converge(app, "net_null7")
    converge(app, absent=("net_null7",))
    for record in HOMES.glob("*/record.json"):
        record.unlink()
    _fill(HOMES)


def _full_for_the_lock(app: Testpmd) -> None:
    converge(app, "net_null7")
    converge(app, absent=("net_null7",))
    for left in HOMES.glob("*/*"):
        left.unlink()
    _fill(HOMES)


def _no_inodes(app: Testpmd) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=2", HOMES], check=False)
    with contextlib.suppress(OSError):
        for number in range(9999):
            (HOMES / f"f{number}").touch()


def _read_only(app: Testpmd) -> None:
    subprocess.run(["mount", "-o", "remount,ro", HOMES], check=True)


def _read_only_with_a_home(app: Testpmd) -> None:
    converge(app, "net_null7")
    converge(app, absent=("net_null7",))
    _read_only(app)


@pytest.mark.usefixtures("clean_homes")
@pytest.mark.parametrize(
    "spoil", [_full, _full_with_a_home, _full_for_the_lock, _no_inodes, _read_only, _read_only_with_a_home]
)
def test_no_room_for_the_record(host_dpdk: Dpdk, spoil: Callable[[Testpmd], None]) -> None:
    """Refused before the first change, and the next run with room converges."""
    app = host_dpdk.start_testpmd("poor")
    app.console("port attach net_null9")
    app.wait_for("Done")
    spoil(app)
    wanted = [f"net_null{number},size={64 + number}" for number in range(3)]
    error = refused(app, *wanted, absent=("net_null9",))
    assert error.reason == "no_journal", error.result()
    names_all(error, "poor", "/run/dpdk-hotplug", "othing was changed", "room")
    assert set(app.ports()) == {"net_null9"}, "something was changed"
    assert info.apps(app="poor")[0]["ports"][0]["device"] == "net_null9"  # looking needs no room
    subprocess.run(["mount", "-o", "remount,rw,size=1m,nr_inodes=1000", HOMES], check=True)
    assert converge(app, *wanted)["changed"]


@pytest.mark.usefixtures("clean_homes")
def test_what_is_not_ours_is_not_used(host_dpdk: Dpdk, tmp_path: Path) -> None:
    """/run/dpdk-hotplug of another user, writable by others, or a link; so the directory and the files in it."""
    app = host_dpdk.start_testpmd("poor")
    subprocess.run(["mount", "-o", "remount,size=1m", HOMES], check=True)

    def must_refuse(*parts: str) -> None:
        error = refused(app, "net_null0")
        assert error.reason in ("no_journal", "foreign"), error.result()
        names_all(error, "poor", *parts)
        assert app.ports() == {}

    os.chown(HOMES, 65534, 65534)
    must_refuse("65534")
    os.chown(HOMES, 0, 0)
    HOMES.chmod(0o777)
    must_refuse("0777")
    HOMES.chmod(0o1777)
    must_refuse("1777")
    HOMES.chmod(0o700)
    converge(app, "net_null0")
    converge(app, absent=("net_null0",))
    (home,) = HOMES.iterdir()
    os.chown(home, 65534, 65534)
    must_refuse("65534")
    os.chown(home, 0, 0)
    elsewhere = tmp_path / "elsewhere"
    home.rename(HOMES / "aside")
    elsewhere.mkdir()
    home.symlink_to(elsewhere)
    must_refuse("link")
    home.unlink()
    (HOMES / "aside").rename(home)
    for name in ("lock", "record.json.new"):
        (home / name).unlink(missing_ok=True)
        (home / name).symlink_to(elsewhere / "victim")
        must_refuse(name.partition(".")[0])
        (home / name).unlink()
    assert list(elsewhere.iterdir()) == [], "written through a link"
    for nonsense in (b"", b"{", b"[]", b'{"devices": 5}', b"\xff" * 100, b"[" * 100_000):
        (home / "record.json").write_bytes(nonsense)
        assert converge(app, "net_null0")["changed"]
        assert converge(app, absent=("net_null0",))["changed"]
    pid, start = app.pid, int(Path(f"/proc/{app.pid}/stat").read_text().rpartition(")")[2].split()[19])
    for devices in ('{"net_null0": 5}', '{"net_null0": {"args": 5, "bus": 5, "ports": 5}}', '{"x": null}', "[]", '"x"'):
        (home / "record.json").write_text(f'{{"pid": {pid}, "start_time": {start}, "devices": {devices}}}')
        assert converge(app, "net_null0")["changed"], devices
        (home / "record.json").write_text(f'{{"pid": {pid}, "start_time": {start}, "devices": {devices}}}')
        assert info.apps(app="poor")[0]["ports"], devices
        assert converge(app, absent=("net_null0",))["changed"], devices
