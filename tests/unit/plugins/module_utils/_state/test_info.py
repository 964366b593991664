# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import info
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.at_start import arguments_at_start
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp

pytestmark = pytest.mark.usefixtures("place")
Start = t.Callable[..., FakeApp]


def test_an_application(fake: Start) -> None:
    app = fake(vdevs=["net_null0,size=64"])
    app.attach("vdev:net_null1,size=1")
    (told,) = info.apps(runtime_dir=app.runtime_dir)
    json.dumps(told)
    assert (told["prefix"], told["state"], told["pid"], told["uid"]) == ("web", "running", app.pid, os.geteuid())
    assert (told["version"], told["release"], told["shared"], told["container"]) == (
        "DPDK 22.11.11",
        "22.11.11",
        True,
        False,
    )
    assert [(row["device"], row["devargs"]) for row in told["ports"]] == [
        ("net_null0", "net_null0,size=64"),
        ("net_null1", None),
    ]
    ways = {(one["adapter"], one["channel"]): one for one in told["adapters"]}
    assert ways["multiprocess", "ipc"]["usable"] and ways["multiprocess", "ipc"]["can"] == ["attach", "detach"]
    assert app.requests == []


def test_the_record_tells_arguments(fake: Start) -> None:
    app = fake()
    wanted = {"app": "web", "runtime_dir": app.runtime_dir, "ports": [{"device": "net_null0,size=64"}]}
    converge({"apps": [wanted]})
    (told,) = info.apps(runtime_dir=app.runtime_dir)
    assert told["ports"][0]["devargs"] == "net_null0,size=64"


def test_leftovers_and_distrusted_ones(fake: Start, run: str) -> None:
    app = fake("dead")
    app.end()
    os.symlink("dead", f"{run}/link")
    told = {one["prefix"]: one for one in info.apps(runtime_dir=run)}
    assert (told["dead"]["state"], told["dead"]["pid"], told["dead"]["ports"]) == ("leftover", None, None)
    assert told["dead"]["ports_error"] == "it is not running"
    assert told["link"]["state"] == "distrusted"
    assert "link" in told["link"]["ports_error"]
    assert all(not one["usable"] and one["reason"] for one in told["dead"]["adapters"])


def test_ports_that_cannot_be_read(fake: Start) -> None:
    app = fake()
    app.telemetry_mode("text")
    (told,) = info.apps(runtime_dir=app.runtime_dir)
    assert told["ports"] is None
    assert "JSON" in told["ports_error"]


def test_words_that_are_no_text(fake: Start) -> None:
    app = fake(params=["-l\udcff"])
    (told,) = info.apps(runtime_dir=app.runtime_dir)
    json.dumps(told).encode()


def test_one_application_of_several(fake: Start, run: str) -> None:
    for prefix in ("a", "b", "c"):
        fake(prefix, vdevs=["net_null0", f"net_ring_{prefix}"])
    assert [one["prefix"] for one in info.apps(runtime_dir=run, app="b")] == ["b"]
    assert [one["prefix"] for one in info.apps(runtime_dir=run)] == ["a", "b", "c"]
    assert info.apps(runtime_dir=run, app="none") == []
    with pytest.raises(HotplugError):
        info.apps(runtime_dir=run, app="../a")


def test_ports(fake: Start, run: str) -> None:
    apps = {prefix: fake(prefix, vdevs=["net_null0", f"net_ring_{prefix}"]) for prefix in ("a", "b")}
    fake("c").telemetry_mode("text")
    told = info.ports(runtime_dir=run)
    assert [(row["app"], row["device"]) for row in told["ports"]] == [
        ("a", "net_null0"),
        ("a", "net_ring_a"),
        ("b", "net_null0"),
        ("b", "net_ring_b"),
    ]
    assert [(row["app"], "JSON" in row["reason"]) for row in told["unread"]] == [("c", True)]
    told = info.ports(runtime_dir=run, device="net_null0", app="a")
    assert [(row["app"], row["pid"], row["port_id"]) for row in told["ports"]] == [("a", apps["a"].pid, 0)]
    assert told["unread"] == []


AT_START: list[tuple[tuple[str, ...], dict[str, str]]] = [
    ((), {}),
    (("x", "--vdev", "net_null0,size=64", "--vdev=net_null1"), {"net_null0": "size=64", "net_null1": ""}),
    (
        ("x", "-a", "01:00.0,a=1", "-w02:00.0", "--allow=03:00.0"),
        {"0000:01:00.0": "a=1", "0000:02:00.0": "", "0000:03:00.0": ""},
    ),
    (("x", "--vdev=not a device", "--vdev"), {}),
]


@pytest.mark.parametrize("words, devices", AT_START)
def test_arguments_at_start(words: tuple[str, ...], devices: dict[str, str]) -> None:
    assert arguments_at_start(App("web", "/run/dpdk", eal_params=words)) == devices
