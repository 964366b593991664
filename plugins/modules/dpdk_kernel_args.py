#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_kernel_args
short_description: Have kernel arguments in the boot loader's configuration
version_added: 0.1.0
description:
  - Has kernel arguments in the configuration of GRUB, with C(update-grub) (Debian and its family) or C(grubby) (RedHat
    and its family), and tells whether it takes a reboot to have them.
  - Each owner has arguments of its own, and those of nobody else are touched.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_host
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
  owner:
    description:
      - Who owns the arguments. The roles use V(vfio); V(hugepages) belongs to M(dpdk.hotplug.dpdk_hugepages).
    type: str
    required: true
  arguments:
    description:
      - The arguments, all that this owner is to have.
    type: list
    elements: str
    default: []
  iommu:
    description:
      - Also those with which this machine has an IOMMU, which differ by its make.
    type: bool
    default: false
  state:
    description:
      - V(absent) removes what the owner has.
    type: str
    choices: [present, absent]
    default: present
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_hugepages
  - module: dpdk.hotplug.dpdk_device
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Have an IOMMU after the next boot
  dpdk.hotplug.dpdk_kernel_args:
    owner: vfio
    iommu: true
  register: iommu

- name: Reboot for it
  ansible.builtin.reboot:
  when: iommu.reboot_required
"""

RETURN = r"""
arguments:
  description: The arguments that the owner has.
  returned: success
  type: list
  elements: str
iommu:
  description: Whether the running kernel has an IOMMU.
  returned: success
  type: bool
iommu_hint:
  description: What is missing so that it has one; null where nothing is.
  returned: success
  type: str
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
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_modules import kernel_args

_OPTIONS = {
    "owner": {"type": "str", "required": True},
    "arguments": {"type": "list", "elements": "str", "default": []},
    "iommu": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=_OPTIONS,
        supports_check_mode=True,
    )
    try:
        result = kernel_args(module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
