# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DPDK application for unit tests: a process that behaves like a primary, without DPDK.

    with FakeApp(directory, "web") as app:          # <directory>/web/{config,mp_socket,dpdk_telemetry.v2}
        app.start(0)                                # as the application's own code would start port 0
        app.script(Act(result=-12))                 # the next attach or detach fails so
        app.attached, app.requests                  # {"net_null0": ""}, [("attach", "vdev:net_null0"), ...]

It is a process of its own, because a record lock and the credentials of a socket belong to one.
What it claims of DPDK is held against a real testpmd by tests/integration/real/test_fake_contract.py.
"""

from __future__ import annotations

import fcntl
import functools
import json
import multiprocessing
import os
import select
import signal
import socket
import struct
import sys
import time
import typing as t

from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import releases
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import Release

ENOENT, ENOMEM, EFAULT, ENODEV, ENOTSUP = -2, -12, -14, -19, -95
# What the drivers take as arguments; a device's name begins with its driver's.
DRIVERS = {"net_null": ("size", "copy", "no-rx"), "net_ring": ("nodeaction", "internal"), "net_tap": ("iface", "mac")}
ATTACH, DETACH = 0, 1
USUAL = Release(22, 11, 11)
_REQUEST, _REPLY, _IGNORE = 1, 2, 3
_ACTION = b"eal_dev_mp_request"


class Eal:
    """What EAL and ethdev make of requests: devices, and the ports that they own in the lowest free slots."""

    def __init__(self, *, slots: int = 32, pci: t.Mapping[str, t.Sequence[str]] | None = None) -> None:
        self.ports: list[dict[str, t.Any] | None] = [None] * slots
        self.devices: dict[str, str] = {}
        self.pci = dict(pci or {})

    def attach(self, devargs: str) -> int:
        bus, _colon, text = devargs.partition(":")
        name, _comma, args = text.partition(",")
        driver = next((one for one in DRIVERS if name.startswith(one)), "") if bus == "vdev" else bus
        if bus not in ("vdev", "pci") or not driver:
            return EFAULT
        if name in self.devices:
            return 0
        if bus == "pci" and name not in self.pci:
            return ENODEV
        keys = {pair.partition("=")[0] for pair in args.split(",") if pair}
        if bus == "vdev" and not keys <= set(DRIVERS[driver]):
            return -1
        names = self.pci[name] if bus == "pci" else [name]
        free = [number for number, port in enumerate(self.ports) if port is None]
        if len(free) < len(names):
            return ENOMEM
        for number, port_name in zip(free, names):
            self.ports[number] = {
                "name": port_name,
                "device": name,
                "owned": False,
                "configured": False,
                "started": False,
            }
        self.devices[name] = args
        return 0

    def detach(self, devargs: str) -> int:
        bus, _colon, text = devargs.partition(":")
        name = text.partition(",")[0]
        if bus not in ("vdev", "pci"):
            return EFAULT
        if bus == "vdev" and not name.startswith(tuple(DRIVERS)):
            return EFAULT
        if name not in self.devices:
            return ENOENT
        del self.devices[name]
        self.ports = [None if port and port["device"] == name else port for port in self.ports]
        return 0

    def switch(self, port_id: int, started: bool) -> None:
        port = self.ports[port_id]
        assert port is not None
        port.update(configured=True, started=started)

    def info(self, port_id: int) -> dict[str, t.Any] | None:
        port = self.ports[port_id] if 0 <= port_id < len(self.ports) else None
        if port is None:
            return None
        return {
            "name": port["name"],
            "state": 1,
            "nb_rx_queues": 1,
            "port_id": port_id,
            "mac_addr": f"02:00:00:00:00:{port_id:02X}",
            "numa_node": 0,
            "dev_configured": int(port["configured"]),
            "dev_started": int(port["started"]),
        }

    def listed(self) -> list[int]:
        return [number for number, port in enumerate(self.ports) if port and not port["owned"]]


class Act(t.NamedTuple):
    """How one attach or detach goes: what it answers, whether it is done, and when.

    ``result`` None is what EAL says, and any other means not done, unless ``done``. ``delay``: seconds until it is done
    and answered. ``reply``: "reply", "none", "ignore" (still starting), "short" (wrong length), "other" (of another
    action). ``dies``: "before" or "after" it is done. ``undo_after``: seconds until it is taken back again, as after a
    stuck secondary. ``starts_port``: one that the application starts by the way.
    """

    result: int | None = None
    done: bool = False
    delay: float = 0.0
    reply: str = "reply"
    dies: str = ""
    undo_after: float = 0.0
    starts_port: int = -1


class _Server:
    """The child process: the sockets of a primary, one request after the other."""

    def __init__(self, eal: Eal, directory: str, control: t.Any, settings: dict[str, t.Any]) -> None:
        self.eal = eal
        self._control = control
        self._dead = False
        self._busy: list[tuple[float, t.Callable[[], t.Any]]] = []
        self._clients: list[socket.socket] = []
        self.mode = ""
        self.told: dict[str, t.Any] = {}
        self.requests: list[tuple[str, str]] = []
        self.acts: list[Act] = []
        self._params = list(settings["params"])
        self._release: Release = settings["release"]
        facts = releases.facts(self._release)
        self._size = facts.message_size if facts else 332
        self.accepted = 0
        if settings["shared"]:
            self._config = self._lock(directory)
        self._mp = self._bind(f"{directory}/mp_socket", socket.SOCK_DGRAM) if settings["shared"] else None
        self._telemetry = None
        if settings["telemetry"]:
            self._telemetry = self._bind(f"{directory}/dpdk_telemetry.v2", socket.SOCK_SEQPACKET)
            self._telemetry.listen(16)

    def _lock(self, directory: str) -> int:
        fd = os.open(f"{directory}/config", os.O_RDWR | os.O_CREAT, 0o600)
        os.write(fd, config(self._release).ljust(4096, b"\0"))
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1024, 64)  # a part of it, as EAL does
        return fd

    @staticmethod
    def _bind(path: str, kind: int) -> socket.socket:
        if os.path.exists(path):
            os.unlink(path)
        made = socket.socket(socket.AF_UNIX, kind)
        made.bind(path)
        return made

    def serve(self) -> None:
        while True:
            mp = [self._mp] if self._mp and not self._dead and not self._busy else []
            listener = [self._telemetry] if self._telemetry else []
            wait = max(0.0, self._busy[0][0] - time.monotonic()) if self._busy else None
            waiting: list[t.Any] = [self._control, *mp, *listener, *self._clients]
            ready = select.select(waiting, [], [], wait)[0]
            if self._busy and time.monotonic() >= self._busy[0][0]:
                self._busy.pop(0)[1]()
            for one in ready:
                if one is self._control:
                    self._ordered()
                elif one is self._mp:
                    self._requested()
                elif one is self._telemetry:
                    self._accept()
                else:
                    self._answer(one)

    def _ordered(self) -> None:
        try:
            name, args = self._control.recv()
        except EOFError:
            os._exit(0)
        what = getattr(self if hasattr(self, name) else self.eal, name)
        self._control.send(what(*args) if callable(what) else what)

    # What the test says

    def script(self, *acts: Act) -> None:
        self.acts = list(acts)

    def telemetry_mode(self, mode: str) -> None:
        self.mode = mode

    def tell(self, request: str, value: t.Any) -> None:
        self.told[request] = value

    def own(self, port_id: int, owned: bool) -> None:
        port = self.eal.ports[port_id]
        assert port
        port["owned"] = owned

    def forget(self) -> None:
        self.requests = []

    def requests_add(self, verb: str, what: str) -> None:
        self.requests.append((verb, what))

    # Multi-process requests, as hotplug_mp.c and eal_common_proc.c work them off

    def _requested(self) -> None:
        assert self._mp is not None
        data, peer = self._mp.recvfrom(1024)
        if len(data) != self._size:
            self._dead = True  # read_msg() gives up, mp_handle() ends
            return
        gap = 4 if self._size == 340 else 0
        (kind,) = struct.unpack_from("=i", data, 0)
        name, _length, _fds, what, text, _result = struct.unpack_from("=64siii128si", data, 4 + gap)
        if kind != _REQUEST or name.rstrip(b"\0") != _ACTION:
            return
        devargs = text.partition(b"\0")[0].decode()
        if what not in (ATTACH, DETACH):
            self._reply(peer, what, devargs, ENOTSUP, "reply")
            return
        self.requests.append((("attach", "detach")[what], devargs))
        act = self.acts.pop(0) if self.acts else Act()
        if act.delay:
            self._busy.append((time.monotonic() + act.delay, lambda: self._act(act, peer, what, devargs)))
        else:
            self._act(act, peer, what, devargs)

    def _act(self, act: Act, peer: str, what: int, devargs: str) -> None:
        if act.dies == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = act.result or 0
        if act.result is None or act.done:
            done = (self.eal.attach, self.eal.detach)[what](devargs)
            result = done if act.result is None else act.result
        if act.starts_port >= 0:
            self.eal.switch(act.starts_port, True)
        if act.undo_after:
            back = (self.eal.detach, self.eal.attach)[what]
            self._busy.append((time.monotonic() + act.undo_after, functools.partial(back, devargs)))
        if act.dies == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        self._reply(peer, what, devargs, result, act.reply)

    def _reply(self, peer: str, what: int, devargs: str, result: int, how: str) -> None:
        if how == "none":
            return
        assert self._mp is not None
        name = b"mp_malloc_sync" if how == "other" else _ACTION
        head = struct.pack("=i", _IGNORE if how == "ignore" else _REPLY) + b"\0" * (4 if self._size == 340 else 0)
        length = 0 if how == "ignore" else 136
        body = struct.pack("=64siii128si", name, length, 0, what, devargs.encode(), result)
        data = (head + body).ljust(self._size, b"\0")
        try:
            self._mp.sendto(data[:-1] if how == "short" else data, peer)
        except OSError:
            pass  # who asked is gone

    # Telemetry

    def _accept(self) -> None:
        assert self._telemetry is not None
        client = self._telemetry.accept()[0]
        self.accepted += 1
        if self.mode == "full" or (self.mode == "full once" and self.accepted == 1) or len(self._clients) >= 10:
            client.close()
            return
        self._clients.append(client)
        banner = {"version": f"DPDK {self._release}", "pid": os.getpid(), "max_output_len": 16384}
        text: dict[str, bytes] = {
            "hung": b"",
            "text": b"hello",
            "half": json.dumps(banner).encode()[:20],
            "endless": b"x" * 60000,
            "list": b"[]",
            "deep": b"[" * 4000,
        }
        answer = text.get(self.mode, json.dumps(banner).encode())
        try:
            if answer:
                client.send(answer)
        except OSError:  # it did not wait; _answer() finds its end
            pass

    def _answer(self, client: socket.socket) -> None:
        try:
            request = client.recv(1024).decode()
        except OSError:
            request = ""
        if not request or self.mode == "breaks":
            self._clients.remove(client)
            client.close()
            return
        if self.mode == "silent":
            return
        command, _comma, param = request.partition(",")
        value: t.Any = None
        if command == "/ethdev/list":
            value = self.eal.listed()
        elif command == "/ethdev/info":
            value = self.eal.info(int(param))
        elif command == "/eal/params":
            value = self._params
        value = self.told.get(request, value)
        answer = json.dumps({"/other" if self.mode == "other" else command: value})
        try:
            client.send(b"x" * 40000 if self.mode == "endless answer" else answer.encode())
        except OSError:
            pass


def config(release: Release) -> bytes:
    """The first 8 bytes of a config file."""
    last = 99 if release.candidate < 0 else release.candidate
    version = release.year << 24 | release.month << 16 | release.minor << 8 | last
    return struct.pack("=II", releases.CONFIG_MAGIC, version)


class FakeApp:
    """The parent's handle of one fake primary."""

    def __init__(
        self,
        runtime_dir: str,
        prefix: str = "web",
        *,
        release: Release = USUAL,
        vdevs: t.Sequence[str] = (),
        pci: t.Mapping[str, t.Sequence[str]] | None = None,
        params: t.Sequence[str] = (),
        slots: int = 32,
        shared: bool = True,
        telemetry: bool = True,
    ) -> None:
        self.runtime_dir, self.prefix, self.release = runtime_dir, prefix, release
        self.directory = f"{runtime_dir}/{prefix}"
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        eal = Eal(slots=slots, pci=pci)
        for vdev in vdevs:
            assert eal.attach(f"vdev:{vdev}") == 0
        words = ["testpmd", "--file-prefix", prefix, *(f"--vdev={one}" for one in vdevs), *params]
        settings = {"params": words, "release": release, "shared": shared, "telemetry": telemetry}
        self._control, theirs = multiprocessing.Pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._be(eal, theirs, settings)
        theirs.close()
        self._ended = False
        assert self._control.poll(10) and self._control.recv() == "up"

    def _be(self, eal: Eal, control: t.Any, settings: dict[str, t.Any]) -> t.NoReturn:
        try:
            for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(name, signal.SIG_DFL)
            # What a primary has no part in: above all the locks and the other ends of those that started it.
            os.closerange(3, control.fileno())
            os.closerange(control.fileno() + 1, 1024)
            server = _Server(eal, self.directory, control, settings)
            control.send("up")
            server.serve()
        except BaseException:  # whatever it is, a forked pytest must not go on
            import traceback

            traceback.print_exc()
        os._exit(1)

    def __enter__(self) -> FakeApp:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.end()

    def _say(self, name: str, *args: t.Any) -> t.Any:
        self._control.send((name, args))
        assert self._control.poll(10)
        return self._control.recv()

    def end(self) -> None:
        """SIGKILL: what it leaves are its files."""
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._control.close()
            self._ended = True

    def gone(self) -> None:
        """It has died by itself: reap it."""
        os.waitpid(self.pid, 0)
        self._control.close()
        self._ended = True

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    @property
    def attached(self) -> dict[str, str]:
        return t.cast("dict[str, str]", self._say("devices"))

    @property
    def ports(self) -> list[dict[str, t.Any] | None]:
        return t.cast("list[dict[str, t.Any] | None]", self._say("ports"))

    @property
    def started(self) -> set[int]:
        return {number for number, port in enumerate(self.ports) if port and port["started"]}

    @property
    def requests(self) -> list[tuple[str, str]]:
        return t.cast("list[tuple[str, str]]", self._say("requests"))

    def forget(self) -> None:
        """Begins ``requests`` anew."""
        self._say("forget")

    def script(self, *acts: Act) -> None:
        self._say("script", *acts)

    def telemetry_mode(self, mode: str) -> None:
        self._say("telemetry_mode", mode)

    def tell(self, request: str, value: t.Any) -> None:
        """Telemetry answers this to that from now on."""
        self._say("tell", request, value)

    def attach(self, devargs: str) -> None:
        assert self._say("attach", devargs) == 0

    def detach(self, devargs: str) -> None:
        assert self._say("detach", devargs) == 0

    def start(self, port_id: int) -> None:
        self._say("switch", port_id, True)

    def stop(self, port_id: int) -> None:
        self._say("switch", port_id, False)

    def own(self, port_id: int, owned: bool = True) -> None:
        self._say("own", port_id, owned)


class FakeSecondary:
    """The socket of a secondary process; ``alive`` is whether anybody holds it, ``answers`` whether he works."""

    def __init__(self, directory: str, pid: int, *, answers: bool) -> None:
        self.name = f"mp_socket_{pid}_1f"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"{directory}/{self.name}")
        self._thread = None
        if answers:
            import threading

            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self.socket.recvfrom(1024)
            if not peer:
                return
            self.socket.sendto(struct.pack("=i", _REPLY) + data[4:], peer)

    def close(self) -> None:
        """Closed; the name stays, as that of a dead one does."""
        if self._thread:
            path = self.socket.getsockname()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"end", path)
            self._thread.join(5)
        self.socket.close()
