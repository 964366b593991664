# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of this machine, against DPDK's own tool. Runs on the machine as it is, with its own network."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from figures import Figure, figure, ms, ratio
from packed import archive, inside


def measure(directory: Path, rounds: int) -> list[Figure]:
    return [against_devbind(archive(directory), rounds)]


def against_devbind(pack: Path, rounds: int) -> Figure:
    """On this machine's own devices."""
    ours, theirs = [], []
    document = json.dumps({"root": ""})
    first = inside(pack, "devices", document, first=True)["seconds"]
    for _round in range(rounds):
        answer = inside(pack, "devices", document)
        ours.append(answer["seconds"])
        begin = time.perf_counter()
        subprocess.run(["dpdk-devbind.py", "--status"], check=True, capture_output=True)
        theirs.append(time.perf_counter() - begin)
    times = ratio(theirs, ours)
    return figure(
        "dpdk_device_info on this machine, inside the module, against dpdk-devbind.py --status",
        times,
        "times faster",
        "at least 10",
        met=times >= 10,
        detail=f"{ms(ours)} against {ms(theirs)}, {answer['devices']} devices; the first after a boot {ms([first])}",
        runs=rounds,
    )
