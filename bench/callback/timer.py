# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import resource
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: timer
type: aggregate
short_description: Writes what each task took, for the benchmark
description:
  - One line of JSON a task and host, with its name and seconds, to the file that E(DPDK_HOTPLUG_BENCH_FILE) names.
  - In the end one with the most memory that the controller's main process had, in MiB.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "timer"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._begin = time.monotonic()
        self._name = task.get_name()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write(task=self._name, host=result._host.name, seconds=time.monotonic() - self._begin)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._write(memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)

    def _write(self, **entry: Any) -> None:
        with open(os.environ["DPDK_HOTPLUG_BENCH_FILE"], "a") as file:
            print(json.dumps(entry), file=file)
