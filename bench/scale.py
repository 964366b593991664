# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host costs that has nothing to do, by how many there are: the playbook converge over inventories of all sizes.

All names are this machine. Each has the ports of one of several applications, and nothing of it persists, so that names
that are worked on at the same time do not wait for each other's locks, which hosts of their own would not.

The time of a run is its start-up, which one of no hosts has as well, and what each host adds; the latter is the cost.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from applications import applications, document
from figures import Figure, figure, median
from playing import Played, Row, play
from releases import Dpdk
from ssh import HELPER, reached, written
from sshd import Host

APPS = [f"bench{number}" for number in range(8)]
DEVICES = [f"net_null{number}" for number in range(4)]
FORKS = "4"  # of two processors; more do not help, since the hosts are on them as well
OVER_SSH = (1, 10, 50, 200)
LOCAL = (200, 1000, 5000)
_SSH = """#!/bin/sh
echo "$*" >> {log}
exec ssh "$@"
"""


def measure(directory: Path, rounds: int) -> list[Figure]:
    with applications(Dpdk("22.11", directory), APPS, DEVICES):
        with reached(directory) as host:
            play(directory, [HELPER], inventory=written(directory, {"there": host.variables()}))
            figures = [one_task(directory, host.variables()), over_ssh(directory, host, max(3, rounds // 3))]
        return [*figures, on_the_controller(directory, 3)]


def converge(directory: Path, number: int, variables: Row, *, paths: Path | None = None, **settings: str) -> Played:
    """Of so many names; what is asked of them is in groups. ``paths``: where each has a connection of its own."""
    names = [f"host{at:04d}" for at in range(number)]
    # The first group has them in the order in which they are taken: neighbours have different applications.
    fleet = {name: {"ansible_control_path": f"{paths}/{name}"} if paths else {} for name in names}
    groups: dict[str, Row] = {"fleet": {"hosts": fleet}}
    for at, app in enumerate(APPS):
        asked = {"dpdk_hotplug_apps": document(app, DEVICES)["apps"]}
        groups[app] = {"vars": asked, "hosts": {name: {} for name in names[at :: len(APPS)]}}
    inventory = written(directory, {}, {**variables, "dpdk_hotplug_persistent": "never"}, groups)
    return play(directory, "dpdk.hotplug.converge", inventory=inventory, settings={"ANSIBLE_FORKS": FORKS, **settings})


def one_task(directory: Path, variables: Row) -> Figure:
    """Counted by what ran on a host of several, and by how often ssh was called for it."""
    log, program = directory / "calls", directory / "ssh"
    program.write_text(_SSH.format(log=log))
    program.chmod(0o755)
    done = converge(directory, 8, variables, paths=directory, ANSIBLE_SSH_EXECUTABLE=str(program))
    tasks = Counter(host for _task, host in done.tasks)
    calls = [line for line in log.read_text().splitlines() if "127.0.0.1" in line]
    most = max(tasks.values())
    return figure(
        "converge of a host with nothing to do, tasks that contact it",
        most,
        "tasks",
        "one",
        met=most == 1 and len(tasks) == len(calls) == 8,
        detail=f"{len(calls)} calls of ssh for {len(tasks)} hosts",
        runs=1,
    )


class Curve(NamedTuple):
    """What was measured by the number of hosts: a host's cost in seconds, and memory of the controller in MiB."""

    start: float
    cost: dict[int, float]
    memory: dict[int, float]

    def growth(self, least: int) -> float:
        """The cost at the most hosts against that at ``least`` of them."""
        return self.cost[max(self.cost)] / self.cost[least]

    def text(self) -> str:
        costs = ", ".join(f"{number}: {cost * 1e3:.0f}" for number, cost in self.cost.items())
        least, most = min(self.memory), max(self.memory)
        each = (self.memory[most] - self.memory[least]) / (most - least) * 1024
        return (
            f"ms a host, {FORKS} forks: {costs}; start-up {self.start:.1f} s; "
            f"controller {self.memory[most]:.0f} MiB at {most}, {each:.0f} KiB a host"
        )


def curve(runs: Mapping[int, Sequence[Played]]) -> Curve:
    """Of runs by their number of hosts; those of none are the start-up."""
    seconds = {number: median([one.seconds for one in some]) for number, some in runs.items()}
    return Curve(
        seconds[0],
        {number: (all_of_it - seconds[0]) / number for number, all_of_it in seconds.items() if number},
        {number: median([one.memory for one in some]) for number, some in runs.items() if number},
    )


def over_ssh(directory: Path, host: Host, rounds: int) -> Figure:
    """Every name has a connection of its own, which is made in the run: nothing is left of the run before."""
    runs = defaultdict(list)
    paths = directory / "connections"
    paths.mkdir()
    for turn in range(rounds):
        for number in _in_turn((0, *OVER_SSH), turn):
            runs[number].append(converge(directory, number, host.variables(), paths=paths))
            host.hang_up(paths)
    return _flat("over ssh, each by a connection of its own", OVER_SSH, 10, curve(runs), rounds)


def on_the_controller(directory: Path, rounds: int) -> Figure:
    """The command is asked on this machine itself: a name costs little besides what the controller has to do."""
    prefix = directory / "prefix"
    play(directory, [{**HELPER, "vars": {"helper_prefix": str(prefix)}}])
    local = {"ansible_connection": "local", "dpdk_hotplug_command": f"{prefix}/bin/dpdk-hotplug"}
    runs = defaultdict(list)
    for turn in range(rounds):
        for number in _in_turn((0, *LOCAL), turn):
            runs[number].append(converge(directory, number, local))
    return _flat("by a local connection", LOCAL, 200, curve(runs), rounds)


def _in_turn(sizes: Sequence[int], turn: int) -> list[int]:
    """Few hosts are measured again and again, many once: there a run is its own mean."""
    return [number for number in sizes if number <= 10 or (number <= 200 and turn < 3) or not turn]


def _flat(what: str, sizes: Sequence[int], least: int, found: Curve, runs: int) -> Figure:
    growth = found.growth(least)
    return figure(
        f"converge, hosts with nothing to do, {what}: cost a host of {sizes[-1]}, against that of {least}",
        growth,
        "times",
        "at most 1.15",
        met=growth <= 1.15,
        detail=found.text(),
        runs=runs,
    )
