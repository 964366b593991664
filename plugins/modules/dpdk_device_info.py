#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_device_info
short_description: Read PCI devices, who uses them, and whether they can be bound
version_added: 0.1.0
description:
  - Tells of each PCI device that DPDK may have a driver for what it is, which driver it has, its IOMMU group and who
    else is in it, its VFs, which processes have it open, whether the network hangs on it, and whether it can be bound.
  - Nothing is changed. What is not there is not in the list.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_host
  - dpdk.hotplug.attributes.info_module
options:
  devices:
    description:
      - Only the devices with these addresses.
    type: list
    elements: str
  select:
    description:
      - How to find one device, where its address is not known or not the same on every host. One of
        C(mac); C(netdev), also after the interface has vanished with its driver; C(pf) with C(vf), an index, a list
        of them or V(all); C(id_path) as udev has it; or any of C(vendor), C(device), C(driver) and
        C(numa_node) together.
      - C(count) is how many devices are meant, V(1) where it is not given. A selector that finds fewer or more is an
        error that lists the candidates.
    type: dict
  every:
    description:
      - All PCI devices, bridges too.
    type: bool
    default: false
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_device
  - module: dpdk.hotplug.dpdk_host_info
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Look at the devices
  dpdk.hotplug.dpdk_device_info:
  register: pci

- name: Tell which can be given to DPDK, and why others cannot
  ansible.builtin.debug:
    msg: "{{ item.address }} {{ item.driver }} {{ item.reason or 'can be bound' }}"
  loop: "{{ pci.devices }}"
"""

RETURN = r"""
devices:
  description: The devices, by address.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: Its PCI address.
      type: str
    vendor:
      description: Its vendor, four hexadecimal digits.
      type: str
    device:
      description: Its kind, four hexadecimal digits.
      type: str
    subvendor:
      description: The vendor of the card.
      type: str
    subdevice:
      description: The kind of the card.
      type: str
    class:
      description: Its class, six hexadecimal digits; network cards have V(02) first.
      type: str
    driver:
      description: The driver that it has; null for none.
      type: str
    override:
      description: The one driver that may take it; null where any may.
      type: str
    numa_node:
      description: Its NUMA node, V(-1) where the host has none.
      type: int
    iommu_group:
      description: Its IOMMU group; null without one.
      type: int
    netdevs:
      description: The network interfaces that it has in the kernel.
      type: list
      elements: str
    pf:
      description: Of a VF, the address of its PF.
      type: str
    vf_index:
      description: Of a VF, its index.
      type: int
    max_vfs:
      description: How many VFs it can have.
      type: int
    vfs:
      description: The addresses of its VFs, by index.
      type: list
      elements: str
    slot:
      description: The hotplug slot that it is in.
      type: str
    group_members:
      description: The addresses of all devices in its IOMMU group.
      type: list
      elements: str
    macs:
      description: The MAC addresses of its interfaces.
      type: list
      elements: str
    in_use_by:
      description: The processes that have it open, each with its pid, its name, and the path.
      type: list
      elements: dict
    active:
      description: Why the network hangs on it; empty where it does not.
      type: list
      elements: str
    bindable:
      description: Whether it has V(vfio-pci), or M(dpdk.hotplug.dpdk_device) would give it that.
      type: bool
    reason:
      description: Why not.
      type: str
    remembered:
      description: The driver, interface and MAC address that it had before it left the kernel.
      type: dict
iommu:
  description: Whether the kernel has an IOMMU.
  returned: success
  type: bool
iommu_hint:
  description: What is missing so that it has one; null where nothing is.
  returned: success
  type: str
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
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_info_modules import device_info

_OPTIONS = {
    "devices": {"type": "list", "elements": "str"},
    "select": {"type": "dict"},
    "every": {"type": "bool", "default": False},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "mutually_exclusive": [("devices", "select")],
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = device_info(module.params)
    except HotplugError as error:
        module.fail_json(**failure(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
