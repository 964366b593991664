# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What the modules have in common that change a host.
    TIMEOUT = r"""
options:
  timeout:
    description:
      - How many seconds to wait for another run to let go of the host.
    type: float
    default: 30
"""

    ALLOW_ACTIVE = r"""
options:
  allow_active:
    description:
      - PCI addresses of devices that may be taken although the network hangs on them. The host may be out of reach
        then.
    type: list
    elements: str
    default: []
"""
