# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import random
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import console, testpmd
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import reach_testpmd as reach
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App, Port
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._apps.fake_testpmd import FakeTestpmd

_COMMAND = ("/usr/bin/dpdk-testpmd", "--file-prefix=web", "--", "-i", "-a")
_APP = App("web", "/var/run/dpdk", pid=4711, uid=os.geteuid(), command=_COMMAND, telemetry="dpdk_telemetry.v2")


class FakeConsole:
    def __init__(self, program: FakeTestpmd) -> None:
        self.program = program
        self.left = ""

    def run_all(self, *commands: str, timeout: float) -> list[str]:
        assert timeout > 0
        for command in commands:
            console.check_line(command)
        return [self.program.answer(command) for command in commands]

    def if_lost(self, line: str) -> None:
        self.left = line

    def close(self) -> None:
        if self.left:
            self.program.answer(self.left)


class FakePorts:
    """What telemetry tells of the program."""

    def __init__(self, program: FakeTestpmd) -> None:
        self._program = program

    def read(self) -> list[Port]:
        return [
            Port(number, port.name, port.owned, "", -1, port.started, port.started)
            for number, port in self._program.ports.items()
        ]

    def again(self, port_ids: t.Iterable[int]) -> list[Port]:
        wanted = set(port_ids)
        return [port for port in self.read() if port.port_id in wanted]


class _Testpmd(testpmd.Testpmd):
    def __init__(self, program: FakeTestpmd) -> None:
        super().__init__(_APP, timeout=1)
        self._ports = t.cast(t.Any, FakePorts(program))
        self._program = program

    def _connect(self, timeout: float) -> t.Any:
        return FakeConsole(self._program)


def adapter_of(program: FakeTestpmd) -> testpmd.Testpmd:
    return _Testpmd(program)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("net_nosuch0", "unknown_driver"),
        ("0000:ff:1f.7", "no_such_device"),
        ("0000:00:1f.7", "not_supported"),
        ("net_null9,bad=1", "bad_devargs"),
        ("net_null0", "exists"),
        ("net_null9,a#stop", "bad_devargs"),
        ("net_null9,a?", "bad_devargs"),
    ],
)
def test_attach_refused(text: str, reason: str) -> None:
    program = FakeTestpmd("net_null0", forwarding=True)
    with pytest.raises(HotplugError) as caught:
        adapter_of(program).attach(parse(text))
    assert caught.value.reason == reason
    assert [port.name for port in program.ports.values()] == ["net_null0"]
    assert program.halts == 0
    assert not any(key in line for line in program.typed for key in "#?")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "EAL: Failed to send hotplug add request to secondary\ntestpmd: Failed to attach port x\n",
            "secondary_failed",
        ),
        ("EAL: Failed to attach device on secondary process\ntestpmd: Failed to attach port x\n", "secondary_failed"),
        ("x: Cannot allocate rings\ntestpmd: Failed to attach port x\n", "no_memory"),
        ("Bad arguments\n", "failed"),
        ("", "failed"),
    ],
)
def test_attach_failures_are_told_apart(said: str, reason: str) -> None:
    program = FakeTestpmd()
    program.refuse["port attach"] = said
    with pytest.raises(HotplugError) as caught:
        adapter_of(program).attach(parse("net_null1"))
    assert caught.value.reason == reason


def test_no_slot() -> None:
    program = FakeTestpmd("net_null0", "net_null1", slots=2)
    with pytest.raises(HotplugError) as caught:
        adapter_of(program).attach(parse("net_null2"))
    assert caught.value.reason == "no_slot"


def test_attached_port_forwards_when_it_is_started() -> None:
    program = FakeTestpmd("net_null0", forwarding=True)
    adapter = adapter_of(program)
    adapter.precheck()
    adapter.attach(parse("net_null1,size=64"))
    assert program.typed == ["port attach vdev:net_null1,size=64"]
    assert (program.streams, program.halts) == ([0], 0)
    adapter.start(1)
    assert (program.streams, program.halts, program.running) == ([0, 1], 1, True)


def test_several_ports_join_in_one_go() -> None:
    program = FakeTestpmd("net_null0", forwarding=True)
    adapter = adapter_of(program)
    for number in range(1, 6):
        adapter.attach(parse(f"net_null{number}"))
    for number in range(1, 6):
        adapter.start(number)
    assert (program.streams, program.halts, program.running) == ([0, 1, 2, 3, 4, 5], 1, True)


def test_nothing_forwards_that_did_not_before() -> None:
    program = FakeTestpmd("net_null0")
    adapter = adapter_of(program)
    adapter.attach(parse("net_null1"))
    adapter.start(1)
    adapter.stop(0)
    adapter.detach(parse("net_null1"), [1])
    assert not program.running
    assert program.halts == 0


def test_started_port_is_detached_and_the_others_go_on() -> None:
    program = FakeTestpmd("net_null0", "net_null1", "net_null2", forwarding=True)
    adapter_of(program).detach(parse("net_null1"), [1])
    assert (program.streams, program.halts, program.running) == ([0, 2], 1, True)
    assert list(program.ports) == [0, 2]


def test_last_port_goes_and_the_next_forwards() -> None:
    program = FakeTestpmd("net_null0", forwarding=True)
    adapter = adapter_of(program)
    adapter.detach(parse("net_null0"), [0])
    assert program.running
    adapter.attach(parse("net_null7"))
    adapter.start(0)
    assert (program.streams, program.running) == ([0], True)


def test_ports_stopped_one_after_the_other_and_back() -> None:
    """As an engine does that stops all of them before it detaches the first, and takes it back."""
    program = FakeTestpmd("net_null0", "net_null1", "net_null2", forwarding=True)
    adapter = adapter_of(program)
    adapter.stop(1)
    adapter.stop(2)
    assert (program.streams, program.running) == ([0], True)
    assert [port.started for port in program.ports.values()] == [True, False, False]
    adapter.start(2)
    adapter.start(1)
    assert (sorted(program.streams), program.running) == ([0, 1, 2], True)


def test_released_together_they_halt_once() -> None:
    program = FakeTestpmd(*(f"net_null{number}" for number in range(8)), forwarding=True)
    adapter = adapter_of(program)
    adapter.release(range(1, 8))
    for number in range(1, 8):
        adapter.stop(number)
        adapter.detach(parse(f"net_null{number}"), [number])
    assert (program.streams, program.halts, program.running) == ([0], 1, True)


def test_released_and_never_stopped_they_forward_again() -> None:
    """The plan failed before their turn came."""
    program = FakeTestpmd(*(f"net_null{number}" for number in range(4)), forwarding=True)
    adapter = adapter_of(program)
    adapter.release([1, 2, 3])
    assert program.streams == [0]
    adapter.stop(1)
    adapter.start(1)
    adapter.stop(2)
    adapter.detach(parse("net_null2"), [2])
    adapter.close()
    assert (sorted(program.streams), program.running, program.looks_at_links) == ([0, 1, 3], True, True)


def test_links_are_not_looked_at_and_that_is_put_back() -> None:
    program = FakeTestpmd("net_null0")
    adapter = adapter_of(program)
    adapter.stop(0)
    assert program.typed[-3:] == ["set link_check off", "port stop 0", "set link_check on"]
    adapter._app = _APP._replace(command=(*_COMMAND, "--disable-link-check"))
    adapter.start(0)
    assert "port start 0" in program.typed
    assert program.typed.count("set link_check off") == 1


def test_close_is_silent_about_what_is_gone() -> None:
    program = FakeTestpmd("net_null0", "net_null1", forwarding=True)
    adapter = adapter_of(program)
    adapter.release([1])

    def gone(*_args: t.Any) -> t.NoReturn:
        raise HotplugError("primary_gone", "it is gone")

    adapter._ports = t.cast(t.Any, type("Gone", (), {"again": gone})())
    adapter.close()


def test_a_stranger_that_is_not_started_is_left_alone() -> None:
    program = FakeTestpmd("net_null0", "net_null1", forwarding=True)
    program.answer("port attach vdev:net_null2")
    adapter = adapter_of(program)
    with pytest.raises(HotplugError, match=r"2 \(net_null2\)") as caught:
        adapter.stop(1)
    assert caught.value.reason == "forwarding"
    assert (program.streams, program.halts, program.running) == ([0, 1], 0, True)
    adapter.detach(parse("net_null2"), [2])
    adapter.stop(1)
    assert (program.streams, program.running) == ([0], True)


def test_owned_ports_do_not_count() -> None:
    program = FakeTestpmd("net_null0", "net_null1", forwarding=True)
    program.ports[9] = type(program.ports[0])("0000:00:01.0", "stopped")
    program.ports[9].owned = True
    adapter_of(program).detach(parse("net_null1"), [1])
    assert (program.streams, program.running) == ([0], True)


def test_port_of_another_process_is_adopted() -> None:
    program = FakeTestpmd("net_null0", forwarding=True)
    number = program.ipc_attach("net_null5")
    adapter_of(program).start(number)
    assert (program.streams, program.running) == ([0, number], True)
    assert "port attach vdev:net_null5" in program.typed


def test_port_that_testpmd_does_not_adopt() -> None:
    program = FakeTestpmd("net_null0", forwarding=True)
    number = program.ipc_attach("net_null5")
    program.refuse["port attach"] = "Attaching a new port...\ntestpmd: Failed to attach port vdev:net_null5\n"
    with pytest.raises(HotplugError) as caught:
        adapter_of(program).start(number)
    assert caught.value.reason == "not_adopted"


def test_port_of_another_process_is_detached() -> None:
    program = FakeTestpmd("net_null0", forwarding=True)
    number = program.ipc_attach("net_null5")
    adapter_of(program).detach(parse("net_null5"), [number])
    assert (list(program.ports), program.halts) == ([0], 0)


def test_port_id_that_was_taken_away_and_used_again_is_listed_once() -> None:
    program = FakeTestpmd("net_null0", forwarding=True)
    adapter = adapter_of(program)
    adapter.attach(parse("net_null1"))
    program.ipc_detach(1)
    adapter.attach(parse("net_null2"))
    assert program.listed == [0, 1, 1]
    adapter.start(1)
    assert (program.streams, program.running) == ([0, 1], True)


@pytest.mark.parametrize(
    ("verb", "said", "reason"),
    [
        ("start", "Failed to setup RX queue: No mempool allocation on the socket 1\n", "no_memory"),
        ("start", "Please remove port 1 from bonded device.\n", "refused"),
        ("start", "Fail to start port 1: Operation not permitted\n", "failed"),
        ("stop", "Please remove port 1 from bonding device.\nDone\n", "refused"),
        ("stop", "EAL: rte_eth_dev_stop failed for port 1\n", "failed"),
    ],
)
def test_start_and_stop_that_fail(verb: str, said: str, reason: str) -> None:
    program = FakeTestpmd("net_null0", "net_null1")
    if verb == "start":
        program.answer("port stop 1")
    program.refuse[f"port {verb}"] = said
    with pytest.raises(HotplugError) as caught:
        getattr(adapter_of(program), verb)(1)
    assert caught.value.reason == reason
    assert said.splitlines()[0] in caught.value.fields["console"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("EAL: Function unplug not supported by bus (x)\n", "not_supported"),
        ("EAL: Cannot find plugged device (net_null0)\n", "no_such_device"),
        ("EAL: Failed to send device detach request to secondary\n", "secondary_failed"),
        ("EAL: Driver cannot detach the device (net_null0)\n", "failed"),
        ("Port 0 not stopped\n", "port_started"),
    ],
)
def test_detach_that_fails(said: str, reason: str) -> None:
    program = FakeTestpmd("net_null0")
    program.refuse["device detach"] = said
    with pytest.raises(HotplugError) as caught:
        adapter_of(program).detach(parse("net_null0"), [0])
    assert caught.value.reason == reason


def test_halted_half_way_it_is_said_and_started_when_we_are_gone() -> None:
    program = FakeTestpmd("net_null0", "net_null1", forwarding=True)
    adapter = adapter_of(program)
    program.refuse["start"] = "Packet forwarding is not ready\n"
    with pytest.raises(HotplugError, match="it is halted"):
        adapter.stop(1)
    program.refuse.clear()
    adapter.close()
    assert program.running


def test_random_walks_keep_forwarding() -> None:
    """Whatever is attached, started, stopped and detached, in whatever order: the started ports forward, each once."""
    walk = random.Random(22)
    for _each in range(200):
        program = FakeTestpmd("net_null0", forwarding=walk.random() < 0.8)
        was = program.running
        adapter = adapter_of(program)
        for _step in range(12):
            _take_step(walk, program, adapter)
        for number, port in list(program.ports.items()):
            if not port.started:
                adapter.start(number)
        assert program.running == was
        assert len(set(program.streams)) == len(program.streams)
        assert not was or set(program.streams) == set(program.ports)


def _take_step(walk: random.Random, program: FakeTestpmd, adapter: testpmd.Testpmd) -> None:
    number = walk.randrange(1, 6)
    port = next(((key, port) for key, port in program.ports.items() if port.name == f"net_null{number}"), None)
    before = {key: port.started for key, port in program.ports.items()}
    try:
        if port is None:
            adapter.attach(parse(f"net_null{number}"))
        elif walk.random() < 0.3:
            adapter.detach(parse(f"net_null{number}"), [port[0]])
        elif port[1].started:
            adapter.stop(port[0])
        else:
            adapter.start(port[0])
    except HotplugError as error:
        assert error.reason == "forwarding"
        assert {key: port.started for key, port in program.ports.items()} == before


@pytest.mark.parametrize(
    ("words", "interactive"),
    [
        ("--no-huge -- -i", True),
        ("-- -ia", True),
        ("-- -ai --nb-cores=1", True),
        ("-- --interactive", True),
        ("-- --inter", True),
        ("-- -a", False),
        ("-i -a", False),
        ("-i --", False),
        ("-- --auto-start", False),
        ("", False),
    ],
)
def test_is_interactive(words: str, interactive: bool) -> None:
    assert reach.is_interactive(["dpdk-testpmd", *words.split()]) == interactive


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"pid": 0}, "it is not running"),
        ({"command": ("/usr/bin/l3fwd", "--", "-i")}, "it is not a testpmd"),
        ({"command": ("dpdk-testpmd", "--", "-a")}, "it was started without -i, so it has no console"),
        ({"distrust": "/x belongs to user 7"}, "/x belongs to user 7"),
        ({"telemetry": ""}, "its ports cannot be read: it serves no telemetry"),
        ({"telemetry_error": "hung"}, "its ports cannot be read: hung"),
    ],
)
def test_reach(monkeypatch: pytest.MonkeyPatch, change: dict[str, t.Any], reason: str) -> None:
    monkeypatch.setattr(console, "find", lambda app, system: "/run/dpdk-hotplug/web")
    monkeypatch.setattr(os.path, "lexists", lambda path: True)
    one = reach.testpmd(_APP._replace(**change), System())
    assert (one.adapter, one.channel, one.usable, one.reason) == ("testpmd", "", not reason, reason)
    assert set(one.verbs) == {"attach", "detach", "start", "stop"}


def test_reach_without_a_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "has_console", lambda _app: False)
    one = reach.testpmd(_APP, System())
    assert one.reason == "its console is not reachable: start it with dpdk-hotplug console"


def test_reach_as_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    one = reach.testpmd(_APP._replace(uid=77), System())
    assert one.reason == "it runs as user 77, this as user 1234: become that user or root"


def test_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = adapter_of(FakeTestpmd("net_null0"))
    assert adapter.settle()

    def stuck(_timeout: float) -> t.NoReturn:
        raise HotplugError("console_stuck", "no prompt")

    monkeypatch.setattr(adapter, "_connect", stuck)
    assert not adapter.settle()


def test_secondaries_are_looked_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import multiprocess

    seen: list[str] = []

    class Stuck:
        def __init__(self, *_args: t.Any, **_more: t.Any) -> None:
            pass

        def precheck(self) -> None:
            raise HotplugError("secondary_stuck", "secondary process 12 is stopped")

        def close(self) -> None:
            seen.append("closed")

    monkeypatch.setattr(multiprocess, "Multiprocess", Stuck)
    program = FakeTestpmd("net_null0")
    adapter = adapter_of(program)
    adapter._app = _APP._replace(secondaries=(12,))
    with pytest.raises(HotplugError, match="12 is stopped"):
        adapter.precheck()
    assert (seen, program.typed) == (["closed"], [])
