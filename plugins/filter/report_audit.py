# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.dpdk.hotplug.plugins.plugin_utils import _fleet

DOCUMENTATION = r"""
name: report_audit
short_description: The findings of an audit as lines
version_added: 0.1.0
description:
  - Tells in a line each how many hosts are as their documents ask, and what differs where.
options:
  _input:
    description: What P(dpdk.hotplug.report_fleet#filter) returns.
    type: dict
    required: true
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Tell what differs
  ansible.builtin.debug:
    msg: "{{ hostvars | dpdk.hotplug.report_fleet(ansible_play_hosts_all) | dpdk.hotplug.report_audit }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""


def report_audit(document: t.Mapping[str, t.Any]) -> list[str]:
    return _fleet.audit(document)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"report_audit": report_audit}
