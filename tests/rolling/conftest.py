# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See three.py; mypy cannot have two modules of this name."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), *(str(Path(__file__).parents[1] / name) for name in ("fleet", "tools"))]

from fixtures import pytest_addoption
from three import _booted, fleet

__all__ = ["_booted", "fleet", "pytest_addoption"]
