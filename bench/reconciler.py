# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon ports are back when an application is started anew, and what the reconciler costs while nothing happens."""

from __future__ import annotations

import time
from pathlib import Path

from beds import Console
from figures import Figure, figure, median, ms
from reconciled import Reconciled, host, names
from releases import Dpdk

PORTS = [f"net_null{number}" for number in range(1, 9)]
REST = 30.0  # seconds


def measure(directory: Path, rounds: int) -> list[Figure]:
    place = directory / "reconciler"
    place.mkdir()
    with host(place) as bed:
        bed.wants(
            {"app": "bench-plain", "ports": [{"device": one} for one in PORTS]},
            {"app": Console.prefix, "ports": [{"device": one, "started": True} for one in PORTS]},
        )
        plain = [_plain(Dpdk("22.11", place)) for _round in range(rounds)]
        served = [_served(place) for _round in range(max(3, rounds // 3))]
        return [_restart(plain, served), *_at_rest(bed, Dpdk("22.11", place))]


def _plain(dpdk: Dpdk) -> float:
    """Seconds from telemetry that answers to all ports, by the multi-process socket."""
    dpdk.start_testpmd("bench-plain", wait=False, options=["--total-num-mbufs=2048", "--no-mlockall"])
    try:
        return _until("bench-plain")
    finally:
        dpdk.stop_all()


def _served(place: Path) -> float:
    """The same by testpmd's console, which is there later than telemetry, and with the ports started."""
    app = Console(place)
    app.launch()
    try:
        return _until(Console.prefix)
    finally:
        app.settle()
        app.end()


def _until(prefix: str) -> float:
    answered = 0.0
    while True:
        found = names(prefix)
        if found is not None:
            answered = answered or time.perf_counter()
            if found >= set(PORTS):
                return time.perf_counter() - answered
        time.sleep(0.001)


def _restart(plain: list[float], served: list[float]) -> Figure:
    return figure(
        f"application started anew, {len(PORTS)} ports attached again, after telemetry answers",
        median(plain) * 1e3,
        "ms",
        "under 300",
        met=median(plain) < 0.3 and median(served) < 0.3,
        detail=f"the longest {max(plain) * 1e3:.0f} ms; by testpmd's console, and started, {ms(served)}",
        runs=len(plain),
    )


def _at_rest(bed: Reconciled, dpdk: Dpdk) -> list[Figure]:
    """With an application that has its ports, and one that does not run."""
    dpdk.start_testpmd("bench-plain", options=["--total-num-mbufs=2048", "--no-mlockall"])
    try:
        _until("bench-plain")
        time.sleep(12)  # the one that does not run was looked for so long
        before = bed.used()
        time.sleep(REST)
        after = bed.used()
    finally:
        dpdk.stop_all()
    share = (after.seconds - before.seconds) / REST * 100
    memory = after.resident / 1024
    return [
        figure(
            "reconciler at rest, of a processor",
            share,
            "%",
            "under 0.1",
            met=share < 0.1,
            detail=f"{after.switches - before.switches} wake-ups in {REST:.0f} s",
            runs=1,
        ),
        figure(
            "reconciler at rest, memory (RSS)",
            memory,
            "MiB",
            "under 30",
            met=memory < 30,
            detail=f"its share of it (PSS) {after.proportional / 1024:.1f} MiB",
            runs=1,
        ),
    ]
