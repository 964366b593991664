# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconciler as a process of this machine, and applications that come, go and come again."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from beds import Console
from reconciled import Reconciled, host, names
from releases import Dpdk, count, query, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import ipc
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import events
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import reconciler
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge

PORTS = [{"device": f"net_null{number},size=64"} for number in range(1, 4)]
NAMES = frozenset(f"net_null{number}" for number in range(1, 4))
NOBODY = 65534


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Reconciled]:
    with host(tmp_path) as made:
        yield made


def _settled(bed: Reconciled) -> None:
    """It has slept for half a second."""

    def asleep() -> bool:
        before = bed.used().switches
        time.sleep(0.5)
        return bed.used().switches == before

    wait_until(asleep, "the reconciler to sleep")


def _started(app: Console) -> set[str]:
    return {name for name, started in app.devices().items() if started}


def _acts(bed: Reconciled) -> int:
    """How often it has attached a port and said so."""
    return bed.log.read_text().count("attach net_null1,size=64")


def test_ports_come_back_with_their_application(bed: Reconciled, dpdk: Dpdk) -> None:
    bed.wants({"app": "web", "ports": PORTS})
    for number, ended in ((1, True), (2, False)):
        app = dpdk.start_testpmd("web", ["net_ring0"], wait=False)
        wait_until(lambda: names("web") is not None or not app.alive, "telemetry")  # noqa: B023
        assert app.alive, app.output
        begin = time.monotonic()
        wait_until(lambda: names("web") == NAMES | {"net_ring0"}, "the ports")
        print(f"{dpdk.release}: {(time.monotonic() - begin) * 1e3:.0f} ms from telemetry to ports")
        assert time.monotonic() - begin < 2
        # It tells of what it has done once that is verified, a moment after the ports are there.
        wait_until(lambda: _acts(bed) == number, "its act in its log")  # noqa: B023
        if ended:
            app.kill()
    wait_until(lambda: bed.status()["holds"], "what is to persist to hold")
    (row,) = bed.status()["parts"]
    assert (row["name"], row["state"], row["todo"]) == ("web", "holds", [])
    (row,) = bed.status()["parts"]
    assert time.time() - row["acted"] < 60


def test_ports_of_a_testpmd_with_a_console_are_started_again(bed: Reconciled, tmp_path: Path) -> None:
    bed.wants({"app": "served", "ports": [{**one, "started": True} for one in PORTS]})
    (tmp_path / "app").mkdir()
    for _time in range(2):
        app = Console(tmp_path / "app")
        app.start()
        try:
            wait_until(lambda: _started(app) >= NAMES, "the ports, started")  # noqa: B023 - called at once
        finally:
            app.end()


def test_what_cannot_hold_is_tried_less_and_less_often(bed: Reconciled, host_dpdk: Dpdk) -> None:
    """By ipc, whose own socket is made where the reconciler watches."""
    bed.wants({"app": "web", "ports": [{"device": "net_pcap0,iface=none"}, *PORTS]})
    host_dpdk.start_testpmd("web")
    wait_until(lambda: bed.status()["parts"][0]["tries"] > 3, "some tries")
    before = bed.used()
    time.sleep(5)
    after, (row,) = bed.used(), bed.status()["parts"]
    # 0.02 s doubled each time: the tenth is due after twenty seconds.
    assert row["tries"] < 12
    assert after.seconds - before.seconds < 0.5
    assert (row["state"], row["reason"], row["holds"]) == ("differs", "bad_devargs", False)
    assert names("web") == frozenset(), "all or nothing"
    bed.wants({"app": "web", "ports": PORTS})
    wait_until(lambda: names("web") == NAMES, "what can hold")


def test_a_task_that_says_nothing_of_it_is_warned_of_what_comes_back(bed: Reconciled, host_dpdk: Dpdk) -> None:
    bed.wants({"app": "web", "ports": PORTS})
    app = host_dpdk.start_testpmd("web", ["net_ring0"])
    wait_until(lambda: names("web") == NAMES | {"net_ring0"}, "the ports")
    gone = [{"device": one, "state": "absent"} for one in ("net_null1", "net_ring0")]
    app.console("port stop all")  # net_ring0 was there, and started, from the start
    wait_until(lambda: not app.ports()["net_ring0"]["dev_started"], "it to stop")
    _settled(bed)  # what it does about the start would come after the task
    for check in (True, False):
        (warning,) = converge({"apps": [{"app": "web", "ports": gone}]}, check=check)["warnings"]
        assert "'net_null1' is to persist" in warning
    _settled(bed)
    assert names("web") == NAMES - {"net_null1"}
    app.kill()
    host_dpdk.start_testpmd("web")
    wait_until(lambda: names("web") == NAMES, "what was told")


def test_nothing_happens_while_nothing_happens(bed: Reconciled, host_dpdk: Dpdk) -> None:
    bed.wants({"app": "web", "ports": PORTS}, {"app": "other", "ports": PORTS})
    host_dpdk.start_testpmd("web")
    wait_until(lambda: names("web") == NAMES, "the ports")
    time.sleep(reconciler._STARTING + 1)  # so long it takes the one that does not run for one that may be starting
    before = bed.used()
    time.sleep(5)
    after = bed.used()
    assert (after.switches, after.seconds) == (before.switches, before.seconds)
    assert after.proportional < 30 * 1024


def test_a_task_and_the_reconciler_never_fight(bed: Reconciled, host_dpdk: Dpdk) -> None:
    """Tasks change what is to persist while the application is killed and started; the last task's word is so."""
    chance = random.Random(4)
    over = threading.Event()
    apps = [host_dpdk.start_testpmd("web")]

    def restarts() -> None:
        while not over.wait(chance.uniform(0.3, 3.0)):
            apps[-1].kill()
            apps.append(host_dpdk.start_testpmd("web", wait=False))

    def task(wanted: frozenset[str], **more: bool) -> bool:
        ports = [{"device": one} for one in sorted(wanted)]
        entry = {"app": "web", "ports": ports, "exclusive": True, "persistent": True, "timeout": 20, **more}
        try:
            converge({"apps": [entry]})
        except HotplugError as error:
            # Killed under it, or not up yet: a playbook is run again then.
            assert error.reason in ("primary_gone", "no_application", "not_ready", "unreachable", "telemetry"), error
            return False
        return True

    thread = threading.Thread(target=restarts)
    thread.start()
    done = refused = 0
    try:
        while done < count(100) or len(apps) <= count(50):
            done += 1
            wanted = frozenset(f"net_null{number}" for number in range(8) if chance.random() < 0.5)
            end = time.monotonic() + 120
            while not task(wanted):
                refused += 1
                assert time.monotonic() < end
                time.sleep(0.05)
    finally:
        over.set()
        thread.join()
    print(f"{done} tasks over {len(apps)} starts; {refused} times one had to be run again")
    wait_until(lambda: names("web") == wanted, f"{sorted(wanted)}, and not {names('web')}")
    _settled(bed)
    assert names("web") == wanted
    # And what goes while nothing else happens stays away.
    for number in range(count(50)):
        wanted = frozenset((f"net_null{number % 8}",))
        assert task(wanted)
        assert names("web") == wanted
    _settled(bed)
    assert names("web") == wanted


def test_an_application_of_another_user(bed: Reconciled, host_dpdk: Dpdk, tmp_path: Path) -> None:
    runtime = Path("/run/nobody")
    runtime.mkdir()
    os.chown(runtime, NOBODY, NOBODY)
    bed.wants({"app": "theirs", "runtime_dir": f"{runtime}/dpdk", "ports": PORTS})
    argv = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "stdbuf", "-oL", "dpdk-testpmd"]
    argv += ["--file-prefix=theirs", "--no-huge", "--no-pci", "-m", "256", "-l", "0,1", "--", "-i"]
    argv += ["--total-num-mbufs=2048"]
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(runtime)}
    place = f"{runtime}/dpdk/theirs/dpdk_telemetry.v2"
    with open("/run/nobody.log", "wb") as log:
        app = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)

    def attached() -> bool:
        assert app.poll() is None, Path("/run/nobody.log").read_text()
        try:
            return len(query(place, "/ethdev/list")) == len(PORTS)
        except OSError:
            return False

    try:
        wait_until(attached, "the ports")
    finally:
        app.kill()
        app.wait()


def test_sockets_are_made_in_another_users_name_by_one_thread_alone(tmp_path: Path) -> None:
    """Others work on as root meanwhile, also on what is closed to that user."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    begun, over = threading.Event(), threading.Event()

    def other() -> None:
        begun.wait()
        (closed / "theirs").touch()
        over.set()

    threading.Thread(target=other).start()
    ipc._create_as(NOBODY)
    try:
        with pytest.raises(PermissionError):
            (closed / "mine").touch()
        begun.set()
        assert over.wait(10) and os.geteuid() == 0
    finally:
        ipc._create_as(0)
    assert [(one.name, one.stat().st_uid) for one in closed.iterdir()] == [("theirs", 0)]


@pytest.mark.parametrize(
    ("message", "heard"),
    [
        (b"add@/devices/pci0000:00/0000:00:01.0", True),
        (b"add@/devices/platform/soc/pcie/pci0000:00/0000:00:01.0", True),
        (b"add@/devices/virtual/net/veth0", False),
        (b"remove@/devices/pci0000:00/0000:00:01.0", False),
        (b"change@/devices/pci0000:00", False),
        (b"add@", False),
        (b"", False),
    ],
)
def test_the_kernel_wakes_it_for_what_comes_alone(message: bytes, heard: bool) -> None:
    """The filter, on a socket to which this test may say what the kernel says."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        events._only_comings(ours)
        ours.setblocking(False)
        theirs.send(message + b"\0ACTION=x" if message else b"")
        found = b""
        with contextlib.suppress(BlockingIOError):
            found = ours.recv(100)
        assert bool(found) is heard
