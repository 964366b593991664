# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications on which the contract of adapters is tested, each looked at by means that are not the adapter's own.

A bed has an application that runs (`pid`, `prefix`), the `entry` of a document by which it is reached, and what tells
what it has: `devices()` {name: started}. `settles_itself` says that the application starts and stops ports by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from needs import needed
from releases import CHROOTS, HOST, Dpdk, NotHere, is_alive, query, reserved_hugepages, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import console

BASE = "net_ring9"  # what each of them has from the start
ACT = str(Path(__file__).with_name("act.py"))
_SERVE = f"""
import sys
from {console.__name__.rpartition(".")[0]} import broker
sys.exit(broker.end_like(broker.serve(sys.argv[1], sys.argv[2:])))
"""


class Bed:
    """A running application of one kind; see above."""

    adapter = ""
    prefix = ""
    can: frozenset[str] = frozenset()
    settles_itself = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pid = 0

    @property
    def entry(self) -> dict[str, Any]:
        return {"app": self.prefix, "timeout": 20}

    def start(self) -> None:
        raise NotImplementedError

    def devices(self) -> dict[str, bool]:
        """Its devices, and whether they are started, by telemetry."""
        told: list[dict[str, Any]] = wait_until(self._told, f"the telemetry of {self.prefix}")
        return {info["name"]: bool(info["dev_started"]) for info in told}

    def _told(self) -> list[dict[str, Any]] | None:
        place = f"/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2"
        try:
            return [query(place, f"/ethdev/info,{number}") for number in query(place, "/ethdev/list")]
        except OSError:  # it has not accepted the last ones yet, or begins to
            return None

    def make_started(self, device: str) -> None:
        """Have a device that is attached started, not by the adapter."""

    @property
    def alive(self) -> bool:
        return is_alive(self.pid)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.alive, f"the end of {self.prefix}")

    def end(self) -> None:
        if self.pid and self.alive:
            self.kill()
        shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True)  # killed, it leaves its sockets


class WithTestpmd(Bed):
    prefix = "bed"

    def start(self) -> None:
        self.app = Dpdk(HOST).start_testpmd(self.prefix, [BASE])
        self.pid = self.app.pid

    def make_started(self, device: str) -> None:
        self.app.console("port stop all")
        self.app.console("port start all")
        wait_until(lambda: self.devices()[device], f"{device} started")

    def kill(self) -> None:
        self.app.kill()


class Multiprocess(WithTestpmd):
    adapter = "multiprocess"
    can = frozenset(("attach", "detach"))

    @property
    def entry(self) -> dict[str, Any]:
        return {**super().entry, "adapter": "multiprocess"}

    def make_started(self, device: str) -> None:
        number = list(self.devices()).index(device)
        self.app.console(f"port attach {device}")  # testpmd adopts it
        self.app.console(f"port start {number}")
        wait_until(lambda: self.devices()[device], f"{device} started")


class Commands(Multiprocess):
    """testpmd by commands that type at its standard input, and wait for what telemetry then tells."""

    adapter = "command"
    can = frozenset(("attach", "detach", "start", "stop"))

    @property
    def entry(self) -> dict[str, Any]:
        place = "{runtime_dir}/{app}/dpdk_telemetry.v2"
        act = [sys.executable, ACT, self.app.stdin, place]
        return {
            **Bed.entry.fget(self),  # type: ignore[attr-defined]
            "commands": {
                "attach": [*act, "attach", "{devargs}"],
                "detach": [*act, "detach", "{device}"],
                "start": [*act, "start", "{port_ids}"],
                "stop": [*act, "stop", "{port_ids}"],
                "status": [*act, "status"],
            },
        }

    def make_started(self, device: str) -> None:
        number = list(self.devices()).index(device)
        self.app.console(f"port start {number}")
        wait_until(lambda: self.devices()[device], f"{device} started")


class Console(Bed):
    adapter = "testpmd"
    prefix = "served"
    can = frozenset(("attach", "detach", "start", "stop"))

    def launch(self) -> None:
        """Start it, and do not wait for it."""
        eal = [f"--file-prefix={self.prefix}", "-l", "0,1", "--no-huge", "--no-pci", "-m", "256", f"--vdev={BASE}"]
        program = [*Dpdk(HOST).command("dpdk-testpmd", *eal), "--", "-i", "--total-num-mbufs=2048"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with open(self.directory / "log", "wb") as log:
            argv = [sys.executable, "-c", _SERVE, self.prefix, *program]
            self._broker = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def start(self) -> None:
        self.launch()
        self.settle()

    def settle(self) -> None:
        """Wait for its prompt."""
        place = f"/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2"
        wait_until(lambda: os.path.exists(place) and "testpmd> " in (self.directory / "log").read_text(), "the prompt")
        children = Path(f"/proc/{self._broker.pid}/task/{self._broker.pid}/children").read_text().split()
        self.pid = int(children[0])

    def make_started(self, device: str) -> None:
        from ansible_collections.dpdk.hotplug.plugins.module_utils._state.home import directory_of

        number = list(self.devices()).index(device)
        with console.Console(directory_of(self.prefix, "/var/run/dpdk", 0), timeout=10) as link:
            link.run(f"port start {number}")

    def end(self) -> None:
        super().end()
        self._broker.kill()
        self._broker.wait()


OVS = Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


class OpenVSwitch(Bed):
    """ovsdb-server and ovs-vswitchd with DPDK, run by hand; its DPDK needs 256 MiB of hugepages."""

    adapter = "openvswitch"
    prefix = "rte"
    can = frozenset(("attach", "detach", "attach_started", "detach_started"))
    settles_itself = True
    bridges: tuple[str, ...] = ("br0",)

    def start(self) -> None:
        if not OVS.exists():
            raise NotHere(f"{OVS} is not there: package openvswitch-switch-dpdk")
        self._pages = contextlib.ExitStack()
        self._pages.enter_context(reserved_hugepages(300))
        self._run = Path("/run/openvswitch")
        shutil.rmtree(self._run, ignore_errors=True)
        self._run.mkdir()
        database = self.directory / "conf.db"
        database.unlink(missing_ok=True)
        subprocess.run(["ovsdb-tool", "create", database, SCHEMA], check=True)
        remote = f"--remote=punix:{self._run}/db.sock"
        with open(self.directory / "log", "wb") as log:
            self._server = subprocess.Popen(["ovsdb-server", database, remote], stdout=log, stderr=log)
        wait_until((self._run / "db.sock").exists, "ovsdb-server")
        self.vsctl("--no-wait", "init")
        extra = f'other_config:dpdk-extra="--no-pci --vdev={BASE}"'
        settings = ["dpdk-init=true", "dpdk-socket-mem=256", "dpdk-lcore-mask=1", "pmd-cpu-mask=2"]
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", extra, *(f"other_config:{one}" for one in settings))
        self.switch_on()
        for bridge in self.bridges:
            self.vsctl("add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=netdev")

    def switch_on(self) -> None:
        """Start ovs-vswitchd, on the database that there is."""
        with open(self.directory / "log", "ab") as log:
            # Its thread polls all the time: it must not take the processor from what looks at it.
            argv = ["nice", str(OVS), f"unix:{self._run}/db.sock", "--pidfile"]
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)
        self.pid = self._process.pid
        wait_until(self._initialized, "ovs-vswitchd", 30)
        self.vsctl("set", "Open_vSwitch", ".", f"external_ids:started={self.pid}")  # waits until all is as configured

    def _initialized(self) -> bool:
        assert self._process.poll() is None, (self.directory / "log").read_text()[-3000:]
        return self._told() is not None

    def vsctl(self, *words: str) -> str:
        done = subprocess.run(["ovs-vsctl", "--timeout=20", *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def interfaces(self) -> dict[str, dict[str, Any]]:
        """The interfaces of type dpdk in the database, by name: devargs, error, ofport."""
        columns = "--columns=name,options,error,ofport"
        told = json.loads(self.vsctl("--format=json", columns, "find", "Interface", "type=dpdk"))
        return {
            name: {"devargs": dict(options[1])["dpdk-devargs"], "error": error, "ofport": ofport}
            for name, options, error, ofport in told["data"]
        }

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        super().end()
        self._server.kill()
        self._server.wait()
        self._pages.close()
        # Its own ports outlive it.
        for name in (*self.bridges, "ovs-netdev"):
            subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)


class Grout(Bed):
    """grout of sid in its tree, in its test mode, which needs no hugepages; its client runs in the tree as well."""

    adapter = "grout"
    prefix = "grout"
    can = frozenset(("attach", "detach", "start", "stop", "attach_started", "detach_started"))
    settles_itself = True

    def start(self) -> None:
        root = CHROOTS / "25.11"
        if not (root / "usr/bin/grout").exists():
            raise NotHere("there is no grout in the tree 25.11: tests/tools/chroots.py builds it")
        client = self.directory / "bin" / "grcli"
        client.parent.mkdir(exist_ok=True)
        client.write_text(f'#!/bin/sh\nexec chroot {root} /usr/bin/grcli "$@"\n')
        client.chmod(0o755)
        if str(client.parent) not in os.environ["PATH"]:
            os.environ["PATH"] = f"{client.parent}{os.pathsep}{os.environ['PATH']}"
        self._socket = Path("/run/grout-bed.sock")
        self._socket.unlink(missing_ok=True)
        with open(self.directory / "log", "wb") as log:
            argv = ["chroot", str(root), "grout", "-t", "-s", str(self._socket)]
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self._process.pid
        wait_until(self._socket.exists, "grout's socket")
        self.cli("interface", "add", "port", BASE, "devargs", BASE)

    def cli(self, *words: str) -> Any:
        argv = ["grcli", "-s", str(self._socket), "-e", "-j", *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return json.loads(done.stdout) if done.stdout.startswith(("[", "{")) else None

    def devices(self) -> dict[str, bool]:
        rows = [row for row in self.cli("interface", "show") if row["type"] == "port"]
        told = [self.cli("interface", "show", "name", row["name"]) for row in rows]
        return {one["devargs"].partition(",")[0]: "up" in one["flags"] for one in told}

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


BEDS = (Console, Multiprocess, Commands, OpenVSwitch, Grout)


@contextlib.contextmanager
def running(kind: type[Bed], directory: Path) -> Iterator[Bed]:
    """One that has started, until the block ends; see needs.py where it cannot."""
    bed = kind(directory)
    with needed():
        bed.start()
    try:
        yield bed
    finally:
        bed.end()
