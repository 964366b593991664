# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real DPDK applications for tests: dpdk-testpmd of 22.11 (this machine), 24.11 and 25.11 (trees of chroots.py).

    dpdk = Dpdk("24.11")
    app = dpdk.start_testpmd("web", ["net_null0"])      # returns when its telemetry and its prompt are there
    app.pid, app.prefix, app.runtime_dir, app.telemetry, app.mp_socket, app.release, app.log
    app.ports()                     {"net_null0": {... /ethdev/info ...}}, by telemetry, with code of its own
    app.query("/ethdev/list")       any telemetry endpoint
    app.console("stop")             types a line; app.wait_for(r"Done\\.") waits for what it prints (from that line on)
    app.pause(); app.resume()       SIGSTOP, SIGCONT
    app.quit()                      types "quit" and waits;  app.kill() is SIGKILL;  app.stop() is whichever works
    app.start_secondary([...])      a second testpmd with --proc-type=secondary on the same prefix
    dpdk.stop_all()

Its standard input is a FIFO that it holds open itself (app.stdin is the path), so nobody has to stay with it; its
output goes to the file app.log. As a command, for Ansible targets (prints a line of JSON, and the application stays):

    releases.py start --prefix web --vdev net_null0 [--vdev ...] [--release 22.11] [--huge] [--directory DIR]
                      [-- EAL options]
    releases.py stop PID

Use it inside tests/tools/isolate.py (conftest.py does that by itself). Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RELEASES = ("22.11", "24.11", "25.11")
HOST = "22.11"
CHROOTS = Path("/run/chroots")  # laid by tests/tools/isolate.py

_numbers = itertools.count()


class NotHere(Exception):
    """This machine lacks what the test needs; the text says what."""


def wait_until(true: Callable[[], Any], what: str, timeout: float = 20.0) -> Any:
    """Polls every 10 ms until the function gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        if value := true():
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(0.01)


def query(path: str, endpoint: str, timeout: float = 5.0) -> Any:
    """One question to a telemetry socket; the value without its envelope."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.settimeout(timeout)
        link.connect(path)
        link.recv(1024)
        link.send(endpoint.encode())
        return json.loads(link.recv(1 << 20))[endpoint.partition(",")[0]]


def count(full: int) -> int:
    """How often a repeated test repeats: in full in `make soak`, else a tenth of it."""
    return full if os.environ.get("DPDK_HOTPLUG_SOAK") else max(3, full // 10)


def is_alive(pid: int) -> bool:
    """False for a zombie too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Testpmd:
    """A running testpmd. Ends with stop(), and at the latest with the isolated run it is part of."""

    __test__ = False

    def __init__(
        self, dpdk: Dpdk, prefix: str, process: subprocess.Popen[bytes], directory: Path, runtime_dir: str
    ) -> None:
        self.dpdk, self.prefix, self.process = dpdk, prefix, process
        self.release, self.pid = dpdk.release, process.pid
        self.stdin, self.log = str(directory / "stdin"), directory / "log"
        self.runtime_dir = runtime_dir
        self._read_from = 0

    def __repr__(self) -> str:
        return f"<testpmd {self.release} {self.prefix} pid {self.pid}{'' if self.alive else ' (ended)'}>"

    @property
    def directory(self) -> str:
        return f"{self.runtime_dir}/{self.prefix}"

    @property
    def telemetry(self) -> str:
        return f"{self.directory}/dpdk_telemetry.v2"

    @property
    def mp_socket(self) -> str:
        return f"{self.directory}/mp_socket"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def query(self, endpoint: str, timeout: float = 5.0) -> Any:
        return query(self.telemetry, endpoint, timeout)

    def ports(self) -> dict[str, dict[str, Any]]:
        """Every port by its name: its /ethdev/info, and "port_id". Owned ports, which /ethdev/list hides, too."""
        found = {}
        for port_id in range(32):
            info = self.query(f"/ethdev/info,{port_id}")
            if info:
                found[info["name"]] = {**info, "port_id": port_id}
        return found

    def console(self, *lines: str) -> None:
        """Types lines. What wait_for() then reads begins here."""
        self._read_from = self.log.stat().st_size
        with open(self.stdin, "w") as stdin:
            stdin.writelines(line + "\n" for line in lines)

    def wait_for(self, pattern: str, timeout: float = 20.0) -> re.Match[str]:
        """Waits until the output since the last console() matches."""

        def matched() -> re.Match[str] | None:
            return re.search(pattern, self.log.read_bytes()[self._read_from :].decode(errors="replace"))

        match: re.Match[str] = wait_until(matched, f"{pattern!r} in {self.log}", timeout)
        return match

    def pause(self) -> None:
        """SIGSTOP; returns when every thread has stopped, which takes a moment."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: set(self._thread_states()) <= {"T"}, f"{self} to stop")

    def _thread_states(self) -> Iterator[str]:
        for stat in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            yield stat.read_text().rpartition(")")[2].split()[0]

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait(10)

    def quit(self, timeout: float = 20.0) -> int:
        """Ends it as a person would; its exit code."""
        self.console("quit")
        return self.process.wait(timeout)

    def stop(self) -> None:
        """Ends it for certain."""
        if self.alive:
            self.resume()
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                self.quit(5)
        self.kill()

    def start_secondary(self, extra: Sequence[str] = (), **options: Any) -> Testpmd:
        """A testpmd that joins this one as a secondary process; memory and devices are the primary's."""
        return self.dpdk.start_testpmd(self.prefix, extra=["--proc-type=secondary", *extra], **options)


class Dpdk:
    """One release of DPDK on this machine."""

    def __init__(self, release: str, directory: Path | None = None) -> None:
        self.release = release
        self.root = "" if release == HOST else str(CHROOTS / release)
        self.running: list[Testpmd] = []
        self._directory = directory or Path(tempfile.mkdtemp(prefix="dpdk-", dir="/run"))
        if not Path(f"{self.root}/usr/bin/dpdk-testpmd").exists():
            raise NotHere(
                f"no DPDK {release} here: tests/tools/bootstrap installs or builds it"
                + (f"; and {CHROOTS} exists only inside tests/tools/isolate.py" if self.root else "")
            )

    def __repr__(self) -> str:
        return f"<Dpdk {self.release}>"

    def command(self, *argv: str) -> list[str]:
        """The command line that runs a program of this release. It keeps the process id: chroot executes in place."""
        return ["chroot", self.root, *argv] if self.root else list(argv)

    def start_testpmd(
        self,
        prefix: str | None = None,
        vdevs: Sequence[str] = (),
        *,
        huge: bool = False,
        memory: int = 256,
        extra: Sequence[str] = (),
        options: Sequence[str] = ("--total-num-mbufs=2048",),
        lcores: str = "0,1",
        environment: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> Testpmd:
        """Starts `dpdk-testpmd EAL-OPTIONS -- -i OPTIONS`; `extra` are more EAL options, `memory` is in MiB.

        Without `huge` it needs no hugepages; with it, take the fixture `hugepages` as well. PCI is not scanned unless
        `extra` has an allow list (-a). wait=False returns at once.
        """
        prefix = prefix or f"t{next(_numbers)}"
        directory = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=self._directory))
        secondary = "--proc-type=secondary" in extra
        eal = [f"--file-prefix={prefix}", "-l", lcores, *(f"--vdev={v}" for v in vdevs), *extra]
        eal += [] if secondary else ["-m", str(memory)]
        eal += [] if huge or secondary else ["--no-huge"]
        eal += [] if "-a" in extra or "--no-pci" in extra else ["--no-pci"]
        # stdbuf: testpmd leaves what it prints to a file in its buffer
        argv = self.command("stdbuf", "-oL", "dpdk-testpmd", *eal, "--", "-i", *options)
        variables = {**os.environ, **(environment or {})}
        base = variables.get("RUNTIME_DIRECTORY") or "/var/run"
        os.mkfifo(directory / "stdin", 0o600)
        stdin = os.open(directory / "stdin", os.O_RDWR)  # its own writer too: it never reads an end of file
        with open(directory / "log", "wb") as log, contextlib.closing(os.fdopen(stdin, "rb", buffering=0)) as fifo:
            process = subprocess.Popen(
                argv, stdin=fifo, stdout=log, stderr=subprocess.STDOUT, env=variables, start_new_session=True
            )
        app = Testpmd(self, prefix, process, directory, f"{base}/dpdk")
        self.running.append(app)
        if wait:
            self._await(app, secondary)
        return app

    def _await(self, app: Testpmd, secondary: bool) -> None:
        def ready() -> bool:
            if not app.alive:
                raise RuntimeError(f"testpmd {self.release} ended with {app.process.returncode}:\n{app.output[-3000:]}")
            return "testpmd> " in app.output and (secondary or os.path.exists(app.telemetry))

        try:
            wait_until(ready, f"the prompt of {app}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{app.output[-3000:]}") from None

    def stop_all(self) -> None:
        """Ends what this object started, the last first: secondaries before their primary."""
        while self.running:
            self.running.pop().stop()


def _add_hugepages(pages: int) -> int:
    """Changes the machine's number of 2 MiB pages; by how many it changed. Several runs of a checkout take turns."""
    knob = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    with open(__file__) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = int(knob.read_text())
        knob.write_text(str(max(0, before + pages)))
        return int(knob.read_text()) - before


@contextlib.contextmanager
def reserved_hugepages(megabytes: int) -> Iterator[None]:
    """Asks the kernel for so many MiB of pages on top of what there is, and gives them back; end their users before."""
    wanted = megabytes // 2
    got = _add_hugepages(wanted)
    try:
        if got < wanted:
            raise NotHere(f"the kernel gave {got} of {wanted} hugepages")
        yield
    finally:
        for left in Path("/dev/hugepages").glob("rtemap_*"):
            left.unlink()  # those of a killed application; this hugetlbfs is the run's own
        _add_hugepages(-got)


def veth(first: str, second: str) -> None:
    """Two Ethernet interfaces joined by a wire, up, without addresses; for net_af_packet and net_pcap."""
    subprocess.run(["ip", "link", "add", first, "type", "veth", "peer", "name", second], check=True)
    for name in (first, second):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")  # no neighbour discovery in between
        subprocess.run(["ip", "link", "set", name, "up"], check=True)


def _main(argv: Sequence[str]) -> int:
    import argparse

    parser = argparse.ArgumentParser(prog="releases.py")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start")
    start.add_argument("--prefix", required=True)
    start.add_argument("--vdev", action="append", default=[])
    start.add_argument("--release", default=HOST)
    start.add_argument("--huge", action="store_true")
    start.add_argument("--directory", type=Path)
    start.add_argument("extra", nargs="*")
    commands.add_parser("stop").add_argument("pid", type=int)
    given = parser.parse_args(argv)
    if given.command == "stop":
        return _stop(given.pid)
    app = Dpdk(given.release, given.directory).start_testpmd(
        given.prefix, given.vdev, huge=given.huge, extra=given.extra
    )
    facts = {
        name: str(getattr(app, name)) for name in ("prefix", "release", "runtime_dir", "telemetry", "stdin", "log")
    }
    print(json.dumps({"pid": app.pid, **facts}))
    return 0


def _stop(pid: int) -> int:
    """Ends a testpmd that another call started."""
    if is_alive(pid) and Path(f"/proc/{pid}/comm").read_text().strip() == "dpdk-testpmd":
        for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            os.kill(pid, number)
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not is_alive(pid), f"the end of {pid}", patience)
                break
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
