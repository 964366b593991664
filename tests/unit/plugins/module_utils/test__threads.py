# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._threads import _MOST, side_by_side


@pytest.mark.parametrize("count", [0, 1, 2, _MOST, 5 * _MOST + 1])
def test_results_in_order(count: int) -> None:
    assert side_by_side(str, range(count)) == [str(number) for number in range(count)]


def test_waited_for_together_and_not_without_bound() -> None:
    most = 0

    def wait(_number: int) -> None:
        nonlocal most
        most = max(most, threading.active_count())
        time.sleep(0.05)

    before = threading.active_count()
    side_by_side(wait, range(3 * _MOST))
    assert before + 1 < most <= before + _MOST
    assert threading.active_count() == before


@pytest.mark.parametrize("count", [1, 3])
def test_a_failure_is_the_caller_s(count: int) -> None:
    def fail(number: int) -> None:
        raise IndexError(number)

    with pytest.raises(IndexError):
        side_by_side(fail, range(count))
