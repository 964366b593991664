# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter testpmd and its console, against dpdk-testpmd of each release."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from releases import Dpdk, count, is_alive, query, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import console, discovery
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.multiprocess import Multiprocess
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.reach_testpmd import testpmd as reach
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.testpmd import Testpmd as Adapter
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.home import directory_of
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

_SERVE = f"""
import sys
from {console.__name__.rpartition(".")[0]} import broker
sys.exit(broker.end_like(broker.serve(sys.argv[1], sys.argv[2:])))
"""


class Served:
    """A testpmd on a console of ours, as `dpdk-hotplug console` runs it."""

    def __init__(self, dpdk: Dpdk, log: Path, prefix: str, vdevs: Sequence[str], options: Sequence[str]) -> None:
        eal = [f"--file-prefix={prefix}", "-l", "0,1", "--no-huge", "--no-pci", "-m", "256"]
        program = dpdk.command("dpdk-testpmd", *eal, *(f"--vdev={one}" for one in vdevs), "--", *options)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.log = log
        with open(log, "wb") as out:
            argv = ["nice", sys.executable, "-c", _SERVE, prefix, *program]
            self.broker = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
        self.prefix = prefix
        self.place = directory_of(prefix, "/var/run/dpdk", 0)
        wait_until(self._connects, f"the console {self.place}")
        self.app = self.look()
        self.adapter = Adapter(self.app, timeout=10)

    def _connects(self) -> bool:
        """The prompt is there, and everything before it done."""
        assert self.broker.poll() is None, self.log.read_text()
        try:
            console.Console(self.place, timeout=30).close()
        except HotplugError as error:
            assert error.reason == "no_console", error
            return False
        return True

    def look(self) -> App:
        (app,) = (one for one in discovery.find(System()) if one.prefix == self.prefix)
        return app

    def query(self, endpoint: str) -> Any:
        return query(f"/var/run/dpdk/{self.prefix}/{self.app.telemetry}", endpoint)

    def ports(self) -> dict[str, dict[str, Any]]:
        infos = (self.query(f"/ethdev/info,{number}") for number in range(32))
        return {info["name"]: info for info in infos if info}

    def port_id(self, name: str) -> int:
        number: int = self.ports()[name]["port_id"]
        return number

    def started(self, name: str) -> bool:
        return bool(self.ports()[name]["dev_started"])

    def attach(self, text: str, *, start: bool = True) -> int:
        device = parse(text)
        self.adapter.attach(device)
        port_id = self.port_id(device.name)
        if start:
            self.adapter.start(port_id)
        return port_id

    def detach(self, name: str) -> None:
        self.adapter.detach(parse(name), [self.port_id(name)])

    def received(self, name: str) -> int:
        packets: int = self.query(f"/ethdev/stats,{self.port_id(name)}")["ipackets"]
        return packets

    def forwards(self, name: str) -> bool:
        """Whether the port's packets are taken in: it is polled."""
        before = self.received(name)
        with contextlib.suppress(TimeoutError):
            return bool(wait_until(lambda: self.received(name) > before, "packets", 2.0))
        return False

    def typed(self, line: str) -> str:
        """What another client gets for the line."""
        self.adapter.close()
        with console.Console(self.place) as link:
            return link.run(line)

    def end(self) -> None:
        self.adapter.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.broker.poll() is None:
                self.broker.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.broker.wait(10)
        if is_alive(self.app.pid):
            os.kill(self.app.pid, signal.SIGKILL)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    served: list[Served] = []

    def start(dpdk: Dpdk, vdevs: Sequence[str] = ("net_null0",), *options: str) -> Served:
        number = len(served)
        options = options or ("-i", "-a", "--total-num-mbufs=2048", "--no-flush-rx")
        served.append(Served(dpdk, tmp_path / f"log{number}", f"served{number}", vdevs, options))
        return served[-1]

    yield start
    for one in served:
        one.end()


def _frames(number: int) -> list[bytes]:
    head = bytes.fromhex("020000000002020000000001") + b"\x88\xb5"
    return [head + struct.pack("!I", index) + bytes(46) for index in range(number)]


def test_attached_ports_forward_real_frames(
    dpdk: Dpdk, serve: Callable[..., Served], veth: Callable[[str, str], None]
) -> None:
    veth("in0", "port0")
    veth("out0", "port1")
    app = serve(dpdk, ())
    app.attach("net_af_packet0,iface=port0")
    app.attach("net_af_packet1,iface=port1")
    assert app.adapter.forwarding()
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as into,
    ):
        out.bind(("in0", 0))
        into.bind(("out0", 0x88B5))
        into.settimeout(5)
        for frame in _frames(50):
            out.send(frame)
        assert [into.recv(2048)[: len(frame)] for frame in _frames(50)] == _frames(50)
    app.detach("net_af_packet0")
    app.detach("net_af_packet1")
    assert app.ports() == {}
    assert app.broker.poll() is None


def test_attached_port_forwards_from_file_to_file(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    given, taken = Path("/run/in.pcap"), Path("/run/out.pcap")  # short: devargs have 127 bytes
    with open(given, "wb") as pcap:
        pcap.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in _frames(20):
            pcap.write(struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame)
    app = serve(host_dpdk, ())
    app.attach(f"net_pcap0,rx_pcap={given},tx_pcap={taken}")
    wait_until(lambda: app.query("/ethdev/stats,0")["opackets"] == 20, "20 packets sent", 5)
    app.detach("net_pcap0")
    data = taken.read_bytes()
    assert [frame for frame in _frames(20) if frame in data] == _frames(20)


def test_attach_start_stop_detach_again_and_again(dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(dpdk)
    for _round in range(count(50)):
        number = app.attach("net_null1,size=64", start=False)
        assert not app.started("net_null1")
        app.adapter.start(number)
        assert app.started("net_null1")
        assert app.forwards("net_null1")
        app.adapter.stop(number)
        assert not app.started("net_null1")
        assert app.forwards("net_null0")
        app.adapter.start(number)
        assert app.forwards("net_null1")
        app.detach("net_null1")  # a started one
        assert set(app.ports()) == {"net_null0"}
        assert app.forwards("net_null0")


def test_last_port_goes_and_the_next_one_forwards(dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(dpdk)
    app.detach("net_null0")
    assert app.ports() == {}
    assert app.adapter.forwarding()
    app.attach("net_null7")
    assert app.forwards("net_null7")


def test_ports_stopped_together_and_started_again(dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(dpdk)
    names = ["net_null1", "net_ring2", "net_null3"]
    numbers = [app.attach(name, start=False) for name in names]
    for number in numbers:
        app.adapter.start(number)
    assert all(app.forwards(name) for name in ("net_null0", "net_null1", "net_null3"))
    for number in numbers:
        app.adapter.stop(number)
    assert app.forwards("net_null0")
    for number in numbers:
        app.adapter.start(number)
    assert all(app.forwards(name) for name in ("net_null0", "net_null1", "net_null3"))
    app.adapter.release(numbers)
    app.adapter.close()
    assert all(app.forwards(name) for name in ("net_null0", "net_null1", "net_null3"))
    app.adapter.release(numbers)
    for number in numbers:
        app.adapter.stop(number)
    for name in names:
        app.detach(name)
    assert set(app.ports()) == {"net_null0"}
    assert app.forwards("net_null0")


def test_nothing_forwards_that_did_not_before(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(host_dpdk, ("net_null0",), "-i", "--total-num-mbufs=2048")
    number = app.attach("net_null1")
    app.adapter.stop(number)
    app.adapter.start(number)
    assert not app.adapter.forwarding()
    app.typed("start")
    assert app.forwards("net_null1")


def test_others_that_are_not_started_stop_a_stop(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    """testpmd could not go on forwarding: nothing is changed, and the port is named."""
    app = serve(host_dpdk)
    app.attach("net_null1", start=False)
    with pytest.raises(HotplugError, match="net_null1") as caught:
        app.detach("net_null0")
    assert caught.value.reason == "forwarding"
    assert app.started("net_null0")
    assert app.forwards("net_null0")
    app.detach("net_null1")
    app.detach("net_null0")


REFUSED = [
    ("net_nosuch0", "unknown_driver"),
    ("0000:ff:1f.7", "no_such_device"),
    ("net_af_packet9,iface=nosuch0", "bad_devargs"),
    ("net_af_packet9", "bad_devargs"),
    ("net_null0", "exists"),
    ("net_null8,a#b", "bad_devargs"),
    ("net_null8,a?b", "bad_devargs"),
]


def test_refusals_have_their_reasons(dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(dpdk)
    before = app.ports()
    for text, reason in REFUSED:
        with pytest.raises(HotplugError) as caught:
            app.adapter.attach(parse(text))
        assert (text, caught.value.reason) == (text, reason)
    with pytest.raises(HotplugError) as caught:
        app.adapter.detach(parse("net_null5"), [])
    assert caught.value.reason == "no_such_device"
    assert app.ports() == before
    assert app.adapter.forwarding()


def test_no_slot(dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(dpdk, ("net_null0",), "-i", "--total-num-mbufs=2048")
    for number in range(1, 32):
        app.adapter.attach(parse(f"net_null{number}"))
    with pytest.raises(HotplugError) as caught:
        app.adapter.attach(parse("net_null32"))
    assert caught.value.reason == "no_slot"
    for number in range(1, 32):
        app.detach(f"net_null{number}")
    assert set(app.ports()) == {"net_null0"}


def test_port_of_another_process_is_adopted_or_detached(dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(dpdk)
    others = Multiprocess(app.app, "ipc", System(), timeout=10)
    for text in ("net_null5,size=128", "net_null6"):
        others.attach(parse(text))
    app.adapter.start(app.port_id("net_null6"))  # testpmd adopts all of them at once
    app.adapter.start(app.port_id("net_null5"))
    assert all(app.forwards(name) for name in ("net_null0", "net_null5", "net_null6"))
    app.detach("net_null5")
    app.detach("net_null6")
    others.attach(parse("net_null7"))
    app.detach("net_null7")
    assert set(app.ports()) == {"net_null0"}
    assert app.forwards("net_null0")
    # what was adopted, and is taken away from below: its number is used again
    number = app.attach("net_null1", start=False)
    others.detach(parse("net_null1"), [number])
    assert app.attach("net_null2") == number
    assert all(app.forwards(name) for name in ("net_null0", "net_null2"))
    assert "ports=2 " in app.typed("show config fwd")
    others.close()


def test_reach(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(host_dpdk)
    one = reach(app.app, System())
    assert (one.usable, one.reason) == (True, "")
    plain = host_dpdk.start_testpmd("plain", ["net_null0"])
    (found,) = (other for other in discovery.find(System()) if other.pid == plain.pid)
    one = reach(found, System())
    assert (one.usable, one.reason) == (False, "its console is not reachable: start it with dpdk-hotplug console")
    # another program's console in its place
    os.symlink(app.place, directory_of("plain", "/var/run/dpdk", 0))
    assert not reach(found, System()).usable
    os.unlink(directory_of("plain", "/var/run/dpdk", 0))
    os.rename(app.place, directory_of("plain", "/var/run/dpdk", 0))
    assert "belongs to another program" in reach(found, System()).reason
    os.rename(directory_of("plain", "/var/run/dpdk", 0), app.place)
    assert reach(app.app, System()).usable


def test_without_i_it_is_left_alone(host_dpdk: Dpdk, tmp_path: Path) -> None:
    """Any input ends such a testpmd."""
    app = host_dpdk.start_testpmd("silent", ["net_null0"], wait=False)
    app.quit()
    one = reach(App("silent", "/var/run/dpdk", pid=1, command=("dpdk-testpmd", "--", "--auto-start")), System())
    assert "without -i" in one.reason


_CLIENT = f"""
import sys
from {console.__name__} import Console
Console(sys.argv[1])._send(sys.argv[2], 1e9)
print("sent", flush=True)
sys.stdin.read()
"""


def test_client_killed_in_a_command(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(host_dpdk)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for index in range(count(50)):
        argv = [sys.executable, "-c", _CLIENT, app.place, f"port attach vdev:net_null{index + 1}"]
        app.adapter.close()
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as client:
            assert client.stdout
            client.stdout.readline()
            client.kill()
        app.adapter.settle()
        assert f"net_null{index + 1}" in app.ports()
        app.detach(f"net_null{index + 1}")


_HALF_WAY = f"""
import sys
from {console.__name__} import Console
link = Console(sys.argv[1])
link.if_lost("start")
link.run("stop")
print("halted", flush=True)
sys.stdin.read()
"""


def test_client_killed_while_forwarding_is_halted(dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(dpdk)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    argv = [sys.executable, "-c", _HALF_WAY, app.place]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as client:
        assert client.stdout
        assert client.stdout.readline() == b"halted\n"
        assert not app.forwards("net_null0")
        client.kill()
    assert app.adapter.forwarding()
    assert app.forwards("net_null0")


def test_second_client_waits_for_the_first(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(host_dpdk)
    with console.Console(app.place) as first:
        with pytest.raises(HotplugError) as caught:
            console.Console(app.place, timeout=0.3)
        assert caught.value.reason == "busy"
        assert "net_null0" in first.run("show port summary all")
    with console.Console(app.place) as second:
        assert "net_null0" in second.run("show port summary all")


def test_program_killed(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(host_dpdk)
    app.adapter.precheck()
    os.kill(app.app.pid, signal.SIGKILL)
    with pytest.raises(HotplugError) as caught:
        app.adapter.attach(parse("net_null1"))
    assert caught.value.reason == "primary_gone"
    assert app.broker.wait(10) == -signal.SIGKILL
    assert not os.path.exists(app.place)


def test_broker_killed(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(host_dpdk)
    app.adapter.precheck()
    app.broker.kill()
    wait_until(lambda: not is_alive(app.app.pid), "the end of testpmd", 10)
    with pytest.raises(HotplugError) as caught:
        app.adapter.attach(parse("net_null1"))
    assert caught.value.reason == "primary_gone"
    again = Served(host_dpdk, app.log.with_name("again"), app.prefix, (), ("-i", "--total-num-mbufs=2048"))
    again.end()


def test_program_stopped(host_dpdk: Dpdk, serve: Callable[..., Served]) -> None:
    app = serve(host_dpdk)
    os.kill(app.app.pid, signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(HotplugError) as caught:
        Adapter(app.app, timeout=1).precheck()
    assert caught.value.reason == "console_stuck"
    assert time.monotonic() - begin < 5
    os.kill(app.app.pid, signal.SIGCONT)
    app.adapter.precheck()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_program(host_dpdk: Dpdk, serve: Callable[..., Served], number: signal.Signals) -> None:
    app = serve(host_dpdk)
    app.broker.send_signal(number)
    app.broker.wait(10)
    assert not is_alive(app.app.pid)
    assert b"Bye..." in app.log.read_bytes()
    assert not os.path.exists(app.place)
