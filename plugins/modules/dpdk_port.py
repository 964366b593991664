#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_port
short_description: Attach and detach ports of a running DPDK application
version_added: 0.1.0
description:
  - Brings the ports of one running DPDK application into the state that is asked for, and leaves the application
    running.
  - The ports are read first. What is already as asked for is left alone, what can be refused is refused before the
    first change,
    and after the changes the ports are read again. The result never rests on what DPDK answered alone.
  - Any number of ports can be given in one task. If one of the changes fails, those before it are taken back,
    unless O(atomic=false).
  - Devices are known by name and never by port id, since DPDK gives the lowest free id to the next port.
  - Two runs against one application wait for each other, up to O(timeout).
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_hotplug
  - dpdk.hotplug.app.runtime_dir
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written, and no lock is taken. What only the application itself can tell, such as a driver that it
        does not have,
        is not found out.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(recreate=true) a device whose arguments are not known is attached anew once; from then on they are known.
options:
  app:
    description:
      - The file prefix of the application (C(--file-prefix), which is V(rte) where none was given).
      - May be left out when exactly one DPDK application runs on the host.
    type: str
  ports:
    description:
      - The devices to attach or to detach.
      - An empty list with O(exclusive=true) detaches all.
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - A PCI address such as V(0000:01:00.0) or V(01:00.0), or a virtual device in the format of EAL's C(--vdev),
            such as
            V(net_pcap0,iface=eth0). Arguments for the driver may follow a PCI address in the same way.
          - At most 127 bytes together with C(vdev:) or C(pci:) before it, which DPDK would cut without a word.
          - Arguments that are given are compared with those that the device was attached with. None given means no
            opinion on them.
        type: str
      port_id:
        description:
          - The port to detach, for O(ports[].state=absent) only. The device that it belongs to is detached with all
            of its ports.
          - A port that is not there is absent already.
        type: int
      state:
        description:
          - Whether the device is to be attached. The default is what O(state) says.
        type: str
        choices: [present, absent]
      started:
        description:
          - Whether its ports are to be started. The default is what O(started) says.
        type: bool
      bridge:
        description:
          - The bridge of Open vSwitch that it is to be on. The default is what O(bridge) says.
        type: str
  device:
    description:
      - One device, instead of O(ports). See O(ports[].device).
    type: str
  port_id:
    description:
      - One port to detach, instead of O(ports). See O(ports[].port_id).
    type: int
  state:
    description:
      - V(present) attaches what is not attached, V(absent) detaches what is.
      - It is an error when the application does not run, for V(absent) too, since then nothing is known of its ports.
    type: str
    choices: [present, absent]
    default: present
  exclusive:
    description:
      - Detach every device that is not listed.
      - Ports that another device or the application itself owns, such as the members of a bonding device, are left to
        their owner.
      - Not to be used with V(absent) for O(state) or O(ports[].state).
    type: bool
    default: false
  persistent:
    description:
      - V(true) notes the ports in the host's persistent state, which the reconciler of the role
        P(dpdk.hotplug.reconciler#role) applies when the application is started anew.
        It needs O(app), and the command of the role P(dpdk.hotplug.helper#role).
      - Ports that are to be V(absent) are taken out of that state; with O(exclusive) the ports take the place of all.
      - V(false) takes the ports that are named out of it, or the application where none is. Left out, it stays as it
        is.
    type: bool
  started:
    description:
      - Whether the ports are to be started or stopped. Left as they are where this is not given.
      - Needs an adapter that can do so, see O(adapter). It has no meaning for ports that are to be absent.
    type: bool
  force:
    description:
      - Detach started ports also where the adapter cannot stop them, and ports that have an owner.
      - DPDK takes a port away at once, from under threads that poll it. The application may crash.
    type: bool
    default: false
  atomic:
    description:
      - If a change fails, take back the ones that were done before it. The error tells what was done, undone, and
        could not be undone.
      - V(false) stops at the first failure and leaves what was done.
    type: bool
    default: true
  recreate:
    description:
      - Detach a device that is attached with other arguments than those that are asked for, and attach it with these.
        Without this that is an error.
      - Where the arguments are not known, because somebody else attached the device, it is also attached anew.
        Without this a warning says so.
    type: bool
    default: false
  adapter:
    description:
      - How the application is reached.
      - V(multiprocess) attaches and detaches in any application that shares its files (neither C(--in-memory) nor
        C(--no-shconf)).
      - V(testpmd) drives the console of a testpmd that runs under C(dpdk-hotplug console). It stops, closes, sets up
        and starts
        ports too, and only so do ports that are attached forward packets.
      - V(openvswitch) adds ports of type C(dpdk) to a bridge of Open vSwitch, through its database. See O(bridge).
      - V(grout) drives grout by its C(grcli), which must be on the host.
      - V(command) runs commands of your own. See O(commands).
      - V(auto) takes V(command) where O(commands) are given, else the first that reaches the application of
        V(testpmd), V(openvswitch), V(grout) and V(multiprocess). M(dpdk.hotplug.dpdk_app_info) tells which do.
    type: str
    choices: [auto, multiprocess, testpmd, openvswitch, grout, command]
    default: auto
  channel:
    description:
      - How the adapter V(multiprocess) speaks to the application.
      - V(ipc) speaks the multi-process protocol of EAL on the application's socket. It needs no DPDK on the host
        besides the application.
      - V(eal) starts a secondary process for each change. It needs the shared libraries of exactly the application's
        release,
        and its hugepages.
      - V(auto) takes V(ipc) for every release whose messages are known, else V(eal).
    type: str
    choices: [auto, ipc, eal]
    default: auto
  bridge:
    description:
      - The bridge of Open vSwitch that the ports are to be on. It must be there.
      - May be left out where there is but one. A device that is on another bridge is an error, or is moved with
        O(recreate=true).
    type: str
  commands:
    description:
      - Commands of your own that act on the application, for the adapter V(command). Each is a list of arguments, the
        program first. No shell reads it.
      - C({app}), C({pid}), C({runtime_dir}), C({device}), C({devargs}) and C({port_ids}) in an argument stand for the
        application's file prefix, its process id, its runtime directory, the device, the device with its arguments,
        and the ids of its ports, separated by commas.
      - Each must end with 0 within O(timeout) seconds. Whether it did its work is read from the ports afterwards.
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
        description:
          - Prints the ports as a JSON list of objects with C(device), C(port_id), C(started) and C(mac), of which
            only C(device) must be there. It is run in check mode too, and must change nothing.
          - Without it, the ports are read from telemetry.
        type: list
        elements: str
      drain:
        description: The same as O(drain).
        type: list
        elements: str
      undrain:
        description: The same as O(undrain).
        type: list
        elements: str
  drain:
    description:
      - A command on the host that takes the traffic away from a device's started ports, with any adapter. It is run
        before any of them is stopped or detached, and before the first change of the run.
      - A list of arguments as in O(commands). If it fails, or does not end in time, nothing is changed.
      - Where the adapter cannot stop ports, the command must have stopped them. Check mode does not run it.
    type: list
    elements: str
  undrain:
    description:
      - The command that takes back what O(drain) did, when it or a later step has failed.
    type: list
    elements: str
  drain_timeout:
    description:
      - How many seconds O(drain) and O(undrain) may take; V(300) where this is not given.
    type: float
  health:
    description:
      - What must come true of the ports that are asked for, after something was changed. If it does not, all of it is
        undone and the task fails, with reason V(unhealthy).
      - Also the way to whoever is connected by ssh must lead over the same network interfaces as before.
      - It is looked at on the host itself, so that it is undone as well where the connection does not outlive the
        change.
      - Where nothing is to be changed, nothing is looked at.
    type: dict
    suboptions:
      started:
        description: Whether the ports have to be started, by the adapter or by the application itself.
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
  timeout:
    description:
      - How many seconds to wait for another run to let go of the application, and for the application to answer.
      - DPDK itself may take more than 10 seconds to fail a request. It is always given time to end it.
    type: float
    default: 30
requirements:
  - Linux, and Python 3.9 or newer on the host
  - root, or the user that runs the application
seealso:
  - module: dpdk.hotplug.dpdk_port_info
  - module: dpdk.hotplug.dpdk_app_info
  - name: DPDK devices and their arguments
    description: The drivers, and the arguments that each takes.
    link: https://doc.dpdk.org/guides/nics/index.html
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Attach a network card that is bound to vfio-pci
  dpdk.hotplug.dpdk_port:
    app: router
    device: "0000:01:00.0"

- name: Attach a virtual device to the only DPDK application on the host
  dpdk.hotplug.dpdk_port:
    device: net_pcap0,iface=eth0

- name: Attach several devices in one task, all of them or none
  dpdk.hotplug.dpdk_port:
    app: router
    ports:
      - device: "0000:01:00.0"
      - device: "0000:01:00.1"
      - device: net_tap0,iface=dtap0

- name: Have these ports and no others
  dpdk.hotplug.dpdk_port:
    app: router
    ports: "{{ router_ports }}"
    exclusive: true

- name: Show what that would change
  dpdk.hotplug.dpdk_port:
    app: router
    ports: "{{ router_ports }}"
    exclusive: true
  check_mode: true
  diff: true

- name: Detach all ports
  dpdk.hotplug.dpdk_port:
    app: router
    ports: []
    exclusive: true

- name: Detach a device
  dpdk.hotplug.dpdk_port:
    app: router
    device: net_pcap0
    state: absent

- name: Detach the device that port 3 belongs to
  dpdk.hotplug.dpdk_port:
    app: router
    port_id: 3
    state: absent
  register: detached

- name: Tell which device that was
  ansible.builtin.debug:
    msg: "{{ detached.actions | map(attribute='device') | first | default('it was not there') }}"

- name: Move a port in one task, the new one in and the old one out
  dpdk.hotplug.dpdk_port:
    app: router
    ports:
      - device: "0000:02:00.0"
      - device: "0000:01:00.0"
        state: absent

- name: Give a device other arguments
  dpdk.hotplug.dpdk_port:
    app: router
    device: net_af_packet0,iface=eth1,qpairs=2
    recreate: true

- name: Attach a port to testpmd and have it forward packets
  dpdk.hotplug.dpdk_port:
    app: testpmd
    adapter: testpmd
    device: net_af_packet0,iface=eth1
    started: true

- name: Stop, close and detach a port that forwards packets
  dpdk.hotplug.dpdk_port:
    app: testpmd
    adapter: testpmd
    device: net_af_packet0
    state: absent

- name: Take a started port away from an application that is about to be ended anyway
  dpdk.hotplug.dpdk_port:
    app: old-router
    device: "0000:01:00.0"
    state: absent
    force: true

- name: Attach without the public messages of EAL, through a secondary process
  dpdk.hotplug.dpdk_port:
    app: router
    device: "0000:01:00.0"
    adapter: multiprocess
    channel: eal

- name: Attach on the hypervisor what a guest is to use next, and wait longer for other runs
  dpdk.hotplug.dpdk_port:
    app: vswitch
    device: net_vhost0,iface=/run/vhost/guest0.sock
    timeout: 120
  delegate_to: "{{ hypervisor }}"

- name: Attach to an application that a systemd unit runs with a runtime directory of its own
  dpdk.hotplug.dpdk_port:
    app: router
    runtime_dir: /run/router/dpdk
    device: "0000:01:00.0"

- name: Move the traffic away before a port goes
  dpdk.hotplug.dpdk_port:
    app: router
    device: "0000:01:00.0"
    state: absent
    drain: [/usr/local/sbin/drain-port, "{app}", "{device}"]
    undrain: [/usr/local/sbin/undrain-port, "{app}", "{device}"]
    drain_timeout: 120

- name: Attach through the application's own control tool
  dpdk.hotplug.dpdk_port:
    app: router
    device: "0000:01:00.0"
    commands:
      attach: [routerctl, port, add, "{devargs}"]
      detach: [routerctl, port, del, "{device}"]

- name: Add a network card to a bridge of Open vSwitch
  dpdk.hotplug.dpdk_port:
    app: rte
    adapter: openvswitch
    bridge: br-phy
    device: "0000:01:00.0"

- name: Say once for all tasks which application is meant
  module_defaults:
    group/dpdk.hotplug.hotplug:
      app: router
  block:
    - name: Attach a virtual device
      dpdk.hotplug.dpdk_port:
        device: net_null0

    - name: Read the ports
      dpdk.hotplug.dpdk_port_info:
"""

RETURN = r"""
app:
  description: The application, and how it was reached.
  returned: success
  type: dict
  contains:
    prefix:
      description: Its file prefix.
      returned: success
      type: str
    pid:
      description: Its process id.
      returned: success
      type: int
    version:
      description: Its DPDK version.
      returned: success
      type: str
    runtime_dir:
      description: The directory that its own directory is in.
      returned: success
      type: str
    adapter:
      description: The adapter that reaches it.
      returned: success
      type: str
    channel:
      description: The channel of the adapter, empty for an adapter that has only one.
      returned: success
      type: str
  sample:
    adapter: multiprocess
    channel: ipc
    pid: 4711
    prefix: router
    runtime_dir: /var/run/dpdk
    version: DPDK 22.11.11
ports:
  description:
    - All ports of the application, by port id, as they were read after the changes.
    - In check mode, as they are.
  returned: success
  type: list
  elements: dict
  contains:
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
    bridge:
      description: The bridge that it is on.
      returned: with the adapter V(openvswitch)
      type: str
  sample:
    - attached: true
      configured: false
      device: net_pcap0
      devargs: net_pcap0,iface=eth0
      mac: 02:70:63:61:70:00
      name: net_pcap0
      numa_node: -1
      owned: false
      port_id: 1
      siblings: []
      started: false
actions:
  description: What was done, in order; in check mode, what would be done.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(drain), V(stop), V(detach), V(attach) or V(start).
      returned: success
      type: str
    device:
      description: The device.
      returned: success
      type: str
    devargs:
      description: The device with its arguments.
      returned: success
      type: str
    port_ids:
      description: The ids of its ports, the former ones after a detach. Empty for what check mode would attach.
      returned: success
      type: list
      elements: int
  sample:
    - action: attach
      devargs: net_pcap0,iface=eth0
      device: net_pcap0
      port_ids: [1]
diff:
  description: The devices of the application before and after, with their arguments and whether they are started.
  returned: success
  type: dict
  contains:
    before:
      description: As they were found.
      returned: success
      type: dict
    after:
      description: As they were read afterwards; in check mode, as they would be.
      returned: success
      type: dict
  sample:
    before:
      ports: {}
    after:
      ports:
        net_pcap0:
          args: iface=eth0
          started: false
    before_header: ports of DPDK application router
    after_header: ports of DPDK application router
error:
  description: What went wrong, for programs. RV(ignore:msg) says the same to people.
  returned: failure
  type: dict
  contains:
    reason:
      description:
        - A word that stays the same from release to release, such as V(port_started), V(unknown_driver),
          V(no_application) or
          V(timeout). The README lists them.
      returned: failure
      type: str
    message:
      description: What is wrong.
      returned: failure
      type: str
    way_out:
      description: What to do about it.
      returned: when there is something to say
      type: str
    app:
      description: The application's file prefix.
      returned: when it is known
      type: str
    device:
      description: The device.
      returned: when it is about one
      type: str
    errno:
      description: The number that DPDK answered with.
      returned: when DPDK refused
      type: int
    actions:
      description: What was done before the failure, as in RV(actions).
      returned: when the failure came after the first change
      type: list
      elements: dict
    undone:
      description: Which of these were taken back.
      returned: when the failure came after the first change
      type: list
      elements: str
    not_undone:
      description: Which of these were not, and why. RV(ignore:changed) is V(true) then.
      returned: when the failure came after the first change
      type: list
      elements: str
    refusals:
      description: Every refusal, where there are several.
      returned: when several devices are refused
      type: list
      elements: dict
  sample:
    app: router
    device: "0000:01:00.0"
    message: "device '0000:01:00.0' has started ports: 0 (0000:01:00.0).
      A detach would take them from under the application"
    reason: port_started
    way_out: Stop and close them in the application, or use an adapter that stops them. Only force goes past this;
      the application may crash.
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError, failure
from ansible_collections.dpdk.hotplug.plugins.module_utils._modules import port

_PORT = {
    "device": {"type": "str"},
    "port_id": {"type": "int"},
    "state": {"type": "str", "choices": ["present", "absent"]},
    "started": {"type": "bool"},
    "bridge": {"type": "str"},
}
_WORDS = {"type": "list", "elements": "str"}
_COMMANDS = ("attach", "detach", "start", "stop", "status", "drain", "undrain")
_OPTIONS = {
    "app": {"type": "str"},
    "ports": {
        "type": "list",
        "elements": "dict",
        "options": _PORT,
        "mutually_exclusive": [("device", "port_id")],
        "required_one_of": [("device", "port_id")],
    },
    "device": {"type": "str"},
    "port_id": {"type": "int"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "exclusive": {"type": "bool", "default": False},
    "persistent": {"type": "bool"},
    "started": {"type": "bool"},
    "force": {"type": "bool", "default": False},
    "atomic": {"type": "bool", "default": True},
    "recreate": {"type": "bool", "default": False},
    "adapter": {
        "type": "str",
        "choices": ["auto", "multiprocess", "testpmd", "openvswitch", "grout", "command"],
        "default": "auto",
    },
    "channel": {"type": "str", "choices": ["auto", "ipc", "eal"], "default": "auto"},
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
    "runtime_dir": {"type": "path"},
    "timeout": {"type": "float", "default": 30},
}
SPEC = {
    "argument_spec": _OPTIONS,
    "mutually_exclusive": [("ports", "device", "port_id")],
    "required_one_of": [("ports", "device", "port_id")],
    "supports_check_mode": True,
}


def main() -> None:
    module = AnsibleModule(**SPEC)
    try:
        result = port(module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
