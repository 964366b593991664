# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest as a test sees it: what is run in it, the command dpdk-hotplug, its files, and testpmds.

def test_bind(guest: Bed) -> None:
    guest.converge({"devices": [{"device": "0000:01:00.0", "driver": "vfio-pci"}]})
    assert guest.driver("0000:01:00.0") == "vfio-pci"
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shlex
import subprocess
import tarfile
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from agent import Agent
from fleet import Fleet
from machine import REPO
from machines import CARDS, Done, Failed, Guest

__all__ = ["CARDS", "Bed", "Failed", "Pmd"]

HOME = "/usr/local/lib/dpdk-hotplug"
COMMAND = "/usr/local/bin/dpdk-hotplug"
PACKAGE = "ansible_collections.dpdk.hotplug.plugins.module_utils"
INSIDE = "/root/inside"
# Seconds; nothing that a test asks for takes as long.
LIMIT = 240.0
# As the role helper writes it.
_COMMAND_TEXT = f"""#!/usr/bin/python3 -IS
import sys

sys.path.insert(0, "{HOME}")

from {PACKAGE}._helper import main

sys.exit(main())
"""


class Pmd:
    """A testpmd that runs in a guest."""

    def __init__(self, bed: Bed, facts: Mapping[str, Any]) -> None:
        self.bed = bed
        self.pid, self.prefix = int(facts["pid"]), str(facts["prefix"])
        self._facts = facts

    def ports(self) -> dict[str, dict[str, Any]]:
        """By name, as /ethdev/info tells them, with what /ethdev/stats tells under ``stats``."""
        found: dict[str, dict[str, Any]] = self.bed.inside("ports", socket=self._facts["socket"])
        return found

    def type(self, *lines: str, until: str = r"testpmd> $", limit: float = 120.0) -> str:
        """Type lines at its console; what it printed, once that matches."""
        log, stdin = self._facts["log"], self._facts["stdin"]
        printed = self.bed.inside("type", log=log, stdin=stdin, lines=lines, pattern=until, limit=limit)
        return str(printed)

    @property
    def alive(self) -> bool:
        return self.bed.run("test", "-e", f"/proc/{self.pid}/exe", check=False).returncode == 0

    def stop(self) -> None:
        self.bed.inside("stop", pid=self.pid)


class Bed:
    """A guest in its initial state. ``release``: of DPDK; ``machine``: for its power, its slots and its ports."""

    def __init__(self, fleet: Fleet, machine: Guest) -> None:
        self.fleet = fleet
        self.machine = machine
        self.release = machine.release
        self.inventory = fleet.inventory
        self.initial: dict[str, Any] = {}
        self.lost = ""  # why the guest cannot be used any more
        self._spoilt = ""  # why it must start anew before it is used again
        self._plugged: frozenset[str] = frozenset()
        self._agent = Agent(machine, f"exec python3 {INSIDE}/serve.py {HOME}")

    @property
    def port(self) -> int:
        return self.machine.port

    # Its life

    def install(self) -> None:
        """The library and the command where the role helper puts them, and what tests run inside."""
        pack = io.BytesIO()
        with tarfile.open(fileobj=pack, mode="w:gz") as tar:
            library = REPO / "plugins" / "module_utils"
            for one in sorted(library.rglob("*.py")):
                tar.add(one, f"{HOME}/{PACKAGE.replace('.', '/')}/{one.relative_to(library)}")
            tests = REPO / "tests"
            for name in ("fleet/inside.py", "fleet/killer.py", "fleet/serve.py", "integration/real/releases.py"):
                tar.add(tests / name, f"{INSIDE}/{os.path.basename(name)}")
            version = next(line for line in (REPO / "galaxy.yml").read_text().splitlines() if line[:8] == "version:")
            _add(tar, f"{HOME}/VERSION", version.partition(":")[2].strip() + "\n")
            _add(tar, COMMAND, _COMMAND_TEXT, 0o755)
        unpack = f"rm -rf {HOME} {INSIDE}; tar -C / -xzf - && python3 -m compileall -q {HOME} {INSIDE}"
        argv = [*self.machine.ssh(), unpack]
        self._agent.close()
        subprocess.run(argv, input=pack.getvalue(), check=True, capture_output=True, timeout=LIMIT)

    def begin(self) -> None:
        """Keep what the guest is like now as what it shall be after each test."""
        self.install()
        self._settle()
        self.initial = self.inside("snapshot")
        self._plugged = self.plugged()

    def _settle(self) -> None:
        """Until the boot is over: ssh answers while drivers are still loaded, and cards given their names."""
        cards = (*CARDS.e1000e, *CARDS.igb, CARDS.second, *CARDS.shared)
        self.until(lambda: all(self.driver(*cards).values()), "each card to have its driver")
        self.shell("systemctl is-system-running --wait >/dev/null || :; udevadm settle")

    def plugged(self) -> frozenset[str]:
        """The ids of the devices that QEMU has."""
        with contextlib.closing(self.machine.qmp()) as qmp:
            return frozenset(one["name"] for one in qmp.call("qom-list", path="/machine/peripheral"))

    def restore(self) -> list[str]:
        """The initial state again; a guest that cannot be brought there starts anew, when it is needed: see ready().

        Returns what the kernel complained of since.
        """
        why: Any
        self.machine.disconnect(port=self.machine.second_port)  # it may be dead
        try:
            if self.run("test", "-x", COMMAND, "-a", "-d", INSIDE, check=False).returncode:
                self.install()
            self._unplug(self.plugged() - self._plugged)
            why = self.inside("restore", before=self.initial)
        except (Failed, OSError, subprocess.SubprocessError) as exc:
            why = exc
        self._spoilt = repr(why) if why else ""
        return why["complaints"][1] if isinstance(why, dict) and "complaints" in why else []

    def ready(self) -> None:
        """In the initial state, by another boot where it could not be brought there."""
        assert not self.lost, f"the guest is lost: {self.lost}"
        if self._spoilt:
            print(f"the guest starts anew, for it could not be brought back: {self._spoilt}", flush=True)
            self.renew()

    def _unplug(self, ids: frozenset[str]) -> None:
        if not ids:
            return
        self.inside("empty", before=self.initial)
        try:
            self.until(lambda: self.plugged() <= self._plugged, "plugged cards to go", 10)
        except AssertionError:  # one that no driver has ever seen has no power to be switched off
            with contextlib.closing(self.machine.qmp()) as qmp:
                for one in self.plugged() - self._plugged:
                    qmp.call("device_del", id=one)
                    qmp.wait("DEVICE_DELETED", device=one)

    def renew(self) -> None:
        """Another boot, with the disk that the image has."""
        self.lost = "it could not be brought back, and did not start anew"
        self.machine.kill()
        (self.machine.directory / "disk.qcow2").unlink(missing_ok=True)
        self.machine.start()
        self.machine.answer()
        self.install()
        self._settle()
        differs = self.inside("restore", before=self.initial)
        assert not differs, f"a guest that has just booted is not as the one before: {differs}"
        self.lost = self._spoilt = ""

    # What is run in it

    def run(
        self,
        *argv: str,
        check: bool = True,
        input: str | None = None,
        port: int | None = None,
        limit: float = LIMIT,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A command, as root; ``port``: of the other way by ssh. Raises Failed with what it printed."""
        if environment:
            argv = ("env", *(f"{name}={value}" for name, value in environment.items()), *argv)
        done = self._do({"argv": argv}, input or "", limit, port=port)
        if done is None:
            done = self.machine.run(argv, check=False, limit=limit, given=input or "", port=port)
        return self._done(argv, done, check=check)

    def _do(self, order: dict[str, Any], given: str, limit: float, *, port: int | None = None) -> Done | None:
        """An order to serve.py; None where it must be done over a connection of its own."""
        return None if port else self._agent.do({**order, "input": given}, limit)

    def _done(self, argv: Sequence[str], done: Done, *, check: bool) -> subprocess.CompletedProcess[str]:
        if check and done.code:
            said = f"ended with {done.code}\n{done.out}{done.err}"
            raise Failed(f"{self.machine.name}: {shlex.join(argv)[:500]}: {said}")
        return subprocess.CompletedProcess(argv, done.code, done.out, done.err)

    def shell(self, script: str, *, port: int | None = None) -> str:
        """Several commands at once; every one must succeed. What they printed."""
        return self.run("sh", "-e", "-c", textwrap.dedent(script), port=port).stdout

    def inside(self, verb: str, **given: Any) -> Any:
        """A verb of inside.py."""
        text, argv = json.dumps(given), ("python3", f"{INSIDE}/inside.py", verb)
        done = self._do({"verb": verb}, text, LIMIT)
        ran = self.run(*argv, input=text) if done is None else self._done(argv, done, check=True)
        return json.loads(ran.stdout)

    def python(self, code: str, given: Any = None, *, check: bool = True) -> Any:
        """Run a program that has the library: ``given`` is there by that name, and ``answer`` is what comes back."""
        code, text = textwrap.dedent(code), json.dumps(given)
        done = self._do({"code": code}, text, LIMIT)
        if done is None:
            program = (
                f"import json, sys\nsys.path.insert(0, {HOME!r})\ngiven = json.load(sys.stdin)\nanswer = None\n"
                f"{code}\nprint(json.dumps(answer))\n"
            )
            packed = base64.b64encode(program.encode()).decode()
            runs = f"import base64; exec(compile(base64.b64decode('{packed}'), 'test', 'exec'))"
            ran = self.run("python3", "-c", runs, input=text, check=check)
        else:
            ran = self._done(("python3", code), done, check=check)
        return json.loads(ran.stdout.splitlines()[-1]) if ran.stdout else None

    # The command dpdk-hotplug

    def request(self, request: Mapping[str, Any], *, port: int | None = None) -> dict[str, Any]:
        """What the command answers to a request; a failure has ``failed``, ``reason`` and ``message``."""
        text = json.dumps(request)
        done = self._do({"command": ["request"]}, text, LIMIT, port=port)
        if done is None:
            ran = self.run(COMMAND, "request", input=text, check=False, port=port)
            done = Done(ran.returncode, ran.stdout, ran.stderr)
        try:
            answer: dict[str, Any] = json.loads(done.out.splitlines()[-1])
        except (ValueError, IndexError):
            raise Failed(f"{request}: no answer, ended with {done.code}: {done.out}{done.err}") from None
        return answer

    def converge(self, document: Mapping[str, Any], *, check: bool = False, port: int | None = None) -> dict[str, Any]:
        """Bring the guest into the state of a document, or fail the test with what the command says."""
        answer = self.request({"converge": document, "check": check}, port=port)
        assert not answer.get("failed"), answer
        return answer

    def refused(self, document: Mapping[str, Any], *, check: bool = False, port: int | None = None) -> dict[str, Any]:
        """The error with which a document fails."""
        answer = self.request({"converge": document, "check": check}, port=port)
        assert answer.get("failed"), answer
        error: dict[str, Any] = answer["error"]
        return error

    def module(self, name: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """What a module returns to a task that has these options, also when it fails."""
        return self.request({"module": name, "options": options, "check": check})

    def seen(self, name: str, **options: Any) -> dict[str, Any]:
        """What a module returns that reads, which it must."""
        answer = self.module(name, **options)
        assert not answer.get("failed"), answer
        return answer

    def devices(self, device: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
        """By address, as dpdk_device_info has them."""
        found = self.seen("dpdk_device_info", devices=device, select=None, every=False)
        return {one["address"]: one for one in found["devices"]}

    def hugepages(self) -> dict[str, Any]:
        """As dpdk_hugepages_info has them."""
        return self.seen("dpdk_hugepages_info")

    def slots(self, *entries: Mapping[str, Any], check: bool = False) -> dict[str, Any]:
        """What dpdk_slot answers, also when it fails."""
        return self.module("dpdk_slot", slots=entries, rescan=False, timeout=30, check=check)

    # Its files

    def read(self, path: str) -> str:
        """A file's text, without what is blank around it."""
        return self.run("cat", path).stdout.strip()

    def write(self, *writes: tuple[str, str]) -> list[int]:
        """Files of the kernel, in order; the errno of each."""
        return [number for number, _drivers in self.inside("write", writes=writes)]

    def driver(self, *addresses: str) -> Any:
        """The driver of a device, or of several by address; "" for none."""
        links = " ".join(shlex.quote(f"/sys/bus/pci/devices/{one}/driver") for one in addresses)
        found = self.run("sh", "-c", f'for one in {links}; do echo "$(readlink $one)"; done').stdout.split("\n")
        names = [os.path.basename(one) for one in found[: len(addresses)]]
        return names[0] if len(addresses) == 1 else dict(zip(addresses, names))

    def netdev(self, address: str) -> str:
        """The name of a device's netdev, "" for none."""
        return self.run("sh", "-c", f"ls /sys/bus/pci/devices/{address}/net 2>/dev/null || :").stdout.strip()

    # Applications

    def testpmd(
        self,
        prefix: str = "web",
        *,
        allow: Sequence[str] = ("0000:ff:00.0",),
        vdevs: Sequence[str] = (),
        memory: int = 128,
        extra: Sequence[str] = (),
        options: Sequence[str] = ("--total-num-mbufs=4096", "--nb-cores=1"),
        vfio: bool = True,
    ) -> Pmd:
        """Start one with hugepages, and vfio; it takes what is in ``allow`` at its start (nothing is at ff:00.0)."""
        self._memory(memory, vfio=vfio)
        words = [word for one in allow for word in ("-a", one)]
        given = {"prefix": prefix, "vdevs": vdevs, "huge": True, "memory": memory, "options": options}
        return Pmd(self, self.inside("testpmd", **given, extra=[*words, *extra]))

    def served(self, prefix: str = "web", *, memory: int = 128, options: Sequence[str] = ("-a",)) -> Pmd:
        """Start one whose console dpdk-hotplug serves, so that the adapter testpmd reaches it."""
        self._memory(memory)
        eal = [f"--file-prefix={prefix}", "-l", "0,1", "-a", "0000:ff:00.0", "-m", str(memory)]
        argv = [*eal, "--", "-i", "--total-num-mbufs=4096", "--nb-cores=1", *options]
        return Pmd(self, self.inside("served", prefix=prefix, argv=argv))

    def console(self, *lines: str, prefix: str = "web") -> list[str]:
        """Type lines at such a console; what it printed at each."""
        code = f"""
            from {PACKAGE}._apps import console, discovery
            from {PACKAGE}._system import System
            (app,) = discovery.find(System(), prefixes=[given["prefix"]])
            typed = console.Console(console.find(app, System()), uids=(0,), timeout=60)
            answer = list(typed.run_all(*given["lines"], timeout=60))
            typed.close()
        """
        printed: list[str] = self.python(code, {"prefix": prefix, "lines": lines})
        return printed

    def _memory(self, megabytes: int, *, vfio: bool = True) -> None:
        """As many hugepages on each node: testpmd has buffers on both. And vfio, which DPDK looks for as it starts."""
        if vfio:
            self.run("modprobe", "vfio-pci")
        pages = [{"size": "2M", "count": megabytes // 2 + 16, "node": node} for node in (0, 1)]
        self.converge({"hugepages": {"pages": pages}})

    def until(self, true: Any, what: str, limit: float = 120.0) -> Any:
        """Ask again until something is true, and return it."""
        end = time.monotonic() + limit
        while True:
            if value := true():
                return value
            assert time.monotonic() < end, f"waited {limit} s for {what}"
            time.sleep(0.1)


def _add(tar: tarfile.TarFile, path: str, text: str, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(text.encode()), mode
    tar.addfile(info, io.BytesIO(text.encode()))
