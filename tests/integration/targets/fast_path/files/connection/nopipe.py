# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = r"""
name: nopipe
short_description: The connection local, without pipelining
description: As paramiko is, which gives a command no standard input.
extends_documentation_fragment:
  - connection_pipelining
"""


class Connection(Local):
    transport = "nopipe"
    has_pipelining = False
