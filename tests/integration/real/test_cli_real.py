# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command dpdk-hotplug, as a process, against dpdk-testpmd of each release."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from releases import Dpdk, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils import _helper, _install

LIBRARY = Path(_helper.__file__).parent
MODULE = [sys.executable, "-m", _helper.__name__]


def installed(prefix: Path) -> str:
    """The command as the role `helper` installs it."""
    done = _install.run(state="present", prefix=str(prefix), python=sys.executable, version="1.2.3+test", check=False)
    return str(done["command"])


class Command:
    """dpdk-hotplug, run to its end: exit code, output, errors."""

    def __init__(self, argv: Sequence[str], environment: dict[str, str]) -> None:
        self.argv, self.environment = list(argv), environment

    def __call__(self, *words: str, text: str = "") -> tuple[int, str, str]:
        done = subprocess.run(
            [*self.argv, *words],
            input=text,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=90,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def said(self, *words: str, text: str = "") -> str:
        """What it prints when it must succeed without a word of complaint."""
        code, out, err = self(*words, text=text)
        assert (code, err) == (0, "")
        return out

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        ended, out, err = self(*words, "--json")
        assert (ended, err) == (code, "")
        answer: dict[str, Any] = json.loads(out)
        return answer

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen([*self.argv, *words], text=True, env=self.environment, **options)


@pytest.fixture
def cli() -> Command:
    return Command(MODULE, {**os.environ, "PYTHONPATH": str(LIBRARY.parents[4])})


@pytest.fixture
def launcher(tmp_path: Path) -> Command:
    """The command as it is installed, with as little environment as a unit gives it."""
    return Command([installed(tmp_path / "usr")], {"PATH": os.environ["PATH"]})


def column(table: str, name: str) -> list[str]:
    """A column of a table, found by where its heading begins."""
    lines = table.split("\n\n")[0].splitlines()
    start = lines[0].index(name)
    return [line[start:].split("  ")[0].strip() for line in lines[1:]]


def running(table: str, name: str) -> list[str]:
    """The same of the running applications: earlier tests leave directories of dead ones."""
    return [cell for cell, state in zip(column(table, name), column(table, "STATE")) if state == "running"]


# ---- see and change


def test_story(dpdk: Dpdk, cli: Command, tmp_path: Path) -> None:
    _story(dpdk, cli, tmp_path)


def test_story_installed(host_dpdk: Dpdk, launcher: Command, tmp_path: Path) -> None:
    _story(host_dpdk, launcher, tmp_path)
    assert launcher.said("--version") == "dpdk-hotplug 1.2.3+test\n"


def _story(dpdk: Dpdk, cli: Command, tmp_path: Path) -> None:
    app = dpdk.start_testpmd("web", ["net_null0"])
    table = cli.said("apps")
    assert running(table, "APP") == ["web"] and running(table, "PID") == [str(app.pid)]
    assert running(table, "VERSION")[0].startswith(f"DPDK {app.release}") and running(table, "REACHED BY") == ["ipc"]
    assert "testpmd: " in table and "eal: " in table
    assert max(map(len, table.splitlines())) <= 120

    assert cli.said("attach", "net_null1,copy=1", "net_ring0", "--check") == (
        "web: would attach net_null1,copy=1\nweb: would attach net_ring0\n"
    )
    assert set(app.ports()) == {"net_null0"}
    assert cli.said("attach", "net_null1,copy=1", "net_ring0") == (
        "web: attached net_null1,copy=1 (port 1)\nweb: attached net_ring0 (port 2)\n"
    )
    assert set(app.ports()) == {"net_null0", "net_null1", "net_ring0"}
    assert cli.said("attach", "net_null1,copy=1", "net_ring0", "--app", "web") == "web: nothing to do\n"

    table = cli.said("ports")
    assert column(table, "PORT") == ["0", "1", "2"] and column(table, "DEVARGS") == ["-", "net_null1,copy=1", "-"]
    assert column(table, "DEVICE") == ["net_null0", "net_null1", "net_ring0"]
    assert column(table, "MAC") == [port["mac_addr"].lower() for port in app.ports().values()]
    assert column(table, "STATE") == ["started", "attached", "attached"]
    assert cli.said("ports", "web") == table
    assert [port["device"] for port in cli.json("ports")["ports"]] == column(table, "DEVICE")

    assert cli.said("detach", "net_null1", "2", "--diff").endswith(
        " net_null0 started\n-net_null1,copy=1 stopped\n-net_ring0 stopped\n"
    )
    assert cli.said("detach", "net_null1", "2") == "web: nothing to do\n"
    assert set(app.ports()) == {"net_null0"}

    path = tmp_path / "document.json"
    path.write_text(json.dumps({"apps": [{"app": "web", "ports": [{"device": "net_null0"}, {"device": "net_null5"}]}]}))
    assert cli.said("converge", str(path), "--check", "--diff").endswith(" net_null0 started\n+net_null5 stopped\n")
    assert cli.said("converge", str(path)) == "web: attached net_null5 (port 1)\n"
    assert cli.said("converge", "-", text=path.read_text()) == "web: nothing to do\n"
    assert not cli.json("converge", str(path))["changed"]


def test_other_arguments(host_dpdk: Dpdk, cli: Command) -> None:
    app = host_dpdk.start_testpmd("web", ["net_null0"])
    cli.said("attach", "net_null1,copy=1")
    code, _out, err = cli("attach", "net_null1,copy=0")
    assert code == 3 and "'copy=1', asked for is 'copy=0'" in err
    assert cli.said("attach", "net_null1,copy=0", "--recreate").startswith("web: detached net_null1,copy=1 (port 1)\n")
    assert cli.said("attach", "net_null1,copy=0", "--exclusive", "--force") == "web: detached net_null0 (port 0)\n"
    assert set(app.ports()) == {"net_null1"}


def test_several_applications(dpdk_of: Callable[[str], Dpdk], cli: Command) -> None:
    for release in ("22.11", "24.11", "25.11"):
        dpdk_of(release).start_testpmd(f"app{release[:2]}", ["net_null0"], memory=128)
    assert running(cli.said("apps"), "APP") == ["app22", "app24", "app25"]
    assert column(cli.said("ports"), "APP") == ["app22", "app24", "app25"]
    assert column(cli.said("ports", "app24"), "APP") == ["app24"]
    assert cli.json("attach", "net_null1", code=5)["error"]["reason"] == "several_applications"
    assert cli.said("attach", "net_null1", "--app", "app25") == "app25: attached net_null1 (port 1)\n"


# ---- exit codes


def test_exit_codes(host_dpdk: Dpdk, cli: Command, tmp_path: Path) -> None:
    assert cli("ports", "web")[0] == 5
    assert cli("attach", "net_null1")[0] == 5
    app = host_dpdk.start_testpmd("web", ["net_null0"])
    (tmp_path / "bad.json").write_text('{"apps": [{"app": "web", "port": []}]}')
    (tmp_path / "link.json").symlink_to(tmp_path / "bad.json")
    before = app.ports()
    cases: list[tuple[int, str, list[str]]] = [
        (0, "", ["attach", "net_null0"]),
        (1, "has no driver or bus of that name", ["attach", "net_nosuch0"]),
        (1, "Undone: attach net_null5", ["attach", "net_null5", "net_nosuch0"]),
        (1, "no such device on its bus", ["attach", "0000:ff:1f.7"]),
        (1, "driver refuses", ["attach", "net_ring5,nodeaction=x"]),
        (2, "the following arguments are required", ["attach"]),
        (2, "invalid choice", ["attach", "net_null1", "--channel", "x"]),
        (2, "neither a PCI address nor", ["attach", "a b"]),
        (2, "DPDK takes 127", ["attach", "net_null1," + "x" * 120]),
        (2, "is given twice", ["attach", "net_null1", "net_null1,copy=1"]),
        (2, "is not a name", ["attach", "net_null1", "--app", "../x"]),
        (2, "has what is not known here: port", ["converge", str(tmp_path / "bad.json")]),
        (2, "is a symbolic link", ["converge", str(tmp_path / "link.json")]),
        (3, "has started ports: 0 (net_null0)", ["detach", "net_null0"]),
        (3, "cannot start the ports", ["attach", "net_null1", "--started"]),
        (3, "without hugepages", ["attach", "net_null1", "--channel", "eal"]),
        (5, "no DPDK application 'mail' is running", ["detach", "net_null0", "--app", "mail"]),
    ]
    for code, text, words in cases:
        ended, out, err = cli(*words)
        assert (ended, text in err) == (code, True), (words, ended, out, err)
        if code:
            assert out == "" and err.startswith("dpdk-hotplug") and err.count("\n") == 2 and "Way out: " in err
            ended, out, err = cli(*words, "--json")
            assert (ended, err, json.loads(out)["exit_code"]) == (code, "", code)
    assert app.ports() == before
    code, _out, err = cli("attach", "net_null5", "net_nosuch0", "--no-atomic")
    assert code == 4 and "Not undone: attach net_null5" in err and set(app.ports()) == {"net_null0", "net_null5"}


def test_another_run_has_the_lock(host_dpdk: Dpdk, cli: Command) -> None:
    app = host_dpdk.start_testpmd("web", ["net_null0"])
    cli.said("attach", "net_null0")
    (lock,) = Path("/run/dpdk-hotplug").glob("web@*/lock")
    with open(lock, "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, out, err = cli("attach", "net_null1", "--timeout", "0.2")
        assert (code, out) == (6, "") and "another run works on application 'web'" in err
        waiting = cli.start("attach", "net_null1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: str(lock) in _open_files(waiting.pid), "the second run at the lock")
        waiting.send_signal(signal.SIGINT)
        assert waiting.communicate(timeout=10) == ("", "dpdk-hotplug: interrupted\n")
        assert waiting.returncode == 130
    assert set(app.ports()) == {"net_null0"}


def _open_files(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()]
    return []


def test_a_stopped_application(host_dpdk: Dpdk, cli: Command) -> None:
    app = host_dpdk.start_testpmd("web", ["net_null0"])
    app.pause()
    try:
        code, _out, err = cli("attach", "net_null1")
        assert code == 3 and "cannot be reached" in err
        code, _out, err = cli("ports", "web")
        assert code == 3 and "the process is stopped" in err
        assert running(cli.said("apps"), "REACHED BY") == ["-"]
    finally:
        app.resume()
    wait_until(lambda: cli("ports", "web")[0] == 0, "its answer")
    assert column(cli.said("ports"), "DEVICE") == ["net_null0"]


def test_out_of_reach(host_dpdk: Dpdk, cli: Command) -> None:
    app = host_dpdk.start_testpmd("mem", ["net_null0"], extra=["--no-shconf"])
    table = cli.said("apps")
    assert running(table, "APP") == ["mem"] and running(table, "REACHED BY") == ["-"] and "--no-shconf" in table
    code, _out, err = cli("attach", "net_null1", "--app", "mem")
    assert code == 3 and "--no-shconf" in err and set(app.ports()) == {"net_null0"}
    app.kill()


def test_names_cannot_reach_the_terminal(host_dpdk: Dpdk, cli: Command) -> None:
    host_dpdk.start_testpmd("web", ["net_null0"], extra=["--log-level=\x1b[2J:8"])
    commands = [one["command"] for one in cli.json("apps")["apps"] if one["state"] == "running"]
    assert "--log-level=\x1b[2J:8" in commands[0]
    for words in (["apps"], ["ports"], ["apps", "--json"], ["attach", "net_null1", "--app", "\x1b[2J"]):
        _code, out, err = cli(*words)
        assert (out + err).replace("\n", "").isprintable()


# ---- watch


class Watching:
    """`dpdk-hotplug watch`, and its events as they come."""

    def __init__(self, cli: Command, *words: str) -> None:
        self.process = cli.start("watch", "--interval", "0.1", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def next(self, timeout: float = 30.0) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self._lines.get(timeout=timeout))
        return event

    def expect(self, *kinds: str) -> list[dict[str, Any]]:
        events = [self.next() for _kind in kinds]
        assert tuple(event["event"] for event in events) == kinds
        return events

    def quiet(self) -> bool:
        time.sleep(0.5)
        return self._lines.empty()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        code = self.process.wait(10)
        self._reader.join(10)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()


@pytest.fixture
def watching() -> Iterator[Callable[..., Watching]]:
    begun: list[Watching] = []

    def begin(cli: Command, *words: str) -> Watching:
        begun.append(Watching(cli, *words))
        return begun[-1]

    yield begin
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def test_watch_story(dpdk: Dpdk, cli: Command, watching: Callable[..., Watching]) -> None:
    watch = watching(cli)
    app = dpdk.start_testpmd("web", ["net_null0"])
    (up,) = watch.expect("app_up")
    assert (up["app"], up["pid"], up["runtime_dir"]) == ("web", app.pid, "/var/run/dpdk")
    seen = [watch.next()["event"], watch.next()["event"]]
    assert seen == ["port_attached", "port_started"]
    assert watch.quiet()

    cli.said("attach", "net_null1,copy=1")
    (attached,) = watch.expect("port_attached")
    assert (attached["port_id"], attached["device"], attached["devargs"]) == (1, "net_null1", "net_null1,copy=1")
    assert attached["mac"] == app.ports()["net_null1"]["mac_addr"].lower() and not attached["started"]
    app.console("port stop 0")
    assert watch.expect("port_stopped")[0]["device"] == "net_null0"
    app.console("port start 0")
    assert watch.expect("port_started")[0]["device"] == "net_null0"
    cli.said("detach", "net_null1")
    assert watch.expect("port_gone")[0]["port_id"] == 1

    app.quit()
    # testpmd stops and closes its ports first: how much of that is seen is a matter of time
    last = [watch.next()]
    while last[-1]["event"] != "app_down":
        last.append(watch.next())
    assert {one["event"] for one in last} <= {"port_stopped", "port_gone", "app_down"}
    assert [one["event"] for one in last][-2:] == ["port_gone", "app_down"]
    assert watch.quiet()

    again = dpdk.start_testpmd("web", ["net_null0"])
    assert watch.expect("app_up", "port_attached", "port_started")[0]["pid"] == again.pid
    again.kill()
    gone, down = watch.expect("port_gone", "app_down")
    assert (gone["device"], gone["pid"], down["pid"]) == ("net_null0", again.pid, again.pid)
    assert watch.end() == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_watch_ends(number: int, host_dpdk: Dpdk, cli: Command, watching: Callable[..., Watching]) -> None:
    host_dpdk.start_testpmd("web", ["net_null0"])
    watch = watching(cli)
    watch.expect("app_up", "port_attached", "port_started")
    assert watch.end(number) == (0, "")


def test_watch_ends_with_its_reader(cli: Command) -> None:
    reading, writing = os.pipe()
    with cli.start("watch", stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        time.sleep(1)
        assert process.poll() is None
        os.close(reading)
        assert process.wait(10) == 0
        assert process.stderr is not None and process.stderr.read() == ""


def test_watch_tells_only_what_it_is_asked(host_dpdk: Dpdk, cli: Command, watching: Callable[..., Watching]) -> None:
    for prefix in ("web", "mail"):
        host_dpdk.start_testpmd(prefix, ["net_null0"], memory=128)
    watch = watching(cli, "--app", "web", "--no-initial")
    assert watch.quiet() and watch.quiet()
    for prefix in ("mail", "web"):
        cli.said("attach", "net_null1", "--app", prefix)
    assert watch.expect("port_attached")[0]["app"] == "web"
    assert watch.quiet()


def test_one_that_hangs_holds_up_nobody(host_dpdk: Dpdk, cli: Command, watching: Callable[..., Watching]) -> None:
    hung = host_dpdk.start_testpmd("hung", ["net_null0"], memory=128)
    web = host_dpdk.start_testpmd("web", ["net_null0"], memory=128)
    watch = watching(cli, "--no-initial")
    time.sleep(1.5)
    hung.pause()
    try:
        time.sleep(0.5)
        web.console("port stop 0")
        event = watch.next(timeout=2.0)
        assert (event["app"], event["event"]) == ("web", "port_stopped")
        event = watch.next()
        assert (event["app"], event["event"]) == ("hung", "app_unreadable") and "does not answer" in event["reason"]
        web.console("port start 0")
        assert watch.next(timeout=2.0)["event"] == "port_started"
    finally:
        hung.resume()
    event = watch.next(timeout=40.0)
    assert (event["app"], event["event"]) == ("hung", "app_readable")


# ---- console


def test_console(host_dpdk: Dpdk, launcher: Command, tmp_path: Path) -> None:
    eal = ["--file-prefix=web", "-l", "0,1", "--no-huge", "--no-pci", "-m", "256", "--vdev=net_null0"]
    program = ["dpdk-testpmd", *eal, "--", "-i", "--total-num-mbufs=2048"]
    with open(tmp_path / "log", "wb") as log:
        served = launcher.start(
            "console", "--prefix", "web", "--", *program, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: b"testpmd>" in (tmp_path / "log").read_bytes(), "its prompt")
        assert running(launcher.said("apps"), "REACHED BY") == ["testpmd, ipc"]
        assert launcher.said("attach", "net_null1", "--started") == (
            "web: attached net_null1 (port 1)\nweb: started net_null1 (port 1)\n"
        )
        assert column(launcher.said("ports"), "STATE") == ["started", "started"]
        assert launcher("console", "--prefix", "web", "--connect", text="")[0] == 0
        assert (
            launcher.said("detach", "net_null1")
            == "web: stopped net_null1 (port 1)\nweb: detached net_null1 (port 1)\n"
        )
        assert column(launcher.said("ports"), "DEVICE") == ["net_null0"]
    finally:
        served.terminate()
        served.wait(20)
    assert launcher("ports", "web")[0] == 5
