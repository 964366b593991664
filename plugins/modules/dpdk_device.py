#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_device
short_description: Bind PCI devices to vfio-pci or back to their kernel drivers
version_added: 0.1.0
description:
  - Gives any number of PCI devices the drivers that are asked for, in one task. What is right already is not touched.
  - Refused before the first change is a device that the network hangs on (a default route, an address, the way to
    who is
    connected by ssh, also through a bond, bridge, VLAN, team or macvlan), that a process has open, or whose IOMMU group
    would not be viable.
  - A device whose binding fails goes back to the driver that it had. If one fails, those before it are taken back.
    A run that was killed is finished or undone by the next.
  - Devices with bifurcated drivers such as C(mlx5_core) stay with them, DPDK works beside them.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_host
  - dpdk.hotplug.host.timeout
  - dpdk.hotplug.host.allow_active
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
  devices:
    description:
      - The devices.
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - A PCI address such as V(0000:01:00.0) or V(01:00.0).
        type: str
      select:
        description:
          - How to find the device, where its address is not known or not the same on every host. One of
            C(mac); C(netdev), also after the interface has vanished with its driver; C(pf) with C(vf), an index, a list
            of them or V(all); C(id_path) as udev has it; or any of C(vendor), C(device), C(driver) and
            C(numa_node) together.
          - C(count) is how many devices are meant, V(1) where it is not given. A selector that finds fewer or more
            is an
            error that lists the candidates.
        type: dict
      driver:
        description:
          - The driver that it is to have. The default is what O(driver) says.
        type: str
      persistent:
        description:
          - Whether it is to have it after a reboot. The default is what O(persistent) says.
        type: bool
      noiommu:
        description:
          - Whether it may go to V(vfio-pci) without an IOMMU. The default is what O(noiommu) says.
        type: bool
  device:
    description:
      - One device, instead of O(devices).
    type: str
  select:
    description:
      - How to find one device, instead of O(devices), where its address is not known or not the same on every host.
        One of
        C(mac); C(netdev), also after the interface has vanished with its driver; C(pf) with C(vf), an index, a list
        of them or V(all); C(id_path) as udev has it; or any of C(vendor), C(device), C(driver) and
        C(numa_node) together.
      - C(count) is how many devices are meant, V(1) where it is not given. A selector that finds fewer or more is an
        error that lists the candidates.
    type: dict
  driver:
    description:
      - V(vfio-pci), V(uio_pci_generic), V(igb_uio), or a driver of the kernel by its name.
      - V(kernel) is the driver of the kernel that the device had, or would get by itself.
      - V(none) leaves it without one, as M(dpdk.hotplug.dpdk_slot) wants it.
    type: str
    default: vfio-pci
  persistent:
    description:
      - V(true) has the driver bound again at boot, before the network is configured and before applications start.
        It needs the command of the role P(dpdk.hotplug.helper#role); check mode warns where that is missing.
      - V(false) ends that. Left out, it stays as it is.
      - Refused where driverctl or C(/etc/dpdk/interfaces) give the device to another driver.
    type: bool
  noiommu:
    description:
      - Let vfio have the device where there is no IOMMU. Its DMA can then reach all of the host's memory.
    type: bool
    default: false
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_device_info
  - module: dpdk.hotplug.dpdk_sriov
  - module: dpdk.hotplug.dpdk_host
  - module: dpdk.hotplug.dpdk_port
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Give two network cards to DPDK, also after a reboot
  dpdk.hotplug.dpdk_device:
    devices:
      - device: "0000:01:00.0"
      - device: "0000:01:00.1"
    persistent: true

- name: Give the card to DPDK that is, or was, eth1
  dpdk.hotplug.dpdk_device:
    select:
      netdev: eth1

- name: Give two 82599 on NUMA node 1 to DPDK
  dpdk.hotplug.dpdk_device:
    select:
      vendor: "8086"
      device: 10fb
      numa_node: 1
      count: 2

- name: Give a card back to the kernel
  dpdk.hotplug.dpdk_device:
    device: "0000:01:00.0"
    driver: kernel
    persistent: false
"""

RETURN = r"""
devices:
  description: The devices that the task names, as they are after it.
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
    vf_settings:
      description: Of a PF whose VFs were asked for, what it imposes on each, by index.
      type: list
      elements: dict
actions:
  description:
    - What was done, or would be in check mode, in its order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: bind, device: "0000:01:00.0", before: e1000e, after: vfio-pci}
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
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_modules import device

_DEVICE = {
    "device": {"type": "str"},
    "select": {"type": "dict"},
    "driver": {"type": "str"},
    "persistent": {"type": "bool"},
    "noiommu": {"type": "bool"},
}
_OPTIONS = {
    "devices": {
        "type": "list",
        "elements": "dict",
        "options": _DEVICE,
        "mutually_exclusive": [("device", "select")],
        "required_one_of": [("device", "select")],
    },
    "device": {"type": "str"},
    "select": {"type": "dict"},
    "driver": {"type": "str", "default": "vfio-pci"},
    "persistent": {"type": "bool"},
    "noiommu": {"type": "bool", "default": False},
    "allow_active": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "float", "default": 30},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "mutually_exclusive": [("devices", "device", "select")],
    "required_one_of": [("devices", "device", "select")],
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = device(module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
