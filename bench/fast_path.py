# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task costs where the command is installed, over ssh, against ansible.builtin.ping and against the module."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
sys.path[:0] = [str(REPO / "tests" / "tools")]

from sshd import RELEASE, Host  # noqa: E402 - found by the line above

Row = dict[str, Any]


def fast_path(directory: Path, rounds: int, devices: Sequence[str]) -> Row:
    """For the application ``bench``, which has these devices while it is measured."""
    place = directory / "sshd"
    place.mkdir()
    host = Host(Path("/run/chroots", RELEASE), place)
    try:
        inventory = directory / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": {"there": host.variables()}}}))
        _play(directory, inventory, [{"ansible.builtin.include_role": {"name": "dpdk.hotplug.helper"}}])
        taken = _play(directory, inventory, _tasks(rounds, devices))
        piped = _play(directory, inventory, _tasks(rounds, devices), ANSIBLE_PIPELINING="1")
    finally:
        host.stop()
    ratio = _ratio(taken)
    times = {name: f"{statistics.median(taken[name]) * 1e3:.0f} ms" for name in ("fast", "ping", "module")}
    return {
        "measure": "dpdk_host over ssh, nothing to do, command installed, against ansible.builtin.ping",
        "value": ratio,
        "unit": "times",
        "reach": "at most 0.35",
        "met": ratio <= 0.35,
        "detail": f"{times['fast']} against {times['ping']}; by the module {times['module']}; "
        f"{_ratio(piped):.2f} times with pipelining for ping",
        "runs": rounds,
    }


def _ratio(taken: dict[str, list[float]]) -> float:
    return statistics.median(one / other for one, other in zip(taken["fast"], taken["ping"]))


def _tasks(rounds: int, devices: Sequence[str]) -> list[Row]:
    def whole(state: str) -> Row:
        app = {"app": "bench", "state": state, "ports": [{"device": device} for device in devices]}
        return {"dpdk.hotplug.dpdk_host": {"apps": [app], "hugepages": {"pages": []}}}

    ping: Row = {"ansible.builtin.ping": None}
    tasks = [{"name": "first", **whole("present")}, {"name": "first ping", **ping}]
    for _round in range(rounds):
        tasks += [
            {"name": "ping", **ping},
            {"name": "fast", **whole("present")},
            {"name": "module", **whole("present"), "vars": {"dpdk_hotplug_command": ""}},
        ]
    return [*tasks, {"name": "last", **whole("absent")}]


def _play(directory: Path, inventory: Path, tasks: Sequence[Row], **settings: str) -> dict[str, list[float]]:
    """What each task took, by its name, in one run."""
    book, times = directory / "fast.json", directory / "times"
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]))
    times.write_text("")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(directory / "collections"),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "timer",
        "DPDK_HOTPLUG_BENCH_FILE": str(times),
        **settings,
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(book)]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout[-4000:])
    taken = defaultdict(list)
    for line in times.read_text().splitlines():
        entry = json.loads(line)
        taken[entry["task"]].append(entry["seconds"])
    return taken
