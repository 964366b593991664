# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import threading
import typing as t

_In = t.TypeVar("_In")
_Out = t.TypeVar("_Out")

# Directories may be made by anybody, and a thread has a descriptor or two.
_MOST = 64
# Seconds without any progress after which one more thread goes on beside those that wait. Threads that all have
# something to do only take turns: one alone is faster.
_PATIENCE = 0.03


def side_by_side(function: t.Callable[[_In], _Out], items: t.Sequence[_In]) -> list[_Out]:
    """``function`` of each item, in their order: one that hangs does not keep the others waiting."""
    if len(items) < 2:
        return [function(item) for item in items]
    left = list(enumerate(items))[::-1]
    results: dict[int, _Out] = {}
    failures: list[Exception] = []
    done = threading.Semaphore(0)

    def work() -> None:
        while left:
            try:
                index, item = left.pop()
            except IndexError:  # another thread has taken the last one
                return
            try:
                results[index] = function(item)
            except Exception as exc:
                failures.append(exc)
            done.release()

    threads = 0
    for _item in items:
        while threads == 0 or not done.acquire(timeout=_PATIENCE if left and threads < _MOST else None):
            threading.Thread(target=work, daemon=True).start()
            threads += 1
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(items))]
