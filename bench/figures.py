# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement gives: one row of the table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

Figure = dict[str, Any]


def figure(measure: str, value: float, unit: str, reach: str, *, met: bool, detail: str, runs: int) -> Figure:
    return {
        "measure": measure,
        "value": value,
        "unit": unit,
        "reach": reach,
        "met": met,
        "detail": detail,
        "runs": runs,
    }


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """Of what was measured in turn, so that what slows both down is in neither."""
    return median([one / other for one, other in zip(ones, others)])


def ms(seconds: Sequence[float]) -> str:
    return f"{median(seconds) * 1e3:.0f} ms"


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)
