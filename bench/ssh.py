# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task costs where the command is installed, over ssh, against ansible.builtin.ping and against the module."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from applications import DEVICES, applications, document
from figures import Figure, figure, ms, ratio
from playing import Row, play
from releases import Dpdk
from sshd import RELEASE, Host

HELPER: Row = {"ansible.builtin.include_role": {"name": "dpdk.hotplug.helper"}}


def measure(directory: Path, rounds: int) -> list[Figure]:
    dpdk = Dpdk("22.11", directory)
    with applications(dpdk, ["bench"], []), reached(directory) as host:
        inventory = written(directory, {"there": host.variables()})
        play(directory, [HELPER], inventory=inventory)
        tasks = _tasks(rounds)
        ways = {"at Ansible's defaults": "0", "ping pipelined": "1"}
        return [
            _figure(play(directory, tasks, inventory=inventory, settings={"ANSIBLE_PIPELINING": on}).taken, how, rounds)
            for how, on in ways.items()
        ]


@contextmanager
def reached(directory: Path) -> Iterator[Host]:
    """A host that is reached by ssh: this machine, with the files of another."""
    place = directory / "sshd"
    place.mkdir()
    host = Host(Path("/run/chroots", RELEASE), place)
    try:
        yield host
    finally:
        host.stop()


def written(
    directory: Path, hosts: Mapping[str, Row], variables: Row | None = None, groups: Mapping[str, Row] | None = None
) -> tuple[str, str]:
    """An inventory of these hosts, and of variables that all of them have, as options of ansible-playbook."""
    path = directory / "inventory.json"
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables or {}, "children": groups or {}}}))
    return "-i", str(path)


def _figure(taken: dict[str, list[float]], how: str, rounds: int) -> Figure:
    times = ratio(taken["fast"], taken["ping"])
    return figure(
        f"dpdk_host over ssh, nothing to do, command installed, against ansible.builtin.ping ({how})",
        times,
        "times",
        "at most 0.35",
        met=times <= 0.35,
        detail=f"{ms(taken['fast'])} against {ms(taken['ping'])}; by the module {ms(taken['module'])}",
        runs=rounds,
    )


def _tasks(rounds: int) -> list[Row]:
    def whole(state: str) -> Row:
        return {"dpdk.hotplug.dpdk_host": {**document("bench", DEVICES, state), "hugepages": {"pages": []}}}

    ping: Row = {"ansible.builtin.ping": None}
    tasks = [{"name": "first", **whole("present")}, {"name": "first ping", **ping}]
    for _round in range(rounds):
        tasks += [
            {"name": "ping", **ping},
            {"name": "fast", **whole("present")},
            {"name": "module", **whole("present"), "vars": {"dpdk_hotplug_command": ""}},
        ]
    return [*tasks, {"name": "last", **whole("absent")}]
