# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what the README promises of speed, each figure interleaved with its peer in one run, on real testpmds.

    python bench/bench.py [--rounds N] [--json FILE] [--only apps|host]

Hosts of hundreds of devices are trees of files. Where Ansible runs against one, it is mounted over /sys, so that all
that runs takes it for the host: call it with a mount namespace of its own (make bench does).

Run it by `make bench`, with the Python of an environment that has ansible-core. It prints a table of medians and
keeps them as JSON. Nothing here fails on a figure: a table is for people.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
sys.path[:0] = [str(REPO / "tests" / "integration" / "real"), str(REPO / "tests" / "tools")]

from machine import collections  # noqa: E402 - found by the line above

sys.path.insert(0, str(collections()))

from fast_path import fast_path  # noqa: E402
from releases import Dpdk, Testpmd  # noqa: E402

from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import Tree, fleet_of  # noqa: E402

DEVICES = [f"net_null{number}" for number in range(1, 32)]
Figure = dict[str, Any]


def document(app: str, devices: Sequence[str], state: str = "present") -> dict[str, Any]:
    return {"apps": [{"app": app, "state": state, "ports": [{"device": device} for device in devices]}]}


def archive(directory: Path) -> Path:
    """The library as Ansible packs it: an archive without compiled files, so that each call compiles anew."""
    path = directory / "payload.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for file in sorted((REPO / "plugins" / "module_utils").rglob("*.py")):
            pack.write(file, Path("ansible_collections/dpdk/hotplug") / file.relative_to(REPO))
        for package in ("", "dpdk/", "dpdk/hotplug/", "dpdk/hotplug/plugins/"):
            pack.writestr(f"ansible_collections/{package}__init__.py", "")
    return path


def inside(pack: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "within.py"), str(pack), *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


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


def task(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "dpdk.hotplug.dpdk_port": {"app": "bench", **arguments}}


def play(directory: Path, tasks: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """What each task took, by its name, in one playbook run over one connection."""
    book, times = directory / "play.json", directory / "times"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks)}]))
    times.write_text("")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "timer",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "DPDK_HOTPLUG_BENCH_FILE": str(times),
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", str(book)]
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


def ports(**more: Any) -> dict[str, Any]:
    return {"ports": [{"device": device} for device in DEVICES], **more}


def nothing_to_do(directory: Path, rounds: int) -> Figure:
    rows = [task("first", **ports())]
    for _round in range(rounds):
        rows += [{"name": "ping", "ansible.builtin.ping": None}, task("nothing", **ports())]
    taken = play(directory, [*rows, task("last", **ports(state="absent"))])
    ours, peer = median(taken["nothing"]), median(taken["ping"])
    ratio = median([one / other for one, other in zip(taken["nothing"], taken["ping"])])
    return figure(
        "dpdk_port with 31 ports, nothing to do, against ansible.builtin.ping",
        ratio,
        "times",
        "at most 1.25",
        met=ratio <= 1.25,
        detail=f"{ours * 1e3:.0f} ms against {peer * 1e3:.0f} ms",
        runs=rounds,
    )


def in_one_task(directory: Path, rounds: int) -> Figure:
    rows: list[dict[str, Any]] = []
    for _round in range(rounds):
        rows += [task("one task", **ports()), task("between", **ports(state="absent"))]
        rows += [{**task("loop", device="{{ item }}"), "loop": DEVICES}, task("between", **ports(state="absent"))]
    taken = play(directory, rows)
    ratio = median([loop / one for loop, one in zip(taken["loop"], taken["one task"])])
    return figure(
        "31 ports attached in one task, against a loop of 31 tasks",
        ratio,
        "times faster",
        "at least 15",
        met=ratio >= 15,
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
    answer = inside(pack, "nothing", json.dumps(document("bench", [])))
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


def devices_of(root: str) -> str:
    return json.dumps({"root": root})


def inventory(pack: Path, tree: Tree, rounds: int) -> Figure:
    answers = [inside(pack, "devices", devices_of(tree.root)) for _round in range(rounds)]
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


def against_devbind(pack: Path, rounds: int) -> Figure:
    """On this machine's own devices."""
    ours, theirs = [], []
    for _round in range(rounds):
        answer = inside(pack, "devices", devices_of(""))
        ours.append(answer["seconds"])
        begin = time.perf_counter()
        subprocess.run(["dpdk-devbind.py", "--status"], check=True, capture_output=True)
        theirs.append(time.perf_counter() - begin)
    ratio = median([other / one for one, other in zip(ours, theirs)])
    return figure(
        "dpdk_device_info on this machine, inside the module, against dpdk-devbind.py --status",
        ratio,
        "times faster",
        "at least 10",
        met=ratio >= 10,
        detail=f"{median(ours) * 1e3:.0f} ms against {median(theirs) * 1e3:.0f} ms, {answer['devices']} devices",
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
        taken = play(directory, rows)
    ours, peer = taken["right"][1:], taken["ping"][1:]  # the first of each finds nothing in the caches
    ratio = median([one / other for one, other in zip(ours, peer)])
    return figure(
        "64 devices already right, dpdk_device, against ansible.builtin.ping",
        ratio,
        "times",
        "at most 1.2",
        met=ratio <= 1.2,
        detail=f"{median(ours) * 1e3:.0f} ms against {median(peer) * 1e3:.0f} ms",
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
        taken = play(directory, [one, *roles] * (rounds + 1))
    tasks = {name: values for name, values in taken.items() if " : " in name}
    theirs = [
        sum(
            sum(values[len(values) * at // (rounds + 1) : len(values) * (at + 1) // (rounds + 1)])
            for values in tasks.values()
        )
        for at in range(1, rounds + 1)
    ]
    ours = taken["whole"][1:]
    ratio = median([other / mine for mine, other in zip(ours, theirs)])
    return figure(
        "a whole host with nothing to do, dpdk_host, against the tasks of the roles packages, hugepages and vfio",
        ratio,
        "times faster",
        "at least 5",
        met=ratio >= 5,
        detail=f"{median(ours) * 1e3:.0f} ms against {median(theirs) * 1e3:.0f} ms in {len(tasks)} tasks",
        runs=rounds,
    )


@contextlib.contextmanager
def applications(dpdk: Dpdk, names: Sequence[str], vdevs: Sequence[str]) -> Iterator[list[Testpmd]]:
    options = ["--total-num-mbufs=2048", "--no-mlockall"]
    try:
        yield [dpdk.start_testpmd(name, vdevs, options=options) for name in names]
    finally:
        dpdk.stop_all()


def measure_hosts(directory: Path, rounds: int) -> list[Figure]:
    pack = archive(directory)
    say("a host of 512 devices; this machine against dpdk-devbind.py")
    tree = fleet_of(directory / "host", 512)
    figures = [inventory(pack, tree, rounds), against_devbind(pack, rounds)]
    say("a host that is right: against ping, against the roles")
    for node in (0, 1):
        tree.pages(2048, node=node, total=64)
    tree.write("/sys/module/vfio_pci/refcnt", "64\n")
    figures.append(devices_right(directory, tree, rounds))
    return [*figures, whole_host(directory, tree, max(3, rounds // 3))]


def measure(directory: Path, rounds: int) -> list[Figure]:
    dpdk = Dpdk("22.11", directory)
    pack = archive(directory)
    say("one application: against ping, against a loop, inside the module")
    with applications(dpdk, ["bench"], []):
        figures = [nothing_to_do(directory, rounds), in_one_task(directory, max(3, rounds // 5))]
        figures += [*one_attach(pack, rounds), size(pack)]
        say("the same over ssh, where the command is installed")
        figures.append(fast_path(directory, rounds, DEVICES))
    say("8 applications with 32 ports each")
    with applications(dpdk, [f"bench{number}" for number in range(8)], [f"net_null{number}" for number in range(32)]):
        figures.insert(3, many(pack, rounds))
    return figures


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, default=REPO / "bench" / "results.json")
    parser.add_argument("--only", choices=("apps", "host"))
    arguments = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="dpdk-hotplug-bench-") as directory:
        if arguments.only != "host":
            figures += measure(Path(directory), arguments.rounds)
        if arguments.only != "apps":
            figures += measure_hosts(Path(directory), arguments.rounds)
    print(table(figures))
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    arguments.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=2) + "\n")
    say(f"kept in {arguments.json}")


if __name__ == "__main__":
    main()
