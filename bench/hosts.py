# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of hundreds of devices: trees of files, which are mounted over /sys where Ansible runs against one."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import Figure, figure, median, ms, ratio, say
from packed import archive, inside
from playing import play

from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Tree, fleet_of


def measure(directory: Path, rounds: int) -> list[Figure]:
    pack = archive(directory)
    tree = fleet_of(directory / "host", 512)
    figures = [inventory(pack, tree, rounds)]
    say("a host that is right: against ping, against the roles")
    for node in (0, 1):
        tree.pages(2048, node=node, total=64)
    tree.write("/sys/module/vfio_pci/refcnt", "64\n")
    figures.append(devices_right(directory, tree, rounds))
    return [*figures, whole_host(directory, tree, max(3, rounds // 3))]


def inventory(pack: Path, tree: Tree, rounds: int) -> Figure:
    answers = [inside(pack, "devices", json.dumps({"root": tree.root})) for _round in range(rounds)]
    took = median([one["seconds"] for one in answers]) * 1e3
    kib = sum(answers[0]["sources"].values()) / 1024
    return figure(
        f"dpdk_device_info over {answers[0]['devices']} devices, inside the module",
        took,
        "ms",
        "under 150",
        met=took < 150 and answers[0]["devices"] == 512,
        detail=f"{kib:.0f} KiB of the library imported in it",
        runs=rounds,
    )


@contextlib.contextmanager
def taken_for_the_host(tree: Tree) -> Iterator[None]:
    subprocess.run(["mount", "--bind", f"{tree.root}/sys", "/sys"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", "/sys"], check=True)


def bound(tree: Tree, number: int) -> list[str]:
    """As many devices as asked for that are at vfio-pci."""
    found = [address for address in tree.cards if tree.driver_of(address) == "vfio-pci"]
    assert len(found) >= number
    return found[:number]


def devices_right(directory: Path, tree: Tree, rounds: int) -> Figure:
    devices = [{"device": address} for address in bound(tree, 64)]
    right = {"name": "right", "dpdk.hotplug.dpdk_device": {"devices": devices, "driver": "vfio-pci"}}
    rows: list[dict[str, Any]] = [right, {"name": "ping", "ansible.builtin.ping": None}] * (rounds + 1)
    rows.append({"name": "look", **{k: v for k, v in right.items() if k != "name"}, "failed_when": "look.changed"})
    rows[-1]["register"] = "look"
    with taken_for_the_host(tree):
        taken = play(directory, rows).taken
    ours, peer = taken["right"][1:], taken["ping"][1:]  # the first of each finds nothing in the caches
    times = ratio(ours, peer)
    return figure(
        "64 devices already right, dpdk_device, against ansible.builtin.ping",
        times,
        "times",
        "at most 1.2",
        met=times <= 1.2,
        detail=f"{ms(ours)} against {ms(peer)}",
        runs=rounds,
    )


def role(name: str, **variables: Any) -> dict[str, Any]:
    return {
        "name": f"role {name}",
        "ansible.builtin.include_role": {"name": f"dpdk.hotplug.{name}"},
        "vars": {f"{name}_{key}": value for key, value in variables.items()},
    }


def whole_host(directory: Path, tree: Tree, rounds: int) -> Figure:
    """One task for the document, against the tasks of the three roles; nothing of either has anything to do."""
    pages = [{"size": "2M", "count": 64, "node": node} for node in (0, 1)]
    mounts = [{"path": "/dev/hugepages", "size": "2M"}]
    devices = [{"device": address, "driver": "vfio-pci"} for address in bound(tree, 64)]
    whole = {"devices": devices, "hugepages": {"pages": pages, "mounts": mounts}}
    one = {"name": "whole", "dpdk.hotplug.dpdk_host": whole, "register": "look", "failed_when": "look.changed"}
    roles = [
        role("packages", update_cache=False),
        role("hugepages", pages=pages, mounts=mounts, persistent=False),
        role("vfio", devices=devices, persistent=False),
    ]
    with taken_for_the_host(tree):
        taken = play(directory, [one, *roles] * (rounds + 1)).taken
    tasks = {name: values for name, values in taken.items() if " : " in name}
    theirs = [
        sum(
            sum(values[len(values) * at // (rounds + 1) : len(values) * (at + 1) // (rounds + 1)])
            for values in tasks.values()
        )
        for at in range(1, rounds + 1)
    ]
    ours = taken["whole"][1:]
    times = ratio(theirs, ours)
    return figure(
        "a whole host with nothing to do, dpdk_host, against the tasks of the roles packages, hugepages and vfio",
        times,
        "times faster",
        "at least 5",
        met=times >= 5,
        detail=f"{ms(ours)} against {ms(theirs)} in {len(tasks)} tasks",
        runs=rounds,
    )
