# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import Act, FakeApp

pytestmark = pytest.mark.usefixtures("place", "patient")


def test_one_that_dies_after_its_answer_was_given_up(fake: t.Callable[..., FakeApp]) -> None:
    app = fake()
    app.script(Act(), Act(delay=0.6, dies="before"))
    ports = [{"device": "net_null0"}, {"device": "net_null1"}]
    with pytest.raises(HotplugError) as error:
        converge({"apps": [{"app": "web", "runtime_dir": app.runtime_dir, "ports": ports, "timeout": 0.3}]})
    assert error.value.reason == "primary_gone"
    assert error.value.fields["not_undone"] == error.value.fields["undone"] == []
    app.gone()


def test_the_undo_of_a_forced_detach_says_that_the_port_is_not_started_again(fake: t.Callable[..., FakeApp]) -> None:
    app = fake(vdevs=["net_null0"])
    app.start(0)
    ports = [{"device": "net_null0", "state": "absent"}, {"device": "net_nope0"}]
    with pytest.raises(HotplugError) as error:
        converge({"apps": [{"app": "web", "runtime_dir": app.runtime_dir, "ports": ports, "force": True}]})
    assert error.value.reason == "unknown_driver"
    (left,) = error.value.fields["not_undone"]
    assert "attached again, but not started" in left
    assert (app.attached, app.started) == ({"net_null0": ""}, set())
