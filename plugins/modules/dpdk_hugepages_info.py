#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_hugepages_info
short_description: Read hugepages and their mounts
version_added: 0.1.0
description:
  - Tells how many hugepages of each size there are on each NUMA node, how many are free, where they are mounted,
    and what
    is reserved at boot by M(dpdk.hotplug.dpdk_hugepages).
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_host
  - dpdk.hotplug.attributes.info_module
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_hugepages
  - module: dpdk.hotplug.dpdk_host_info
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Look at the hugepages
  dpdk.hotplug.dpdk_hugepages_info:
  register: huge

- name: Tell how much memory is free in them
  ansible.builtin.debug:
    msg: "node {{ item.node }}: {{ item.free * item.size_kib // 1024 }} MiB"
  loop: "{{ huge.pages }}"
"""

RETURN = r"""
pages:
  description: Every size on every node.
  returned: success
  type: list
  elements: dict
  contains:
    size:
      description: The size, such as V(2M).
      type: str
    size_kib:
      description: The same in KiB.
      type: int
    node:
      description: The NUMA node.
      type: int
    count:
      description: How many there are.
      type: int
    free:
      description: How many of them are free.
      type: int
    surplus:
      description: How many of them the kernel takes back when they are freed.
      type: int
mounts:
  description: Every mount, with its path, size, mode and owner.
  returned: success
  type: list
  elements: dict
kernel_arguments:
  description: What M(dpdk.hotplug.dpdk_hugepages) has set for the next boot.
  returned: success
  type: list
  elements: str
reboot_required:
  description: Whether kernel arguments were set that the running kernel does not have.
  returned: success
  type: bool
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
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_info_modules import hugepages_info

_OPTIONS: dict[str, dict[str, str]] = {}
SPEC = {
    "argument_spec": _OPTIONS,
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = hugepages_info(module.params)
    except HotplugError as error:
        module.fail_json(**failure(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
