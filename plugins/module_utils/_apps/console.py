# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import os
import re
import select
import socket
import struct
import time
import typing as t

from .._errors import HotplugError
from .._state.home import directory_of
from .._system import Closing, Directory, System
from .app import App
from .reach import CONSOLE, consoles

if t.TYPE_CHECKING:
    from collections.abc import Iterator

# The name of the socket in the console's directory.
# What a packet from the broker is: its first byte. A packet to the broker is one line, without its end.
TURN, OUTPUT, END = b"H", b"O", b"E"
# ... and a packet that begins so holds the line that is typed when its sender is lost.
IF_LOST = b"\x01"
# RDLINE_BUF_SIZE is 512 (lib/cmdline/cmdline_private.h), with the line's end; what is longer is cut silently.
MAX_LINE = 510
# Bytes of output that are kept while waiting for a command's end.
_MAX_OUTPUT = 1 << 20
# struct ucred of socket(7), SO_PEERCRED: pid, uid, gid.
_UCRED = struct.Struct("=iII")
PROMPT = "testpmd> "
# Seconds without output after which what was piped in is taken for answered.
_QUIET = 1.0
# Seconds for handing a packet to the broker itself.
_HANDOVER = 5.0
# A program in a console may be started through a few wrappers (ip netns exec, taskset, a shell script).
_MAX_ANCESTORS = 16
_START_WITH = "Start it with: dpdk-hotplug console --prefix PREFIX -- dpdk-testpmd EAL-OPTIONS -- -i OPTIONS"


def eal_runtime_dir(environ: t.Mapping[str, str], uid: int) -> str:
    """Where EAL puts its directories: lib/eal/unix/eal_filesystem.c, eal_create_runtime_dir()."""
    above = environ.get("RUNTIME_DIRECTORY") or ("/var/run" if uid == 0 else environ.get("XDG_RUNTIME_DIR") or "/tmp")
    return above.rstrip("/") + "/dpdk"


def find(app: App, system: System) -> str:
    """The console's directory of an application; HotplugError where there is none that is alive and its own."""
    why = ""
    for place in consoles(app):
        doubt = _doubt(place, app, system)
        if not doubt:
            return place
        why = why or doubt.strip()
    raise HotplugError(
        "no_console",
        why or "its console is not reachable: start it with dpdk-hotplug console",
        way_out=_START_WITH,
        app=app.prefix,
    )


def _doubt(place: str, app: App, system: System) -> str:
    """Why this is not the console of the application; a blank where there simply is none."""
    try:
        with _Link(place, {0, os.geteuid(), app.uid}, 0) as link:
            return "" if link.holds(app.pid, system) else f"the console {place} belongs to another program"
    except HotplugError as error:
        return " " if error.reason == "no_console" else error.message


def _ancestors(pid: int, system: System) -> Iterator[int]:
    """The processes that a process descends from, nearest first. Source: proc(5), /proc/PID/stat field 4."""
    for _each in range(_MAX_ANCESTORS):
        fields = system.read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        pid = int(fields[1]) if len(fields) > 1 else 0
        if pid <= 1:
            return
        yield pid


class _Link(Closing):
    """A connection to a broker, and which process holds its other end. ``timeout``: seconds for the connection."""

    def __init__(self, place: str, uids: set[int], timeout: float) -> None:
        try:
            with Directory(place) as directory:
                self.socket = self._connect(directory, timeout)
        except HotplugError as error:
            if error.reason in ("no_console", "busy"):
                raise
            raise HotplugError("no_console", f"there is no console {place}", way_out=_START_WITH) from error
        credentials = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        self.peer_pid, uid, _gid = _UCRED.unpack(credentials)
        if uid not in uids:
            self.socket.close()
            raise HotplugError("foreign", f"the console {place} is served by user {uid}", way_out=_START_WITH)

    def holds(self, pid: int, system: System) -> bool:
        """Whether the process is the broker's program."""
        return self.peer_pid in _ancestors(pid, system)

    @staticmethod
    def _connect(directory: Directory, timeout: float) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        end = time.monotonic() + timeout
        try:
            if not directory.is_socket(CONSOLE):
                raise OSError(errno.ENOENT, "no socket")
            link.settimeout(timeout)
            while True:
                code = link.connect_ex(directory.child(CONSOLE))
                # EAGAIN: its queue is full. With a time limit the kernel does not wait for a place in it.
                if code != errno.EAGAIN or time.monotonic() >= end:
                    break
                time.sleep(0.02)
            if code:
                raise OSError(code, os.strerror(code))
            return link
        except OSError as exc:
            link.close()
            if isinstance(exc, (BlockingIOError, socket.timeout)):
                raise HotplugError("busy", f"the console {directory.path} is full", way_out="Run again later.") from exc
            what = f"nobody serves the console {directory.path}"
            raise HotplugError("no_console", what, way_out=_START_WITH) from exc

    def close(self) -> None:
        self.socket.close()


class Console(Closing):
    """One client's turn at a console: lines in, what the program prints out.

    ``timeout``: seconds until it is our turn, and for the program's first answer. One client has the console at a time.
    """

    def __init__(self, place: str, *, uids: t.Collection[int] = (), timeout: float = 30.0) -> None:
        self._place = place
        self._output = bytearray()
        self._number = 0
        link = _Link(place, {0, os.geteuid(), *uids}, timeout)
        self._socket = link.socket
        self.peer_pid = link.peer_pid
        try:
            self._await_turn(time.monotonic() + timeout)
            self._synchronise(time.monotonic() + timeout)
        except BaseException:
            self.close()
            raise

    def run(self, command: str, *, timeout: float = 30.0) -> str:
        """What the program prints for the command. Seconds; after ``timeout`` its outcome is unknown."""
        return self.run_all(command, timeout=timeout)[0]

    def run_all(self, *commands: str, timeout: float = 30.0) -> list[str]:
        """What the program prints for each of the commands, which are handed over at once: it waits for us nowhere."""
        for command in commands:
            check_line(command)
        end = time.monotonic() + timeout
        self._output.clear()
        marks = []
        for command in commands:
            self._send(command, end)
            marks.append(self._mark(end))
        return [_answer(command, self._until(mark, command, end)) for command, mark in zip(commands, marks)]

    def if_lost(self, line: str) -> None:
        """Have the line typed when this client ends, in whatever way, before it takes that back with an empty one."""
        if line:
            check_line(line)
        self._deliver(IF_LOST + line.encode("ascii"), time.monotonic() + _HANDOVER)

    def close(self) -> None:
        self._socket.close()

    def _await_turn(self, end: float) -> None:
        packet = self._receive(end)
        if packet[:1] == TURN:
            return
        if packet[:1] == END:
            raise HotplugError("busy", packet[1:].decode("utf-8", "replace"), way_out="Wait, and run again.")
        raise HotplugError(
            "busy",
            f"another client has the console {self._place} and did not let go in time",
            way_out="Nothing was changed. Wait, and run again.",
        )

    def _synchronise(self, end: float) -> None:
        """Wait for a prompt of our own: what a client before us left half-done is over then."""
        mark = self._mark(end)
        try:
            self._until(mark, "", end)
        except HotplugError as error:
            if error.reason != "timeout":
                raise
            raise HotplugError(
                "console_stuck",
                f"the program on the console {self._place} shows no prompt",
                way_out="It is still starting, stopped, or busy: nothing was changed. Look at its output.",
            ) from error

    def _mark(self, end: float) -> str:
        """A comment with a number: the program echoes it and does nothing, so all before it is worked off by then."""
        self._number += 1
        mark = f"#dpdk-hotplug-{os.getpid()}-{self._number}-{time.monotonic_ns() & 0xFFFFFF:06x}"
        self._send(mark, end)
        return mark

    def _until(self, mark: str, command: str, end: float) -> str:
        """The output up to the mark's echo, which is taken away with it.

        A log line of another thread may cut the echo in two: now and then a further mark is sent, which is as good.
        """
        marks, wait = [mark], 0.5
        again = time.monotonic() + wait
        while True:
            for one in marks:
                at = self._output.find(one.encode("ascii") + b"\n")
                if at >= 0:
                    before = self._output[:at].decode("utf-8", "replace")
                    del self._output[: at + len(one) + 1]
                    return before
            packet = self._receive(min(end, again))
            self._take(packet, command)
            if not packet and time.monotonic() >= end:
                raise HotplugError(
                    "timeout",
                    f"the program on the console {self._place} did not finish {command!r} in time",
                    way_out="Whether it still will is unknown: look at its ports again later.",
                )
            if time.monotonic() >= again:
                marks.append(self._mark(end))
                wait *= 2
                again = time.monotonic() + wait

    def _take(self, packet: bytes, command: str) -> None:
        if packet[:1] == OUTPUT:
            self._output += packet[1:]
            if len(self._output) > 2 * _MAX_OUTPUT:
                del self._output[:_MAX_OUTPUT]
        elif packet[:1] == END:
            raise HotplugError(
                "primary_gone" if packet[1:2] == b"!" else "console_lost",
                packet[1:].decode("utf-8", "replace").lstrip("!"),
                way_out=f"What became of {command!r} is to be seen from its ports." if command else "Start it again.",
            )

    def _send(self, line: str, end: float) -> None:
        self._deliver(line.encode("ascii"), end)

    def _deliver(self, packet: bytes, end: float) -> None:
        self._socket.settimeout(max(0.001, end - time.monotonic()))
        try:
            self._socket.send(packet)
        except socket.timeout as exc:
            raise HotplugError("timeout", f"the console {self._place} takes no input", way_out="It is stuck.") from exc
        except OSError as exc:
            raise self._lost(packet.decode("ascii")) from exc

    def _receive(self, end: float) -> bytes:
        """The next packet; empty when there is none by then."""
        ready, _none, _none = select.select([self._socket], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return b""
        try:
            packet = self._socket.recv(1 << 17)
        except OSError as exc:
            raise self._lost("") from exc
        if not packet:
            raise self._lost("")
        return packet

    def _lost(self, line: str) -> HotplugError:
        return HotplugError(
            "primary_gone",
            f"the console {self._place} broke off" + (f" at {line!r}" if line else ""),
            way_out="The program, or the console that runs it, has ended. Start it again.",
        )


def check_line(line: str) -> None:
    """Refuse what is more than one plain line: a control character would be a key that testpmd acts on."""
    if not line or len(line) > MAX_LINE or not line.isascii() or not line.isprintable():
        raise HotplugError(
            "refused",
            f"console command {line[:80]!r} is empty, too long, or holds control or other than ASCII characters",
            way_out=f"A command is one line of at most {MAX_LINE} printable ASCII characters.",
        )


def _answer(command: str, text: str) -> str:
    """What a command printed, without its echo and the prompts around it."""
    echo = text.find(command + "\n")
    if echo >= 0:
        text = text[echo + len(command) + 1 :]
    text = re.sub(r"(?:testpmd> )?#dpdk-hotplug-[0-9a-f-]+\n", "", text)
    return text.removesuffix(PROMPT)


def serve(prefix: str, command: t.Sequence[str], *, runtime_dir: str = "") -> int:
    """Run the program on a console of its own until it ends; see broker.serve()."""
    from . import broker

    return broker.serve(prefix, command, runtime_dir=runtime_dir)


def interact(prefix: str, *, runtime_dir: str = "", timeout: float = 30.0) -> int:
    """A person's session at the console of the application: lines from stdin, output to stdout. An exit code.

    It ends with stdin (Ctrl-D); the program goes on. Whoever is idle for a minute while others wait loses the turn.
    """
    place = directory_of(prefix, runtime_dir or eal_runtime_dir(os.environ, os.geteuid()), os.geteuid())
    open_input = [0]
    with _Link(place, {0, os.geteuid()}, timeout) as link:
        while True:
            # Lines from a pipe are there at once, and what they print comes after its end.
            ready, _none, _none = select.select(
                [link.socket.fileno(), *open_input], [], [], None if open_input else _QUIET
            )
            if not ready:
                return 0
            if link.socket.fileno() in ready:
                packet = link.socket.recv(1 << 17)
                if packet[:1] == END or not packet:
                    os.write(2, packet[1:].lstrip(b"!") + b"\n")
                    return 1
                _write_all(1, packet[1:] if packet[:1] == OUTPUT else b"")
            if 0 in ready:
                typed = os.read(0, 4096)
                if not typed and os.isatty(0):
                    return 0
                open_input = [0] if typed else []
                for line in typed.decode("utf-8", "replace").splitlines():
                    check_line(line or " ")
                    link.socket.send((line or " ").encode("ascii"))


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
