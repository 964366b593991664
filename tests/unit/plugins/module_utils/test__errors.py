# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError

TEXTS: list[tuple[dict[str, t.Any], str]] = [
    ({}, "it is bad"),
    ({"way_out": "Mend it."}, "it is bad. Mend it."),
    ({"app": "web"}, "application 'web': it is bad"),
    ({"device": "net_null0"}, "device 'net_null0': it is bad"),
    ({"app": "web", "device": "net_null0", "way_out": "X."}, "application 'web', device 'net_null0': it is bad. X."),
]


@pytest.mark.parametrize("fields, text", TEXTS)
def test_text(fields: dict[str, t.Any], text: str) -> None:
    assert str(HotplugError("bad", "it is bad", **fields)) == text


def test_a_name_that_the_message_has_is_not_repeated() -> None:
    error = HotplugError("bad", "device 'net_null0' of application 'web' is bad", app="web", device="net_null0")
    assert str(error) == error.message


def test_result_has_what_is_known_and_the_fields() -> None:
    error = HotplugError("bad", "it is bad", app="web", errno=-12)
    assert error.result() == {
        "msg": "application 'web': it is bad",
        "error": {"reason": "bad", "message": "it is bad", "app": "web", "errno": -12},
    }


def test_about_fills_in_only_what_was_not_known() -> None:
    error = HotplugError("bad", "it is bad", device="net_null0").about(app="web", device="net_null9")
    assert (error.app, error.device) == ("web", "net_null0")
