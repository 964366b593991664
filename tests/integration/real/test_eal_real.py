# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eal side of the binding against real DPDK: in a primary of its own, and as a secondary of testpmd."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from releases import Dpdk, Testpmd, count, is_alive, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import discovery
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.eal_channel import EalChannel, Operation
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.joinable import HELPER, eal_preconditions
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._binding import fake_dpdk

ABI = {"22.11": 23, "24.11": 25, "25.11": 26}

Hugepages = Callable[[int], None]

# One session as a secondary; it runs where the release's libraries are, so in a chroot for those of other releases.
SESSION = """
import json, sys
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import discovery
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import eal_channel
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.eal_channel import *
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
app, = [app for app in discovery.find(System()) if app.prefix == sys.argv[1] and app.running]
for name, value in json.loads(sys.argv[3]).items():
    setattr(eal_channel, name, value)
channel = EalChannel(app)
channel.precheck()
operations = [Operation(op, *map(parse, device)) for op, *device in json.loads(sys.argv[2])]
answer = channel.run(operations)
print(json.dumps({"init_ms": answer.init_ms, "results": [
    {"reason": one.error.reason if one.error else "", "ms": one.ms, "ports": [port._asdict() for port in one.ports]}
    for one in answer.results]}))
"""


def find(app: Testpmd) -> App:
    (found,) = (one for one in discovery.find(System()) if one.prefix == app.prefix and one.running)
    return found


def session(dpdk: Dpdk, prefix: str, *operations: tuple[str, ...], **settings: Any) -> Any:
    argv = dpdk.command("python3", "-B", "-c", SESSION, prefix, json.dumps(operations), json.dumps(settings))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def files(app: Testpmd) -> set[str]:
    return set(os.listdir(app.directory))


def pages(app: Testpmd) -> int:
    """How many hugepages the application has; the machine's own figure moves with whoever else is at work."""
    return len(list(Path("/dev/hugepages").glob(f"{app.prefix}map_*")))


def children(prefix: str) -> list[int]:
    """The helper processes that act on that application now."""
    system = System()
    ours = (HELPER, "eal", prefix)
    return [pid for pid in system.pids() if system.command(pid)[-3:] == ours and is_alive(pid)]


@pytest.fixture
def primary(host_dpdk: Dpdk, hugepages: Hugepages) -> Testpmd:
    hugepages(160)
    return host_dpdk.start_testpmd("eal", ["net_null0"], huge=True, memory=128)


def test_a_primary_of_its_own_does_what_the_fake_does(dpdk: Dpdk) -> None:
    argv = dpdk.command("python3", "-B", fake_dpdk.__file__, str(ABI[dpdk.release]))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout) == fake_dpdk.EXPECTED


def test_a_primary_with_hugepages_in_memory(host_dpdk: Dpdk, hugepages: Hugepages) -> None:
    hugepages(64)
    script = (
        "import os\n"
        "from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import eal, ethdev\n"
        "out = os.dup(1); os.dup2(2, 1)\n"
        "env = eal.Eal(eal.soname('eal', 23)); dev = ethdev.EthDev(eal.soname('ethdev', 23))\n"
        "env.init(eal.arguments(\n"
        "    prefix='mem', role='primary', shared=False, allow=(), vdevs=['net_null3'], memory_mb=32))\n"
        "env.probe('vdev:net_null4'); env.hotplug_remove('vdev', 'net_null3')\n"
        "line = f'{env.has_hugepages()} {env.has_pci()} {dev.ports()} {dev.name(1)} {env.primary_alive()}'\n"
        "env.cleanup(); os.write(out, line.encode()); os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True True [1] net_null4 False", done.stderr


def test_attach_detach_and_ports_as_a_secondary(dpdk: Dpdk, hugepages: Hugepages) -> None:
    hugepages(160)
    app = dpdk.start_testpmd("sec", ["net_null0"], huge=True, memory=128)
    before = (files(app), pages(app))
    first = session(dpdk, "sec", ("attach", "net_null5"), ("ports",))
    assert [port["name"] for port in first["results"][1]["ports"]] == ["net_null0", "net_null5"]
    seen = {port["name"]: port for port in first["results"][1]["ports"]}
    assert {name: info["mac_addr"] for name, info in app.ports().items()} == {
        name: port["mac"].upper() for name, port in seen.items()
    }
    assert seen["net_null5"]["numa_node"] == app.ports()["net_null5"]["numa_node"]
    second = session(dpdk, "sec", ("attach", "net_null5"), ("detach", "net_null5"), ("detach", "net_null5"), ("ports",))
    assert [result["reason"] for result in second["results"]] == ["", "", "no_such_device"]
    assert set(app.ports()) == {"net_null0"}
    for wrong, reason in (
        ("foo0", "unknown_driver"),
        ("net_pcap0,iface=nosuch", "bad_devargs"),
        ("ffff:00:01.0", "no_such_device"),
    ):
        assert session(dpdk, "sec", ("attach", wrong))["results"][0]["reason"] == reason
    assert (files(app), pages(app)) == before and before[1]
    print(
        f"{dpdk.release}: EAL up in {first['init_ms']} ms, attach {first['results'][0]['ms']} ms, "
        f"detach {second['results'][1]['ms']} ms"
    )
    assert app.alive and app.quit() == 0


def test_the_shared_heap_is_left_as_it_was(dpdk: Dpdk, hugepages: Hugepages) -> None:
    """EAL takes 150 KiB of it for each process that starts, until that gives them back."""
    hugepages(160)
    app = dpdk.start_testpmd("heap", ["net_null0"], huge=True, memory=64)
    seen = []
    for _time in range(4):
        session(dpdk, "heap", ("attach", "net_null1"), ("detach", "net_null1"))
        seen.append({name: app.query("/eal/heap_info,0")[name] for name in ("Alloc_count", "Alloc_size")})
    # the first process has the primary make what it keeps for all of them
    assert seen[1:] == [seen[0]] * 3


def test_an_lcore_id_that_eal_was_not_built_for(dpdk: Dpdk, hugepages: Hugepages) -> None:
    hugepages(160)
    dpdk.start_testpmd("sec", ["net_null0"], huge=True, memory=64)
    answer = session(dpdk, "sec", ("ports",), _LCORE_IDS=[100000, 2000, 15])
    assert [port["name"] for port in answer["results"][0]["ports"]] == ["net_null0"]


def test_one_start_of_eal_fills_the_port_table(primary: Testpmd) -> None:
    channel = EalChannel(find(primary))
    answer = channel.run([Operation("attach", parse(f"net_null{number}")) for number in range(1, 34)])
    assert len(primary.ports()) == 32
    assert [result.error for result in answer.results[:31]] == [None] * 31
    assert len(answer.results) == 32
    error = answer.results[31].error
    assert error is not None and (error.reason, error.device) == ("no_slot", "net_null32")
    assert all(
        result.error is None
        for result in channel.run([Operation("detach", parse(f"net_null{number}")) for number in range(1, 32)]).results
    )
    assert set(primary.ports()) == {"net_null0"}


def test_an_owned_port_is_seen(host_dpdk: Dpdk, hugepages: Hugepages) -> None:
    hugepages(160)
    primary = host_dpdk.start_testpmd("own", ["net_null0", "net_failsafe0,dev(net_null1)"], huge=True, memory=128)
    assert primary.query("/ethdev/list") != sorted(port["port_id"] for port in primary.ports().values())
    owners = {port.name: port.owner for port in EalChannel(find(primary)).ports()}
    assert set(owners) == set(primary.ports())
    assert [name for name, owner in owners.items() if owner] == ["net_null1"]


def test_another_release_is_refused_before_eal_starts(primary: Testpmd) -> None:
    app = find(primary)
    assert app.release is not None
    before = files(primary)
    with pytest.raises(HotplugError) as caught:
        EalChannel(app._replace(release=app.release._replace(minor=4))).ports()
    assert caught.value.reason == "other_release"
    assert "DPDK 22.11." in str(caught.value) and "22.11.4" in str(caught.value)
    assert "log" not in caught.value.fields and files(primary) == before


def test_the_real_other_release_is_refused(dpdk_of: Callable[[str], Dpdk], hugepages: Hugepages) -> None:
    hugepages(160)
    primary = dpdk_of("24.11").start_testpmd("other", ["net_null0"], huge=True, memory=128)
    app = find(primary)
    assert "other_namespace" in [error.reason for error in eal_preconditions(app)]
    with pytest.raises(HotplugError) as caught:
        EalChannel(app, libraries=("librte_eal.so.23", "librte_ethdev.so.23")).attach(parse("net_null5"))
    assert caught.value.reason == "other_release"
    assert "DPDK 24.11." in str(caught.value) and "DPDK 22.11." in str(caught.value)
    assert set(primary.ports()) == {"net_null0"}


@pytest.mark.parametrize(
    ("huge", "extra", "reason"),
    [
        (False, [], "no_hugepages"),
        (True, ["--huge-unlink=always"], "no_hugepages"),
        (True, ["--in-memory"], "no_shared_files"),
        (False, ["--no-shconf"], "no_shared_files"),
        (True, [], ""),
    ],
)
def test_preconditions(host_dpdk: Dpdk, hugepages: Hugepages, huge: bool, extra: list[str], reason: str) -> None:
    hugepages(160)
    primary = host_dpdk.start_testpmd("pre", ["net_null0"], huge=huge, memory=128, extra=extra, wait=False)
    wait_until(lambda: "testpmd> " in primary.output, "its prompt")
    app = next((one for one in discovery.find(System()) if one.pid == primary.pid), None)
    app = app or App("pre", primary.runtime_dir, pid=primary.pid, uid=0, command=tuple(extra))
    assert [error.reason for error in eal_preconditions(app)] == ([reason] if reason else [])


def test_a_primary_of_another_user(host_dpdk: Dpdk, hugepages: Hugepages) -> None:
    hugepages(160)
    user, runtime, mount = 4242, Path("/run/other"), Path("/run/pages")
    for place in (runtime, mount):
        place.mkdir()
    subprocess.run(["mount", "-t", "hugetlbfs", "-o", f"uid={user},gid={user}", "none", str(mount)], check=True)
    os.chown(runtime, user, user)
    argv = [
        "setpriv",
        f"--reuid={user}",
        f"--regid={user}",
        "--clear-groups",
        "stdbuf",
        "-oL",
        "dpdk-testpmd",
        "--file-prefix=usr",
        "--huge-dir",
        str(mount),
        "-m",
        "128",
        "--no-pci",
        "--iova-mode=va",
        "-l",
        "0,1",
        "--vdev=net_null0",
        "--",
        "-i",
        "--total-num-mbufs=2048",
        "--no-mlockall",
    ]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "RUNTIME_DIRECTORY": str(runtime)},
    )
    try:
        socket = runtime / "dpdk/usr/dpdk_telemetry.v2"
        wait_until(lambda: socket.exists() or process.poll() is not None, "its telemetry")
        time.sleep(0.5)
        (app,) = (one for one in discovery.find(System()) if one.prefix == "usr")
        assert (app.uid, eal_preconditions(app)) == (user, [])
        answer = EalChannel(app).run([Operation("attach", parse("net_null5")), Operation("ports")])
        assert [port.name for port in answer.results[1].ports] == ["net_null0", "net_null5"]
        assert {os.stat(one).st_uid for one in (runtime / "dpdk/usr").iterdir()} == {user}
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
        subprocess.run(["umount", str(mount)], check=True)


@contextmanager
def paused(app: Testpmd) -> Iterator[None]:
    app.pause()
    try:
        yield
    finally:
        app.resume()


def test_the_child_ignores_signals_and_a_wedge_is_left_alone(primary: Testpmd) -> None:
    """A secondary asks the primary for its virtual devices while it starts: stop the primary, and it hangs for 5 s."""
    app, before = find(primary), files(primary)
    with paused(primary):
        begin = time.monotonic()
        with pytest.raises(HotplugError) as caught:
            EalChannel(app, timeout=1.0).ports()
        assert caught.value.reason == "eal_wedged" and time.monotonic() - begin < 3
        child = caught.value.fields["pid"]
        assert children("eal") == [child] and os.getsid(child) == child
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            os.kill(child, number)
            os.killpg(child, number)
        time.sleep(0.3)
        assert children("eal") == [child]
        assert [(error.reason, error.fields["pid"]) for error in eal_preconditions(app)] == [("eal_wedged", child)]
    wait_until(lambda: not children("eal"), "the child's end")
    assert eal_preconditions(app) == [] and files(primary) == before
    assert [port.name for port in EalChannel(app).ports()] == ["net_null0"]


def test_an_operation_that_does_not_come_back_is_a_timeout(primary: Testpmd) -> None:
    """FAULTS 18: a stopped secondary holds up everybody's attach; the primary takes it back after 10 s."""
    app = find(primary)
    secondary = primary.start_secondary(options=["--num-procs=2", "--proc-id=1"])
    with paused(secondary):
        with pytest.raises(HotplugError) as caught:
            EalChannel(app, timeout=1.5).attach(parse("net_null5"))
        assert (caught.value.reason, caught.value.fields["pid"]) == ("timeout", children("eal")[0])
        wait_until(lambda: not children("eal"), "the child's end")
        wait_until(lambda: "net_null5" not in primary.ports(), "the primary's rollback")
        with pytest.raises(HotplugError) as caught:
            EalChannel(app, timeout=30.0).attach(parse("net_null6"))
        assert (caught.value.reason, caught.value.fields["code"]) == ("timeout", -errno.ENOMSG)
    wait_until(lambda: set(primary.ports()) == {"net_null0"}, "the primary's rollback")
    assert primary.alive


def test_the_primary_dies_while_it_is_asked(host_dpdk: Dpdk, hugepages: Hugepages) -> None:
    hugepages(160)
    for _time in range(count(40)):
        primary = host_dpdk.start_testpmd("dies", ["net_null0"], huge=True, memory=64)
        app = find(primary)
        killer = threading.Timer(random.uniform(0, 0.12), primary.kill)
        killer.start()
        reason = ""
        try:
            EalChannel(app, timeout=20.0).attach(parse("net_null5"))
        except HotplugError as error:
            reason = error.reason
        killer.join()
        # before the child had looked, in EAL's start, in the attach, after it
        assert reason in ("", "primary_gone", "eal_failed"), reason
        assert not children("dies")
        with pytest.raises(HotplugError) as caught:
            EalChannel(app).precheck()
        assert caught.value.reason == "primary_gone"


LAUNCHER = """
import sys
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import discovery
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.eal_channel import *
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
app, = [app for app in discovery.find(System()) if app.prefix == sys.argv[1] and app.running]
print("ready", flush=True)
for line in sys.stdin:
    EalChannel(app).ports()
"""


def launcher(prefix: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", LAUNCHER, prefix], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"go\n")
    process.stdin.flush()
    return process


@pytest.fixture
def small(host_dpdk: Dpdk, hugepages: Hugepages) -> Testpmd:
    """A primary that has to take more pages for the next larger device."""
    hugepages(160)
    return host_dpdk.start_testpmd("eal", ["net_null0"], huge=True, memory=16)


def heap(app: Testpmd) -> int:
    return int(app.query("/eal/heap_info,0")["Heap_size"])


def grow(app: Testpmd) -> str:
    """Have the primary take 38 MB more from the system and give it back; '' or the reason why it did not."""
    before = heap(app)
    channel = EalChannel(find(app), timeout=8.0)
    try:
        channel.attach(parse("event_sw0"))
        assert heap(app) > before + (30 << 20)
        channel.detach(parse("event_sw0"))
    except HotplugError as error:
        return error.reason
    return ""


def test_a_killed_launcher_leaks_nothing(small: Testpmd) -> None:
    """FAULTS 2: the child goes on without the one who started it."""
    primary = small
    before, hit = (files(primary), pages(primary)), 0
    for _time in range(count(300)):
        process = launcher("eal")
        wait_until(lambda: children("eal"), "the child", 5)
        time.sleep(random.uniform(0, 0.08))
        process.kill()
        process.wait()
        hit += bool(children("eal"))
        wait_until(lambda: not children("eal"), "the child's end")
    print(f"{count(300)} launchers killed, {hit} of them while their child was at work")
    assert hit
    assert [port.name for port in EalChannel(find(primary)).ports()] == ["net_null0"]
    assert (files(primary), pages(primary)) == before and before[1]
    assert grow(primary) == ""


def kill_in_the_middle(app: Testpmd) -> None:
    """SIGKILL a secondary as it makes its copies of the memory lists, which are files named after its pid.

    From before that to the end of its memory's start it holds the shared lock for reading: rte_eal_memory_init()
    (lib/eal/common/eal_common_memory.c), rte_eal_malloc_heap_init() (lib/eal/common/malloc_heap.c).
    """
    process = launcher(app.prefix)
    (child,) = wait_until(lambda: children(app.prefix), "the child", 5)
    end = time.monotonic() + 5
    while not any(re.fullmatch(f"fbarray_.*_{child}.*", name) for name in files(app)):  # they are there for a few ms
        assert time.monotonic() < end
    os.kill(child, signal.SIGKILL)
    process.wait()


def test_negative_control_a_killed_secondary_wedges_the_primary(small: Testpmd) -> None:
    """FAULTS 2, and why nobody kills the child."""
    assert grow(small) == ""
    kills, reason = 0, ""
    while not reason and kills < 10:
        kill_in_the_middle(small)
        kills += 1
        begin = time.monotonic()
        reason = grow(small)
    print(f"wedged after {kills} kills: {reason} after {time.monotonic() - begin:.1f} s")
    assert reason in ("timeout", "eal_wedged")
    assert small.alive
    # its multi-process thread waits for a lock that nobody will give back: the next one gets no answer either
    with pytest.raises(HotplugError) as caught:
        EalChannel(find(small), timeout=8.0).attach(parse("net_null5"))
    assert caught.value.reason in ("timeout", "eal_wedged")
    print(f"the next attach: {caught.value.reason}")
    for pid in children(small.prefix):
        os.kill(pid, signal.SIGKILL)  # there is nothing more to lose here
    small.kill()
