#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_slot
short_description: Take PCI devices off the bus, find new ones, and switch slots
version_added: 0.1.0
description:
  - Takes a PCI device off the bus, finds one that was plugged, or switches the power of a hotplug slot.
  - Refused while a driver has the device, and so while an application or the network uses it. Detach it with
    M(dpdk.hotplug.dpdk_port), then unbind it with M(dpdk.hotplug.dpdk_device)
    and O(dpdk.hotplug.dpdk_device#module:driver=none).
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
  slots:
    description:
      - The devices and slots. All can be refused before the first is touched; then each is done in the order given.
      - Left out, O(rescan) alone is done.
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - The PCI address of a device, for V(present) and V(absent).
        type: str
      slot:
        description:
          - The name of a hotplug slot, for V(on) and V(off). RV(slots) lists them.
        type: str
      state:
        description:
          - V(absent) takes the device off the bus. V(present) looks for it on all buses where it is not there.
          - V(off) switches the slot off, V(on) switches it on.
        type: str
        choices: [present, absent, "on", "off"]
        default: present
  rescan:
    description:
      - Look for new devices on all buses first. The task has changed something where one was found, which check mode
        does not find out.
    type: bool
    default: false
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_device
  - module: dpdk.hotplug.dpdk_device_info
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Take a card out of the system, to replace it
  dpdk.hotplug.dpdk_slot:
    slots:
      - slot: "4"
        state: "off"

- name: Find the new one
  dpdk.hotplug.dpdk_slot:
    slots:
      - slot: "4"
        state: "on"
      - device: "0000:04:00.0"
        state: present
"""

RETURN = r"""
slots:
  description: Every hotplug slot of the host after the task.
  returned: success
  type: list
  elements: dict
  contains:
    slot:
      description: Its name.
      type: str
    address:
      description: The bus and device that it is for.
      type: str
    power:
      description: Whether it is on; null where it cannot be switched.
      type: bool
    devices:
      description: The addresses of what is in it.
      type: list
      elements: str
actions:
  description:
    - What was done, or would be in check mode, in its order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: "off", target: "4"}
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
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_modules import slot

_SLOT = {
    "device": {"type": "str"},
    "slot": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent", "on", "off"], "default": "present"},
}
_OPTIONS = {
    "slots": {
        "type": "list",
        "elements": "dict",
        "options": _SLOT,
        "mutually_exclusive": [("device", "slot")],
        "required_one_of": [("device", "slot")],
    },
    "rescan": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 30},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "required_one_of": [("slots", "rescan")],
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = slot(module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
