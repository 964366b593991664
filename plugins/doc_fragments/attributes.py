# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What every module of the collection has in common.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: Returns what has changed, or needs changing in C(check_mode), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a relevant way.
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: linux
"""

    # Should be used together with the standard fragment, by modules that are in the action group C(hotplug).
    ACTIONGROUP_HOTPLUG = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/dpdk.hotplug.hotplug) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - dpdk.hotplug.all
      - dpdk.hotplug.hotplug
"""

    ACTIONGROUP_HOST = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/dpdk.hotplug.host) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - dpdk.hotplug.all
      - dpdk.hotplug.host
"""

    # Should be used together with the standard fragment, by modules that only read.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
"""
