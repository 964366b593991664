# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker in a process of its own, with a program that behaves as testpmd's console does."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import broker, console
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.home import directory_of
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._apps import fake_testpmd

_PROGRAM = (sys.executable, fake_testpmd.__file__)
_SERVE = f"""
import os, sys
from {broker.__name__.rpartition(".")[0]} import broker
broker._MAX_IDLE = float(sys.argv[2])
broker._MAX_SILENCE = 0.5
sys.exit(broker.end_like(broker.serve_at(sys.argv[1], sys.argv[3:], os.environ)))
"""

# A signal at the moment in which the socket shows.
_SIGNALLED = f"""
import os, signal, sys
from {broker.__name__.rpartition(".")[0]} import broker
rename = os.rename
def then_signalled(*names, **places):
    rename(*names, **places)
    os.kill(os.getpid(), signal.SIGTERM)
os.rename = then_signalled
sys.exit(broker.end_like(broker.serve_at(sys.argv[1], sys.argv[2:], os.environ)))
"""


class Broker:
    def __init__(
        self, place: Path, program: t.Sequence[str] = _PROGRAM, idle: float = 60.0, stdout: t.Any = None
    ) -> None:
        self.place = str(place)
        self.log = place.parents[1] / f"log{len(list(place.parents[1].glob('log*')))}"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, self.place, str(idle), *program],
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=subprocess.STDOUT if stdout is None else None,
            )

    def wait(self) -> Broker:
        _until(lambda: self.process.poll() is not None or os.path.exists(f"{self.place}/console"))
        return self

    def connect(self, timeout: float = 10.0) -> console.Console:
        return console.Console(self.place, timeout=timeout)

    def raw(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.settimeout(10)
        _until(lambda: link.connect_ex(f"{self.place}/console") != errno.EAGAIN)
        return link

    def program(self) -> int:
        """The pid that the broker tells at a client's turn."""
        with contextlib.closing(self.raw()) as link:
            return int(link.recv(64)[1:])


def _until(true: t.Callable[[], t.Any], timeout: float = 10.0) -> None:
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


@pytest.fixture
def start(tmp_path: Path) -> t.Iterator[t.Callable[..., Broker]]:
    brokers: list[Broker] = []

    def run(program: t.Sequence[str] = _PROGRAM, **options: t.Any) -> Broker:
        brokers.append(Broker(tmp_path / "home" / "app", program, **options))
        return brokers[-1].wait()

    yield run
    for one in brokers:
        one.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.process.wait(10)
        one.process.kill()


def test_answers_are_the_programs_own_words(start: t.Callable[..., Broker]) -> None:
    with start().connect() as link:
        assert link.run("set portlist none") == "Please stop forwarding first\n"
        assert link.run_all("stop", "set portlist none", "start 1")[1] == "character n is not a decimal digit\n"
        assert link.run(" ") == ""
        assert link.run("flood 8000").count("x" * 79) == 100


def test_an_echo_that_another_thread_cut_in_two(start: t.Callable[..., Broker]) -> None:
    with start().connect() as link:
        link.run("cut")
        begin = time.monotonic()
        assert "stop forwarding first" in link.run("set portlist none")
        link.run_all("cut", "show config fwd")
        assert "stop forwarding first" in link.run("set portlist none")
        assert time.monotonic() - begin < 5


def test_output_is_clean_and_on_stdout(start: t.Callable[..., Broker]) -> None:
    app = start()
    with app.connect() as link:
        link.run("show config fwd")
    app.process.terminate()
    app.process.wait(10)
    log = app.log.read_bytes()
    assert b"EAL: starting\n" in log
    assert b"testpmd> show config fwd\n" in log
    assert b"\x1b" not in log
    assert b"\r" not in log


def test_a_service_is_ready_with_the_first_prompt(
    start: t.Callable[..., Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(tmp_path / "notify"))
    heard.settimeout(10)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    shows = "import os, time; print('x', os.environ.get('NOTIFY_SOCKET'), flush=True)\n"
    app = start([sys.executable, "-c", shows + "input(); print('test', end='', flush=True)\nprint('pmd> '); input()"])
    _until(lambda: b"x None" in app.log.read_bytes())
    heard.setblocking(False)
    with pytest.raises(BlockingIOError):
        heard.recv(64)
    heard.settimeout(10)
    with contextlib.closing(app.raw()) as link:
        link.recv(64)
        link.send(b"go")
        assert heard.recv(64) == b"READY=1"
    heard.close()


def test_socket_and_directory_are_ours_alone(start: t.Callable[..., Broker], tmp_path: Path) -> None:
    app = start()
    place = tmp_path / "home" / "app"
    assert stat.S_IMODE((place / "console").stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    app.process.terminate()
    assert app.process.wait(10) == -signal.SIGTERM
    assert not place.exists()


def test_a_signal_at_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "home" / "app"
    done = subprocess.run([sys.executable, "-c", _SIGNALLED, str(place), *_PROGRAM], timeout=30, check=False)
    assert done.returncode == -signal.SIGTERM
    assert not place.exists()


@pytest.mark.parametrize(
    ("typed", "code"),
    [("quit", 0), ("quit 3", 3)],
)
def test_exit_code_is_the_programs(start: t.Callable[..., Broker], typed: str, code: int) -> None:
    app = start()
    link = app.connect()
    with pytest.raises(HotplugError) as caught:
        link.run(typed)
    assert caught.value.reason == "primary_gone"
    assert app.process.wait(10) == code
    assert not os.path.exists(app.place)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_forwarded(start: t.Callable[..., Broker], number: signal.Signals) -> None:
    app = start()
    program = app.program()
    with app.connect():  # it shows its prompt: a signal between fork and exec would be nobody's
        pass
    app.process.send_signal(number)
    assert app.process.wait(10) in (-number, -signal.SIGTERM, 1, 130)
    assert not _alive(program)


def test_program_ends_with_a_killed_broker_and_its_socket_is_replaced(start: t.Callable[..., Broker]) -> None:
    app = start()
    program = app.program()
    app.process.kill()
    app.process.wait()
    _until(lambda: not _alive(program))
    with pytest.raises(HotplugError) as caught:
        app.connect()
    assert caught.value.reason == "no_console"
    again = start()
    _until(lambda: _serves(again))


def _serves(app: Broker) -> bool:
    with contextlib.suppress(HotplugError), app.connect():
        return True
    return False


def test_second_broker_is_refused_and_harms_nothing(start: t.Callable[..., Broker]) -> None:
    app = start()
    second = start()
    assert second.process.wait(10) != 0
    assert "in use" in second.log.read_text()
    assert app.connect().run(" ") == ""


def test_program_that_is_not_there(start: t.Callable[..., Broker]) -> None:
    app = start(["/nonexistent/testpmd"])
    assert app.process.wait(10) != 0
    assert "cannot run" in app.log.read_text()
    assert not os.path.exists(app.place)


def test_others_wait_for_their_turn(start: t.Callable[..., Broker]) -> None:
    app = start()
    first = app.connect()
    with pytest.raises(HotplugError) as caught:
        app.connect(timeout=0.2)
    assert caught.value.reason == "busy"
    threading.Timer(0.2, first.close).start()
    with app.connect() as second:
        assert second.run(" ") == ""


def test_idle_client_makes_room_when_others_wait(start: t.Callable[..., Broker]) -> None:
    app = start(idle=0.3)
    first = app.connect()
    with app.connect() as second:
        assert second.run(" ") == ""
    with pytest.raises(HotplugError) as caught:
        first.run(" ")
    assert caught.value.reason in ("console_lost", "primary_gone")


def test_too_many_clients_are_turned_away(start: t.Callable[..., Broker]) -> None:
    app = start()
    links = []
    for _each in range(64):
        links.append(app.raw())
        links[-1].settimeout(0.05)
        with contextlib.suppress(socket.timeout):
            if links[-1].recv(256).startswith(console.END):
                break
    else:
        pytest.fail("nobody was turned away")
    for link in links:
        link.close()
    assert app.connect().run(" ") == ""


def test_timeout_is_unknown_and_the_next_client_is_in_step(start: t.Callable[..., Broker]) -> None:
    app = start()
    with app.connect() as link, pytest.raises(HotplugError) as caught:
        link.run("sleep 1", timeout=0.2)
    assert caught.value.reason == "timeout"
    with pytest.raises(HotplugError) as caught:
        app.connect(timeout=0.2)
    assert caught.value.reason == "console_stuck"
    with app.connect() as link:
        assert link.run("set portlist none") == "Please stop forwarding first\n"


def test_client_that_vanishes_has_its_line_typed(start: t.Callable[..., Broker]) -> None:
    app = start()
    link = app.connect()
    link.if_lost("start")
    link.run("stop")
    link.close()
    with app.connect() as link:
        assert link.run("set portlist none") == "Please stop forwarding first\n"
        link.if_lost("stop")
        link.if_lost("")
    with app.connect() as link:
        assert link.run("set portlist none") == "Please stop forwarding first\n"


@pytest.mark.parametrize("packet", [b"a\nb", b"\x03", b"x" * 600, "ü".encode(), b"\x01a\rb", b""])
def test_broker_drops_who_sends_keys(start: t.Callable[..., Broker], packet: bytes) -> None:
    app = start()
    link = app.raw()
    assert link.recv(64).startswith(console.TURN)
    link.send(packet)
    with pytest.raises((ConnectionResetError, socket.timeout, BrokenPipeError)):
        while True:
            if not link.recv(4096):
                raise ConnectionResetError
    assert app.connect().run(" ") == ""


@pytest.mark.parametrize("line", ["", "a\nb", "stop\r", "\x1b[A", "port attach a\tb", "x" * 511, "ü"])
def test_client_refuses_keys(start: t.Callable[..., Broker], line: str) -> None:
    with start().connect() as link, pytest.raises(HotplugError) as caught:
        link.run(line)
    assert caught.value.reason == "refused"


def test_client_that_does_not_read_holds_up_nobody(start: t.Callable[..., Broker]) -> None:
    app = start()
    link = app.raw()
    for _each in range(4):
        link.send(b"flood 1000000")
    with app.connect(timeout=20) as second:
        assert second.run("set portlist none") == "Please stop forwarding first\n"
    link.close()


def test_client_that_floods_waits_and_loses_nothing(start: t.Callable[..., Broker]) -> None:
    app = start()
    with app.connect() as link:
        assert link.run_all(*["show config fwd"] * 1500)[-1].startswith("io packet forwarding")


def test_stdout_that_nobody_reads_holds_up_nobody(start: t.Callable[..., Broker]) -> None:
    ours, theirs = socket.socketpair()
    app = start(stdout=theirs)
    theirs.close()
    with app.connect() as link:
        for _each in range(4):
            link.run("flood 1000000")
    app.process.terminate()
    assert app.process.wait(10) == -signal.SIGTERM
    ours.close()


def test_stdout_that_is_gone(start: t.Callable[..., Broker]) -> None:
    ours, theirs = os.pipe()
    app = start(stdout=theirs)
    os.close(ours)
    os.close(theirs)
    with app.connect() as link:
        assert link.run("flood 8000")
        assert link.run(" ") == ""


def test_vanishing_in_every_state(start: t.Callable[..., Broker]) -> None:
    app = start()
    for lines in ([], [b"flood 100000"], [b"sleep 0.05", b"flood 100000"], [b"stop", b"start"]) * 5:
        link = app.raw()
        for line in lines:
            with contextlib.suppress(OSError):
                link.send(line)
        link.close()
    with app.connect() as last:
        assert last.run("set portlist none") == "Please stop forwarding first\n"
    assert app.process.poll() is None


def test_find_wants_the_applications_own_broker(
    start: t.Callable[..., Broker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = start()
    program = app.program()
    places = [app.place]
    monkeypatch.setattr(console, "consoles", lambda _app: places)
    mine = App("app", "/var/run/dpdk", pid=program, uid=os.geteuid())
    assert console.find(mine, System()) == app.place
    with pytest.raises(HotplugError, match="belongs to another program"):
        console.find(mine._replace(pid=os.getpid()), System())
    places[:] = [str(tmp_path / "none")]
    with pytest.raises(HotplugError, match="not reachable: start it with dpdk-hotplug console"):
        console.find(mine, System())


def test_directories_apart() -> None:
    root = directory_of("web", "/var/run/dpdk", 0)
    assert root.startswith("/run/dpdk-hotplug/web@")
    assert directory_of("web", "/run/a/dpdk", 0) != root
    assert directory_of("web", "/run/user/7/dpdk", 7).startswith("/run/user/7/dpdk-hotplug/web@")
    assert directory_of("web", "/tmp/dpdk", 7).startswith("/tmp/dpdk-hotplug-7/web@")


@pytest.mark.parametrize(
    ("environ", "uid", "there"),
    [
        ({}, 0, "/var/run/dpdk"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 0, "/var/run/dpdk"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/dpdk"),
        ({}, 7, "/tmp/dpdk"),
        ({"RUNTIME_DIRECTORY": "/run/unit/", "XDG_RUNTIME_DIR": "/x"}, 7, "/run/unit/dpdk"),
    ],
)
def test_runtime_dir_is_eals(environ: dict[str, str], uid: int, there: str) -> None:
    assert console.eal_runtime_dir(environ, uid) == there


@pytest.mark.parametrize(
    ("prefix", "runtime_dir", "command", "reason"),
    [
        ("../x", "", ["true"], "bad_prefix"),
        ("web", "", [], "refused"),
        ("web", "", ["dpdk-testpmd", "--file-prefix=other"], "refused"),
        ("web", "", ["dpdk-testpmd", "--file-prefix", "other"], "refused"),
        ("web", "", ["dpdk-testpmd"], "refused"),
        ("rte", "/run/elsewhere", ["true"], "bad_runtime_dir"),
        ("rte", "dpdk", ["true"], "bad_runtime_dir"),
    ],
)
def test_serve_refuses(prefix: str, runtime_dir: str, command: list[str], reason: str) -> None:
    with pytest.raises(HotplugError) as caught:
        console.serve(prefix, command, runtime_dir=runtime_dir)
    assert caught.value.reason == reason


def test_serve_finds_its_place_and_tells_eal(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[t.Any] = []

    def serve_at(*args: t.Any) -> int:
        seen.extend(args)
        return 0

    monkeypatch.setattr(broker, "serve_at", serve_at)
    assert console.serve("web", ["x", "--file-prefix=web"], runtime_dir="/run/unit/dpdk/") == 0
    assert seen[0] == directory_of("web", "/run/unit/dpdk/", os.geteuid())
    assert seen[2]["RUNTIME_DIRECTORY"] == "/run/unit"


@pytest.mark.parametrize(
    ("code", "killed", "returned"),
    [(0, [], 0), (3, [], 3), (-11, [], 139), (-15, [15], 143), (-9, [9], 137), (-2, [2], 130)],
)
def test_end_like(monkeypatch: pytest.MonkeyPatch, code: int, killed: list[int], returned: int) -> None:
    seen: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: seen.append(int(number)))
    monkeypatch.setattr(signal, "signal", lambda *_args: None)
    assert broker.end_like(code) == returned
    assert seen == killed


def test_outlet_says_what_it_dropped() -> None:
    theirs, ours = os.pipe()
    outlet = broker._Outlet(ours)
    outlet.put(b"x" * (1 << 20))
    outlet.put(b"lost")
    said = b""
    while outlet.waiting:
        outlet.flush()
        said += os.read(theirs, 1 << 16)
    outlet.put(b"here again")
    outlet.flush()
    said += os.read(theirs, 1 << 16)
    assert said == b"x" * (1 << 20) + b"\n[dpdk-hotplug console: 4 bytes dropped]\nhere again"
    os.close(theirs)
    outlet.put(b"gone")
    outlet.flush()
    assert not outlet.waiting
    os.close(ours)
    assert not broker._Outlet(ours).waiting


def test_foreign_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    os.chmod(tmp_path / "app", 0o777)
    with pytest.raises(HotplugError) as caught:
        broker.serve_at(str(tmp_path / "app"), _PROGRAM, os.environ)
    assert caught.value.reason == "foreign"
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(HotplugError) as caught:
        broker.serve_at(str(tmp_path / "link"), _PROGRAM, os.environ)
    assert caught.value.reason == "foreign"


def test_control_sequences_in_pieces() -> None:
    clean = broker._Clean()
    parts = [b"a\x1b", b"[", b"0;3", b"1mb\r", b"\n\x07c\x1bD", b"d\te"]
    assert b"".join(clean.feed(part) for part in parts) == b"ab\ncd\te"


def test_a_persons_session(start: t.Callable[..., Broker], monkeypatch: pytest.MonkeyPatch) -> None:
    app = start()
    code = (
        f"import sys; from {console.__name__.rpartition('.')[0]} import console; "
        f"console.directory_of = lambda *args: {app.place!r}; sys.exit(console.interact('web'))"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as person:
        assert person.stdin and person.stdout
        person.stdin.write(b"set portlist none\n\n")
        person.stdin.flush()
        said = b""
        while b"Please stop forwarding first\n" not in said:
            said += os.read(person.stdout.fileno(), 4096)
        person.stdin.close()
        assert person.wait(10) == 0
    piped = subprocess.run(argv, input=b"set portlist none\n\n", capture_output=True, timeout=10, check=True)
    assert b"Please stop forwarding first\n" in piped.stdout
    done = subprocess.run(argv, input=b"quit\n", capture_output=True, timeout=10, check=False)
    assert done.returncode in (0, 1)
    app.process.wait(10)
