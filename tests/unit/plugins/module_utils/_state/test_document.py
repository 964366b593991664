# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import Devargs
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import document
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.model import AppSpec, PortSpec

NULL = Devargs("vdev", "net_null0")

TAKEN: list[tuple[t.Any, tuple[AppSpec, ...]]] = [
    ({}, ()),
    ({"version": 1, "apps": None}, ()),
    ({"apps": [{}]}, (AppSpec(),)),
    ({"apps": [{"app": "web", "ports": [{"device": "net_null0"}]}]}, (AppSpec("web", ports=(PortSpec(NULL),)),)),
    (
        {"apps": [{"ports": [{"device": "net_null0"}, {"port_id": 3}], "state": "absent"}]},
        (AppSpec(ports=(PortSpec(NULL, present=False), PortSpec(port_id=3, present=False))),),
    ),
    (
        {"apps": [{"started": True, "ports": [{"device": "net_null0"}, {"device": "01:00.0", "started": False}]}]},
        (AppSpec(ports=(PortSpec(NULL, started=True), PortSpec(Devargs("pci", "0000:01:00.0"), started=False))),),
    ),
    (
        {"apps": [{"started": True, "ports": [{"device": "net_null0", "state": "absent"}]}]},
        (AppSpec(ports=(PortSpec(NULL, present=False),)),),
    ),
    (
        {
            "apps": [
                {
                    "runtime_dir": "/run/unit/dpdk/",
                    "timeout": 5,
                    "adapter": "testpmd",
                    "channel": "eal",
                    "ports": [],
                    "exclusive": True,
                    "force": True,
                    "atomic": False,
                    "recreate": True,
                }
            ]
        },
        (AppSpec("", "/run/unit/dpdk", (), True, True, False, True, "testpmd", "eal", 5.0),),
    ),
    ({"apps": [{"app": None, "force": None, "timeout": None, "channel": None}]}, (AppSpec(),)),
]


@pytest.mark.parametrize("given_document, specs", TAKEN)
def test_taken(given_document: t.Any, specs: tuple[AppSpec, ...]) -> None:
    assert document.parse(given_document) == (specs, None)


def test_what_may_be_taken_and_how_long_to_wait_ask_nothing_of_a_host_by_themselves() -> None:
    more: dict[str, t.Any] = {"allow_active": [], "timeout": 9, "apps": [{"app": "web"}]}
    assert document.parse(more)[1] is None
    asking: list[dict[str, t.Any]] = [{"devices": []}, {"hugepages": {}}, {"allow_active": ["0000:01:00.0"]}]
    for asked in asking:
        host = document.parse({**more, **asked})[1]
        assert host is not None and host.timeout == 9


def port(**entry: t.Any) -> dict[str, t.Any]:
    return {"apps": [{"ports": [entry]}]}


def app(**entry: t.Any) -> dict[str, t.Any]:
    return {"apps": [entry]}


REFUSED: list[tuple[t.Any, str, str]] = [
    (None, "bad_document", "the document is not an object"),
    ([], "bad_document", "the document"),
    ({"version": 2}, "bad_document", "version is 2"),
    ({"hosts": []}, "bad_document", "hosts"),
    ({"apps": {}}, "bad_document", "apps is not a list"),
    ({"apps": ["web"]}, "bad_document", "apps[0] is not an object"),
    ({"apps": [{}, {"x": 1}]}, "bad_document", "apps[1] has what is not known here: x"),
    ({"apps": [{1: 1}]}, "bad_document", "not known here: 1"),
    (app(app=7), "bad_document", "apps[0].app is not a text"),
    (app(app="../../x"), "bad_prefix", "../../x"),
    (app(app="a/b"), "bad_prefix", "a/b"),
    (app(app="a\0b"), "bad_prefix", "a\\x00b"),
    (app(app="a\n"), "bad_prefix", "a\\n"),
    (app(app=".."), "bad_prefix", "'..'"),
    (app(runtime_dir="run/dpdk"), "bad_document", "not an absolute path"),
    (app(runtime_dir="/run/../etc"), "bad_document", "not an absolute path"),
    (app(runtime_dir="/run\0"), "bad_document", "not an absolute path"),
    (app(ports="net_null0"), "bad_document", "apps[0].ports is not a list"),
    (app(adapter="ovs"), "bad_document", "apps[0].adapter is 'ovs'"),
    (app(channel="tcp"), "bad_document", "apps[0].channel is 'tcp'"),
    (app(channel=["ipc"]), "bad_document", "apps[0].channel"),
    (app(force="yes"), "bad_document", "apps[0].force is 'yes'"),
    (app(atomic=1), "bad_document", "apps[0].atomic is 1"),
    (app(timeout=-1), "bad_document", "timeout"),
    (app(timeout=3601), "bad_document", "timeout"),
    (app(timeout=True), "bad_document", "timeout"),
    (app(timeout="5"), "bad_document", "timeout"),
    (app(timeout=float("nan")), "bad_document", "timeout"),
    (app(exclusive=True), "bad_document", "exclusive but no ports"),
    (app(exclusive=True, ports=[{"device": "net_null0", "state": "absent"}]), "bad_document", "exclusive beside"),
    (port(), "bad_document", "exactly one of device, select and port_id"),
    (port(device="net_null0", port_id=1), "bad_document", "exactly one of device, select and port_id"),
    (port(port_id=1), "bad_document", "asks for port_id 1 to be present"),
    (port(port_id=-1, state="absent"), "bad_document", "-1 is not a port id"),
    (port(port_id="1", state="absent"), "bad_document", "'1' is not a port id"),
    (port(port_id=True, state="absent"), "bad_document", "True is not a port id"),
    (port(device="net_null0", state="gone"), "bad_document", "state is 'gone'"),
    (port(device="net_null0", started="no"), "bad_document", "started is 'no'"),
    (port(device="net null0"), "bad_devargs", "net null0"),
    (port(device=7), "bad_devargs", ""),
    (port(device="net_null0", name="x"), "bad_document", "apps[0].ports[0] has what is not known here: name"),
]


@pytest.mark.parametrize("given_document, reason, text", REFUSED)
def test_refused(given_document: t.Any, reason: str, text: str) -> None:
    with pytest.raises(HotplugError) as error:
        document.parse(given_document)
    assert error.value.reason == reason
    assert text in str(error.value)
    assert error.value.way_out


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["version", "apps", "app", "ports", "device", "port_id", "state", "started", "exclusive", "timeout"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_is_taken_or_refused(value: t.Any) -> None:
    try:
        specs, _host = document.parse(value)
    except HotplugError as error:
        json.dumps(error.result())
        return
    assert all(isinstance(spec, AppSpec) for spec in specs)
