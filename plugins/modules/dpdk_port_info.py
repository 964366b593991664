#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_port_info
short_description: Read the ports of running DPDK applications
version_added: 0.1.0
description:
  - Reads the ports of one or of all running DPDK applications from their telemetry. Nothing is changed, and no lock
    is taken.
  - What is not there is an empty list, not an error. An application whose ports cannot be read is listed in
    RV(unread) with the reason.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_hotplug
  - dpdk.hotplug.attributes.info_module
  - dpdk.hotplug.app.only
  - dpdk.hotplug.app.runtime_dir
options:
  device:
    description:
      - Only the ports of this device, a PCI address or the name of a virtual device. Arguments after the name are not
        compared.
    type: str
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root to see the applications of all users
seealso:
  - module: dpdk.hotplug.dpdk_port
  - module: dpdk.hotplug.dpdk_app_info
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Read all ports of all DPDK applications on the host
  dpdk.hotplug.dpdk_port_info:
  register: all_ports

- name: Read the ports of one application
  dpdk.hotplug.dpdk_port_info:
    app: router
  register: router

- name: Name the devices whose ports are started
  ansible.builtin.debug:
    msg: "{{ router.ports | selectattr('started') | map(attribute='device') | unique }}"

- name: Find out which application has a device
  dpdk.hotplug.dpdk_port_info:
    device: "0000:01:00.0"
  register: found

- name: Fail if none has it
  ansible.builtin.assert:
    that: found.ports | length > 0
"""

RETURN = r"""
ports:
  description: The ports, by application and port id.
  returned: success
  type: list
  elements: dict
  contains:
    app:
      description: The file prefix of the application.
      returned: success
      type: str
    runtime_dir:
      description: The directory that the application's own directory is in. It and RV(ports[].app) tell
        applications apart.
      returned: success
      type: str
    pid:
      description: The process id of the application.
      returned: success
      type: int
    device:
      description: The device that the port belongs to, a PCI address or the name of a virtual device.
      returned: success
      type: str
    devargs:
      description: The device with the arguments that it was attached with; V(null) where somebody else attached it.
      returned: success
      type: str
    name:
      description: The name of the port. It is that of the device, unless the device has several.
      returned: success
      type: str
    port_id:
      description: The port's number in the application. Another port gets it once this one is detached.
      returned: success
      type: int
    mac:
      description: Its Ethernet address.
      returned: success
      type: str
    numa_node:
      description: The NUMA node of the device; V(-1) where it has none.
      returned: success
      type: int
    attached:
      description: Whether it is attached. Ports that are not are not listed.
      returned: success
      type: bool
    configured:
      description: Whether the application has configured it.
      returned: success
      type: bool
    started:
      description: Whether the application has started it.
      returned: success
      type: bool
    owned:
      description: Whether another device, or the application, keeps it to itself.
      returned: success
      type: bool
    siblings:
      description: The ids of the other ports of the same device, which are detached with it.
      returned: success
      type: list
      elements: int
  sample:
    - app: router
      attached: true
      configured: false
      device: net_pcap0
      devargs: net_pcap0,iface=eth0
      mac: 02:70:63:61:70:00
      name: net_pcap0
      numa_node: -1
      owned: false
      pid: 4711
      port_id: 1
      runtime_dir: /var/run/dpdk
      siblings: []
      started: false
unread:
  description: The running applications whose ports could not be read.
  returned: success
  type: list
  elements: dict
  contains:
    app:
      description: The file prefix of the application.
      returned: success
      type: str
    runtime_dir:
      description: The directory that the application's own directory is in, empty where it has none.
      returned: success
      type: str
    pid:
      description: The process id of the application.
      returned: success
      type: int
    reason:
      description: Why they could not be read.
      returned: success
      type: str
  sample:
    - app: rte
      pid: 4712
      reason: it serves no telemetry
      runtime_dir: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dpdk.hotplug.plugins.module_utils._app_modules import port_info
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError, failure

_OPTIONS = {
    "app": {"type": "str"},
    "device": {"type": "str"},
    "runtime_dir": {"type": "path"},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = port_info(module.params)
    except HotplugError as error:
        module.fail_json(**failure(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
