#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_hugepages
short_description: Reserve hugepages by size and NUMA node, and mount them
version_added: 0.1.0
description:
  - Has the kernel reserve hugepages now, by size and NUMA node, and has them mounted with modes and owners.
  - Where the kernel gives fewer than asked for, the task fails with how many it gave, and the pool is as before.
    A pool is never made smaller than what is in use.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_host
  - dpdk.hotplug.host.timeout
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written, no lock is taken and no module is loaded.
        What only the kernel can tell when it is done is not found out.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  pages:
    description:
      - How many hugepages there are to be. Sizes and nodes that are not named stay as they are.
    type: list
    elements: dict
    suboptions:
      size:
        description:
          - The size of a page, such as V(2M) or V(1G).
        type: str
        required: true
      count:
        description:
          - How many.
        type: int
        required: true
      node:
        description:
          - On which NUMA node. Without it the count is that of all nodes together, and is spread evenly where it
            changes.
        type: int
  mounts:
    description:
      - The hugetlbfs mounts that there are to be, or not to be.
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - Where. The directory is made where it is missing.
        type: path
        required: true
      size:
        description:
          - The size of its pages.
        type: str
        default: 2M
      mode:
        description:
          - The mode of the directory, octal.
        type: str
        default: "0755"
      owner:
        description:
          - The user that it belongs to, by name or number; root where not given.
        type: str
      group:
        description:
          - The group that it belongs to, by name or number; root where not given.
        type: str
      state:
        description:
          - Whether it is to be mounted.
        type: str
        choices: [present, absent]
        default: present
  boot:
    description:
      - V(true) sets kernel arguments that reserve O(pages) at boot, when memory is not scattered yet. V(1G) pages are
        best had so. V(false) removes them.
      - For GRUB with C(update-grub) (Debian and its family) or C(grubby) (RedHat and its family).
    type: bool
  persistent:
    description:
      - V(true) has O(pages) reserved and O(mounts) mounted again at boot, before applications start. It needs the
        command of the role P(dpdk.hotplug.helper#role); check mode warns where that is missing.
      - V(false) ends that. Left out, it stays as it is.
    type: bool
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_hugepages_info
  - module: dpdk.hotplug.dpdk_host
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Reserve a gigabyte on each of two nodes, and mount it for a group
  dpdk.hotplug.dpdk_hugepages:
    pages:
      - {size: 2M, count: 512, node: 0}
      - {size: 2M, count: 512, node: 1}
    mounts:
      - path: /dev/hugepages
        mode: "0770"
        group: dpdk
    persistent: true

- name: Reserve pages of a gigabyte at boot
  dpdk.hotplug.dpdk_hugepages:
    pages:
      - {size: 1G, count: 8}
    boot: true
  register: pages

- name: Tell that it takes a reboot
  ansible.builtin.debug:
    msg: Reboot to have them.
  when: pages.reboot_required
"""

RETURN = r"""
hugepages:
  description: The pools and mounts of hugepages after the task.
  returned: success
  type: dict
  contains:
    pages:
      description: Every size on every node, with its count, and how many are free and surplus.
      type: list
      elements: dict
    mounts:
      description: Every mount, with its path, size, mode and owner.
      type: list
      elements: dict
reboot_required:
  description: Whether kernel arguments were set that the running kernel does not have.
  returned: success
  type: bool
actions:
  description:
    - What was done, or would be in check mode, in its order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: reserve, size: 2M, node: 0, before: 0, after: 512}
error:
  description: What went wrong, where, and the way out.
  returned: failure
  type: dict
  contains:
    reason:
      description: A word for it; the README of the collection has them all.
      type: str
    message:
      description: What is wrong, and where.
      type: str
    way_out:
      description: What to do about it.
      type: str
    device:
      description: The device that it is about.
      type: str
    actions:
      description: What had been done, where something had.
      type: list
      elements: dict
    undone:
      description: Which of that was taken back.
      type: list
      elements: str
    not_undone:
      description: Which of that could not be taken back.
      type: list
      elements: str
  sample:
    reason: active
    message: "device '0000:00:02.0' is in use by the network: eth0 has the default route (IPv4)"
    way_out: Without it the host may be out of reach. If that is wanted, name the address in allow_active.
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError, failure
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_modules import hugepages

_PAGES = {
    "size": {"type": "str", "required": True},
    "count": {"type": "int", "required": True},
    "node": {"type": "int"},
}
_MOUNT = {
    "path": {"type": "path", "required": True},
    "size": {"type": "str", "default": "2M"},
    "mode": {"type": "str", "default": "0755"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
_OPTIONS = {
    "pages": {"type": "list", "elements": "dict", "options": _PAGES},
    "mounts": {"type": "list", "elements": "dict", "options": _MOUNT},
    "boot": {"type": "bool"},
    "persistent": {"type": "bool"},
    "timeout": {"type": "float", "default": 30},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "required_one_of": [("pages", "mounts")],
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = hugepages(module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
