# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what the README promises of speed, each figure interleaved with its peer in one run, on real applications.

    python bench/bench.py [--rounds N] [--only GROUP ...] [--json FILE]
    python bench/bench.py --readme      writes the figures that are kept into the README

Run it by `make bench` (`make bench ONLY="devices ssh"` for some groups), as root, with the Python of an environment
that has ansible-core, on a machine that does nothing else. It prints a table of medians and keeps them as JSON; groups
that are not measured keep the figures that they have there. Nothing here fails on a figure: a table is for people.

Each group is a module beside this one with ``measure(directory, rounds)``, which returns its figures. It runs in a
process of its own, isolated (tests/tools/isolate.py) but for those of the machine's own devices.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
sys.path[:0] = [str(REPO / "tests" / "integration" / "real"), str(REPO / "tests" / "tools")]

import isolate  # noqa: E402 - found by the line above
from figures import Figure, say  # noqa: E402
from machine import collections  # noqa: E402

# Those that need the machine as it is stand in _ON_THE_MACHINE as well.
GROUPS = {
    "applications": "ports of one application and of many: against ping, against a loop, inside the module",
    "devices": "the devices of this machine, against dpdk-devbind.py",
    "hosts": "hosts of 512 devices: against ping, against the roles",
    "ssh": "the command over ssh, against ping",
    "reconciler": "ports of an application that is started anew, and what it costs at rest",
    "scale": "the playbook converge, from 1 to 200 hosts over ssh, and to 5,000 names",
}
_ON_THE_MACHINE = ("devices",)
_BEGIN, _END = "<!-- figures of bench/results.json, written by bench/bench.py --readme -->", "<!-- end of figures -->"


def measure(group: str, rounds: int) -> list[Figure]:
    """The figures of a group, by a process of its own."""
    say(f"{group}: {GROUPS[group]}")
    with tempfile.TemporaryDirectory(prefix="dpdk-hotplug-bench-") as directory:
        answer = Path(directory, "figures.json")
        argv = [
            sys.executable,
            "-u",
            __file__,
            "--rounds",
            str(rounds),
            "--in",
            directory,
            "--json",
            str(answer),
            group,
        ]
        subprocess.run(argv if group in _ON_THE_MACHINE else isolate.command(argv), check=True)
        return [{"group": group, **one} for one in json.loads(answer.read_text())]


def inside(group: str, directory: Path, rounds: int, answer: Path) -> None:
    sys.path.insert(0, str(collections()))
    answer.write_text(json.dumps(importlib.import_module(group).measure(directory, rounds)))


def table(figures: Sequence[Figure]) -> str:
    rows = [("measure", "measured", "reach", "met", "detail")]
    rows += [
        (
            one["measure"],
            f"{one['value']:.2f} {one['unit']}",
            one["reach"],
            "yes" if one["met"] else "NO",
            one["detail"],
        )
        for one in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def into_readme(figures: Sequence[Figure], readme: Path) -> None:
    """A table of the figures between the two marks that are there."""
    rows = ["| measure | measured | reach | |", "| --- | --- | --- | --- |"]
    for one in figures:
        missed = "" if one["met"] else "**missed**; "
        cells = (one["measure"], f"{one['value']:.2f} {one['unit']}", one["reach"], f"{missed}{one['detail']}")
        rows.append("| " + " | ".join(cells) + " |")
    before, begin, rest = readme.read_text().partition(_BEGIN)
    _old, end, after = rest.partition(_END)
    assert begin and end
    readme.write_text(f"{before}{begin}\n" + "\n".join(rows) + f"\n{end}{after}")


def kept(path: Path) -> list[Figure]:
    """The figures of groups that are there already."""
    try:
        return [one for one in json.loads(path.read_text())["figures"] if one.get("group") in GROUPS]
    except (OSError, ValueError, KeyError):
        return []


def machine() -> dict[str, Any]:
    return {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, default=HERE / "results.json")
    parser.add_argument("--only", nargs="*", choices=(*GROUPS,), default=())
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--in", dest="directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("group", nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.directory:
        inside(given.group, given.directory, given.rounds, given.json)
        return
    figures = kept(given.json)
    if given.readme:
        into_readme(figures, REPO / "README.md")
        return
    failed = []
    for group in given.only or GROUPS:
        try:
            fresh = measure(group, given.rounds)
        except subprocess.CalledProcessError:
            failed.append(group)
            say(f"{group} FAILED")
            continue
        figures = [one for one in figures if one["group"] != group] + fresh
        figures.sort(key=lambda one: [*GROUPS].index(one["group"]))
        given.json.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=2) + "\n")
        print(table(fresh), flush=True)
    print(table(figures))
    say(f"kept in {given.json}")
    if failed:
        raise SystemExit(f"bench: not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
