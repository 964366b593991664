# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command with processes, mounts, network and /run of its own, so that it can leave nothing behind.

    python3 tests/tools/isolate.py COMMAND [ARGUMENT ...]

Inside: fresh /proc, /sys, /run (with /var/run, so no DPDK application of the machine is seen), /var/lib/dpdk-hotplug,
only the loopback interface, a hugetlbfs at /dev/hugepages, and for each tree that chroots.py has built an overlay of it
at /run/chroots/RELEASE, in which /proc, /sys, /dev, /run, /tmp, the checkout and the cache are those of outside.
When the command ends, everything that it started ends, every mount goes, and nothing was written into the trees.
Two such runs do not see each other. Memory (hugepages) is the machine's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import chroots
from machine import REPO, cache

MARK = "DPDK_HOTPLUG_ISOLATED"
CHROOTS = Path("/run/chroots")


def _mount(*argv: str) -> None:
    subprocess.run(["mount", *argv], check=True)


def _set_up() -> None:
    _mount("-t", "sysfs", "sysfs", "/sys")  # the sysfs of this network namespace
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for name in ("lock", "user", "netns"):
        Path("/run", name).mkdir()
    kept = Path("/var/lib/dpdk-hotplug")
    kept.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(kept))
    Path("/dev/hugepages").mkdir(exist_ok=True)
    _mount("-t", "hugetlbfs", "hugetlbfs", "/dev/hugepages")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for release in chroots.SUITES:
        if chroots.tree(release).is_dir():
            _lay(chroots.tree(release), CHROOTS / release)


def _lay(tree: Path, root: Path) -> None:
    scratch = root.with_name(root.name + ".scratch")
    for path in (root, scratch / "upper", scratch / "work"):
        path.mkdir(parents=True)
    layers = f"lowerdir={tree},upperdir={scratch}/upper,workdir={scratch}/work"
    _mount("-t", "overlay", "-o", layers, "overlay", str(root))
    for shared in ("/proc", "/sys", "/dev", "/run", "/tmp", str(REPO), str(cache())):
        inside = Path(f"{root}{shared}")
        inside.mkdir(parents=True, exist_ok=True)
        # /run is bound without what is mounted in it, or the tree would hold itself
        _mount("--bind" if shared == "/run" else "--rbind", shared, str(inside))


def _serve(argv: list[str]) -> int:
    """As process 1: run the command, reap what loses its parent, pass on a request to end."""
    child = subprocess.Popen(argv)

    def passed_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, passed_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal has told the child as well
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def command(argv: list[str]) -> list[str]:
    """The command line that runs another one isolated."""
    return [
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
        sys.executable,
        str(Path(__file__).resolve()),
        "--inside",
        *argv,
    ]


def main() -> int:
    if sys.argv[1:2] != ["--inside"]:
        line = command(sys.argv[1:])
        os.execvp(line[0], line)
    _set_up()
    os.environ[MARK] = "1"
    return _serve(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
