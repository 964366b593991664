# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tools"))

from machine import collections

# The library is imported by its full name, ansible_collections.dpdk.hotplug..., here and in child processes.
_root = str(collections())
sys.path.insert(0, _root)
os.environ["PYTHONPATH"] = os.pathsep.join([_root, *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ["ANSIBLE_COLLECTIONS_PATH"] = _root
