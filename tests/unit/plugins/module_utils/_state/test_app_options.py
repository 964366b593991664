# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import app_document

ACT = {"attach": ["add", "{devargs}"], "detach": ["del", "{device}", "{port_ids}"]}


def parsed(**entry: t.Any) -> t.Any:
    return app_document.parse([{"app": "web", "ports": [{"device": "net_null0"}], **entry}])[0]


def test_commands_and_hooks_are_read() -> None:
    spec = parsed(
        commands={**ACT, "status": ["list", "{pid}"], "start": None},
        drain=["drain", "{device}"],
        undrain=["undrain"],
        drain_timeout=5,
    )
    assert dict(spec.commands) == {"attach": ("add", "{devargs}"), "detach": ("del", "{device}", "{port_ids}")} | {
        "status": ("list", "{pid}")
    }
    assert (spec.drain, spec.undrain, spec.drain_timeout) == (("drain", "{device}"), ("undrain",), 5.0)


def test_the_hooks_may_stand_among_the_commands() -> None:
    spec = parsed(commands={**ACT, "drain": ["d"], "undrain": ["u"]})
    assert (spec.drain, spec.undrain, set(spec.commands)) == (("d",), ("u",), {"attach", "detach"})


def test_hooks_alone_leave_the_choice_of_the_adapter_free() -> None:
    spec = parsed(drain=["d"], adapter="testpmd")
    assert (spec.commands, spec.drain, spec.adapter) == ({}, ("d",), "testpmd")
    assert spec.drain_timeout > 60, "sessions take minutes to move"


def test_the_bridge_of_a_port_goes_before_that_of_the_application() -> None:
    spec = parsed(bridge="br0", ports=[{"device": "net_null0"}, {"device": "net_null1", "bridge": "br1"}])
    assert (spec.bridge, [port.bridge for port in spec.ports]) == ("br0", ["", "br1"])


WRONG: list[tuple[dict[str, t.Any], str, str]] = [
    ({"commands": ["x"]}, "commands", "is not an object"),
    ({"commands": {"atach": ["x"]}}, "commands", "not known here: atach"),
    ({"commands": {"attach": "x {device}"}}, "commands.attach", "is not a list of texts"),
    ({"commands": {"attach": ["x", 1]}}, "commands.attach", "is not a list of texts"),
    ({"commands": {"attach": ["x", "a\0b"]}}, "commands.attach", "is not a list of texts"),
    ({"commands": {"attach": []}}, "commands.attach", "is empty"),
    ({"commands": {"attach": [""]}}, "commands.attach", "is empty"),
    ({"commands": {"attach": ["x", "{devarg}"]}}, "commands.attach", "{devarg}"),
    ({"commands": {"attach": ["{device}"]}}, "commands.attach", "placeholder as program"),
    ({"commands": {**ACT, "status": ["x", "{device}"]}}, "commands.status", "{device}"),
    ({"commands": {"status": ["x"]}}, "commands", "nothing but status"),
    ({"commands": ACT, "adapter": "testpmd"}, "apps[0]", "commands beside the adapter testpmd"),
    ({"bridge": "br0", "adapter": "grout"}, "apps[0]", "bridge beside the adapter grout"),
    ({"bridge": "a b"}, "bridge", "not the name of a bridge"),
    ({"bridge": 1}, "bridge", "is not a text"),
    ({"ports": [{"device": "net_null0", "bridge": "a/b"}]}, "ports[0].bridge", "not the name of a bridge"),
    ({"drain": ["x"], "commands": {**ACT, "drain": ["y"]}}, "apps[0]", "drain twice"),
    ({"drain": "x"}, "drain", "is not a list of texts"),
    ({"undrain": ["x"]}, "apps[0]", "undrain without drain"),
    ({"drain": ["x"], "drain_timeout": -1}, "drain_timeout", "-1"),
]


@pytest.mark.parametrize("entry, place, text", WRONG)
def test_what_is_wrong_is_refused_with_its_place(entry: dict[str, t.Any], place: str, text: str) -> None:
    with pytest.raises(HotplugError) as error:
        parsed(**entry)
    assert error.value.reason == "bad_document"
    assert place in str(error.value) and text in str(error.value)
