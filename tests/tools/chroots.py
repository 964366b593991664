# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the trees with the other DPDK releases: Debian trixie (24.11) and sid (25.11, and grout).

    python3 tests/tools/chroots.py [RELEASE ...]      builds what is missing, prints "RELEASE PATH" for each

The mirror and the proxy come from this machine's own apt configuration. A tree is kept in the cache under a name that
changes with its recipe. Nothing ever runs in the kept tree itself: the tests lay an overlay on it (isolate.py).
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from machine import cache, key


class Suite(NamedTuple):
    name: str
    packages: tuple[str, ...]
    aptopts: tuple[str, ...] = ()


# python3-venv: where this machine has no Python 3.12 or newer, trixie's runs the newest ansible-core. openssh-server
# and sudo: trixie's is a host that is reached by ssh, and this machine need not be one (sshd.py).
_COMMON = ("dpdk-dev", "iproute2", "procps", "python3", "ca-certificates")
SUITES = {
    "24.11": Suite("trixie", (*_COMMON, "python3-venv", "openssh-server", "sudo")),
    # A mirror of sid may lag behind the date up to which its Release file is valid.
    "25.11": Suite("sid", (*_COMMON, "grout"), ('Acquire::Check-Valid-Until "false"',)),
}
# Read by nobody here, and a third of the files.
_NOT_UNPACKED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/lib/x86_64-linux-gnu/*.a")


def mirror() -> str:
    """The address that this machine gets its Debian release from; apt itself reads its configuration, in any format."""
    wanted = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)"
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in done.stdout.splitlines():
        origin, label, component, uri = line.split("|", 3)
        if (origin, label, component) == ("Debian", "Debian", "main"):
            return uri
    raise SystemExit("chroots: apt knows no Debian mirror here; run 'apt-get update' first")


def proxy_options() -> list[str]:
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return [
        f"--aptopt={line.rstrip(';')}"
        for line in dump.splitlines()
        if re.match(r'Acquire::https?::[^ ]* ".+"', line) and "Proxy-Auto-Detect" not in line
    ]


def tree(release: str) -> Path:
    """Where the tree of a release is, or will be once it is built."""
    suite = SUITES[release]
    return cache() / "chroots" / f"{suite.name}-{key(*suite.packages, *suite.aptopts, *_NOT_UNPACKED)}"


def _build(release: str, target: Path) -> None:
    suite = SUITES[release]
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    print(f"chroots: DPDK {release}: building Debian {suite.name} into {target} (about a minute)", flush=True)
    argv = [
        "mmdebstrap",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(suite.packages)}",
        *(f"--aptopt={option}" for option in suite.aptopts),
        *proxy_options(),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _NOT_UNPACKED),
        suite.name,
        str(partial),
        mirror(),
    ]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"chroots: mmdebstrap failed for {suite.name}:\n{done.stdout[-4000:]}")
    partial.rename(target)


def found_release(path: Path) -> str:
    """The release of the DPDK that is in a tree, by the name of its library: librte_eal.so.25.0 is 24.11."""
    names = [p.name for p in path.glob("usr/lib/*/librte_eal.so.*")]
    major = max((int(n.split(".so.")[1].split(".")[0]) for n in names), default=0)
    return f"{major - 1}.11"


def ensure(release: str) -> Path:
    target = tree(release)
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_name(target.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _build(release, target)
    if found_release(target) != release:
        raise SystemExit(
            f"chroots: {target} holds DPDK {found_release(target)}, not {release}: "
            f"Debian {SUITES[release].name} has moved on; adapt SUITES"
        )
    return target


if __name__ == "__main__":
    for name in sys.argv[1:] or SUITES:
        print(name, ensure(name), flush=True)
