# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile documents (row 8) and hostile trees (row 9) beside a real application."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import Liar, converge, ipc_lives, names_all, refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from releases import Dpdk, Testpmd, count

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine, info

NOBODY = 65534

DEVICES = [
    "",
    ",",
    ",size=64",
    "net_null0,",
    "net_null0 ",
    " net_null0",
    "net_null0\n",
    "net_null0\0",
    "net_null0\0net_null1",
    "net_null0,size=64 --vdev=net_null1",
    "net_null0,size=64\n--vdev=net_null1",
    "net_null0,si\tze=64",
    "net_null0;reboot",
    "net_null0|x",
    "net_null0$(id)",
    "net_null0`id`",
    "--vdev=net_null0",
    "-a",
    "../net_null0",
    "/dev/null",
    "vdev:",
    "vdev:vdev:net_null0",
    "pci:net_null0",
    "vdev:0000:01:00.0",
    "auxiliary:mlx5_core.sf.0",
    "class=eth,mac=00:11:22:33:44:55",
    "bus=vdev,name=net_null0/class=eth",
    "0000:01:00.8",
    "0000:01:20.0",
    "0000:01:00.0.0",
    "123456789:01:00.0",
    "net_null\u0660",
    "net_nüll0",
    "net_null0,size=\u0664",
    "net_null0,size=\ud800",
    "n" * 64,
    "net_null0," + "x" * 113,
    "net_null0," + "x" * 5000,
    "0000:01:00.0," + "x" * 111,
    "\x1b[2Jnet_null0",
]
NO_DEVICES: list[Any] = [0, 1.5, True, [], ["net_null0"], {}, {"device": "net_null0"}, b"net_null0"]
PREFIXES = [
    "../x",
    "/x",
    "a/b",
    "..",
    ".",
    "a\0b",
    "a\nb",
    "a b",
    "a\n",
    "ä",
    "\ud800",
    "x" * 65,
    "*",
    "?",
    "$(id)",
    "web ",
    "~",
    "%n",
]
RUNTIME_DIRS = ["x", "./x", "../x", "/run/../etc", "/run/dpdk\0/x", "..", "/a/..", "\ud800"]


@pytest.fixture
def app(host_dpdk: Dpdk) -> Testpmd:
    return host_dpdk.start_testpmd("web", ["net_null8"])


def _tree() -> dict[str, int]:
    """Every name below the places that a run may touch, with its kind."""
    found = {}
    for top in ("/run", "/tmp/dpdk", "/etc", "/var/tmp"):
        for place, folders, files in os.walk(top):
            if place == "/run" and "chroots" in folders:
                folders.remove("chroots")
            for name in [*folders, *files]:
                path = os.path.join(place, name)
                found[path] = stat.S_IFMT(os.lstat(path).st_mode)
    return found


def test_injections(app: Testpmd) -> None:
    """Each is refused by a clear error before anything is sent, and nothing is written anywhere."""
    ports, tree = app.ports(), _tree()
    for device in [*DEVICES, *NO_DEVICES]:
        for state in ("present", "absent"):
            with pytest.raises(HotplugError) as caught:
                engine.converge({"apps": [{"app": "web", "ports": [{"device": device, "state": state}]}]})
            assert caught.value.reason in ("bad_devargs", "bad_document"), (device, caught.value.result())
            assert caught.value.way_out and str(caught.value).isprintable(), ascii(str(caught.value))
    for prefix in PREFIXES:
        error = refused(prefix, "net_null0")
        assert error.reason == "bad_prefix" and error.way_out and str(error).isprintable(), ascii(str(error))
        with pytest.raises(HotplugError):
            info.apps(app=prefix)
    for place in RUNTIME_DIRS:
        error = refused(app, "net_null0", runtime_dir=place)
        assert error.reason == "bad_document" and error.way_out and str(error).isprintable(), (place, error.result())
    assert app.ports() == ports and _tree() == tree
    assert ipc_lives(app)


def test_injections_into_a_document(app: Testpmd) -> None:
    good = {"device": "net_null0"}
    documents: list[Any] = [
        None,
        [],
        "x",
        5,
        {},
        {"apps": {}},
        {"apps": [5]},
        {"apps": "web"},
        {"version": 2, "apps": []},
        {"version": "1"},
        {"x": 1},
        {"apps": [{"app": 5}]},
        {"apps": [{"app": ["web"]}]},
        {"apps": [{"app": "web", "ports": good}]},
        {"apps": [{"app": "web", "ports": [good], "eal_options": ["--vdev=x"]}]},
        {"apps": [{"app": "web", "ports": [{**good, "args": "x"}]}]},
        *(
            {"apps": [{"app": "web", "ports": [good], name: value}]}
            for name, value in (
                ("timeout", -1),
                ("timeout", float("nan")),
                ("timeout", float("inf")),
                ("timeout", "9"),
                ("timeout", True),
                ("timeout", 10**9),
                ("force", "yes"),
                ("force", 1),
                ("atomic", None.__class__),
                ("adapter", "../x"),
                ("adapter", "openvswitch"),
                ("channel", "udp"),
                ("state", "gone"),
                ("started", "yes"),
                ("exclusive", []),
            )
        ),
        {"apps": [{"app": "web", "ports": [{"port_id": -1, "state": "absent"}]}]},
        {"apps": [{"app": "web", "ports": [{"port_id": True, "state": "absent"}]}]},
        {"apps": [{"app": "web", "ports": [{"port_id": 0}]}]},
        {"apps": [{"app": "web", "ports": [{"port_id": 0, "device": "net_null0", "state": "absent"}]}]},
        {"apps": [{"app": "web", "ports": [{}]}]},
        {"apps": [{"app": "web", "ports": [good]}, {"app": "web", "ports": [good]}]},
        {"apps": [{"app": "web", "ports": [good, good]}]},
        {"apps": [{"app": "web", "ports": [good, {"device": "vdev:net_null0,size=64"}]}]},
        {"apps": [{"app": "web", "ports": [good, {**good, "state": "absent"}]}]},
    ]
    empty: tuple[Any, ...] = ({}, {"apps": {}})
    for one in documents:
        try:
            answer = engine.converge(one)
        except HotplugError as error:  # noqa: PERF203 - each document has one of its own
            assert error.way_out and str(error).isprintable(), error.result()
        else:
            assert one in empty and not answer["changed"], one
    assert set(app.ports()) == {"net_null8"}


def test_longest_devargs_arrive_whole(dpdk: Dpdk) -> None:
    """127 bytes with the bus are taken and told in full; 128 are refused, as DPDK would cut them."""
    app = dpdk.start_testpmd("web")
    name = "net_null_" + "n" * (63 - 9)
    device = f"{name},size={'0' * (127 - 5 - 63 - 6 - 2)}64"
    assert len("vdev:" + device) == 127
    assert converge(app, device)["ports"][0]["devargs"] == device
    error = refused(app, f"{name},size={'0' * (128 - 5 - 63 - 6 - 2)}64")
    assert error.reason == "bad_devargs"
    names_all(error, "128 bytes", "127")
    assert not converge(app, device)["changed"] and ipc_lives(app) is True


_texts = st.one_of(
    st.text(max_size=160),
    st.sampled_from([*DEVICES, *PREFIXES]),
    st.from_regex(r"net_(null|ring)[0-9]?(,[a-z]{1,5}=[!-~]{0,9}){0,2}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{0,5}:?[0-9a-f]{1,3}:[0-9a-f]{1,2}\.[0-9]", fullmatch=True),
)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _texts),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def _odd(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly the value, sometimes anything."""
    return st.integers(0, 9).flatmap(lambda dice: _values if dice == 0 else value)


_ports = st.fixed_dictionaries(
    {},
    optional={
        "device": _odd(_texts),
        "port_id": _odd(st.integers(-1, 40)),
        "state": _odd(st.sampled_from(["present", "absent"])),
        "started": _values,
    },
)
_entries = st.fixed_dictionaries(
    {"app": _odd(st.sampled_from(["web", "", "rte", "../web"])), "ports": _odd(st.lists(_ports, max_size=3))},
    optional={
        "runtime_dir": _odd(
            st.sampled_from(["/run/dpdk", "/var/run/dpdk", "/tmp", "/etc", "/", "/run/dpdk/web", "/dev/../run/dpdk"])
        ),
        "channel": _odd(st.just("ipc")),
        "exclusive": _values,
        "force": _values,
        "recreate": _values,
        "atomic": _values,
    },
)


def test_anything_at_all(app: Testpmd) -> None:
    """Whatever a document holds: done or a HotplugError, nothing written but in our own places, and it lives on."""
    tree = _tree()

    @settings(max_examples=count(2000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.fixed_dictionaries({"apps": _odd(st.lists(_entries, min_size=1, max_size=2))}), st.booleans())
    def any_document(wanted: dict[str, Any], check: bool) -> None:
        for entry in wanted["apps"] if isinstance(wanted["apps"], list) else ():
            if isinstance(entry, dict):
                entry.setdefault("adapter", "multiprocess")
        try:
            engine.converge(wanted, check=check)
        except HotplugError as error:
            assert error.reason and str(error)

    any_document()
    assert app.alive and ipc_lives(app)
    assert {path for path in _tree() if path not in tree and not path.startswith("/run/dpdk-hotplug")} == set()


# Hostile trees


@pytest.fixture
def place() -> Iterator[Callable[..., str]]:
    """Makes directories below /run that end with the test: place("evil", mode=0o777, owner=NOBODY)."""
    made: list[str] = []

    def make(name: str, *, mode: int = 0o755, owner: int = 0) -> str:
        path = f"/run/{name}/dpdk"
        os.makedirs(path)
        os.chown(path, owner, owner)
        os.chmod(path, mode)
        made.append(f"/run/{name}")
        return path

    yield make
    for path in made:
        shutil.rmtree(path)


def _running_in(dpdk: Dpdk, runtime: str, prefix: str = "web") -> Testpmd:
    return dpdk.start_testpmd(prefix, ["net_null8"], environment={"RUNTIME_DIRECTORY": os.path.dirname(runtime)})


def _told(pid: int) -> dict[str, Any]:
    (found,) = [one for one in info.apps() if one["pid"] == pid]
    return found


def test_a_unit_with_a_runtime_directory_of_its_own(dpdk: Dpdk, place: Callable[..., str]) -> None:
    """Found without being told where, and reached: the harmless case of what follows."""
    app = _running_in(dpdk, place("unit"))
    assert _told(app.pid)["runtime_dir"] == "/run/unit/dpdk"
    assert converge(app, "net_null1")["changed"]
    assert converge(app, "net_null2", runtime_dir="/run/unit/dpdk/")["changed"]
    assert set(app.ports()) == {"net_null1", "net_null2", "net_null8"}


@pytest.mark.parametrize(
    "mode, owner, text", [(0o777, 0, "everybody may write"), (0o755, NOBODY, "65534"), (0o700, NOBODY, "65534")]
)
@pytest.mark.parametrize("level", ["runtime", "prefix"])
def test_a_directory_that_is_not_to_be_trusted(
    host_dpdk: Dpdk, place: Callable[..., str], level: str, mode: int, owner: int, text: str
) -> None:
    """The application of root in a directory of somebody else's, or one that everybody may write to."""
    runtime = place("evil")
    app = _running_in(host_dpdk, runtime)
    spoiled = runtime if level == "runtime" else app.directory
    os.chown(spoiled, owner, owner)
    os.chmod(spoiled, mode)
    found = _told(app.pid)
    assert not any(one["usable"] for one in found["adapters"])
    assert any(text in one["reason"] for one in found["adapters"])
    error = refused(app, "net_null1")
    names_all(error, "web", spoiled, text)
    assert set(app.ports()) == {"net_null8"}
    assert not [name for name in os.listdir(app.directory) if name.startswith("hotplug_")]


def test_links_in_the_way(host_dpdk: Dpdk, app: Testpmd, place: Callable[..., str]) -> None:
    """A link where a directory, a socket or a file is expected leads nowhere, even to a real application."""
    runtime = place("links")
    os.symlink(app.directory, f"{runtime}/fake")
    error = refused("fake", "net_null1")
    names_all(error, "fake", "link")
    (found,) = info.apps(app="fake")
    assert found["state"] == "distrusted" and found["ports"] is None
    os.symlink("/run/dpdk", "/run/links/other")
    os.makedirs(f"{runtime}/half")
    for name in ("mp_socket", "dpdk_telemetry.v2", "config"):
        os.symlink(f"{app.directory}/{name}", f"{runtime}/half/{name}")
    error = refused("half", "net_null1")
    assert error.reason == "no_application"
    names_all(error, "half")
    os.rename("/run/links/dpdk", "/run/links/moved")
    os.symlink("/run/dpdk", "/run/links/dpdk")
    error = refused("web", "net_null1", runtime_dir="/run/links/dpdk")
    names_all(error, "web", "link")
    assert set(app.ports()) == {"net_null8"}


@pytest.mark.parametrize("name", ["mp_socket", "dpdk_telemetry.v2"])
def test_something_else_where_a_socket_is_expected(host_dpdk: Dpdk, app: Testpmd, name: str) -> None:
    other = host_dpdk.start_testpmd("other")
    real = f"{app.directory}/{name}"
    for make in (
        lambda: os.symlink(f"{other.directory}/{name}", real),
        lambda: os.symlink("/etc/passwd", real),
        lambda: Path(real).write_text("x"),
        lambda: os.mkfifo(real),
        lambda: os.mkdir(real),
    ):
        os.rename(real, real + ".aside")
        make()
        error = refused(app, "net_null1")
        assert error.reason == "unreachable", error.result()
        names_all(error, "web", str(app.pid), "socket")
        assert _told(app.pid)["state"] == "running"
        (os.rmdir if os.path.isdir(real) and not os.path.islink(real) else os.unlink)(real)
        os.rename(real + ".aside", real)
    assert other.ports() == {} and converge(app, "net_null1")["changed"]


def test_nonsense_where_applications_are_looked_for(app: Testpmd, place: Callable[..., str]) -> None:
    """Files, FIFOs, directories, devices and strange names: nothing hangs, nothing ends, the others are told."""
    runtime = place("junk", mode=0o777, owner=NOBODY)
    os.mkfifo(f"{runtime}/fifo")
    Path(f"{runtime}/file").write_text("x")
    for name in ("with space", "new\nline", "\udcff", "esc\x1b[2J", "x" * 200):
        os.makedirs(os.fsencode(runtime) + b"/" + os.fsencode(name))
    makers: dict[str, Callable[[str], object]] = {
        "dir": os.mkdir,
        "fifo": os.mkfifo,
        "text": lambda path: Path(path).write_text("x"),
        "empty": lambda path: Path(path).touch(),
        "zero": lambda path: os.symlink("/dev/zero", path),
        "device": lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
        "magic": lambda path: Path(path).write_bytes(b"\xee\x6f\x2e\x01" + b"\xff" * 99),
    }
    for kind, make in makers.items():
        os.makedirs(f"{runtime}/config-{kind}")
        make(f"{runtime}/config-{kind}/config")
        os.makedirs(f"{runtime}/both-{kind}")
        for name in ("config", "mp_socket", "dpdk_telemetry.v2"):
            make(f"{runtime}/both-{kind}/{name}")
    os.makedirs(f"{runtime}/secondaries")
    for name in ("mp_socket_", "mp_socket_x_y", "mp_socket_99999999999999_1", "mp_socket_1_../x".replace("/", "")):
        Path(f"{runtime}/secondaries/{name}").touch()
    found = {one["prefix"]: one for one in info.apps()}
    assert found["web"]["ports"][0]["device"] == "net_null8"
    assert all(one["state"] != "running" for name, one in found.items() if name != "web")
    assert converge(app, "net_null1")["changed"]


def test_another_users_application(host_dpdk: Dpdk, app: Testpmd) -> None:
    """Of the same prefix, it is not in the way of root's; named by its directory, it is acted on as its user."""
    with Liar("web", runtime_dir="/tmp/dpdk", uid=NOBODY) as liar:
        found = [one for one in info.apps(app="web") if one["state"] == "running"]
        assert {(one["pid"], one["uid"]) for one in found} == {(app.pid, 0), (liar.pid, NOBODY)}
        assert converge("web", "net_null1")["app"]["pid"] == app.pid
        assert liar.requests == []
        refused("web", "net_null2", runtime_dir="/tmp/dpdk")  # it lies: it has no such port afterwards
        assert [one["devargs"] for one in liar.requests if one["kind"] == 0] == ["vdev:net_null2"]
        assert set(app.ports()) == {"net_null1", "net_null8"}
        assert {os.lstat(f"{liar.directory}/{name}").st_uid for name in os.listdir(liar.directory)} == {NOBODY}
    shutil.rmtree("/tmp/dpdk", ignore_errors=True)


def test_a_lock_that_another_holds(host_dpdk: Dpdk, app: Testpmd) -> None:
    """The config's lock and the sockets disagree on who the application is: nothing is sent to either."""
    app.kill()
    hold = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True)"
    hold += "; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, f"{app.directory}/config"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            os.unlink(app.mp_socket)
            link.bind(app.mp_socket)
            link.setblocking(False)
            error = refused("web", "net_null1")
            names_all(error, "web", str(holder.pid), "telemetry")
            with pytest.raises(BlockingIOError):
                link.recv(4096)
        holder.kill()
