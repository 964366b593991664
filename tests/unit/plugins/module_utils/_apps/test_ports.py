# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App, Port
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.ports import Ports
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.watch import GlancedPorts
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp

Start = t.Callable[..., FakeApp]


def of(app: FakeApp, **changes: t.Any) -> App:
    found = App(app.prefix, app.runtime_dir, pid=app.pid, telemetry="dpdk_telemetry.v2")
    return found._replace(**changes)


def test_all_ports_owned_ones_too(fake: Start) -> None:
    app = fake(vdevs=["net_null0", "net_null1", "net_null2"])
    app.own(1)
    app.start(2)
    ports = Ports(of(app)).read()
    assert [(p.port_id, p.name, p.owned, p.started, p.configured) for p in ports] == [
        (0, "net_null0", False, False, False),
        (1, "net_null1", True, False, False),
        (2, "net_null2", False, True, True),
    ]
    assert ports[1] == Port(1, "net_null1", True, "02:00:00:00:00:01", 0, False, False)


def test_more_ports_than_usual(fake: Start) -> None:
    app = fake(slots=80, vdevs=[f"net_null{number}" for number in range(70)])
    assert [port.port_id for port in Ports(of(app)).read()] == list(range(70))


def test_holes(fake: Start) -> None:
    app = fake(vdevs=["net_null0", "net_null1"])
    app.detach("vdev:net_null0")
    assert [port.port_id for port in Ports(of(app)).read()] == [1]
    assert [port.port_id for port in Ports(of(app)).again([0, 1])] == [1]
    assert Ports(of(app)).again([]) == []


REFUSED: list[tuple[dict[str, t.Any], str, str]] = [
    ({"telemetry": ""}, "telemetry", "it serves no telemetry"),
    ({"telemetry_error": "it hangs"}, "telemetry", "it hangs"),
    ({"pid": 1}, "primary_gone", "not by pid 1 any more"),
    ({"prefix": "none"}, "unreadable", "none"),
]


@pytest.mark.parametrize("changes, reason, text", REFUSED)
def test_refused(fake: Start, changes: dict[str, t.Any], reason: str, text: str) -> None:
    app = fake()
    with pytest.raises(HotplugError) as error:
        Ports(of(app, **changes)).read()
    assert error.value.reason == reason
    assert text in str(error.value)


INFO = {"port_id": 0, "name": "x", "state": 1, "numa_node": 0}
NODES: list[tuple[t.Any, int]] = [(0, 0), (1, 1), (-1, -1), (4294967295, -1), (2**64 - 1, -1)]


@pytest.mark.parametrize("told, node", NODES)
def test_numa_node(fake: Start, told: int, node: int) -> None:
    app = fake(vdevs=["net_null0"])
    app.tell(
        "/ethdev/info,0", {"port_id": 0, "name": "x", "state": 1, "numa_node": told, "mac_addr": "AA:BB:CC:00:11:22"}
    )
    assert Ports(of(app)).read() == [Port(0, "x", False, "aa:bb:cc:00:11:22", node, False, False)]


NOTHING: list[t.Any] = [None, {}, {"name": ""}, {"name": "x", "state": 0}]


@pytest.mark.parametrize("told", NOTHING)
def test_no_port(fake: Start, told: t.Any) -> None:
    app = fake(vdevs=["net_null0"])
    app.tell("/ethdev/info,0", told)
    assert Ports(of(app)).read() == []


NONSENSE: list[tuple[str, t.Any]] = [
    ("/ethdev/list", {"0": 1}),
    ("/ethdev/list", ["0"]),
    ("/ethdev/list", [True]),
    ("/ethdev/list", "0"),
    ("/ethdev/info,0", [1]),
    ("/ethdev/info,0", "x"),
    ("/ethdev/info,0", {**INFO, "name": None}),
    ("/ethdev/info,0", {**INFO, "name": "\x1b[2J"}),
    ("/ethdev/info,0", {**INFO, "port_id": 1}),
    ("/ethdev/info,0", {**INFO, "numa_node": "0"}),
]


@pytest.mark.parametrize("request_, told", NONSENSE)
def test_nonsense(fake: Start, request_: str, told: t.Any) -> None:
    app = fake(vdevs=["net_null0"])
    app.tell(request_, told)
    with pytest.raises(HotplugError) as error:
        Ports(of(app)).read()
    assert error.value.reason == "telemetry"
    assert request_ in str(error.value)


def test_no_list_is_an_empty_one(fake: Start) -> None:
    app = fake(vdevs=["net_null0"])
    app.tell("/ethdev/list", None)
    assert [port.owned for port in Ports(of(app)).read()] == [True]
    assert GlancedPorts(of(app)).glance([0])[0] == frozenset()


def test_a_glance(fake: Start) -> None:
    app = fake(vdevs=["net_null0", "net_null1", "net_null2"])
    app.own(1)
    app.start(2)
    listed, ports = GlancedPorts(of(app)).glance([0, 1, 2, 7])
    assert listed == {0, 2}
    assert [(port.port_id, port.owned, port.started) for port in ports] == [
        (0, False, False),
        (1, True, False),
        (2, False, True),
    ]
