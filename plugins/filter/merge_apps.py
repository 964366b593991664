# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.dpdk.hotplug.plugins.plugin_utils import _merge

DOCUMENTATION = r"""
name: merge_apps
short_description: Several lists of applications as one
version_added: 0.1.0
description:
  - Makes one list of applications, as O(dpdk.hotplug.dpdk_host#module:apps) takes it, from several, such as one of each
    group of a host and one of the host itself.
  - Entries of the same C(app) and C(runtime_dir) become one. Of an option that several give, the last one counts.
  - Their ports become one list. A port of the same device, whatever its arguments, or of the same selector takes the
    place of the one before it as a whole.
  - A port with C(state=absent) is detached. Where the entry has C(exclusive) in the end it is left out instead, since
    everything is detached then that is not listed.
options:
  _input:
    description: The lists, the one that counts least first.
    type: list
    elements: list
    required: true
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: What all routers have, and what this one has besides
  dpdk.hotplug.dpdk_host:
    apps: "{{ [router_apps, host_apps] | dpdk.hotplug.merge_apps }}"
"""

RETURN = r"""
_value:
  description: The applications.
  type: list
  elements: dict
"""


def merge_apps(lists: t.Any) -> list[dict[str, t.Any]]:
    try:
        return _merge.apps(lists)
    except ValueError as exc:
        raise AnsibleFilterError(f"merge_apps: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"merge_apps": merge_apps}
