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
# A process has 1024 descriptors, and each thread holds a few: anybody can fill a /tmp/dpdk with directories.
_MOST = 64


def side_by_side(function: t.Callable[[_In], _Out], items: t.Sequence[_In]) -> list[_Out]:
    """``function`` of each item, in their order, waited for together: one that hangs does not add to another."""
    if len(items) < 2:
        return [function(item) for item in items]
    results: dict[int, _Out] = {}
    failures: list[Exception] = []

    def run(first: int) -> None:
        try:
            for index in range(first, len(items), _MOST):
                results[index] = function(items[index])
        except Exception as exc:  # whatever it is, it is the caller's
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in range(min(len(items), _MOST))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure
    return [results[index] for index in range(len(items))]
