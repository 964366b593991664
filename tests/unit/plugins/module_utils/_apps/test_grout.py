# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""grout behind a client that keeps its interfaces in a file; what it answers is what grcli 0.19 answered."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import grout
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App, Port
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

_CLIENT = """#!{python}
import json, os, sys
words = sys.argv[sys.argv.index("-j") + 1:]
place = {place!r}
with open(place) as file:
    state = json.load(file)
with open(place + ".calls", "a") as file:
    file.write(" ".join(words) + "\\n")
def refuse(number):
    if number:
        print(json.dumps({{"error": "command failed: " + os.strerror(number), "errno": number}}), file=sys.stderr)
    else:
        print("error: connect: Connection refused", file=sys.stderr)
    sys.exit(1)
if state["refuse"] is not None and words[1] != "show":
    refuse(state["refuse"])
ports = state["ports"]
if words[:2] == ["interface", "show"]:
    if words[2:] and words[3] not in ports:
        refuse(19)
    rows = [{{"name": "main", "id": 1, "type": "vrf", "flags": ["up"], "info": ""}}]
    rows += [{{"name": n, "id": p["id"], "type": "port", "flags": p["flags"], "info": ""}} for n, p in ports.items()]
    print(state["says"] or json.dumps({{"name": words[3], "type": "port", **ports[words[3]]}} if words[2:] else rows))
elif words[1] == "add":
    number = 2 + len(ports)
    ports[words[3]] = {{"id": number, "flags": ["up", "running"], "devargs": words[5], "mac": "AA:BB:CC:00:00:01"}}
    print("Created interface", number)
elif words[1] == "del":
    del ports[words[2]]
else:
    ports[words[3]]["flags"] = [words[4]]
with open(place, "w") as file:
    json.dump(state, file)
"""


class Fake:
    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = directory / "state"
        self.place.write_text(json.dumps({"ports": {}, "refuse": None, "says": ""}))
        client = directory / "grcli"
        client.write_text(_CLIENT.format(python=sys.executable, place=str(self.place)))
        client.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
        self.app = App("grout", "", pid=os.getpid(), uid=os.geteuid(), command=("grout", "-s", str(self.place)))
        self.adapter = grout.Grout(self.app, System(), timeout=20)

    def write(self, **changes: t.Any) -> None:
        self.place.write_text(json.dumps({**json.loads(self.place.read_text()), **changes}))

    @property
    def ports(self) -> list[Port]:
        return grout.GroutPorts(self.app, System(), timeout=20).read()

    @property
    def changes(self) -> list[str]:
        calls = Path(f"{self.place}.calls").read_text().splitlines()
        return [call for call in calls if call.split()[1] != "show"]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(tmp_path, monkeypatch)


def test_a_port_comes_is_switched_and_goes(fake: Fake) -> None:
    fake.adapter.precheck()
    fake.adapter.attach(parse("net_null0,size=64"))
    assert fake.ports == [
        Port(2, "net_null0", False, "aa:bb:cc:00:00:01", -1, True, True, devargs="net_null0,size=64"),
    ]
    fake.adapter.stop(2)
    assert not fake.ports[0].started
    fake.adapter.start(2)
    assert fake.ports[0].started
    fake.adapter.detach(parse("net_null0"), [2])
    assert fake.ports == []


def test_an_address_is_no_name_for_grout(fake: Fake) -> None:
    """0.19 answers EKEYREJECTED to a name with ':'."""
    fake.adapter.attach(parse("0000:01:00.0"))
    assert fake.changes == ["interface add port p0000_01_00_0 devargs 0000:01:00.0"]
    assert fake.ports[0].name == "0000:01:00.0"


def test_names_fit_and_are_free(fake: Fake) -> None:
    fake.adapter.attach(parse("net_af_packet_one"))
    fake.adapter.attach(parse("net_af_packet_one2"))
    assert [call.split()[3] for call in fake.changes] == ["net_af_packet_o", "net_af_pack-0"]


def test_a_port_that_is_put_back_has_its_name_again(fake: Fake) -> None:
    row = {"id": 9, "flags": ["up"], "devargs": "net_null0", "mac": ""}
    fake.write(ports={"uplink": row})
    fake.adapter.detach(parse("net_null0"), [9])
    fake.adapter.attach(parse("net_null0"))
    assert fake.changes == ["interface del uplink", "interface add port uplink devargs net_null0"]


REFUSED: list[tuple[int, str]] = [
    (1, "bad_devargs"),
    (14, "unknown_driver"),
    (17, "exists"),
    (19, "no_such_device"),
    (12, "no_memory"),
    (0, "grout_error"),
]


@pytest.mark.parametrize("number, reason", REFUSED)
def test_refusals_have_their_reasons(fake: Fake, number: int, reason: str) -> None:
    fake.write(refuse=number)
    with pytest.raises(HotplugError) as error:
        fake.adapter.attach(parse("net_null0"))
    assert error.value.reason == reason
    assert error.value.way_out
    assert number or "Connection refused" in str(error.value)


@pytest.mark.parametrize("says", ["{}", "nonsense", '[{"name": "x", "type": "port"}]'])
def test_a_client_that_tells_no_interfaces_is_not_believed(fake: Fake, says: str) -> None:
    fake.write(says=says, ports={"x": {"id": 1, "flags": []}})
    with pytest.raises(HotplugError) as error:
        fake.adapter.precheck()
    assert error.value.reason == "grout_error"


SOCKETS: list[tuple[tuple[str, ...], str]] = [
    (("grout",), "/run/grout.sock"),
    (("grout", "-s", "/a"), "/a"),
    (("grout", "--socket=/b", "-t"), "/b"),
    (("grout", "-t", "--", "-s", "1"), "/run/grout.sock"),
]


@pytest.mark.parametrize("command, place", SOCKETS)
def test_its_socket_is_where_its_command_line_says(command: tuple[str, ...], place: str) -> None:
    assert grout.socket_of(App("grout", "", command=command), System("/nowhere")) == place


def test_what_stands_in_the_way_is_told(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert grout.obstacle(fake.app, System()) == ""
    assert "is not there" in grout.obstacle(fake.app._replace(command=("grout", "-s", "/no/such")), System())
    monkeypatch.setenv("PATH", "/nowhere")
    assert "grcli is not on this host" in grout.obstacle(fake.app, System())
