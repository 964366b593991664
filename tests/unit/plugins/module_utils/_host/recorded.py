# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library reads of a real guest, and what lspci, ip, udevadm and /proc said of it at the same moment.

``recorded/guest.json``: under ``files`` a text is a file's content, a list a directory's entries, and an object a
link; under ``said`` are the answers of the other programs, by their command, cut to what is compared here. It is a
guest of tests/fleet (Linux 6.12) with three VFs, one of them and an e1000e at vfio-pci, the latter held by a process.
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

_FILE = Path(__file__).with_name("recorded") / "guest.json"


def guest(directory: Path) -> tuple[System, dict[str, t.Any]]:
    """The guest's files in a directory, and what was said of it."""
    kept = json.loads(_FILE.read_text(encoding="utf-8"))
    paths = dict(sorted(kept["files"].items()))
    for path, content in paths.items():
        full = Path(f"{directory}{path}")
        full.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            full.write_text(content, encoding="utf-8")
        elif isinstance(content, dict):
            os.symlink(content["link"], full)
        else:
            full.mkdir(exist_ok=True)
            for name in content:
                # What was listed and not read can be anything.
                if not any(other == f"{path}/{name}" or other.startswith(f"{path}/{name}/") for other in paths):
                    (full / name).touch()
    return System(str(directory)), kept["said"]
