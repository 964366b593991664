# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._state import document
from ansible_collections.dpdk.hotplug.plugins.plugin_utils._merge import apps

GROUP: list[dict[str, t.Any]] = [
    {"app": "web", "exclusive": True, "ports": [{"device": "net_null1"}, {"device": "0000:01:00.0"}]}
]


def ports(*lists: t.Any) -> list[t.Any]:
    (one,) = apps(list(lists))
    return t.cast("list[t.Any]", one["ports"])


def test_ports_of_groups_and_hosts_come_together() -> None:
    assert ports(GROUP, [{"app": "web", "ports": [{"device": "net_null2"}]}]) == [
        *GROUP[0]["ports"],
        {"device": "net_null2"},
    ]


def test_a_device_that_both_name_is_the_hosts() -> None:
    own = [{"device": "01:00.0,x=1", "started": True}, {"device": "net_null1,size=128"}]
    assert ports(GROUP, [{"app": "web", "ports": own}]) == [own[1], own[0]]


def test_a_host_without_one_that_its_group_has() -> None:
    gone = [{"app": "web", "ports": [{"device": "net_null1", "state": "absent"}]}]
    assert ports(GROUP, gone) == [{"device": "0000:01:00.0"}]
    kept = ports(GROUP, [{**gone[0], "exclusive": False}])
    assert kept[0] == gone[0]["ports"][0], "it is not detached by itself then"


def test_options_of_the_last_count_and_none_says_nothing() -> None:
    (one,) = apps(
        [GROUP, [{"app": "web", "adapter": "testpmd", "exclusive": None}], [{"app": "web", "adapter": "auto"}]]
    )
    assert one["adapter"] == "auto" and one["exclusive"] is True and len(one["ports"]) == 2


def test_applications_are_known_by_name_and_place() -> None:
    elsewhere = {"app": "web", "runtime_dir": "/run/x/dpdk", "ports": []}
    found = apps([GROUP, [elsewhere, {"app": "db", "ports": []}], [{**elsewhere, "runtime_dir": "/run/x/dpdk/"}]])
    assert [(one["app"], one.get("runtime_dir", "")) for one in found] == [
        ("web", ""),
        ("web", "/run/x/dpdk/"),
        ("db", ""),
    ]


def test_selectors_are_known_by_what_they_ask() -> None:
    first, second = {"select": {"netdev": "eth1"}}, {"select": {"mac": "02:00:00:00:00:01"}}
    assert ports([{"app": "web", "ports": [first, second]}], [{"app": "web", "ports": [{**first, "args": "x=1"}]}]) == [
        {**first, "args": "x=1"},
        second,
    ]


def test_what_was_given_is_not_touched_and_what_comes_out_is_a_document() -> None:
    lists = [GROUP, [{"app": "web", "ports": [{"device": "net_null1", "state": "absent"}]}]]
    before = copy.deepcopy(lists)
    document.parse({"apps": apps(lists)})
    assert lists == before and apps([]) == [] and apps([[], []]) == []


@pytest.mark.parametrize("lists", ["x", [1], [["x"]], [{"app": "web"}], [[{"ports": "x"}], [{"ports": []}]], None])
def test_what_is_no_list_of_applications_is_refused(lists: t.Any) -> None:
    with pytest.raises(ValueError, match=r"list|dictionary"):
        apps(lists)
