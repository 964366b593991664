# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.dpdk.hotplug.plugins.plugin_utils import _fleet

DOCUMENTATION = r"""
name: report_json
short_description: The document of a fleet as JSON
version_added: 0.1.0
description:
  - Writes the document with a line for each host, so that C(grep) and C(diff) are of use.
options:
  _input:
    description: What P(dpdk.hotplug.report_fleet#filter) returns.
    type: dict
    required: true
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Write the document
  ansible.builtin.copy:
    content: "{{ hostvars | dpdk.hotplug.report_fleet(ansible_play_hosts_all) | dpdk.hotplug.report_json }}"
    dest: fleet.json
    mode: "0644"
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The JSON.
  type: str
"""


def report_json(document: t.Mapping[str, t.Any]) -> str:
    return _fleet.as_json(document)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"report_json": report_json}
