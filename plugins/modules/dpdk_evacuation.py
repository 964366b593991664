#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_evacuation
short_description: Take all hot-attached ports from a host's DPDK applications, and bring them back
version_added: 0.1.0
description:
  - Takes what was attached to running applications away from them, and remembers on the host how it comes back.
    Later it brings that back, also after the host was rebooted or the applications were restarted.
  - What goes by default is what this collection has attached while the application ran, and no device that the
    application was started with.
  - It is written down before the first change. A run that was killed is finished by the next, in either direction; one
    that fails is undone.
  - While it is remembered nothing else attaches it to that application again. M(dpdk.hotplug.dpdk_port) and
    M(dpdk.hotplug.dpdk_host) refuse that with the reason V(evacuated), and the reconciler leaves it alone.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_host
  - dpdk.hotplug.host.timeout
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written, and no lock is taken. What only the application itself can tell is not found out.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) takes the devices away and remembers them. What is remembered from before stays so.
      - V(absent) brings them back, starts the ports that were started, and forgets them.
    type: str
    choices: [present, absent]
    default: present
  apps:
    description:
      - The applications. By default all running ones that have hot-attached ports, and for O(state=absent) all of which
        something is remembered.
      - How an application is reached, and its hooks, are remembered with its devices. What is given anew takes the
        place of all of that. Where nothing is given nor remembered, it is what persists of the application.
    type: list
    elements: dict
    suboptions:
      app:
        description:
          - The file prefix of the application. May be left out where one is meant.
        type: str
      runtime_dir:
        description:
          - The directory that holds the applications' own directories, see
            O(dpdk.hotplug.dpdk_port#module:runtime_dir).
        type: path
      adapter:
        description:
          - How the application is reached, see O(dpdk.hotplug.dpdk_port#module:adapter).
        type: str
        choices: [auto, multiprocess, testpmd, openvswitch, grout, command]
      channel:
        description:
          - How the adapter V(multiprocess) speaks to it, see O(dpdk.hotplug.dpdk_port#module:channel).
        type: str
        choices: [auto, ipc, eal]
      bridge:
        description:
          - The bridge of Open vSwitch for ports that come back, where it is not known which they were on.
        type: str
      commands:
        description:
          - Commands of your own, see O(dpdk.hotplug.dpdk_port#module:commands).
        type: dict
        suboptions:
          attach:
            description: Attaches a device.
            type: list
            elements: str
          detach:
            description: Detaches a device.
            type: list
            elements: str
          start:
            description: Starts a port.
            type: list
            elements: str
          stop:
            description: Stops a port.
            type: list
            elements: str
          status:
            description: Prints the ports.
            type: list
            elements: str
          drain:
            description: The same as O(apps[].drain).
            type: list
            elements: str
          undrain:
            description: The same as O(apps[].undrain).
            type: list
            elements: str
      drain:
        description:
          - A command that takes the traffic away from a device's started ports before they go, see
            O(dpdk.hotplug.dpdk_port#module:drain).
        type: list
        elements: str
      undrain:
        description:
          - The command that takes back what O(apps[].drain) did. It is run for each device that was started once it is
            back, and when a later step of the evacuation fails.
        type: list
        elements: str
      drain_timeout:
        description:
          - How many seconds O(apps[].drain) and O(apps[].undrain) may take; V(300) where this is not given.
        type: float
      health:
        description:
          - What must come true of the ports that come back, or they are taken away again, see
            O(dpdk.hotplug.dpdk_port#module:health).
        type: dict
        suboptions:
          started:
            description: Whether the ports have to be started.
            type: bool
            default: false
          link:
            description: Whether ports that are started have to have a link.
            type: bool
            default: true
          packets:
            description: Whether packets have to be received or sent by each port that is started.
            type: bool
            default: false
          timeout:
            description: How many seconds it may take.
            type: float
            default: 30
      force:
        description:
          - Detach started ports also where the adapter cannot stop them, see O(dpdk.hotplug.dpdk_port#module:force).
        type: bool
      required:
        description:
          - V(false) passes over an application that does not run. What is remembered of it stays so.
        type: bool
  devices:
    description:
      - Only these, PCI addresses or names of virtual devices, also where the application was started with them, or
        where somebody else attached them.
      - A device of which the arguments are not known is refused, since it could not come back, unless it is named with
        them, as V(net_tap0,iface=dtap0), or with nothing behind the comma where it has none.
    type: list
    elements: str
  replaced:
    description:
      - For O(state=absent), the devices that come in the place of others, by the name of the old one.
      - The persistent state of the host, which the reconciler applies, names the new ones in the ports of applications
        then, also where the old one was selected by its MAC address or the name of its interface.
        The old one's own entry goes; the new one's is made by M(dpdk.hotplug.dpdk_device) with
        O(dpdk.hotplug.dpdk_device#module:persistent=true).
    type: dict
  forget:
    description:
      - For O(state=absent), do not bring the devices back, only forget them. It takes no running application.
    type: bool
    default: false
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root
seealso:
  - module: dpdk.hotplug.dpdk_port
  - module: dpdk.hotplug.dpdk_host
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Take all hot-attached ports away before the host is worked on
  dpdk.hotplug.dpdk_evacuation:

- name: Bring them back
  dpdk.hotplug.dpdk_evacuation:
    state: absent

- name: Move the traffic of one application away first
  dpdk.hotplug.dpdk_evacuation:
    apps:
      - app: router
        drain: [/usr/local/sbin/drain-port, "{app}", "{device}"]
        undrain: [/usr/local/sbin/undrain-port, "{app}", "{device}"]

- name: Take one card from whoever has it
  dpdk.hotplug.dpdk_evacuation:
    devices: ["0000:03:00.0"]

- name: Attach the card that was put in its place
  dpdk.hotplug.dpdk_evacuation:
    state: absent
    devices: ["0000:03:00.0"]
    replaced:
      "0000:03:00.0": "0000:05:00.0"

- name: Give up a virtual device that does not come back
  dpdk.hotplug.dpdk_evacuation:
    state: absent
    devices: [net_tap0]
    forget: true
"""

RETURN = r"""
evacuated:
  description: All that is remembered on the host after the task. In check mode, as it is.
  returned: success
  type: list
  elements: dict
  contains:
    app:
      description: The application's file prefix.
      type: str
    runtime_dir:
      description: The directory that its own directory is in.
      type: str
    device:
      description: The device.
      type: str
    devargs:
      description: The device with the arguments that it comes back with.
      type: str
    started:
      description: Whether its ports were started.
      type: bool
    since:
      description: When it was remembered, in UTC.
      type: str
  sample:
    - app: router
      runtime_dir: /var/run/dpdk
      device: net_tap0
      devargs: net_tap0,iface=dtap0
      started: true
      since: "2026-01-31T12:00:00Z"
apps:
  description: The applications that were looked at, each with C(app), C(ports) and C(actions) as
    M(dpdk.hotplug.dpdk_port) returns them.
  returned: success
  type: list
  elements: dict
actions:
  description: What was done, or would be in check mode, in its order. V(remember) and V(forget) write the file that is
    their C(target).
  returned: success
  type: list
  elements: dict
  sample:
    - {action: remember, target: /var/lib/dpdk-hotplug/evacuated.json}
    - {action: detach, app: router, device: net_tap0, devargs: "net_tap0,iface=dtap0", port_ids: [1]}
diff:
  description: The devices of the applications, and what is remembered, before and after.
  returned: success
  type: dict
  contains:
    before:
      description: As it was found.
      type: dict
    after:
      description: As it was afterwards; in check mode, as it would be.
      type: dict
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
    app:
      description: The application's file prefix.
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
      description: Which of that could not be taken back. What could not be brought back stays remembered.
      type: list
      elements: str
  sample:
    app: router
    reason: no_application
    message: "no DPDK application 'router' is running"
    way_out: Start it first.
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dpdk.hotplug.plugins.module_utils._app_modules import evacuation
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError, failure

_WORDS = {"type": "list", "elements": "str"}
_COMMANDS = ("attach", "detach", "start", "stop", "status", "drain", "undrain")
_APP = {
    "app": {"type": "str"},
    "runtime_dir": {"type": "path"},
    "adapter": {"type": "str", "choices": ["auto", "multiprocess", "testpmd", "openvswitch", "grout", "command"]},
    "channel": {"type": "str", "choices": ["auto", "ipc", "eal"]},
    "bridge": {"type": "str"},
    "commands": {"type": "dict", "options": dict.fromkeys(_COMMANDS, _WORDS)},
    "drain": _WORDS,
    "undrain": _WORDS,
    "drain_timeout": {"type": "float"},
    "health": {
        "type": "dict",
        "options": {
            "started": {"type": "bool", "default": False},
            "link": {"type": "bool", "default": True},
            "packets": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 30},
        },
    },
    "force": {"type": "bool"},
    "required": {"type": "bool"},
}
_OPTIONS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "apps": {"type": "list", "elements": "dict", "options": _APP},
    "devices": _WORDS,
    "replaced": {"type": "dict"},
    "forget": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 30},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = evacuation(module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
