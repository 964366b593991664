# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconciler as a plain process, with /etc and /usr/local of its own: for tests and for the benchmark.

with host(directory) as bed:
    bed.wants({"app": "web", "ports": [{"device": "net_null1"}]})
    ...
    bed.status()["parts"]
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from releases import query, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils import _helper
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import persistence

COMMAND = [sys.executable, "-m", _helper.__name__]
ENVIRONMENT = {"PYTHONPATH": str(Path(_helper.__file__).parents[5]), "PATH": os.environ["PATH"]}
_PLACES = ("/etc", "/usr/local")
_KEPT = Path("/run/dpdk-hotplug/reconciler.json")


class Used(NamedTuple):
    """What a process has used until now: seconds of a processor, wake-ups, and KiB of memory."""

    seconds: float
    switches: int
    resident: int
    proportional: int


class Reconciled:
    """A host with a reconciler, and what is to persist on it."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "reconciler.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*COMMAND, "reconcile"], stdout=log, stderr=log, env=ENVIRONMENT)
        wait_until(self._watches, "the reconciler to watch")

    def _watches(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(FileNotFoundError):
            told: dict[str, Any] = json.loads(_KEPT.read_text())
            return bool(told["pid"] == self.process.pid)
        return False

    def wants(self, *apps: dict[str, Any], **more: Any) -> None:
        """Write what is to persist, whole, as a task does."""
        fresh = Path(persistence.PATH + ".new")
        fresh.parent.mkdir(exist_ok=True)
        fresh.write_text(json.dumps({"version": 1, "apps": apps, **more}))
        fresh.rename(persistence.PATH)

    def status(self) -> dict[str, Any]:
        done = subprocess.run([*COMMAND, "status", "--json"], stdout=subprocess.PIPE, env=ENVIRONMENT, check=False)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def used(self) -> Used:
        place = Path(f"/proc/{self.process.pid}")
        ticks = sum(map(int, (place / "stat").read_text().rpartition(")")[2].split()[11:13]))
        # Of its first thread, which hands all work to others and hears of its end.
        lines = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
        switches = int(lines["voluntary_ctxt_switches"])
        memory = dict(line.split()[:2] for line in (place / "smaps_rollup").read_text().splitlines()[1:])
        return Used(ticks / os.sysconf("SC_CLK_TCK"), switches, int(memory["Rss:"]), int(memory["Pss:"]))

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()


@contextlib.contextmanager
def host(directory: Path) -> Iterator[Reconciled]:
    """One with nothing to persist. What is written in /etc and /usr/local meanwhile goes with it."""
    layers = directory / "layers"
    layers.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(layers)], check=True)
    for place in _PLACES:
        upper, work = (layers / f"{place.replace('/', '_')}.{kind}" for kind in ("upper", "work"))
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={place},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", place], check=True)
    try:
        Path("/etc/dpdk-hotplug").mkdir(exist_ok=True)
        command = Path("/usr/local/bin/dpdk-hotplug")  # what is to persist wants one that applies it at boot
        command.write_text("#!/bin/sh\n")
        command.chmod(0o755)
        bed = Reconciled(directory)
        try:
            yield bed
        finally:
            bed.end()
    finally:
        for place in (*_PLACES, str(layers)):
            subprocess.run(["umount", "--lazy", place], check=True)


def names(prefix: str) -> frozenset[str] | None:
    """The ports of an application by its telemetry, and None where that does not answer."""
    place = f"/var/run/dpdk/{prefix}/dpdk_telemetry.v2"
    try:
        infos = [query(place, f"/ethdev/info,{number}") for number in query(place, "/ethdev/list")]
    except (OSError, ValueError):
        return None
    return frozenset(one["name"] for one in infos)
