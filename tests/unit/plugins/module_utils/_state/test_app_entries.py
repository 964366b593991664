# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import types
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _devices
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import persistence
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import app_entries, document
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.host_model import HostState
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.plan import Plan
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.steps import Step

Entry = dict[str, t.Any]


def kept(before: list[Entry], *apps: Entry) -> list[Entry]:
    """The applications of the boot document after a document with these."""
    specs, host = document.parse({"apps": [{"persistent": True, **one} for one in apps]})
    assert len(specs) == len(apps) and host is not None
    return list(persistence.merged({"version": 1, "apps": before}, host, HostState({})).get("apps", []))


def test_an_application_is_kept_with_its_ports() -> None:
    app = {"app": "web", "runtime_dir": "/run/x/dpdk", "adapter": "testpmd", "ports": [{"device": "net_null1"}]}
    assert kept([], app) == [app]


def test_what_is_of_one_run_alone_is_not_kept() -> None:
    app = {"app": "web", "ports": [{"device": "net_null1"}], "force": True, "timeout": 5, "recreate": None}
    assert kept([], app) == [{"app": "web", "ports": [{"device": "net_null1"}]}]


def test_defaults_of_a_module_say_nothing() -> None:
    before = [{"app": "web", "adapter": "testpmd", "exclusive": True, "ports": []}]
    defaults = {"exclusive": False, "atomic": True, "recreate": False, "adapter": "auto", "channel": "auto"}
    (found,) = kept(before, {"app": "web", **defaults, "ports": [{"device": "net_null1"}]})
    assert found == {**before[0], "ports": [{"device": "net_null1"}]}


def test_what_is_said_of_all_ports_is_kept_with_each() -> None:
    ports = [
        {"device": "net_null1"},
        {"device": "net_null2", "started": False},
        {"device": "net_null3", "state": "absent"},
    ]
    (found,) = kept([], {"app": "web", "started": True, "ports": ports})
    assert found["ports"] == [{"device": "net_null1", "started": True}, {"device": "net_null2", "started": False}]


def test_ports_come_to_those_that_are_kept_and_go_from_them() -> None:
    before = [{"app": "web", "ports": [{"device": "net_null1"}, {"device": "0000:01:00.0"}]}]
    (found,) = kept(before, {"app": "web", "ports": [{"device": "01:00.0,x=1"}, {"device": "net_null2"}]})
    assert [one["device"] for one in found["ports"]] == ["net_null1", "01:00.0,x=1", "net_null2"]
    (found,) = kept(before, {"app": "web", "state": "absent", "ports": [{"device": "net_null1"}]})
    assert found["ports"] == [{"device": "0000:01:00.0"}]
    assert kept([found], {"app": "web", "ports": [{"device": "0000:01:00.0", "state": "absent"}]}) == []


def test_exclusive_takes_the_place_of_all() -> None:
    before = [{"app": "web", "drain": ["true"], "ports": [{"device": "net_null1"}]}]
    (found,) = kept(before, {"app": "web", "exclusive": True, "ports": [{"device": "net_null2"}]})
    assert found == {"app": "web", "exclusive": True, "ports": [{"device": "net_null2"}]}
    (found,) = kept([found], {"app": "web", "exclusive": True, "ports": []})
    assert found["ports"] == [], "no ports, and none but these, is a state to be kept too"


def test_selectors_are_kept_as_they_are() -> None:
    port = {"select": {"netdev": "eth1"}, "args": "x=1"}
    (found,) = kept([], {"app": "web", "ports": [port]})
    assert found["ports"] == [port]
    assert kept([found], {"app": "web", "ports": [port]}) == [found]


def test_others_stay_and_what_shall_not_persist_goes() -> None:
    before: list[Entry] = [
        {"app": "db", "ports": []},
        {"app": "web", "ports": [{"device": "net_null1"}, {"device": "net_null2"}]},
    ]
    ended = {"app": "web", "persistent": False, "ports": [{"device": "net_null1"}]}
    assert [len(one["ports"]) for one in kept(before, ended)] == [0, 1]
    assert kept(before, {"app": "web", "persistent": False}) == before[:1]
    same_name = {"app": "web", "runtime_dir": "/run/x/dpdk", "persistent": False}
    assert kept(before, same_name) == before


def test_nothing_said_is_nothing_changed() -> None:
    _specs, host = document.parse({"apps": [{"app": "web", "ports": [{"device": "net_null1"}]}]})
    assert host is None


@pytest.mark.parametrize(
    ("app", "why"),
    [
        ({"ports": [{"device": "net_null1"}]}, "without a name"),
        ({"app": "web", "ports": [{"port_id": 3, "state": "absent"}]}, "is for a port_id"),
        ({"app": "web", "persistent": "yes"}, "persistent"),
    ],
)
def test_what_cannot_be_kept_is_refused(app: Entry, why: str) -> None:
    with pytest.raises(HotplugError) as caught:
        kept([], app)
    assert caught.value.reason == "bad_document" and why in caught.value.message


@pytest.mark.parametrize(
    ("entry", "steps", "spoken", "warned"),
    [
        ({"app": "web"}, ["detach net_null1"], (), True),
        ({"app": "web", "runtime_dir": "/run/dpdk/"}, ["detach net_null1"], (), True),
        ({"app": "web", "runtime_dir": "/run/x/dpdk"}, ["detach net_null1"], (), False),
        ({"app": "other"}, ["detach net_null1"], (), False),
        ({"app": "web"}, ["detach net_null1"], ("web",), False),
        ({"app": "web"}, ["detach net_null2"], (), False),
        ({"app": "web"}, ["detach net_null1", "attach net_null1"], (), False),
        ({"app": "web"}, ["stop net_null1"], (), False),
    ],
)
def test_what_comes_back_is_warned_about(entry: Entry, steps: list[str], spoken: tuple[str, ...], warned: bool) -> None:
    work = types.SimpleNamespace(app=App("web", "/run/dpdk"))
    planned = [Step(verb, _devices.parse(name)) for verb, name in map(str.split, steps)]
    entries = [{**entry, "ports": [{"device": "net_null1,size=64"}]}]
    found = app_entries.coming_back(entries, t.cast(t.Any, work), Plan(tuple(planned), ()), spoken)
    assert bool(found) is warned
    if warned:
        assert "'net_null1'" in found[0] and "'web'" in found[0] and "persistent: false" in found[0]
