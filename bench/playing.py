# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of ansible-playbook of the collection as it stands here: what each task took, all of it, and its memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from machine import collections
from packed import ENVIRONMENT

HERE = Path(__file__).resolve().parent
LOCAL = ("-i", "localhost,", "-c", "local")

Row = dict[str, Any]


class Played(NamedTuple):
    """Seconds of each task by its name, and of all of it; memory of the controller's main process at most, in MiB.

    ``tasks``: the names of those that ran, with the host, in their order; what was skipped is not among them.
    """

    taken: dict[str, list[float]]
    tasks: list[tuple[str, str]]
    seconds: float
    memory: float


def play(
    directory: Path,
    tasks: Sequence[Row] | str,
    *,
    inventory: Sequence[str] = LOCAL,
    settings: Mapping[str, str] | None = None,
) -> Played:
    """``tasks``, or a playbook of the collection by its name. It must not fail."""
    notes = directory / "notes"
    notes.write_text("")
    book = str(tasks)
    if not isinstance(tasks, str):
        (directory / "play.json").write_text(
            json.dumps([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}])
        )
        book = str(directory / "play.json")
    environment = {
        **ENVIRONMENT,
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "timer",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,  # where the inventory does not say
        "ANSIBLE_LOCAL_TEMP": str(directory / "ansible"),
        "DPDK_HOTPLUG_BENCH_FILE": str(notes),
        **(settings or {}),
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), *inventory, book]
    begin = time.monotonic()
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    seconds = time.monotonic() - begin
    if done.returncode:
        raise SystemExit(done.stdout[-4000:])
    return _read(notes.read_text(), seconds)


def _read(notes: str, seconds: float) -> Played:
    taken = defaultdict(list)
    tasks = []
    memory = 0.0
    for line in notes.splitlines():
        entry = json.loads(line)
        if "memory" in entry:
            memory = entry["memory"]
            continue
        taken[entry["task"]].append(entry["seconds"])
        tasks.append((entry["task"], entry["host"]))
    return Played(taken, tasks, seconds, memory)
