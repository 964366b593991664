# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the checkout and the cache are, and which Pythons this machine has. Standard library only."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
LATEST_KNOWN = 14  # the newest 3.x looked for by name


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME") or "/root", ".cache")
    # What is started with another HOME is told where it is.
    path = Path(os.environ.setdefault("DPDK_HOTPLUG_CACHE", os.path.join(base, "dpdk-hotplug")))
    path.mkdir(parents=True, exist_ok=True)
    return path


def key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _places() -> Iterator[Path]:
    # The real bin folders of pyenv come first: its shims are scripts that ansible-test stumbles over.
    root = Path(os.environ.get("PYENV_ROOT") or Path(os.environ.get("HOME") or "/root", ".pyenv"))
    yield from sorted(root.glob("versions/*/bin"))
    yield from (Path(p) for p in os.environ.get("PATH", "").split(os.pathsep) if p and "/.pyenv/shims" not in p)
    yield from (Path("/usr/local/bin"), Path("/usr/bin"))


def _version(program: Path) -> tuple[int, ...] | None:
    code = "import ctypes, ssl, sys; print(*sys.version_info[:3])"
    done = subprocess.run([program, "-IS", "-c", code], capture_output=True, text=True, timeout=30, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


@functools.cache
def pythons() -> dict[tuple[int, int], str]:
    """Every Python from 3.9 on, one program a minor version; the system's own wins for its version."""
    found: dict[tuple[int, int], str] = {}
    for minor in range(9, LATEST_KNOWN + 1):
        for place in [Path("/usr/bin"), *_places()]:
            program = place / f"python3.{minor}"
            if program.is_file() and _version(program):
                found[3, minor] = str(program)
                break
    return found


def free_port() -> int:
    """One of the loopback interface that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def collections() -> Path:
    """A folder in which the checkout stands as ansible_collections/dpdk/hotplug, for PYTHONPATH and Ansible."""
    root = cache() / "checkouts" / key(str(REPO))
    link = root / "ansible_collections" / "dpdk" / "hotplug"
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            link.symlink_to(REPO)
        except FileExistsError:  # another run was faster
            pass
    return root
