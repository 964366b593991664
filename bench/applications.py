# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of applications: against ping, against a loop, inside the module; on real testpmds."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from figures import Figure, figure, median, ms, ratio, say
from packed import archive, inside
from playing import play
from releases import Dpdk, Testpmd

DEVICES = [f"net_null{number}" for number in range(1, 32)]


def document(app: str, devices: Sequence[str], state: str = "present") -> dict[str, Any]:
    return {"apps": [{"app": app, "state": state, "ports": [{"device": device} for device in devices]}]}


@contextlib.contextmanager
def applications(dpdk: Dpdk, names: Sequence[str], vdevs: Sequence[str]) -> Iterator[list[Testpmd]]:
    options = ["--total-num-mbufs=2048", "--no-mlockall"]
    try:
        yield [dpdk.start_testpmd(name, vdevs, options=options) for name in names]
    finally:
        dpdk.stop_all()


def measure(directory: Path, rounds: int) -> list[Figure]:
    dpdk = Dpdk("22.11", directory)
    pack = archive(directory)
    with applications(dpdk, ["bench"], []):
        figures = [nothing_to_do(directory, rounds), in_one_task(directory, max(3, rounds // 5))]
        figures += [*one_attach(pack, rounds), size(pack)]
    say("8 applications with 32 ports each")
    with applications(dpdk, [f"bench{number}" for number in range(8)], [f"net_null{number}" for number in range(32)]):
        figures.insert(3, many(pack, rounds))
    return figures


def task(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "dpdk.hotplug.dpdk_port": {"app": "bench", **arguments}}


def ports(**more: Any) -> dict[str, Any]:
    return {"ports": [{"device": device} for device in DEVICES], **more}


def nothing_to_do(directory: Path, rounds: int) -> Figure:
    rows = [task("first", **ports())]
    for _round in range(rounds):
        rows += [{"name": "ping", "ansible.builtin.ping": None}, task("nothing", **ports())]
    taken = play(directory, [*rows, task("last", **ports(state="absent"))]).taken
    times = ratio(taken["nothing"], taken["ping"])
    return figure(
        "dpdk_port with 31 ports, nothing to do, against ansible.builtin.ping",
        times,
        "times",
        "at most 1.25",
        met=times <= 1.25,
        detail=f"{ms(taken['nothing'])} against {ms(taken['ping'])}",
        runs=rounds,
    )


def in_one_task(directory: Path, rounds: int) -> Figure:
    rows: list[dict[str, Any]] = []
    for _round in range(rounds):
        rows += [task("one task", **ports()), task("between", **ports(state="absent"))]
        rows += [{**task("loop", device="{{ item }}"), "loop": DEVICES}, task("between", **ports(state="absent"))]
    taken = play(directory, rows).taken
    times = ratio(taken["loop"], taken["one task"])
    return figure(
        "31 ports attached in one task, against a loop of 31 tasks",
        times,
        "times faster",
        "at least 15",
        met=times >= 15,
        detail=f"{median(taken['one task']):.2f} s against {median(taken['loop']):.2f} s",
        runs=rounds,
    )


def one_attach(pack: Path, rounds: int) -> list[Figure]:
    text = json.dumps(document("bench", ["net_null77"]))
    taken = [inside(pack, "attach", text, "net_null77") for _round in range(rounds)]
    more = median([one["imported"] - one["raw"] for one in taken]) * 1e3
    own, whole = (median([one[name] for one in taken]) * 1e3 for name in ("raw", "seconds"))
    detail = f"DPDK's own {own:.2f} ms; with the import of the library {whole:.0f} ms"
    return [
        figure(
            "one attach on ipc, inside the module, over DPDK's own time",
            more,
            "ms more",
            "under 5",
            met=more < 5,
            detail=detail,
            runs=rounds,
        )
    ]


def size(pack: Path) -> Figure:
    text = json.dumps(document("bench", DEVICES))
    inside(pack, "nothing", text)
    answer = inside(pack, "nothing", text)
    assert not answer["changed"]
    kib = sum(answer["sources"].values()) / 1024
    return figure(
        "library imported by a call with nothing to do",
        kib,
        "KiB",
        "under 80, no EAL",
        met=kib < 80 and not answer["libraries"],
        detail=f"{len(answer['sources'])} files; {len(answer['libraries'])} DPDK libraries loaded",
        runs=1,
    )


def many(pack: Path, rounds: int) -> Figure:
    answers = [inside(pack, "info", "{}") for _round in range(rounds)]
    took = median([one["seconds"] for one in answers]) * 1e3
    return figure(
        "dpdk_app_info with 8 applications and 256 ports, inside the module",
        took,
        "ms",
        "under 50",
        met=took < 50,
        detail=f"{answers[0]['apps']} applications, {answers[0]['ports']} ports",
        runs=rounds,
    )
