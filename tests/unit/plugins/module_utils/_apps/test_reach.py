# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import reach
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App, Reach
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

APP = App("web", "/run/dpdk", pid=7, name="vswitchd")


def ways(testpmd: bool, ipc: bool, eal: bool) -> list[Reach]:
    return [
        Reach("testpmd", "", testpmd, "" if testpmd else "no console", ()),
        Reach("multiprocess", "ipc", ipc, "" if ipc else "no socket", ()),
        Reach("multiprocess", "eal", eal, "" if eal else "no library", ()),
    ]


CHOSEN: list[tuple[tuple[bool, bool, bool], dict[str, str], t.Any]] = [
    ((True, True, True), {}, ("testpmd", "")),
    ((False, True, True), {}, ("multiprocess", "ipc")),
    ((False, False, True), {}, ("multiprocess", "eal")),
    ((True, True, True), {"adapter": "multiprocess"}, ("multiprocess", "ipc")),
    ((True, True, True), {"adapter": "multiprocess", "channel": "eal"}, ("multiprocess", "eal")),
    ((True, True, True), {"adapter": "testpmd"}, ("testpmd", "")),
    (
        (False, False, False),
        {},
        ["no console", "multiprocess (ipc): no socket", "multiprocess (eal): no library"],
    ),
    ((False, True, False), {"channel": "eal"}, ["testpmd: no console", "multiprocess (eal): no library"]),
    ((False, True, True), {"adapter": "testpmd"}, ["testpmd: no console"]),
    ((True, True, True), {"adapter": "grout"}, ["the adapter grout is not for 'vswitchd'"]),
]


@pytest.mark.parametrize("usable, asked, expected", CHOSEN)
def test_choose(
    monkeypatch: pytest.MonkeyPatch, usable: tuple[bool, bool, bool], asked: dict[str, t.Any], expected: t.Any
) -> None:
    monkeypatch.setattr(reach, "reaches", lambda _app, _system: iter(ways(*usable)))
    if isinstance(expected, tuple):
        assert reach.choose(APP, System(), **asked)[:2] == expected
        return
    with pytest.raises(HotplugError) as error:
        reach.choose(APP, System(), **asked)
    assert error.value.reason == "unreachable"
    assert "'web' (pid 7)" in str(error.value)
    assert all(text in str(error.value) for text in expected)


PROGRAMS: list[tuple[tuple[str, ...], list[str]]] = [
    (("/usr/bin/dpdk-testpmd", "-i"), ["multiprocess", "multiprocess", "testpmd", "command"]),
    (("ovs-vswitchd", "unix:/x"), ["openvswitch", "multiprocess", "multiprocess", "command"]),
    (("/usr/bin/grout", "-t"), ["grout", "multiprocess", "multiprocess", "command"]),
    (("pktgen",), ["multiprocess", "multiprocess", "command"]),
    ((), ["multiprocess", "multiprocess", "command"]),
]


@pytest.mark.parametrize("command, names", PROGRAMS)
def test_reaches(command: tuple[str, ...], names: list[str]) -> None:
    found = list(reach.reaches(APP._replace(command=command), System()))
    assert list(dict.fromkeys(one.adapter for one in found)) == list(dict.fromkeys(names))
    assert all(one.reason and not one.usable for one in found if one.adapter == "multiprocess")


def test_a_testpmd_with_a_console_is_reached_by_it(monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    app = APP._replace(command=("/usr/bin/dpdk-testpmd", "-i"))
    monkeypatch.setattr(reach, "consoles", lambda _app: [str(tmp_path)])
    assert next(reach.reaches(app, System())).adapter == "multiprocess"
    (tmp_path / "console").touch()
    assert next(reach.reaches(app, System())).adapter == "testpmd"
