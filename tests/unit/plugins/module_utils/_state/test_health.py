# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health gate: what of the ports is waited for and what is refused, with an application that does as told."""

from __future__ import annotations

import types
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import command, vitals
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App, Port
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.vitals import Vitals
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import health
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.app_options import Health
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.model import AppSpec, AppState, DeviceState, PortSpec
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

# What is seen of the port at each look: started, link, packets.
Look = tuple[bool, t.Optional[bool], t.Optional[int]]
UP: Look = (True, True, 5)


class Application:
    """An application whose only port is as the looks say, one after the other; the last one lasts."""

    def __init__(self, looks: t.Sequence[Look], asked: Health) -> None:
        self.looks = list(looks)
        self.spec = AppSpec(prefix="web", ports=(PortSpec(parse("net_null0")),), health=asked)
        self.name, self.app, self.system = "web", App("web", "/run/dpdk", pid=1), System()
        self.reach = self.means = None
        self.before = self.after = self.observe()

    def observe(self) -> AppState:
        port = Port(3, "net_null0", False, "", -1, True, self.looks[0][0])
        self.seen = Vitals(*self.looks[0][1:])
        del self.looks[: len(self.looks) > 1]
        return AppState({"net_null0": DeviceState(parse("net_null0"), True, (port,))})


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time passes only where the gate sleeps."""
    slept: list[float] = []
    clock = types.SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(health, "time", clock)
    return slept


def gate(looks: t.Sequence[Look], asked: Health, monkeypatch: pytest.MonkeyPatch) -> health.Ports:
    application = Application(looks, asked)

    def read(
        _app: App, _reach: t.Any, _means: t.Any, _system: System, port_ids: t.Any, **_more: t.Any
    ) -> dict[int, Vitals]:
        return dict.fromkeys(port_ids, application.seen)

    monkeypatch.setattr(vitals, "read", read)
    return health.Ports(t.cast(t.Any, application), asked)


CASES: list[tuple[Health, list[Look], str]] = [
    (Health(), [UP], ""),
    (Health(), [(True, False, 0), (True, False, 0), UP], ""),
    (Health(), [(True, False, 0)], "port 3 (net_null0) has no link"),
    (Health(link=False), [(True, False, 0)], ""),
    (Health(), [(False, False, 0)], ""),  # nobody asked for it to be started
    (Health(started=True), [(False, False, 0)], "port 3 (net_null0) is not started"),
    (Health(started=True), [(False, False, 0), (True, False, 0), UP], ""),
    (Health(packets=True), [UP], "port 3 (net_null0) moves no packets"),
    (Health(packets=True), [UP, UP, (True, True, 6)], ""),
    (Health(packets=True), [UP, (True, True, 0)], ""),  # it was started anew, and counts from the start
    (Health(started=True, packets=True), [(False, True, 0), (False, True, 0), UP, (True, True, 9)], ""),
    (Health(packets=True), [UP, (True, True, None)], "port 3 (net_null0) moves no packets"),
]


@pytest.mark.parametrize("asked, looks, expected", CASES)
def test_what_is_asked_for_is_waited_for(
    asked: Health, looks: list[Look], expected: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gate([looks[0], *looks], asked._replace(timeout=3.0), monkeypatch)
    if not expected:
        one.check()
        assert sum(pauses) < 3
        return
    with pytest.raises(HotplugError) as error:
        one.check()
    assert (error.value.reason, error.value.fields["unhealthy"]) == ("unhealthy", [expected])
    assert expected in error.value.message and "3 s" in error.value.message
    assert 3 <= sum(pauses) < 3.5


@pytest.mark.parametrize(
    "asked, look, expected",
    [
        (Health(), (True, None, 0), "the link"),
        (Health(packets=True), (True, True, None), "packets"),
        (Health(link=False), (True, None, None), ""),
        (Health(), (True, False, None), ""),  # that may be mended by what is to be done
    ],
)
def test_what_an_application_does_not_tell_is_refused_before_anything_is_done(
    asked: Health, look: Look, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gate([look], asked, monkeypatch)
    if not expected:
        one.prepare()
        return
    with pytest.raises(HotplugError, match=f"does not tell {expected}") as error:
        one.prepare()
    assert error.value.reason == "not_supported"


def test_the_way_to_a_peer_must_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: dict[str, list[str]] = {"192.0.2.1": ["eth0"]}
    way = health.Way(System())
    monkeypatch.setattr(way, "_ways", lambda: dict(ways))
    way.prepare()
    way.check()
    ways["192.0.2.1"] = ["eth1"]
    with pytest.raises(HotplugError, match=r"led over eth0 and leads eth1 now"):
        way.check()
    ways.clear()
    with pytest.raises(HotplugError, match=r"leads nowhere now"):
        way.check()


STATUS = '[{"device": "net_null0", "port_id": 3, "started": true%s}]'


@pytest.mark.parametrize(
    "more, expected",
    [
        ("", Vitals()),
        (', "link": true, "packets": 7', Vitals(True, 7)),
        (', "link": "up"', None),
        (', "packets": "7"', None),
        (', "packets": true', None),
    ],
)
def test_a_status_command_may_tell_link_and_packets(more: str, expected: Vitals | None) -> None:
    ports = command.CommandPorts(App("web", "/run/dpdk"), ["echo", STATUS % more], timeout=10)
    if expected is not None:
        assert ports.vitals() == {3: expected}
        return
    with pytest.raises(HotplugError) as error:
        ports.vitals()
    assert error.value.reason == "command_failed"
    assert [port.name for port in ports.read()] == ["net_null0"], "the rest can be read"


def test_counters_that_are_none_are_refused() -> None:
    assert vitals.counted({"a": 1, "b": 2, "c": 9}, ("a", "b")) == 3
    for bad in ({"a": 1}, {"a": True, "b": 1}, {"a": "1", "b": 1}):
        with pytest.raises(HotplugError):
            vitals.counted(bad, ("a", "b"))
