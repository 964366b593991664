#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_host
short_description: Bring a host's hugepages, devices and DPDK ports into one desired state
version_added: 0.1.0
description:
  - Takes the whole state of a host in one task, its hugepages, its devices with drivers and VFs, and the ports of its
    running applications.
  - Everything is observed first, and whatever can be refused is refused before the first change. Then it is done in one
    order, hugepages, ports let go, devices unbound, VFs, devices bound, ports attached, and observed again. A step that
    fails has those before it taken back.
  - A device that must change its driver while one of O(apps) has it attached is detached first, under the rules of
    M(dpdk.hotplug.dpdk_port) for started ports, and attached again where it is asked for.
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
    support: partial
    details:
      - With C(recreate=true) an application's device whose arguments are not known is attached anew once.
options:
  hugepages:
    description:
      - C(pages), C(mounts), C(boot) and C(persistent) as M(dpdk.hotplug.dpdk_hugepages) has them.
    type: dict
  devices:
    description:
      - C(device) or C(select), C(driver), C(persistent) and C(noiommu) as
        O(dpdk.hotplug.dpdk_device#module:devices) has them; there is no default for C(driver).
      - C(vfs) of a PF, with C(count), C(driver), and C(settings) which are a list as
        O(dpdk.hotplug.dpdk_sriov#module:devices[].vfs).
    type: list
    elements: dict
  apps:
    description:
      - For each application what M(dpdk.hotplug.dpdk_port) has for one, C(app), C(ports), C(exclusive), C(started)
        and so on.
      - A port may have C(select) instead of C(device), as in O(dpdk.hotplug.dpdk_device#module:select), and C(args)
        for its driver beside that.
      - C(required=false) passes over an application that does not run.
      - With C(health) in one of them the run is undone after which ports do not do well, see
        O(dpdk.hotplug.dpdk_port#module:health).
    type: list
    elements: dict
  persistent:
    description:
      - Whether O(hugepages), O(devices) and O(apps) persist that do not say so themselves; C(persistent) of an entry
        goes before.
      - V(always) keeps them, V(never) takes them out of what is kept, V(installed) keeps them where the command
        C(dpdk-hotplug) is installed, which applies them at boot, and the task is root, and leaves it at that elsewhere.
      - Without it, what is kept stays as it is.
    type: str
    choices: [always, never, installed]
  leave_evacuated:
    description:
      - Leave away what M(dpdk.hotplug.dpdk_evacuation) has taken away, with a warning. Without it a task that would
        attach it is refused, with the reason V(evacuated).
    type: bool
    default: false
  detail:
    description:
      - V(all) returns everything that the task names. V(changed) returns what was changed, and C(counts) of the rest,
        so that the results of a large fleet stay small.
    type: str
    choices: [all, changed]
    default: all
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_host_info
  - module: dpdk.hotplug.dpdk_device
  - module: dpdk.hotplug.dpdk_sriov
  - module: dpdk.hotplug.dpdk_hugepages
  - module: dpdk.hotplug.dpdk_port
  - module: dpdk.hotplug.dpdk_evacuation
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: From a bare host to a forwarding one
  dpdk.hotplug.dpdk_host:
    hugepages:
      pages:
        - {size: 2M, count: 1024}
      persistent: true
    devices:
      - device: "0000:01:00.0"
        driver: vfio-pci
        persistent: true
      - device: "0000:03:00.0"
        vfs: {count: 2, driver: vfio-pci}
        persistent: true
    apps:
      - app: router
        ports:
          - device: "0000:01:00.0"
          - select: {pf: "0000:03:00.0", vf: all}

- name: The same from the inventory
  dpdk.hotplug.dpdk_host:
    hugepages: "{{ dpdk_hugepages }}"
    devices: "{{ dpdk_devices }}"
    apps: "{{ dpdk_apps }}"
"""

RETURN = r"""
evacuated:
  description: What was left away, as RV(dpdk.hotplug.dpdk_evacuation#module:evacuated).
  returned: with O(leave_evacuated=true), when something was
  type: list
  elements: dict
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
apps:
  description: For each application which it is, its ports and what was done to it, as
    M(dpdk.hotplug.dpdk_port) returns them.
  returned: success
  type: list
  elements: dict
counts:
  description: With O(detail=changed), how many devices, applications, ports and started ports there are.
  returned: with O(detail=changed)
  type: dict
  sample: {devices: 4, apps: 1, ports: 4, started: 4}
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
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_modules import host

_OPTIONS = {
    "hugepages": {"type": "dict"},
    "devices": {"type": "list", "elements": "dict"},
    "apps": {"type": "list", "elements": "dict"},
    "allow_active": {"type": "list", "elements": "str", "default": []},
    "persistent": {"type": "str", "choices": ["always", "never", "installed"]},
    "leave_evacuated": {"type": "bool", "default": False},
    "detail": {"type": "str", "choices": ["all", "changed"], "default": "all"},
    "timeout": {"type": "float", "default": 30},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "required_one_of": [("hugepages", "devices", "apps")],
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = host(module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
