# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library stays what an old host can import: the standard library only, and little of it."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import ansible_collections.dpdk.hotplug.plugins.module_utils._errors as of_library

LIBRARY = Path(of_library.__file__).parent
NAME = "ansible_collections.dpdk.hotplug.plugins.module_utils"
# What would cost every task time, or is not what the styles of this library use.
HEAVY = ("argparse", "dataclasses", "enum", "pathlib", "logging", "ctypes", "subprocess", "inspect")


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    whole = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    parts = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in whole | parts}


def _is_standard(name: str) -> bool:
    """sys.stdlib_module_names came with Python 3.10, and has what 3.9 does not."""
    spec = importlib.util.find_spec(name)
    origin = (spec and spec.origin) or ""
    folder = Path(sysconfig.get_path("stdlib"))
    return origin in ("built-in", "frozen") or (folder in Path(origin).parents and "-packages" not in origin)


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_only_the_standard_library(path: Path) -> None:
    assert [name for name in _imported(path) if not _is_standard(name)] == []


def test_a_call_does_not_import_what_it_does_not_need() -> None:
    code = f"import sys; before = set(sys.modules); import {NAME}._state.engine; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(LIBRARY.parents[4])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    new = set(done.stdout.split())
    assert not [name for name in new if name.startswith(NAME) and ("eal" in name or "_helper" in name)]
    # signal and socket bring enum by themselves
    assert not new & (set(HEAVY) - {"enum"})
