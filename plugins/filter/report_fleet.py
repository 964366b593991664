# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.dpdk.hotplug.plugins.module_utils._version import version
from ansible_collections.dpdk.hotplug.plugins.plugin_utils import _fleet

DOCUMENTATION = r"""
name: report_fleet
short_description: The hosts of a play as one document
version_added: 0.1.0
description:
  - Makes one document of what the tasks of the playbooks C(dpdk.hotplug.report) and
    C(dpdk.hotplug.audit) have registered for each host. The playbooks use it; the document is what
    C(dpdk.hotplug.report) writes as JSON.
  - Command lines of applications are left out, and what looks like a secret in any text is replaced.
positional: _input, hosts
options:
  _input:
    description: The variables of all hosts, which is C(hostvars).
    type: dict
    required: true
  hosts:
    description: The names of the hosts.
    type: list
    elements: str
    required: true
  title:
    description: The title of the report.
    type: str
    default: DPDK fleet
  generated:
    description: When it was made.
    type: str
    default: ""
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Tell how many hosts are not as the inventory asks
  ansible.builtin.debug:
    msg: "{{ (hostvars | dpdk.hotplug.report_fleet(ansible_play_hosts_all)).summary.states.drift }}"
  run_once: true
"""

RETURN = r"""
_value:
  description:
    - C(format) is V(1). C(summary) counts what there is. C(hosts) has each host with C(name), C(state), which is
      V(sync), V(drift), V(unmanaged), V(failed) or V(unreachable), C(message), C(drift), C(notes), and what
      M(dpdk.hotplug.dpdk_host_info) returns.
    - C(drift) has for each difference C(area), which is V(document), V(boot), V(drivers), V(hugepages) or
      V(applications), with C(subject), C(before) and C(after); or C(message) and C(way_out) where the document cannot
      be had.
  type: dict
"""


def report_fleet(
    hostvars: t.Mapping[str, t.Any], hosts: t.Iterable[str], title: str = "DPDK fleet", generated: str = ""
) -> dict[str, t.Any]:
    return _fleet.fleet(hostvars, hosts, title=title, generated=generated, version=version())


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"report_fleet": report_fleet}
