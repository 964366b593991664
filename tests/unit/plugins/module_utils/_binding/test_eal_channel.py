# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of the channel eal: the child's work with fake libraries, its parent with children of the test's own."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import _child, eal, eal_channel, ethdev, joinable
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.eal_channel import EalChannel, Operation
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.joinable import eal_preconditions
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import CONFIG_MAGIC, Release
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._binding import fake_dpdk

RELEASE = Release(22, 11, 11)


def config(minor: int = 11, magic: int = CONFIG_MAGIC) -> bytes:
    return struct.pack("=II", magic, 22 << 24 | 11 << 16 | minor << 8 | 99)


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    directory = tmp_path / "dpdk/web"
    directory.mkdir(parents=True)
    (directory / "config").write_bytes(config())
    return directory


def request(runtime: Path, *operations: dict[str, str], **changes: Any) -> dict[str, Any]:
    return {
        "prefix": "web",
        "runtime_dir": str(runtime.parent),
        "pid": os.getpid(),
        "release": list(RELEASE),
        "eal": "librte_eal.so.23",
        "ethdev": "librte_ethdev.so.23",
        "operations": list(operations),
        **changes,
    }


def serve(dpdk: fake_dpdk.Dpdk, asked: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    stages: list[str] = []
    libraries = _child.Libraries(
        lambda name: eal.Eal(name, opener=dpdk.opener),
        lambda name: ethdev.EthDev(name, opener=dpdk.opener),
        dpdk.opener,
    )
    return _child.serve(asked, stages.append, libraries), stages


def vdev(op: str, name: str, args: str = "") -> dict[str, str]:
    return {"op": op, "bus": "vdev", "name": name, "args": args}


def test_one_start_for_several_operations(runtime: Path) -> None:
    dpdk = fake_dpdk.Dpdk()
    asked = request(
        runtime,
        vdev("attach", "net_null5", "size=64"),
        {"op": "ports"},
        vdev("detach", "net_null5"),
        {"op": "ports"},
        lcores=["127@(0)", "63@(0)"],
        options={"allow": ["0000:01:00.0"]},
    )
    answer, stages = serve(dpdk, asked)
    assert stages == ["init", "ready"]
    assert answer["version"] == "22.11.11" and answer["init_ms"] >= 0
    values = [result["value"] for result in answer["results"]]
    port = {
        "port_id": 0,
        "name": "net_null5",
        "mac": "02:00:00:00:00:00",
        "mtu": 1500,
        "numa_node": 0,
        "owner": "",
        "owner_id": 0,
    }
    assert values == [None, [port], None, []]
    # the fake takes lcore ids up to 63, so the first was refused
    assert dpdk.argv == [
        "dpdk-hotplug",
        "--proc-type=secondary",
        "--file-prefix",
        "web",
        "--lcores",
        "63@(0)",
        "--no-telemetry",
        "-a",
        "0000:01:00.0",
    ]


def test_the_first_failure_ends_it(runtime: Path) -> None:
    answer, _stages = serve(fake_dpdk.Dpdk(), request(runtime, vdev("attach", "foo0"), vdev("attach", "net_null1")))
    (result,) = answer["results"]
    assert (result["error"]["reason"], result["error"]["code"]) == ("unknown_driver", -errno.EFAULT)
    assert (result["error"]["device"], result["error"]["app"]) == ("foo0", "web")


@pytest.mark.parametrize(
    ("version", "head", "changes", "reason"),
    [
        ("DPDK 22.11.10", config(), {}, "other_release"),
        ("DPDK 24.11.4", config(), {}, "other_release"),
        ("DPDK 22.11.11", config(minor=4), {}, "other_release"),
        ("DPDK 22.11.11", config(magic=0), {}, "not_ready"),
        ("DPDK 22.11.11", b"", {}, "not_ready"),
        ("DPDK 22.11.11", None, {}, "unreadable"),
        ("DPDK 22.11.11", config(), {"eal": "absent.so"}, "no_library"),
        ("DPDK 22.11.11", config(), {"preload": ["/opt/a.so", "/opt/absent.so"]}, "no_library"),
        ("DPDK 22.11.11", config(), {"release": None}, "bad_request"),
    ],
)
def test_refused_before_eal_starts(
    runtime: Path, version: str, head: bytes | None, changes: dict[str, Any], reason: str
) -> None:
    (runtime / "config").unlink()
    if head is not None:
        (runtime / "config").write_bytes(head)
    dpdk = fake_dpdk.Dpdk(version)
    answer, stages = serve(dpdk, request(runtime, vdev("attach", "net_null0"), **changes))
    assert answer["error"]["reason"] == reason
    assert stages == [] and not dpdk.started


def test_both_releases_are_named(runtime: Path) -> None:
    answer, _stages = serve(fake_dpdk.Dpdk("DPDK 22.11.4"), request(runtime))
    assert "DPDK 22.11.4" in answer["error"]["message"] and "DPDK 22.11.11" in answer["error"]["message"]


def test_before_21_05_eal_itself_holds_the_release(runtime: Path) -> None:
    answer, stages = serve(fake_dpdk.Dpdk(missing=("rte_version",)), request(runtime))
    assert stages == ["init", "ready"] and answer["results"] == []


def test_libraries_are_preloaded_in_the_order_that_works(runtime: Path) -> None:
    dpdk, loaded = fake_dpdk.Dpdk(), []

    def opener(name: str) -> Any:
        if name == "needs" and "needed" not in loaded:
            raise OSError("undefined symbol")
        loaded.append(name)
        return dpdk

    _child._preload(["needs", "needed"], opener)
    assert loaded == ["needed", "needs"]


def test_eal_that_does_not_start(runtime: Path) -> None:
    dpdk = fake_dpdk.Dpdk()
    answer, stages = serve(dpdk, request(runtime, lcores=["127@(0)", "100@(0)"]))
    assert stages == ["init"]
    assert (answer["error"]["reason"], answer["error"]["app"]) == ("eal_failed", "web")


@pytest.mark.parametrize("operation", [{"op": "format"}, {}])
def test_operations_that_are_none(runtime: Path, operation: dict[str, str]) -> None:
    answer, _stages = serve(fake_dpdk.Dpdk(), request(runtime, operation))
    error = answer.get("error") or answer["results"][0]["error"]
    assert error["reason"] in ("bad_request", "internal")


def test_a_full_table_and_a_lack_of_memory_are_told_apart(runtime: Path) -> None:
    full, _stages = serve(
        fake_dpdk.Dpdk(), request(runtime, *(vdev("attach", f"net_null{number}") for number in range(40)))
    )
    assert len(full["results"]) == 33 and full["results"][32]["error"]["reason"] == "no_slot"
    assert "32" in full["results"][32]["error"]["message"]
    short = fake_dpdk.Dpdk()
    short.answers["rte_eal_hotplug_add"] = -errno.ENOMEM
    answer, _stages = serve(short, request(runtime, vdev("attach", "net_null0")))
    assert answer["results"][0]["error"]["reason"] == "no_memory"


@pytest.mark.parametrize(("pid", "reason"), [(1, "timeout"), (0x7FFFFFFF, "primary_gone")])
@pytest.mark.parametrize("op", ["attach", "detach"])
def test_no_answer_from_the_primary(runtime: Path, op: str, pid: int, reason: str) -> None:
    dpdk = fake_dpdk.Dpdk()
    dpdk.answers.update(rte_eal_hotplug_add=-errno.ENOMSG, rte_eal_hotplug_remove=-errno.ENOMSG)
    answer, _stages = serve(dpdk, request(runtime, vdev(op, "net_null0"), pid=pid))
    assert answer["results"][0]["error"]["reason"] == reason


def test_a_port_that_goes_meanwhile_is_left_out(runtime: Path) -> None:
    dpdk = fake_dpdk.Dpdk()
    dpdk.answers["rte_eth_dev_get_name_by_port"] = -errno.ENODEV
    answer, _stages = serve(dpdk, request(runtime, vdev("attach", "net_null0"), {"op": "ports"}))
    assert answer["results"][1]["value"] == []


def test_only_its_own_files_are_removed(runtime: Path) -> None:
    pid = os.getpid()
    ours = [f"mp_socket_{pid}_2f", f"fbarray_memseg-2048k-0-0_{pid}", f"fbarray_memseg-2048k-0-1_{pid}_4d2"]
    others = [
        "config",
        "mp_socket",
        f"mp_socket_{pid}0_2f",
        "fbarray_memzone",
        "fbarray_memseg-2048k-0-0",
        f"fbarray_memseg-2048k-0-0_{pid}0",
        f"x_{pid}",
    ]
    for name in (*ours, *others[1:]):
        (runtime / name).touch()
    serve(fake_dpdk.Dpdk(), request(runtime))
    assert sorted(os.listdir(runtime)) == sorted(others)


def test_files_stay_while_the_primary_sends(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = runtime / f"mp_socket_{os.getpid()}_2f"
    name.touch()
    tried = _child._locked
    monkeypatch.setattr(_child, "_locked", lambda fd: tried(fd, 0.05))
    fd = os.open(runtime, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    answer, _stages = serve(fake_dpdk.Dpdk(), request(runtime))
    os.close(fd)
    assert name.exists() and answer["results"] == []


def test_a_directory_that_goes_meanwhile(runtime: Path) -> None:
    class Going(fake_dpdk.Dpdk):
        def _rte_eal_init(self, count: int, argv: Any) -> int:
            (runtime / "config").unlink()
            runtime.rmdir()
            return fake_dpdk.Dpdk._rte_eal_init(self, count, argv)

    answer, _stages = serve(Going(), request(runtime))
    assert answer["results"] == []


# --- the parent's end ---


def application(runtime: Path, **changes: Any) -> App:
    app = App("web", str(runtime.parent), pid=os.getpid(), uid=os.getuid(), release=RELEASE, command=("x",))
    return app._replace(**changes)


CHILD = """
import json, os, sys, time
def print_(line):
    print(json.dumps(line), flush=True)
"""


def channel(runtime: Path, code: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> EalChannel:
    """A channel whose child is that code instead."""
    made = EalChannel(application(runtime), **options)
    monkeypatch.setattr(made, "_command", lambda: [sys.executable, "-c", CHILD + code])
    return made


def test_an_answer(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {
        "version": "22.11.11",
        "init_ms": 1.5,
        "results": [
            {"value": None, "ms": 0.1},
            {
                "ms": 1,
                "value": [
                    {"port_id": 0, "name": "n", "mac": "m", "mtu": 1, "numa_node": 0, "owner": "", "owner_id": 0}
                ],
            },
            {"error": {"reason": "no_slot", "message": "full", "device": "net_null2", "code": -12}, "ms": 2.0},
        ],
    }
    code = (
        "asked = json.load(sys.stdin); assert asked['operations'][0]['name'] == 'net_null1'\n"
        "print_({'stage': 'init'}); print_({'stage': 'ready'}); print('EAL: hello', file=sys.stderr)\n"
        f"print_(json.loads({json.dumps(answer)!r}))"
    )
    operations = [Operation("attach", parse("net_null1")), Operation("ports"), Operation("attach", parse("net_null2"))]
    got = channel(runtime, code, monkeypatch).run(operations)
    assert (got.version, got.init_ms, len(got.results)) == ("22.11.11", 1.5, 3)
    assert got.results[1].ports == (eal_channel.PortState(0, "n", "m", 1, 0, "", 0),)
    error = got.results[2].error
    assert error is not None and (error.reason, error.device) == ("no_slot", "net_null2")
    assert error.fields == {"code": -12, "log": "EAL: hello"}


def test_single_operations_raise(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "asked = json.load(sys.stdin)\n"
        "print_({'version': '1', 'init_ms': 1, 'results': [{'ms': 1, 'error': {'reason': 'busy', 'message': 'x'}}"
        " if asked['operations'][0]['op'] == 'detach' else {'ms': 1, 'value': None}]})"
    )
    made = channel(runtime, code, monkeypatch)
    made.attach(parse("net_null0"))
    assert made.ports() == ()
    with pytest.raises(HotplugError, match="x") as caught:
        made.detach(parse("net_null0"))
    assert caught.value.reason == "busy"
    made.close()


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        ("print_({'error': {'reason': 'other_release', 'message': 'a and b'}})", "other_release", "a and b"),
        ("print_({'stage': 'init'}); print('EAL: PANIC', file=sys.stderr); os.abort()", "eal_failed", "EAL: PANIC"),
        ("sys.exit('no')", "eal_failed", "status 1: no"),
        ("pass", "eal_failed", "it printed nothing"),
        ("print_({'stage': 'init'}); print_({'stage': 'ready'}); os._exit(3)", "eal_failed", "stage 'ready'"),
        ("print_({'stage': 'init'}); time.sleep(1)", "eal_wedged", "has not started"),
        ("print_({'stage': 'init'}); print_({'stage': 'ready'}); time.sleep(1)", "timeout", "has not finished"),
    ],
)
def test_children_that_fail(runtime: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str, said: str) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    hangs = reason in ("eal_wedged", "timeout")
    with pytest.raises(HotplugError) as caught:
        # One that ends by itself has all the time that a busy machine takes for it.
        channel(runtime, code, monkeypatch, timeout=0.4 if hangs else 30).run([Operation("ports")])
    assert caught.value.reason == reason and said in str(caught.value)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    if hangs:  # it is left alone
        os.kill(caught.value.fields["pid"], 0)


def test_output_neither_blocks_the_child_nor_grows(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "json.load(sys.stdin)\n"
        "for n in range(1000):\n"
        "    try: os.write(2, b'x' * 4096)\n"
        "    except OSError: pass\n"
        "print_({'error': {'reason': 'r', 'message': 'm'}})"
    )
    with pytest.raises(HotplugError) as caught:
        channel(runtime, code, monkeypatch).run([Operation("ports")])
    assert caught.value.reason == "r" and len(caught.value.fields["log"]) == 2000


def test_descriptors_of_locks_go_along(runtime: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with open(tmp_path / "lock", "w") as lock:
        code = f"os.fstat({lock.fileno()}); print_({{'error': {{'reason': 'open', 'message': ''}}}})"
        with pytest.raises(HotplugError) as caught:
            channel(runtime, code, monkeypatch, keep=(lock.fileno(),)).run([Operation("ports")])
    assert caught.value.reason == "open"


def test_the_real_child_without_the_library(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command, the environment, the request and the private descriptor, up to the library that is not there."""
    monkeypatch.setenv("LD_PRELOAD_", "x")
    made = EalChannel(application(runtime), libraries=("librte_none.so.1", "librte_none.so.1"))
    assert made._command()[1:] == ["-s", "-B", "-m", joinable.HELPER, "eal", "web"]
    with pytest.raises(HotplugError) as caught:
        made.ports()
    assert (caught.value.reason, caught.value.fields["library"]) == ("no_library", "librte_none.so.1")


def test_a_release_that_is_not_known_is_no_request(runtime: Path) -> None:
    with pytest.raises(HotplugError) as caught:
        EalChannel(application(runtime, release=None)).ports()
    assert caught.value.reason == "unknown_release"


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"x" * ((1 << 20) + 1)])
def test_requests_that_are_none(data: bytes) -> None:
    """In a process of its own, since it ends by os._exit()."""
    ends = os.pipe()
    answers = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ends[1])
        try:
            _child.main(ends[0], answers[1], 2)
        finally:
            os._exit(9)
    for fd in (ends[0], answers[1]):
        os.close(fd)
    with open(ends[1], "wb") as stream:
        stream.write(data)
    with open(answers[0], "rb") as stream:
        answer = json.loads(stream.read())
    assert os.waitpid(pid, 0)[1] == 0
    assert answer["error"]["reason"] == "bad_request"


def test_the_child_ignores_what_others_send(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = {number: signal.getsignal(number) for number in _child._IGNORED}
    monkeypatch.setattr(os, "_exit", lambda _code: None)
    kept = [os.dup(fd) for fd in (0, 1)]
    ends, answers = os.pipe(), os.pipe()
    os.close(ends[1])
    try:
        _child.main(ends[0], answers[1], 2)
        ignored = {number for number in handlers if signal.getsignal(number) == signal.SIG_IGN}
    finally:
        os.dup2(kept[1], 1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE} <= ignored
    for fd in (*kept, ends[0], *answers):
        os.close(fd)


# --- preconditions, on a tree of the test's own ---

EAL_FILE = "/usr/lib/x86_64-linux-gnu/librte_eal.so.23.0"
ETHDEV_FILE = "/usr/lib/x86_64-linux-gnu/librte_ethdev.so.23.0"


class Host:
    """A tree that looks like a host with one application, pid 7, and ourselves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.system = System(str(root))
        self.app = App("web", "/var/run/dpdk", pid=7, uid=os.geteuid(), release=RELEASE, command=("app", "-l", "0"))
        for kind in ("mnt", "pid"):
            self.link(f"/proc/7/ns/{kind}", "same")
            self.link(f"/proc/self/ns/{kind}", "same")
        self.link("/proc/7/root", "/")
        self.write("/proc/7/stat", "7 (app) S " + " ".join(["1"] * 30))
        self.write("/proc/7/cmdline", "app\0-l\0000\0")
        self.write("/proc/7/status", f"Name:\tapp\nUid:\t0\t{os.geteuid()}\t0\t0\nGid:\t5\t6\t7\t8\nGroups:\t4 24 \n")
        self.maps(EAL_FILE, ETHDEV_FILE, "/dev/hugepages/webmap_0", "/dev/hugepages/webmap_1")
        self.write("/var/run/dpdk/web/config", "x" * 16)
        self.write("/var/run/dpdk/web/hugepage_info", "x")
        for path in (EAL_FILE, ETHDEV_FILE, "/opt/dpdk/lib/librte_eal.so.23.0", "/opt/dpdk/lib/librte_ethdev.so.23"):
            self.write(path, "")

    def maps(self, *paths: str) -> None:
        self.write("/proc/7/maps", "".join(f"7f00-7f01 r--p 00000000 fe:01 42   {path}\n" for path in paths))

    def write(self, path: str, text: str) -> None:
        file = Path(f"{self.root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def link(self, path: str, target: str) -> None:
        file = Path(f"{self.root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.symlink_to(target)

    def reasons(self, *devices: str) -> list[str]:
        errors = eal_preconditions(self.app, map(parse, devices), system=self.system)
        assert all(error.app == "web" and error.message and error.way_out for error in errors)
        return [error.reason for error in errors]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_nothing_stands_in_the_way(host: Host) -> None:
    assert host.reasons("0000:01:00.0", "net_null0") == []
    EalChannel(host.app, system=host.system).precheck()


def test_what_the_process_tells(host: Host) -> None:
    for task, name, cpus in (("7", "app", "0-3"), ("8", "rte-worker-1", "1"), ("9", "dpdk-worker127", "0")):
        host.write(f"/proc/7/task/{task}/comm", name + "\n")
        host.write(f"/proc/7/task/{task}/status", f"Cpus_allowed_list:\t{cpus}\n")
    process = joinable.look(7, host.system)
    assert (process.eal, process.abi, process.libraries) == (EAL_FILE, 23, (EAL_FILE, ETHDEV_FILE))
    assert (process.uid, process.gid, process.groups) == (os.geteuid(), 6, (4, 24))
    assert process.lcores == (1, 127)
    assert set(process.cpus) == (os.sched_getaffinity(0) - {0, 1} or os.sched_getaffinity(0))
    assert [lcore.partition("@")[0] for lcore in eal_channel._lcores(process)] == ["63", "31", "15"]


@pytest.mark.parametrize(
    ("libraries", "expected"),
    [
        ((EAL_FILE, ETHDEV_FILE), (EAL_FILE, ETHDEV_FILE)),
        ((EAL_FILE,), (EAL_FILE, "librte_ethdev.so.23")),
        ((), ("librte_eal.so.23", "librte_ethdev.so.23")),
    ],
)
def test_the_libraries_are_its_own(host: Host, libraries: tuple[str, ...], expected: tuple[str, str]) -> None:
    host.maps(*libraries)
    assert eal_channel._names(joinable.look(7, host.system), RELEASE) == expected
    assert eal_channel._names(joinable.look(9, host.system), Release(21, 5)) == (
        "librte_eal.so.21",
        "librte_ethdev.so.21",
    )


def test_the_request(host: Host) -> None:
    host.maps("/opt/dpdk/lib/librte_eal.so.23.0", "/opt/dpdk/lib/librte_ethdev.so.23")
    token = "14d63f20-8445-11ea-8900-1f9ce7d5650d"
    app = host.app._replace(eal_params=("app", "--vfio-vf-token", token, "--iova-mode=va", "--iova-mode=x y"))
    made = EalChannel(app, system=host.system)
    asked = made._request([Operation("attach", parse("0000:02:00.0,a=b")), Operation("attach", parse("net_null0"))])
    assert asked["options"] == {"allow": ["0000:02:00.0,a=b"], "iova_mode": "va", "vf_token": token}
    assert asked["preload"] == ["/opt/dpdk/lib/librte_eal.so.23.0", "/opt/dpdk/lib/librte_ethdev.so.23"]
    assert asked["user"] is None
    assert made._request([Operation("attach", parse("net_null0"))])["options"]["allow"] == []
    assert "allow" not in made._request([Operation("ports")])["options"]


def test_the_environment(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONSTARTUP", "RTE_SDK"):
        monkeypatch.setenv(name, "/evil")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/elsewhere")
    environment = EalChannel(host.app._replace(runtime_dir="/run/x/dpdk"))._environment()
    assert "/evil" not in environment.values()
    assert environment["RUNTIME_DIRECTORY"] == environment["XDG_RUNTIME_DIR"] == "/run/x"
    assert os.path.isdir(environment["PYTHONPATH"] + "/ansible_collections/dpdk/hotplug")


def _unlink(host: Host, path: str) -> None:
    Path(f"{host.root}{path}").unlink()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda host: _unlink(host, "/proc/7/stat"), "primary_gone"),
        (lambda host: host.write("/proc/7/stat", "7 (app) Z " + "1 " * 30), "primary_gone"),
        (lambda host: setattr(host, "app", host.app._replace(start_time=99)), "primary_gone"),
        (lambda host: setattr(host, "app", host.app._replace(pid=0)), "primary_gone"),
        (lambda host: setattr(host, "app", host.app._replace(distrust="its directory is a link")), "foreign"),
        (lambda host: host.link("/proc/7/ns/mnt", "other"), "other_namespace"),
        (lambda host: host.link("/proc/7/ns/pid", "other"), "other_namespace"),
        (lambda host: host.link("/proc/7/root", "/srv/chroot"), "other_namespace"),
        (lambda host: setattr(host, "app", host.app._replace(root="/proc/7/root")), "other_namespace"),
        (lambda host: setattr(host, "app", host.app._replace(command=("app", "--in-memory"))), "no_shared_files"),
        (lambda host: setattr(host, "app", host.app._replace(command=("app", "--no-shconf"))), "no_shared_files"),
        (lambda host: _unlink(host, "/var/run/dpdk/web/config"), "no_shared_files"),
        (lambda host: setattr(host, "app", host.app._replace(command=("app", "--no-huge"))), "no_hugepages"),
        (lambda host: _unlink(host, "/var/run/dpdk/web/hugepage_info"), "no_hugepages"),
        (lambda host: host.maps(EAL_FILE, "/dev/hugepages/other_webmap_0x"), "no_hugepages"),
        (lambda host: host.maps(EAL_FILE, "/dev/hugepages/webmap_0 (deleted)"), "no_hugepages"),
        (lambda host: host.maps("/usr/bin/app", "/dev/hugepages/webmap_0"), "static"),
        (lambda host: host.maps(EAL_FILE + " (deleted)", "/dev/hugepages/webmap_0"), "other_release"),
        (lambda host: setattr(host, "app", host.app._replace(release=None)), "unknown_release"),
        (lambda host: setattr(host, "app", host.app._replace(release=Release(19, 11))), "unknown_release"),
        (lambda host: setattr(host, "app", host.app._replace(runtime_dir="/var/run/other")), "not_supported"),
        (lambda host: _unlink(host, EAL_FILE), "foreign"),
        (lambda host: Path(f"{host.root}{EAL_FILE}").chmod(0o666), "foreign"),
        (lambda host: Path(f"{host.root}/usr/lib").chmod(0o777), "foreign"),
    ],
)
def test_what_stands_in_the_way(host: Host, change: Any, reason: str) -> None:
    change(host)
    assert reason in host.reasons()
    with pytest.raises(HotplugError):
        EalChannel(host.app, system=host.system).precheck()


def test_a_library_of_somebody_else_s(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.maps("/opt/dpdk/lib/librte_eal.so.23.0", "/dev/hugepages/webmap_0")
    assert host.reasons() == []
    stat = os.stat

    def foreign(path: Any, **options: Any) -> os.stat_result:
        status = stat(path, **options)
        return os.stat_result((*status[:4], 4242, *status[5:])) if str(path).endswith("/opt/dpdk") else status

    monkeypatch.setattr(os, "stat", foreign)
    assert host.reasons() == ["foreign"]


def test_another_user_s_application(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    host.app = host.app._replace(uid=4243)
    assert "not_permitted" in host.reasons()


def test_an_old_release_has_one_place_for_root(host: Host) -> None:
    (host.root / "run/x/dpdk/web").mkdir(parents=True)
    host.app = host.app._replace(release=Release(21, 11), uid=0)
    assert "not_supported" not in host.reasons()
    host.app = host.app._replace(runtime_dir="/run/x/dpdk")
    assert "not_supported" in host.reasons()


def test_uio_pci_generic(host: Host) -> None:
    host.link("/sys/bus/pci/devices/0000:01:00.0/driver", "../../../../bus/pci/drivers/uio_pci_generic")
    host.link("/sys/bus/pci/devices/0000:02:00.0/driver", "../../../../bus/pci/drivers/vfio-pci")
    assert host.reasons("0000:01:00.0", "0000:02:00.0") == ["uio_pci_generic"]
    assert host.reasons("0000:02:00.0") == []
    host.link("/proc/7/fd/9", "/dev/uio3")
    host.link("/sys/class/uio/uio3/device/driver", "../../../../bus/pci/drivers/uio_pci_generic")
    assert host.reasons() == ["uio_pci_generic"]


def test_a_child_that_was_left_alone(host: Host) -> None:
    host.write("/proc/99/cmdline", "\0".join(["python3", "-s", "-B", "-m", joinable.HELPER, "eal", "web", ""]))
    host.write("/proc/98/cmdline", "\0".join(["dpdk-proc-info", "--file-prefix", "web", ""]))
    for pid in (97, 98, 99):
        host.write(f"/var/run/dpdk/web/mp_socket_{pid}_5ab8455a3f5", "")
    (error,) = eal_preconditions(host.app, system=host.system)
    assert (error.reason, error.fields["pid"]) == ("eal_wedged", 99)


def test_nothing_is_waited_for_longer_than_told(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = time.monotonic()
    with pytest.raises(HotplugError):
        channel(runtime, "time.sleep(2)", monkeypatch, timeout=0.2).run([Operation("ports")])
    assert time.monotonic() - begin < 1.5
