#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_sriov
short_description: Set the number of VFs of network cards, and what each is
version_added: 0.1.0
description:
  - Gives PFs the number of VFs that is asked for, and each VF its MAC address, VLAN, trust, spoof check and driver.
  - The kernel changes the number only by taking all VFs away first. So that is planned as one, VFs let go, number set,
    settings set, drivers bound, and refused while a VF is in use. VFs keep the settings and userspace drivers that they
    had, where nothing else is asked for.
  - If a step fails, the PF gets the number of VFs, the settings and the drivers back that were before.
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
      - The PFs.
    type: list
    elements: dict
    required: true
    suboptions:
      device:
        description:
          - The PCI address of a PF.
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
      count:
        description:
          - How many VFs it is to have. Left as it is where not given.
        type: int
      driver:
        description:
          - The driver that its VFs are to have, see O(dpdk.hotplug.dpdk_device#module:driver).
          - Where not given, new VFs have what the kernel gives them, and others what they had.
        type: str
      persistent:
        description:
          - Whether all this is to be so after a reboot. The default is what O(persistent) says.
        type: bool
      vfs:
        description:
          - What single VFs are to be.
        type: list
        elements: dict
        suboptions:
          index:
            description:
              - Which VF, from 0.
            type: int
            required: true
          mac:
            description:
              - Its MAC address.
            type: str
          vlan:
            description:
              - The VLAN that the PF puts it into; V(0) for none.
            type: int
          trust:
            description:
              - Whether it may change its own MAC address and see all traffic.
            type: bool
          spoofchk:
            description:
              - Whether it may send only from its own MAC address.
            type: bool
          driver:
            description:
              - Its driver, other than O(devices[].driver).
            type: str
  persistent:
    description:
      - See O(dpdk.hotplug.dpdk_device#module:persistent).
    type: bool
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_device
  - module: dpdk.hotplug.dpdk_host
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Have four VFs for DPDK
  dpdk.hotplug.dpdk_sriov:
    devices:
      - device: "0000:03:00.0"
        count: 4
        driver: vfio-pci
        vfs:
          - index: 0
            mac: 02:00:00:00:00:01
            vlan: 100
            spoofchk: false
            trust: true
    persistent: true

- name: Have none
  dpdk.hotplug.dpdk_sriov:
    devices:
      - select:
          netdev: ens1f0
        count: 0
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
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_modules import sriov

_VF = {
    "index": {"type": "int", "required": True},
    "mac": {"type": "str"},
    "vlan": {"type": "int"},
    "trust": {"type": "bool"},
    "spoofchk": {"type": "bool"},
    "driver": {"type": "str"},
}
_DEVICE = {
    "device": {"type": "str"},
    "select": {"type": "dict"},
    "count": {"type": "int"},
    "driver": {"type": "str"},
    "persistent": {"type": "bool"},
    "vfs": {"type": "list", "elements": "dict", "options": _VF},
}
_OPTIONS = {
    "devices": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": _DEVICE,
        "mutually_exclusive": [("device", "select")],
        "required_one_of": [("device", "select")],
    },
    "persistent": {"type": "bool"},
    "allow_active": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "float", "default": 30},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = sriov(module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
