# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.dpdk.hotplug.plugins.modules.dpdk_evacuation import SPEC
from ansible_collections.dpdk.hotplug.plugins.plugin_utils._fast import FastAction


class ActionModule(FastAction):
    module = "dpdk_evacuation"
    spec = SPEC
