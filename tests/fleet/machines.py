# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One virtual machine: QEMU with an IOMMU, network cards behind root ports, and ssh on loopback."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import images
from machine import free_port, key

QEMU = "qemu-system-x86_64"
MEMORY_MB = 2048
# Seconds that a guest may take to answer by ssh, on a machine that does other things beside it.
BOOT_LIMIT = 240
# Where the machine is virtual itself, its host may refuse to set the register for these capabilities.
_KVM = ("-accel", "kvm", "-cpu", "host,-arch-capabilities")
_KVM_PATIENCE = 8.0
# Without what makes an emulated processor slow, or has the kernel load and try modules for it.
_WITHOUT = ("aes", "avx", "avx2", "erms", "fsrm", "la57", "pclmulqdq", "sha-ni", "svm", "vaes", "vpclmulqdq")
_EMULATED = ",".join(["max", *(f"{one}=off" for one in _WITHOUT)])
_ARGUMENTS = (
    "root=/dev/vda rw console=ttyS0 intel_iommu=on iommu=pt mitigations=off quiet loglevel=4 net.ifnames=1 panic=-1"
)


# A processor may be behind with a change of the memory's map: seen about once in thirty boots.
_DEFECT = "iotlb_to_section: Assertion"
# What a kernel says of an emulated processor that takes no interrupts any more.
_HANGS = "rcu_preempt kthread timer wakeup didn't happen"
_MOST_STARTS = 5
_MOST_HANGS = 2


class Failed(Exception):
    """A command in a guest, or the guest itself, has failed; the text says how."""


class Hangs(Failed):
    """A guest hangs as it boots, by a defect of its emulated processor."""


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Cards(NamedTuple):
    """Where a guest's cards are. ``ports``: root ports that are empty, for QMP device_add."""

    management: str = "0000:00:02.0"  # virtio
    e1000e: tuple[str, ...] = ("0000:01:00.0", "0000:02:00.0")  # on one wire
    igb: tuple[str, ...] = ("0000:03:00.0", "0000:04:00.0")  # PFs of 7 VFs each, on one wire
    second: str = "0000:05:00.0"  # e1000e, another way to reach the guest by ssh
    shared: tuple[str, ...] = ("0000:09:01.0", "0000:09:02.0")  # e1000 behind a PCI bridge: one IOMMU group
    ports: tuple[str, ...] = ("spare0", "spare1")  # buses 06 and 07
    wire: str = "free"  # an end of the e1000e's wire that nothing is on, for a card that is plugged


CARDS = Cards()


@functools.cache
def accelerator() -> tuple[str, ...]:
    """KVM where it works, which only booting tells, else QEMU's own emulation."""
    if os.access("/dev/kvm", os.R_OK | os.W_OK) and _boots_with_kvm():
        return _KVM
    # With a thread for each processor one loses the end of an interrupt now and then, and takes none any more.
    return ("-accel", "tcg,thread=single", "-cpu", _EMULATED)


def _boots_with_kvm() -> bool:
    """Whether a kernel gets as far as to say its name within seconds. Asked once for each boot of this machine."""
    answer = images.ssh_key().parent / f"kvm-{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    if answer.exists():
        return bool(answer.read_text() == "yes")
    image = images.ensure(next(iter(images.SUITES)))
    with tempfile.TemporaryDirectory() as place:
        log = Path(place, "log")
        argv = [QEMU, *_KVM, "-M", "q35,kernel-irqchip=split", "-m", "1024", "-nodefaults", "-display", "none"]
        argv += ["-kernel", str(image.kernel), "-append", "console=ttyS0 earlyprintk=ttyS0", "-serial", f"file:{log}"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            end = time.monotonic() + _KVM_PATIENCE
            works = False
            while not works and time.monotonic() < end and child.poll() is None:
                works = log.exists() and b"Linux version" in log.read_bytes()
                time.sleep(0.1)
            child.kill()
    answer.write_text("yes" if works else "no")
    return works


class Qmp:
    """QEMU's monitor. Source: the QEMU QMP reference manual."""

    def __init__(self, path: Path, *, timeout: float = 60.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout)
        # The path may be longer than an address of a socket can be.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self._socket.connect(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
        self._file = self._socket.makefile("rwb")
        self._events: list[dict[str, Any]] = []
        self._read()
        self.call("qmp_capabilities")

    def _read(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise Failed("QEMU has closed its monitor")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def call(self, command: str, **arguments: Any) -> Any:
        words = {name.replace("_", "-") if name not in ("bus_id",) else name: one for name, one in arguments.items()}
        self._file.write(json.dumps({"execute": command, "arguments": words}).encode() + b"\n")
        self._file.flush()
        while True:
            answer = self._read()
            if "event" in answer:
                self._events.append(answer)
            elif "error" in answer:
                raise Failed(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def wait(self, event: str, *, limit: float = 60.0, **data: str) -> None:
        """Wait for an event that has this in its data."""
        end = time.monotonic() + limit
        while True:
            for one in self._events:
                if one["event"] == event and data.items() <= one.get("data", {}).items():
                    self._events.remove(one)
                    return
            self._socket.settimeout(max(0.1, end - time.monotonic()))
            try:
                self._events.append(self._read())
            except TimeoutError:
                raise Failed(f"no event {event} within {limit:.0f} s") from None

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Guest:
    """A virtual machine in a directory of its own, which holds its disk, its sockets and its log."""

    def __init__(self, name: str, release: str, directory: Path) -> None:
        self.name = name
        self.release = release
        self.directory = directory
        self.state = directory / "state.json"

    # Where it is

    @property
    def _kept(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.state.read_text())
        except FileNotFoundError:
            return {}
        return found

    @property
    def port(self) -> int:
        return int(self._kept["port"])

    @property
    def second_port(self) -> int:
        """Where ssh by way of the second card is."""
        return int(self._kept["second_port"])

    @property
    def console(self) -> str:
        log = self.directory / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def qmp(self) -> Qmp:
        return Qmp(self.directory / "qmp")

    @property
    def running(self) -> bool:
        """Whether its QEMU runs: the process that we started, by its start time."""
        kept = self._kept
        return bool(kept) and _start_time(kept.get("pid", 0)) == kept.get("start_time")

    # Its life

    def start(self, arguments: str = "") -> None:
        """Start it, for the first time or again; ``arguments``: of the kernel, beside those it always has."""
        image = images.ensure(self.release)
        self.directory.mkdir(parents=True, exist_ok=True)
        disk = self.directory / "disk.qcow2"
        if not disk.exists():
            _run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.disk), "-F", "raw", str(disk)])
        kept = self._kept
        port, second = kept.get("port") or free_port(), kept.get("second_port") or free_port()
        (self.directory / "qmp").unlink(missing_ok=True)
        argv = [
            QEMU,
            *accelerator(),
            *_machine(self.name),
            *self._boot(image, arguments),
            *_network(port, second, self.name),
        ]
        log = open(self.directory / "qemu.log", "ab")  # noqa: SIM115 - it is the child's
        child = subprocess.Popen(
            argv, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        state = {"pid": child.pid, "start_time": _start_time(child.pid), "port": port, "second_port": second}
        self.state.write_text(json.dumps({**state, "arguments": arguments}))
        _children.append(child)

    def _boot(self, image: images.Image, arguments: str) -> list[str]:
        return [
            "-kernel",
            str(image.kernel),
            "-initrd",
            str(image.initrd),
            "-append",
            f"{_ARGUMENTS} systemd.hostname={self.name} {arguments}".rstrip(),
            "-drive",
            "file=disk.qcow2,if=none,id=disk,cache=unsafe,discard=unmap",
            "-device",
            "virtio-blk-pci,drive=disk,addr=0x3",
            "-chardev",
            "file,id=console,path=console.log,append=on",
            "-serial",
            "chardev:console",
            "-qmp",
            "unix:qmp,server=on,wait=off",
        ]

    def wait(self, limit: float = BOOT_LIMIT) -> None:
        """Until ssh answers. A QEMU that ends over a defect of its own while it boots is started again."""
        end = time.monotonic() + limit
        starts, said_before = 1, len(self.console)
        while True:
            if not self.running:
                said = (self.directory / "qemu.log").read_text()[-2000:]
                if _DEFECT not in said or starts == _MOST_STARTS:
                    raise Failed(f"{self.name} has ended: {said}")
                starts += 1
                self.start(str(self._kept.get("arguments", "")))
            try:
                if self.run(["true"], check=False, limit=15).code == 0:
                    return
            except subprocess.TimeoutExpired:
                pass
            if _HANGS in self.console[said_before:]:
                raise Hangs(f"{self.name} hangs as it boots")
            if time.monotonic() > end:
                raise Failed(f"{self.name} does not answer within {limit:.0f} s:\n{self.console[-3000:]}")
            time.sleep(0.3)

    def answer(self) -> None:
        """Until ssh answers after a first start.

        Where processors are emulated a kernel hangs now and then as it boots: the guest then starts anew, its disk too.
        """
        for _start in range(_MOST_HANGS):
            try:
                self.wait()
            except Failed as why:
                print(f"{self.name} starts anew: {str(why)[-300:]}", flush=True)
            else:
                return
            self.kill()
            (self.directory / "disk.qcow2").unlink(missing_ok=True)
            self.start()
        self.wait()

    def reset(self) -> None:
        """As if its power had failed and come back: nothing more is written, and the machine starts again at once."""
        with contextlib.closing(self.qmp()) as qmp:
            qmp.call("system_reset")
        self.disconnect()

    def reboot(self, *, boot_loader: bool = False) -> None:
        """Reboot it in order; with ``boot_loader`` as GRUB would, with the kernel arguments of its own grub.cfg."""
        arguments = str(self._kept.get("arguments", ""))
        if boot_loader:
            arguments = self.grub_arguments()
        boot = self.boot_id()
        if boot_loader:
            self.run(["systemctl", "poweroff"], check=False)
            end = time.monotonic() + 120
            while self.running and time.monotonic() < end:
                time.sleep(0.2)
            self.kill()
            self.start(arguments)
        else:
            self.run(["systemctl", "reboot"], check=False)
        self.disconnect()
        self.comes_back(boot)

    def comes_back(self, boot: str) -> None:
        """Until ssh answers in another boot than that. One that hangs as it boots is reset, as a person would do."""
        end = time.monotonic() + BOOT_LIMIT
        hangs = 0
        while time.monotonic() < end:
            try:
                self.wait()
                with contextlib.suppress(Failed):
                    if self.boot_id() != boot:
                        return
            except Hangs as why:
                hangs += 1
                if hangs > _MOST_HANGS:
                    raise
                print(f"{why}: reset", flush=True)
                self.reset()
                end = time.monotonic() + BOOT_LIMIT
            time.sleep(0.5)
        raise Failed(f"{self.name} did not reboot")

    def boot_id(self) -> str:
        return self.run(["cat", "/proc/sys/kernel/random/boot_id"]).out.strip()

    def grub_arguments(self) -> str:
        """What GRUB would give the kernel: of the first entry in its configuration, without root and ro."""
        text = self.run(["cat", "/boot/grub/grub.cfg"]).out
        found = re.search(r"^\s*linux\s+\S+\s+(.*)$", text, re.MULTILINE)
        if not found:
            raise Failed("there is no entry in grub.cfg")
        return " ".join(word for word in found[1].split() if not word.startswith("root=") and word not in ("ro", "rw"))

    def kill(self) -> None:
        """End its QEMU, as if the plug were pulled."""
        self.disconnect()
        if self.running:
            pid = int(self._kept["pid"])
            os.kill(pid, signal.SIGKILL)
            for child in _children:
                if child.pid == pid:
                    child.wait()
            end = time.monotonic() + 10
            while self.running and time.monotonic() < end:
                time.sleep(0.05)

    # What is done in it

    @property
    def ssh_options(self) -> list[str]:
        options = {
            "IdentityFile": str(images.ssh_key()),
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "ConnectTimeout": "60",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "12",
            "ControlMaster": "auto",
            # Guests of two runs may have the same port, in network namespaces of their own.
            "ControlPath": f"{_controls()}/{key(str(self.directory), str(os.stat('/proc/self/ns/net').st_ino))}-%p",
            "ControlPersist": "120",
        }
        return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def ssh(self, *, port: int | None = None) -> list[str]:
        return ["ssh", "-F", "none", *self.ssh_options, "-p", str(port or self.port), "root@127.0.0.1"]

    def disconnect(self, *, port: int | None = None) -> None:
        """Forget the connection that is kept open."""
        argv = [*self.ssh(port=port)[:-1], "-O", "exit", "root@127.0.0.1"]
        subprocess.run(argv, capture_output=True, check=False, timeout=20)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        limit: float = 120,
        given: str = "",
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command in it, as root."""
        words = [*(f"{name}={value}" for name, value in (environment or {}).items())]
        command = shlex.join([*(["env", *words] if words else []), *argv])
        done = subprocess.run(
            [*self.ssh(port=port), command], input=given, capture_output=True, text=True, check=False, timeout=limit
        )
        if check and done.returncode:
            raise Failed(f"{self.name}: {command}: ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return Done(done.returncode, done.stdout, done.stderr)

    def write(self, path: str, text: str) -> None:
        self.run(["dd", f"of={path}", "status=none"], given=text)

    def read(self, path: str) -> str:
        return self.run(["cat", path]).out

    def copy(self, source: Path, target: str, *, exclude: Sequence[str] = ("__pycache__",)) -> None:
        """Copy a folder into it, so that ``target`` holds what ``source`` holds."""
        pack = ["tar", "-C", str(source), "-czf", "-", *(f"--exclude={one}" for one in exclude), "."]
        packed = subprocess.run(pack, capture_output=True, check=True).stdout
        unpack = f"mkdir -p {shlex.quote(target)} && tar -C {shlex.quote(target)} -xzf -"
        subprocess.run([*self.ssh(), unpack], input=packed, check=True, capture_output=True, timeout=120)


_children: list[subprocess.Popen[bytes]] = []


@functools.cache
def _controls() -> Path:
    """A short path: an address of a socket has 108 bytes."""
    path = Path(tempfile.gettempdir(), f"dpdk-hotplug-fleet-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise Failed(f"{path} is somebody else's")
    return path


def _start_time(pid: int) -> int | None:
    """Of a process that is alive, in ticks since boot. Source: proc(5), fields 3 and 22."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(argv)}: {done.stderr}")


def _machine(name: str) -> Iterator[str]:
    half = MEMORY_MB // 2
    yield from ("-name", name, "-nodefaults", "-display", "none", "-no-user-config")
    yield from ("-M", "q35,kernel-irqchip=split", "-m", str(MEMORY_MB), "-smp", "2")
    yield from ("-device", "intel-iommu,intremap=on,caching-mode=on")
    for node in (0, 1):
        yield from ("-object", f"memory-backend-ram,id=node{node},size={half}M")
        yield from ("-numa", f"node,nodeid={node},memdev=node{node},cpus={node}")
    yield from ("-device", "virtio-rng-pci,addr=0x1")


def _network(port: int, second: int, name: str) -> Iterator[str]:
    """The cards, at the addresses that CARDS says. A bus behind a root port has the port's number."""
    yield from ("-netdev", f"user,id=management,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:22,restrict=on")
    yield from ("-device", f"virtio-net-pci,netdev=management,addr=0x2,mac={mac(name, 0)},romfile=")
    for number in range(1, 8):
        bus = CARDS.ports[number - 6] if number > 5 else f"port{number}"
        yield from ("-device", f"pcie-root-port,id={bus},chassis={number},slot={number},addr=0x{number + 3:x}")
    # A wire is a hub: what one end sends, all others get.
    yield from ("-netdev", f"hubport,id={CARDS.wire},hubid=0")
    for number, wire in ((1, 0), (2, 0), (3, 1), (4, 1)):
        yield from ("-netdev", f"hubport,id=wire{number},hubid={wire}")
        model = "e1000e" if number < 3 else "igb"
        yield from ("-device", f"{model},bus=port{number},netdev=wire{number},mac={mac(name, number)},romfile=")
    yield from (
        "-netdev",
        f"user,id=second,net=10.0.3.0/24,hostfwd=tcp:127.0.0.1:{second}-10.0.3.15:22,restrict=on",
    )
    yield from ("-device", f"e1000e,bus=port5,netdev=second,mac={mac(name, 5)},romfile=")
    yield from ("-device", "pcie-root-port,id=port8,chassis=8,slot=8,addr=0xb")
    yield from ("-device", "pcie-pci-bridge,id=bridge,bus=port8")
    for number in (1, 2):
        yield from ("-netdev", f"hubport,id=shared{number},hubid=2")
        yield from (
            "-device",
            f"e1000,bus=bridge,netdev=shared{number},addr={number},mac={mac(name, 8 + number)},romfile=",
        )


def mac(name: str, number: int) -> str:
    """Of a guest's card: guests have different ones, the same at every start."""
    return f"52:54:00:{sum(name.encode()) & 0xFF:02x}:00:{number:02x}"
