# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See fixtures.py; mypy cannot have two modules of this name."""

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]
# The last for releases.py, which has no fixtures of its own.
sys.path[:0] = [str(_TESTS / one) for one in ("fleet", "tools", "integration/real")]

from fixtures import _booted, guest, player, pytest_addoption, testpmd

__all__ = ["_booted", "guest", "player", "pytest_addoption", "testpmd"]
