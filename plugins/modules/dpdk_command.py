#!/usr/bin/python

# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpdk_command
short_description: Install the command dpdk-hotplug on a host
version_added: 0.1.0
description:
  - Installs the library that the modules of this collection consist of, and the command that runs it.
    The role P(dpdk.hotplug.helper#role) is the usual way to call it.
  - The whole library is replaced at once. A file that was altered is put right, and what an earlier version left goes.
extends_documentation_fragment:
  - dpdk.hotplug.attributes
  - dpdk.hotplug.attributes.actiongroup_host
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) installs it, or brings it to the version of this collection; V(absent) removes all of it.
    type: str
    choices: [present, absent]
    default: present
  prefix:
    description:
      - Where to install. The library goes to C(lib/dpdk-hotplug) below, the command to C(bin/dpdk-hotplug).
    type: path
    default: /usr/local
  python:
    description:
      - The Python on the host that runs the command.
    type: path
    default: /usr/bin/python3
  version:
    description:
      - The version of the collection, which the command tells and is asked for.
    type: str
    required: true
requirements:
  - Linux, and Python 3.9 or newer on the host
author:
  - The dpdk.hotplug developers (@dpdk-hotplug)
"""

EXAMPLES = r"""
- name: Install the command
  ansible.builtin.include_role:
    name: dpdk.hotplug.helper

- name: Remove it
  dpdk.hotplug.dpdk_command:
    state: absent
    version: ""
"""

RETURN = r"""
command:
  description: The path of the command.
  returned: success
  type: str
  sample: /usr/local/bin/dpdk-hotplug
files:
  description: How many files were written or removed.
  returned: success
  type: int
  sample: 102
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
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError, failure
from ansible_collections.dpdk.hotplug.plugins.module_utils._install import run

_OPTIONS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "prefix": {"type": "path", "default": "/usr/local"},
    "python": {"type": "path", "default": "/usr/bin/python3"},
    "version": {"type": "str", "required": True},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=_OPTIONS,
        supports_check_mode=True,
    )
    try:
        result = run(**module.params, check=module.check_mode)
    except HotplugError as error:
        module.fail_json(**failure(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
