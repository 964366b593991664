# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.discovery import check_prefix, find, runtime_dirs
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import Release
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp, config

_STAT = "{pid} (testpmd) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 999 1 2\n"


class Tree:
    """A host of the test's own: its /proc is written here, its sockets and locks are real."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)
        self.system = System(root)
        self.apps: list[FakeApp] = []
        self.process(os.getpid(), threads=("pytest",))
        (self.root / "proc/self").symlink_to(str(os.getpid()))
        self.unix([])

    def process(
        self,
        pid: int,
        *,
        threads: t.Sequence[str] = ("testpmd", "eal-intr-thread"),
        command: str = "testpmd",
        namespace: str = "1",
    ) -> Path:
        own = self.root / "proc" / str(pid)
        for number, name in enumerate(threads):
            (own / f"task/{pid + number}").mkdir(parents=True)
            (own / f"task/{pid + number}/comm").write_text(name + "\n")
        for name in ("ns", "net"):
            (own / name).mkdir()
        (own / "ns/mnt").symlink_to(f"mnt:[{namespace}]")
        (own / "ns/net").symlink_to(f"net:[{namespace}]")
        (own / "stat").write_text(_STAT.format(pid=pid))
        (own / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command.split()))
        (own / "net/unix").write_text("")
        return own

    def unix(self, paths: t.Sequence[str], pid: str = "self") -> None:
        lines = "".join(
            f"0000000000000000: 00000002 00000000 00010000 0005 01 {n} {path}\n" for n, path in enumerate(paths)
        )
        (self.root / f"proc/{pid}/net/unix").write_text("Num RefCount Protocol Flags Type St Inode Path\n" + lines)

    def app(self, prefix: str = "web", *, place: str = "/run/dpdk", listed: bool = True, **options: t.Any) -> FakeApp:
        self.apps.append(FakeApp(str(self.root) + place, prefix, **options))
        if listed:
            self.process(self.apps[-1].pid)
        return self.apps[-1]

    def place(self, place: str = "/var/run/dpdk/web") -> Path:
        path = Path(f"{self.root}{place}")
        path.mkdir(parents=True, mode=0o700)
        return path

    def find(self, runtime_dir: str = "") -> list[App]:
        return find(self.system, runtime_dir=runtime_dir)

    def one(self) -> App:
        (found,) = self.find()
        return found


@pytest.fixture
def tree(run: str) -> t.Iterator[Tree]:
    host = Tree(run)
    Path(run, "run").mkdir()
    Path(run, "var").mkdir()
    Path(run, "var/run").symlink_to("../run")
    yield host
    for app in host.apps:
        app.end()


PREFIXES: list[tuple[str, bool]] = [
    ("web", True),
    ("a.b_c-d+e:f@g", True),
    ("x" * 64, True),
    ("..x", True),
    ("", False),
    (".", False),
    ("..", False),
    ("x" * 65, False),
    ("a/b", False),
    ("../../x", False),
    ("/abs", False),
    ("a\0b", False),
    ("a\n", False),
    ("a b", False),
    ("ä", False),
    ("$(x)", False),
]


@pytest.mark.parametrize("prefix, good", PREFIXES)
def test_check_prefix(prefix: str, good: bool) -> None:
    if good:
        assert check_prefix(prefix) == prefix
        return
    with pytest.raises(HotplugError) as error:
        check_prefix(prefix)
    assert error.value.reason == "bad_prefix"
    assert len(str(error.value)) < 300


def test_nothing(tree: Tree) -> None:
    assert tree.find() == []
    assert tree.find("/nowhere") == []


def test_an_application(tree: Tree) -> None:
    app = tree.app(vdevs=["net_null0"])
    assert tree.one() == App(
        prefix="web",
        runtime_dir="/var/run/dpdk",
        pid=app.pid,
        uid=os.geteuid(),
        start_time=4711,
        name="testpmd",
        command=("testpmd",),
        release=Release(22, 11, 11),
        version="DPDK 22.11.11",
        eal_params=("testpmd", "--file-prefix", "web", "--vdev=net_null0"),
        telemetry="dpdk_telemetry.v2",
        shared=True,
        mp_socket=True,
    )


PLACES: list[str] = ["/run/dpdk", "/tmp/dpdk", "/run/user/1000/dpdk", "/run/unit/dpdk", "/srv/own/dpdk"]


@pytest.mark.parametrize("place", PLACES)
def test_places(tree: Tree, place: str) -> None:
    app = tree.app(place=place)
    tree.unix([f"{place}/web/dpdk_telemetry.v2"])
    assert tree.one().pid == app.pid


def test_a_place_by_the_sockets_of_another_network(tree: Tree) -> None:
    app = tree.app(place="/srv/dpdk", listed=False)
    own = tree.process(app.pid)
    (own / "ns/net").unlink()
    (own / "ns/net").symlink_to("net:[9]")
    tree.unix(["/srv/dpdk/web/mp_socket", "@abstract", "relative/dpdk/web/mp_socket"], str(app.pid))
    assert tree.one().runtime_dir == "/srv/dpdk"


def test_one_place_by_several_names_is_one(tree: Tree) -> None:
    app = tree.app()
    tree.unix(["/run/dpdk/web/mp_socket", "/var/run/dpdk/web/mp_socket"])
    assert runtime_dirs(tree.system, "x /srv/dpdk/web/mp_socket")[-1] == "/srv/dpdk"
    assert [(found.pid, found.runtime_dir) for found in tree.find()] == [(app.pid, "/var/run/dpdk")]


@pytest.mark.parametrize("given", ["", "/var/run/dpdk"])
def test_one_place_seen_from_several_mount_namespaces_is_one(tree: Tree, given: str) -> None:
    """As that of a unit with PrivateTmp, which shares /run with us."""
    app = tree.app(listed=False)
    own = tree.process(app.pid, namespace="2")
    (own / "root").symlink_to(tree.root)
    assert [(found.pid, found.root) for found in tree.find(given)] == [(app.pid, "")]


def test_only_below_a_given_place(tree: Tree) -> None:
    tree.app()
    other = tree.app(place="/srv/dpdk")
    assert [app.pid for app in tree.find("/srv/dpdk")] == [other.pid]


def test_only_of_given_prefixes(tree: Tree) -> None:
    apps = {prefix: tree.app(prefix) for prefix in ("a", "b", "c")}
    tree.process(77, command="testpmd --file-prefix=d")
    found = find(tree.system, prefixes=("b", "d"))
    assert {one.prefix: one.pid for one in found} == {"b": apps["b"].pid, "d": 77}


def test_leftover(tree: Tree) -> None:
    app = tree.app(listed=False)
    app.end()
    assert tree.one() == App("web", "/var/run/dpdk", release=Release(22, 11, 11))


def test_leftover_of_one_that_never_was_up(tree: Tree) -> None:
    (tree.place() / "config").write_bytes(b"\0" * 8)
    assert tree.one() == App("web", "/var/run/dpdk")


def test_config_is_a_link(tree: Tree) -> None:
    (tree.place() / "config").symlink_to("/etc/passwd")
    assert tree.one() == App("web", "/var/run/dpdk")


def test_in_memory_with_telemetry(tree: Tree) -> None:
    app = tree.app(shared=False)
    found = tree.one()
    assert (found.pid, found.shared, found.mp_socket, found.release) == (app.pid, False, False, Release(22, 11, 11))


def test_several_in_memory_in_one_directory(tree: Tree) -> None:
    app = tree.app(shared=False)
    os.rename(f"{app.directory}/dpdk_telemetry.v2", f"{app.directory}/dpdk_telemetry.v2:1")
    other = tree.app(shared=False)
    assert {found.pid: found.telemetry for found in tree.find()} == {
        app.pid: "dpdk_telemetry.v2:1",
        other.pid: "dpdk_telemetry.v2",
    }


UNLISTED: list[tuple[str, tuple[str, ...], list[str]]] = [
    ("testpmd --in-memory --no-telemetry", ("testpmd", "eal-intr-thread"), ["rte"]),
    ("testpmd --file-prefix=web --no-telemetry", ("testpmd", "dpdk-intr"), ["web"]),
    ("testpmd --file-prefix a --file-prefix b", ("testpmd", "eal-intr-thread"), ["b"]),
    ("testpmd --proc-type=secondary", ("testpmd", "eal-intr-thread"), []),
    ("bash -x", ("bash", "worker"), []),
]


@pytest.mark.parametrize("command, threads, prefixes", UNLISTED)
def test_without_files_and_telemetry(tree: Tree, command: str, threads: tuple[str, ...], prefixes: list[str]) -> None:
    tree.process(77, threads=threads, command=command)
    found = tree.find()
    assert [app.prefix for app in found] == prefixes
    assert all(app.pid == 77 and app.telemetry_error and not app.shared for app in found)
    assert tree.find("/var/run/dpdk") == []


def test_hung_telemetry_is_said_and_the_lock_tells_the_pid(tree: Tree) -> None:
    app = tree.app()
    app.telemetry_mode("text")
    found = tree.one()
    assert (found.pid, found.shared, found.version) == (app.pid, True, "DPDK 22.11.11")
    assert "JSON" in found.telemetry_error


def test_no_telemetry(tree: Tree) -> None:
    app = tree.app(telemetry=False)
    found = tree.one()
    assert found.pid == app.pid
    assert "no telemetry socket" in found.telemetry_error


def test_telemetry_of_another_process_is_never_taken_for_the_primary_s(tree: Tree) -> None:
    primary = tree.app(telemetry=False)
    other = tree.app(shared=False, vdevs=["net_null0"])
    found = {app.pid: app for app in tree.find()}
    assert set(found) == {primary.pid, other.pid}
    assert "no telemetry socket" in found[primary.pid].telemetry_error
    assert not found[other.pid].shared


def test_two_releases(tree: Tree) -> None:
    app = tree.app()
    with open(f"{app.directory}/config", "r+b") as file:
        file.write(config(Release(24, 11, 4)))
    found = tree.one()
    assert found.release == Release(24, 11, 4)
    assert "22.11.11" in found.telemetry_error and "24.11.4" in found.telemetry_error


def test_container(tree: Tree) -> None:
    app = tree.app(place="/box/var/run/dpdk", listed=False)
    own = tree.process(app.pid, namespace="2")
    (own / "root").symlink_to(tree.root / "box")
    found = tree.one()
    assert (found.root, found.runtime_dir, found.pid) == (f"/proc/{app.pid}/root", "/var/run/dpdk", app.pid)


def test_linked_directories_are_not_trusted(tree: Tree) -> None:
    app = tree.app(place="/elsewhere")
    place = tree.place("/var/run/dpdk")
    (place / "evil").symlink_to(app.directory)
    (found,) = (one for one in tree.find() if one.prefix == "evil")
    assert not found.running
    assert "link" in found.distrust


def test_a_linked_runtime_directory_is_not_trusted(tree: Tree) -> None:
    tree.app(place="/elsewhere", listed=False)
    (tree.root / "tmp").mkdir()
    (tree.root / "tmp/dpdk").symlink_to("../elsewhere")
    found = tree.one()
    assert (found.prefix, found.runtime_dir, found.running) == ("", "/tmp/dpdk", False)
    assert "link" in found.distrust


@pytest.mark.parametrize("name", ["a b", "x" * 65, "ä"])
def test_names_that_are_no_prefix_are_passed_over(tree: Tree, name: str) -> None:
    tree.place(f"/var/run/dpdk/{name}")
    assert tree.find() == []


def test_a_directory_open_to_everybody_is_not_trusted(tree: Tree) -> None:
    app = tree.app()
    os.chmod(app.directory, 0o777)
    assert "everybody" in tree.one().distrust


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_a_directory_of_somebody_else_is_not_trusted(tree: Tree) -> None:
    app = tree.app()
    os.chown(app.directory, 1234, -1)
    assert "user 1234" in tree.one().distrust


def test_living_secondaries(tree: Tree) -> None:
    app = tree.app()
    tree.process(88, command="dump --proc-type=secondary")
    for name in ("mp_socket_88_1f", "mp_socket_99_1f", "mp_socket_x", "mp_socket_88"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.bind(f"{app.directory}/{name}")
    assert tree.one().secondaries == (88,)


def test_a_process_that_ends_meanwhile(tree: Tree) -> None:
    tree.app(listed=False)
    assert not tree.one().running
