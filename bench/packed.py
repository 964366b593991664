# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library as Ansible packs it, and one call of it in a process of its own (within.py)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPO = HERE.parent


# As on a host that has not been told to do without: what the library compiles it keeps there.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_KEPT = Path("/run/dpdk-hotplug/code")


def archive(directory: Path) -> Path:
    """An archive without compiled files."""
    path = directory / "payload.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for file in sorted((REPO / "plugins" / "module_utils").rglob("*.py")):
            pack.write(file, Path("ansible_collections/dpdk/hotplug") / file.relative_to(REPO))
        for package in ("", "dpdk/", "dpdk/hotplug/", "dpdk/hotplug/plugins/"):
            pack.writestr(f"ansible_collections/{package}__init__.py", "")
    return path


def inside(pack: Path, *words: str, first: bool = False) -> dict[str, Any]:
    """``first``: as the first call after a boot, which finds nothing compiled."""
    if first:
        shutil.rmtree(_KEPT, ignore_errors=True)
    command = [sys.executable, str(HERE / "within.py"), str(pack), *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    return dict(json.loads(done.stdout))
