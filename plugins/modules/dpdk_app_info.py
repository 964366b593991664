#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_app_info
short_description: Find the DPDK applications on a host, and how each can be reached
version_added: 0.1.0
description:
  - Finds every DPDK application on the host without being told where. Also those started with C(--in-memory) or
    without telemetry, those
    under another user's or a unit's runtime directory, those in containers, and what dead ones left behind.
  - Tells what each runs, which ports it has, and which adapters and channels of M(dpdk.hotplug.dpdk_port) reach it;
    for each that does not,
    the reason.
  - Nothing is changed, and no lock is taken. What is not there is an empty list, not an error.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_hotplug
  - dpdk.hotplug.attributes.info_module
  - dpdk.hotplug.app.only
  - dpdk.hotplug.app.runtime_dir
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root to see the applications of all users
seealso:
  - module: dpdk.hotplug.dpdk_port
  - module: dpdk.hotplug.dpdk_port_info
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Find the DPDK applications
  dpdk.hotplug.dpdk_app_info:
  register: dpdk

- name: Tell their versions
  ansible.builtin.debug:
    msg: "{{ dpdk.apps | selectattr('state', 'eq', 'running') | items2dict(key_name='prefix', value_name='version') }}"

- name: Tell why an application cannot be reached
  ansible.builtin.debug:
    msg: "{{ item.adapter }} {{ item.channel }}: {{ item.reason }}"
  loop: "{{ (dpdk.apps | selectattr('prefix', 'eq', 'router') | first).adapters | rejectattr('usable') }}"

- name: Look only into the runtime directory of a systemd unit
  dpdk.hotplug.dpdk_app_info:
    runtime_dir: /run/router/dpdk
"""

RETURN = r"""
apps:
  description: The applications, by directory and prefix.
  returned: success
  type: list
  elements: dict
  contains:
    prefix:
      description: The file prefix.
      returned: success
      type: str
    runtime_dir:
      description: The directory that the application's own directory is in; empty for one that has none.
      returned: success
      type: str
    state:
      description:
        - V(running), V(leftover) for the directory of an application that has ended, or V(distrusted) for one that
          somebody else may have put
          there.
      returned: success
      type: str
    pid:
      description: The process id, V(null) unless it runs.
      returned: success
      type: int
    uid:
      description: The user that it runs as, V(null) unless it runs.
      returned: success
      type: int
    name:
      description: The name of the program.
      returned: success
      type: str
    version:
      description: Its DPDK version, as it tells it itself.
      returned: success
      type: str
    release:
      description: The release that is meant by that, V(null) where it is not known.
      returned: success
      type: str
    command:
      description: Its command line.
      returned: success
      type: list
      elements: str
    eal_params:
      description: The parameters that EAL was given, V(null) where telemetry does not tell them.
      returned: success
      type: list
      elements: str
    shared:
      description: Whether it shares its files, so that other processes can join it.
      returned: success
      type: bool
    container:
      description: Whether it runs in a mount namespace of its own.
      returned: success
      type: bool
    secondaries:
      description: The process ids of its secondary processes.
      returned: success
      type: list
      elements: int
    ports:
      description: Its ports as in RV(dpdk.hotplug.dpdk_port#module:ports), V(null) where they cannot be read.
      returned: success
      type: list
      elements: dict
    ports_error:
      description: Why the ports cannot be read, else empty.
      returned: success
      type: str
    adapters:
      description: Every way to reach it, the preferred one first.
      returned: success
      type: list
      elements: dict
      contains:
        adapter:
          description: The adapter, as in O(dpdk.hotplug.dpdk_port#module:adapter).
          returned: success
          type: str
        channel:
          description: Its channel, as in O(dpdk.hotplug.dpdk_port#module:channel).
          returned: success
          type: str
        usable:
          description: Whether it reaches the application.
          returned: success
          type: bool
        reason:
          description: Why it does not, else empty.
          returned: success
          type: str
        can:
          description:
            - What it can do with ports. V(attach_started) and V(detach_started) say that the application starts what it
              attaches, and stops what it detaches, by itself.
            - For V(command), what commands can be given for.
          returned: success
          type: list
          elements: str
  sample:
    - adapters:
        - adapter: multiprocess
          can: [attach, detach]
          channel: ipc
          reason: ""
          usable: true
        - adapter: multiprocess
          can: [attach, detach]
          channel: eal
          reason: it runs without hugepages
          usable: false
        - adapter: command
          can: [attach, detach, start, stop]
          channel: ""
          reason: no commands are given for it
          usable: false
      command: [dpdk-testpmd, --no-huge, --file-prefix, router, --, -i]
      container: false
      eal_params: [dpdk-testpmd, --no-huge, --file-prefix, router]
      name: dpdk-testpmd
      pid: 4711
      ports: []
      ports_error: ""
      prefix: router
      release: 22.11.11
      runtime_dir: /var/run/dpdk
      secondaries: []
      shared: true
      state: running
      uid: 0
      version: DPDK 22.11.11
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dpdk.hotplug.plugins.module_utils._app_modules import app_info
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError, failure

_OPTIONS = {
    "app": {"type": "str"},
    "runtime_dir": {"type": "path"},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = app_info(module.params)
    except HotplugError as error:
        module.fail_json(**failure(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
