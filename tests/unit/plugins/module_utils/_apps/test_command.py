# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _devices
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import reach_others as reach
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App, Means, Port
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.command import Command, CommandPorts
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import Release
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError

APP = App("web", "/run/dpdk", pid=7, uid=os.geteuid(), telemetry="x", release=Release(22, 11))


class FewPorts:
    def read(self) -> list[Port]:
        return [Port(3, "net_null0", False, "", -1, True, True)]

    def again(self, port_ids: t.Iterable[int]) -> list[Port]:
        return [port for port in self.read() if port.port_id in set(port_ids)]


@pytest.fixture
def noted(tmp_path: Path) -> t.Iterator[tuple[Command, t.Callable[[], list[str]]]]:
    """An adapter whose commands note their arguments, and what they have noted."""
    file = tmp_path / "noted"
    note = ["sh", "-c", f'echo "$@" >> {file}', "note"]
    commands = {
        "attach": (*note, "add", "{devargs}", "{app}", "{pid}", "{runtime_dir}"),
        "detach": (*note, "del", "{device}", "{port_ids}"),
        "stop": (*note, "down", "{device}", "{port_ids}"),
        "status": ("true",),
    }
    yield Command(APP, commands, FewPorts(), timeout=20), lambda: file.read_text().splitlines()


def test_each_verb_runs_its_command_with_what_it_is_about(noted: tuple[Command, t.Callable[[], list[str]]]) -> None:
    adapter, told = noted
    assert adapter.verbs == {"attach", "detach", "stop"}
    adapter.precheck()
    adapter.attach(_devices.parse("net_null0,size=64"))
    adapter.stop(3)
    adapter.stop(4)  # it is gone: nothing is to be stopped
    adapter.detach(_devices.parse("net_null0,size=64"), [3, 4])
    assert told() == ["add net_null0,size=64 web 7 /run/dpdk", "down net_null0 3", "del net_null0 3,4"]
    assert adapter.settle()


def test_a_verb_without_a_command_is_not_supported(noted: tuple[Command, t.Callable[[], list[str]]]) -> None:
    with pytest.raises(HotplugError) as error:
        noted[0].start(3)
    assert error.value.reason == "not_supported"
    assert "commands.start" in str(error.value)


def test_a_program_that_is_missing_is_refused_before_the_first_change() -> None:
    adapter = Command(APP, {"attach": ("true",), "detach": ("/no/such",)}, FewPorts(), timeout=1)
    with pytest.raises(HotplugError, match="command for detach '/no/such'") as error:
        adapter.precheck()
    assert error.value.reason == "no_command"


def status(text: str, code: int = 0) -> CommandPorts:
    return CommandPorts(APP, ["sh", "-c", f"printf %s '{text}'; exit {code}"], timeout=20)


def test_status_tells_the_ports() -> None:
    ports = status(
        json.dumps(
            [
                {"device": "net_null0,size=64", "port_id": 4, "started": True, "mac": "AA:00:00:00:00:01"},
                {"device": "01:00.0"},
            ]
        )
    ).read()
    assert ports == [
        Port(4, "net_null0", False, "aa:00:00:00:00:01", -1, True, True, devargs="net_null0,size=64"),
        Port(1, "0000:01:00.0", False, "", -1, False, False),
    ]
    assert status("[]").again([0]) == []


NONSENSE = [
    "",
    "null",
    "{",
    '{"device": "x"}',
    "[1]",
    '[{"port_id": 1}]',
    '[{"device": "../x"}]',
    '[{"device": "x", "port_id": true}]',
    '[{"device": "x", "started": "no"}]',
]


@pytest.mark.parametrize("text", NONSENSE)
def test_a_status_that_is_nonsense_is_refused(text: str) -> None:
    with pytest.raises(HotplugError) as error:
        status(text).read()
    assert error.value.reason == "command_failed"
    assert "It prints [" in error.value.way_out


def test_a_status_that_fails_is_an_error_whatever_it_prints() -> None:
    with pytest.raises(HotplugError) as error:
        status("[]", 1).read()
    assert error.value.reason == "command_failed"


ATTACH: dict[str, tuple[str, ...]] = {"attach": ("true",)}
USABLE: list[tuple[dict[str, t.Any], dict[str, tuple[str, ...]], str]] = [
    ({}, ATTACH, ""),
    ({}, {}, "no commands are given"),
    ({"pid": 0}, ATTACH, "not running"),
    ({"telemetry_error": "it hangs"}, ATTACH, "it hangs"),
    ({"telemetry_error": "it hangs"}, {**ATTACH, "status": ("true",)}, ""),
    ({"distrust": "it is a link"}, ATTACH, "it is a link"),
]


@pytest.mark.parametrize("changes, commands, why", USABLE)
def test_reach(changes: dict[str, t.Any], commands: dict[str, tuple[str, ...]], why: str) -> None:
    one = reach.command(APP._replace(**changes), Means(commands))
    assert (one.usable, bool(one.reason)) == (not why, bool(why))
    assert why in one.reason
    assert one.verbs == (tuple(verb for verb in commands if verb != "status") or reach.COMMAND_VERBS)
