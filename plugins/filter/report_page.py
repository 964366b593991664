# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.dpdk.hotplug.plugins.plugin_utils import _page

DOCUMENTATION = r"""
name: report_page
short_description: The document of a fleet as an HTML page
version_added: 0.1.0
description:
  - Renders one page that needs nothing else, neither files nor a network. It can be sorted and filtered, read on a
    phone, and printed.
  - All values are escaped, and a content security policy lets no script run but the page's own.
options:
  _input:
    description: What P(dpdk.hotplug.report_fleet#filter) returns.
    type: dict
    required: true
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Write the page
  ansible.builtin.copy:
    content: "{{ hostvars | dpdk.hotplug.report_fleet(ansible_play_hosts_all) | dpdk.hotplug.report_page }}"
    dest: fleet.html
    mode: "0644"
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""


def report_page(document: t.Mapping[str, t.Any]) -> str:
    return _page.page(document)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"report_page": report_page}
