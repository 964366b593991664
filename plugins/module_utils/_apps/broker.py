# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import collections
import contextlib
import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import termios
import time
import tty
import typing as t

from .. import _journald
from .._errors import HotplugError
from .._state.home import directory_of
from .._system import Directory
from .console import END, IF_LOST, MAX_LINE, OUTPUT, PROMPT, TURN, eal_runtime_dir
from .discovery import check_prefix
from .reach import CONSOLE

_UCRED = struct.Struct("=iII")
# prctl(2): PR_SET_PDEATHSIG.
_PR_SET_PDEATHSIG = 1
_FRESH = CONSOLE + ".new"
_CHUNK = 1 << 16
# Beyond this many bytes that a client or our own stdout has not read, output is lost to it.
_MAX_PENDING = 1 << 20
# Seconds that a client may go without reading then.
_MAX_SILENCE = 5.0
# Lines that wait for the program to read them; beyond this their client has to wait.
_MAX_INPUT = 1 << 14
_MAX_CLIENTS = 16
# Seconds that a silent client keeps the console while another one waits.
_MAX_IDLE = 60.0
# Seconds for the last output, once the program has ended.
_LAST_WORDS = 1.0
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
# Escape sequences of ECMA-48, and the other control characters: nothing that a journal or a terminal must not be told.
_CONTROL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[^\[])|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]")
_PARTIAL = re.compile(rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,8})?\Z")


def serve(prefix: str, command: t.Sequence[str], *, runtime_dir: str = "") -> int:
    """Run ``command`` on a pty of its own and offer it as a socket until it ends; its exit code, or minus its signal.

    ``prefix``: the file prefix of the DPDK application that it is. ``runtime_dir``: the directory above the
    application's own (its last name is ``dpdk``), by default what EAL takes. The program is ended (SIGTERM) when this
    process dies in whatever way. A service of systemd (Type=notify) is ready with the program's first prompt.
    """
    check_prefix(prefix)
    _check_command(prefix, command)
    environ = dict(os.environ)
    if runtime_dir:
        environ["RUNTIME_DIRECTORY"] = _above(runtime_dir)
    uid = os.geteuid()
    return serve_at(directory_of(prefix, runtime_dir or eal_runtime_dir(environ, uid), uid), command, environ)


def serve_at(directory: str, command: t.Sequence[str], environ: t.Mapping[str, str]) -> int:
    """As serve(), with the console in the directory, which is made for it in one that is there or made as well."""
    with _signals() as told:
        place = _Place(directory)
        try:
            return _Broker(place.listen(), command, environ, told).run()
        finally:
            place.remove()


@contextlib.contextmanager
def _signals() -> t.Iterator[int]:
    """A descriptor that tells of signals; none ends this process before it has put away what it made."""
    told, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    names = (*_FORWARDED, signal.SIGHUP, signal.SIGCHLD)
    handlers = [(name, signal.signal(name, lambda _number, _frame: None)) for name in names]
    try:
        yield told
    finally:
        for name, handler in handlers:
            signal.signal(name, handler)
        signal.set_wakeup_fd(before)
        os.close(told)
        os.close(wake)


def end_like(code: int) -> int:
    """End as the program did: of the same signal if it was one (to systemd no failure), else with its exit code."""
    if code in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL):
        if code != -signal.SIGKILL:
            signal.signal(signal.Signals(-code), signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return 128 - code if code < 0 else code


def _above(runtime_dir: str) -> str:
    above, name = os.path.split(runtime_dir.rstrip("/"))
    if name != "dpdk" or not above.startswith("/"):
        raise HotplugError(
            "bad_runtime_dir",
            f"runtime directory {runtime_dir!r} is not one of EAL's",
            way_out="Give the absolute path of a directory named dpdk: EAL puts it into $RUNTIME_DIRECTORY.",
        )
    return above


def _check_command(prefix: str, command: t.Sequence[str]) -> None:
    if not command:
        raise HotplugError("refused", "there is no program to run", way_out="Give it after --.")
    words = list(command)
    given = [word[len("--file-prefix=") :] for word in words if word.startswith("--file-prefix=")]
    given += [value for word, value in zip(words, words[1:]) if word == "--file-prefix"]
    if any(value != prefix for value in given) or (not given and prefix != "rte"):
        raise HotplugError(
            "refused",
            f"the program's file prefix is {given[-1] if given else 'rte'!r}, the console's {prefix!r}",
            way_out=f"Give the program --file-prefix={prefix}.",
        )


class _Place:
    """The console's directory, ours alone as long as we hold the lock in it."""

    _LOCK = "console.lock"

    def __init__(self, path: str) -> None:
        above, self._name = os.path.split(path)
        self._above = self._enter(above, None)
        self._lock = -1
        while self._lock < 0:
            self._directory = self._enter(self._name, self._above)
            self._lock = self._take()

    @staticmethod
    def _enter(path: str, parent: Directory | None) -> Directory:
        try:
            os.mkdir(path, 0o700, dir_fd=parent.fd if parent else None)
        except FileExistsError:
            pass
        except OSError as exc:
            raise HotplugError("unreadable", f"directory {path} cannot be made: {exc.strerror}") from exc
        directory = Directory(path, parent=parent)
        status = os.fstat(directory.fd)
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise HotplugError(
                "foreign",
                f"directory {directory.path} belongs to user {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o}",
                way_out="It must be our own, and nobody else may write to it.",
            )
        return directory

    def _take(self) -> int:
        """The lock, or -1 where the directory was removed by another one's end while we took it."""
        try:
            lock = self._directory.open(self._LOCK, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            os.close(self._directory.fd)
            return -1
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(lock)
            what = f"the console {self._directory.path} is in use"
            raise HotplugError("running", what, way_out="Its program runs already: end that first.") from exc
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)
        os.close(self._directory.fd)
        return -1

    def listen(self) -> socket.socket:
        """The socket. One that is there already is a dead console's, as the lock is ours."""
        self._unlink(_FRESH)
        os.fchmod(self._directory.fd, 0o700)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            listener.bind(self._directory.child(_FRESH))
        finally:
            os.umask(mask)
        listener.listen(_MAX_CLIENTS)
        # Nobody finds one that does not listen yet.
        os.rename(_FRESH, CONSOLE, src_dir_fd=self._directory.fd, dst_dir_fd=self._directory.fd)
        return listener

    def remove(self) -> None:
        for name in (CONSOLE, self._LOCK):
            self._unlink(name)
        try:
            os.rmdir(self._name, dir_fd=self._above.fd)
        except OSError:
            pass
        for fd in (self._lock, self._directory.fd, self._above.fd):
            os.close(fd)

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._directory.fd)
        except FileNotFoundError:
            pass


class _Clean:
    """Takes control sequences out of what a program prints, also where they come in two pieces."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        partial = _PARTIAL.search(data)
        self._held = partial.group() if partial else b""
        return _CONTROL.sub(b"", data[: len(data) - len(self._held)])


class _FirstPrompt:
    """Tells systemd that the service is ready. testpmd serves telemetry, and takes commands, from its first prompt."""

    def __init__(self) -> None:
        self._tail: bytes | None = b""

    def feed(self, text: bytes) -> None:
        if self._tail is None:
            return
        seen = self._tail + text
        self._tail = seen[-len(PROMPT) :]
        if PROMPT.encode() in seen:
            self._tail = None
            _journald.notify("READY=1")


class _Outlet:
    """Our own stdout: a file, a pipe, a terminal or journald's socket. What it does not take in time is dropped."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._pending = bytearray()
        self._dropped = 0
        try:
            self._socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
        except OSError:
            self.fd = -1

    @property
    def waiting(self) -> bool:
        return self.fd >= 0 and bool(self._pending)

    def put(self, data: bytes) -> None:
        if self.fd < 0:
            return
        if len(self._pending) + len(data) > _MAX_PENDING:
            self._dropped += len(data)
            return
        if self._dropped:
            self._pending += b"\n[dpdk-hotplug console: %d bytes dropped]\n" % self._dropped
            self._dropped = 0
        self._pending += data

    def flush(self) -> None:
        """To be called when poll(2) finds it writable: a pipe then takes PIPE_BUF bytes without blocking."""
        part = bytes(self._pending[: select.PIPE_BUF])
        try:
            del self._pending[: self._write(part)]
        except BlockingIOError:
            pass
        except OSError:
            self.fd = -1

    def _write(self, part: bytes) -> int:
        if not self._socket:
            return os.write(self.fd, part)
        # A socket that poll(2) finds writable may still block.
        with socket.socket(fileno=os.dup(self.fd)) as link:
            return link.send(part, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


class _Client:
    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.pending: collections.deque[bytes] = collections.deque()
        self.size = 0
        self.behind = False
        self.heard = self.read = time.monotonic()
        # A line to be typed in its place when it is lost.
        self.if_lost = b""

    @property
    def until(self) -> float:
        """When it loses the turn to one that waits, if nothing happens."""
        idle = self.heard + _MAX_IDLE
        return min(idle, self.read + _MAX_SILENCE) if self.behind else idle

    def put(self, kind: bytes, data: bytes = b"") -> None:
        if not self.pending:
            self.read = time.monotonic()
        while self.pending and self.size > _MAX_PENDING:
            self.size -= len(self.pending.popleft())
            self.behind = True
        self.pending.append(kind + data)
        self.size += len(kind) + len(data)

    def flush(self) -> bool:
        """Whether it is still there."""
        while self.pending:
            try:
                self.link.send(self.pending[0], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return True
            except OSError:
                return False
            self.size -= len(self.pending.popleft())
            self.read = time.monotonic()
        self.behind = False
        return True


class _Broker:
    """The program, its pty, and its clients; the first client has the turn."""

    def __init__(
        self, listener: socket.socket, command: t.Sequence[str], environ: t.Mapping[str, str], signals: int
    ) -> None:
        self._listener = listener
        self._signals = signals
        self._clients: list[_Client] = []
        self._input = bytearray()
        self._clean = _Clean()
        self._prompt = _FirstPrompt()
        self._stdout = _Outlet(1)
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        # Without echo, signals and conversions from the start: what a client sends is only ever text.
        tty.setraw(slave, termios.TCSANOW)
        self._program = _start(command, environ, slave)
        os.close(slave)

    def run(self) -> int:
        while self._program.poll() is None:
            self._step(self._timeout())
        end = time.monotonic() + _LAST_WORDS
        while time.monotonic() < end and self._read_program():
            pass
        self._say_goodbye()
        while self._stdout.waiting and time.monotonic() < end:
            self._step(max(0.0, end - time.monotonic()))
        return t.cast(int, self._program.returncode)

    def _step(self, timeout: float | None) -> None:
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        if len(self._clients) <= _MAX_CLIENTS and self._listener.fileno() >= 0:
            poll.register(self._listener, select.POLLIN)
        if self._master >= 0:
            poll.register(self._master, select.POLLIN | (select.POLLOUT if self._input else 0))
        if self._stdout.waiting:
            poll.register(self._stdout.fd, select.POLLOUT)
        for client in self._clients:
            listen = client is self._clients[0] and len(self._input) < _MAX_INPUT
            poll.register(client.link, (select.POLLIN if listen else 0) | (select.POLLOUT if client.pending else 0))
        events = dict(poll.poll(None if timeout is None else timeout * 1000))
        self._handle(events)

    def _handle(self, events: dict[int, int]) -> None:
        if self._signals in events:
            self._forward_signals()
        if self._master in events:
            self._write_program()
            self._read_program()
        if self._stdout.fd in events:
            self._stdout.flush()
        for client in list(self._clients):
            self._serve(client, events.get(client.link.fileno(), 0))
        if self._listener.fileno() in events:
            self._accept()
        self._next_turn()

    def _timeout(self) -> float | None:
        if len(self._clients) < 2:
            return None
        return max(0.0, self._clients[0].until - time.monotonic())

    def _forward_signals(self) -> None:
        for number in os.read(self._signals, 64):
            if number == signal.SIGHUP:  # the program has a terminal of its own, which is still there
                number = signal.SIGTERM
            if number in _FORWARDED and self._program.poll() is None:
                self._program.send_signal(number)

    def _read_program(self) -> bool:
        if self._master < 0:
            return False
        try:
            data = os.read(self._master, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody has the other side open any more
            data = b""
        if not data:
            os.close(self._master)
            self._master = -1
            return False
        text = self._clean.feed(data)
        self._stdout.put(text)
        self._prompt.feed(text)
        if self._clients and text:
            self._clients[0].put(OUTPUT, text)
        return True

    def _write_program(self) -> None:
        try:
            if self._input:
                del self._input[: os.write(self._master, bytes(self._input[:4096]))]
        except BlockingIOError:
            pass
        except OSError:
            self._input.clear()

    def _accept(self) -> None:
        try:
            link, _address = self._listener.accept()
        except OSError:
            return
        link.setblocking(False)
        _pid, uid, _gid = _UCRED.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        why = "this console is not yours" if uid not in (0, os.geteuid()) else ""
        if len(self._clients) >= _MAX_CLIENTS:
            why = f"{_MAX_CLIENTS} clients wait for this console already"
        client = _Client(link)
        if why:
            client.put(END, why.encode())
            client.flush()
            link.close()
            return
        self._clients.append(client)
        if len(self._clients) == 1:
            self._give_turn()

    def _give_turn(self) -> None:
        self._clients[0].heard = time.monotonic()
        self._clients[0].put(TURN, b"%d" % self._program.pid)
        self._clients[0].flush()

    def _serve(self, client: _Client, event: int) -> None:
        first = client is self._clients[0]
        if not client.flush() or (event & (select.POLLHUP | select.POLLERR) and not event & select.POLLIN):
            while first and self._hear(client):  # what it had sent counts
                pass
            self._drop(client)
        elif first and event & select.POLLIN and not self._hear(client):
            self._drop(client)

    def _hear(self, client: _Client) -> bool:
        """Take one packet of the client; whether there was one, and it is what it may be."""
        try:
            packet = client.link.recv(MAX_LINE + 2, socket.MSG_DONTWAIT)
        except OSError:
            return False
        line = packet.removeprefix(IF_LOST)
        if not packet or len(line) > MAX_LINE or not all(0x20 <= byte < 0x7F for byte in line):
            return False
        client.heard = time.monotonic()
        if packet.startswith(IF_LOST):
            client.if_lost = line
        else:
            self._type(line)
        return True

    def _type(self, line: bytes) -> None:
        self._input += line + b"\n"
        if self._master >= 0:
            self._write_program()

    def _drop(self, client: _Client, why: str = "") -> None:
        if why:
            client.put(END, why.encode())
            client.flush()
        first = client is self._clients[0]
        if client.if_lost:
            self._type(client.if_lost)
        self._clients.remove(client)
        client.link.close()
        if first and self._clients:
            self._give_turn()

    def _next_turn(self) -> None:
        if self._timeout() == 0.0:
            self._drop(
                self._clients[0], "others wait for this console, and you were idle or did not read: connect again"
            )

    def _say_goodbye(self) -> None:
        self._listener.close()
        for client in list(self._clients):
            self._drop(client, f"!the program on this console (pid {self._program.pid}) has ended")


def _start(command: t.Sequence[str], environ: t.Mapping[str, str], slave: int) -> subprocess.Popen[bytes]:
    """The program, with the pty as its controlling terminal, and tied to our own life."""
    environ = {name: one for name, one in environ.items() if name != "NOTIFY_SOCKET"}  # it is ours
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def prepare() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # When we die the pty hangs up; SIGTERM lets testpmd close its ports instead.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    try:
        # It outlives the module that asks for it, which run_command() would wait for.
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(command),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environ,
            start_new_session=True,
            preexec_fn=prepare,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise HotplugError(
            "refused", f"cannot run {command[0]!r}: {getattr(exc, 'strerror', None) or exc}", way_out="Check its path."
        ) from exc
