# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # How modules are told which applications they are about.
    RUNTIME_DIR = r"""
options:
  runtime_dir:
    description:
      - The directory that holds the applications' own directories, such as V(/var/run/dpdk).
      - Without it, the standard places and those of every living DPDK socket on the host are looked into.
    type: path
"""

    ONLY = r"""
options:
  app:
    description:
      - Only applications with this file prefix (C(--file-prefix)).
    type: str
"""
