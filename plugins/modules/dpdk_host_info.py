#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_host_info
short_description: Read everything of a host that has to do with DPDK
version_added: 0.1.0
description:
  - Tells in one task what M(dpdk.hotplug.dpdk_device_info), M(dpdk.hotplug.dpdk_hugepages_info) and
    M(dpdk.hotplug.dpdk_app_info) tell, and what is applied at boot.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_host
  - dpdk.hotplug.attributes.info_module
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_host
  - module: dpdk.hotplug.dpdk_device_info
  - module: dpdk.hotplug.dpdk_hugepages_info
  - module: dpdk.hotplug.dpdk_app_info
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Look at the host
  dpdk.hotplug.dpdk_host_info:
  register: dpdk_host
"""

RETURN = r"""
devices:
  description: As M(dpdk.hotplug.dpdk_device_info) has them.
  returned: success
  type: list
  elements: dict
iommu:
  description: Whether the kernel has an IOMMU.
  returned: success
  type: bool
iommu_hint:
  description: What is missing so that it has one; null where nothing is.
  returned: success
  type: str
hugepages:
  description: As M(dpdk.hotplug.dpdk_hugepages_info) has them.
  returned: success
  type: dict
apps:
  description: As M(dpdk.hotplug.dpdk_app_info) has them.
  returned: success
  type: list
  elements: dict
drivers:
  description: Which of the drivers for userspace are loaded.
  returned: success
  type: list
  elements: str
boot:
  description: What is applied at boot; null where nothing is.
  returned: success
  type: dict
evacuated:
  description: What was taken from applications for a time, as RV(dpdk.hotplug.dpdk_evacuation#module:evacuated).
  returned: success
  type: list
  elements: dict
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
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_info_modules import host_info

_OPTIONS: dict[str, dict[str, str]] = {}
SPEC = {
    "argument_spec": _OPTIONS,
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = host_info(module.params)
    except HotplugError as error:
        module.fail_json(**failure(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
