# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: contract
type: aggregate
short_description: Writes every result as it is, for the test that compares two runs
description: One line of JSON a result, loop items too, to the file that E(CONTRACT_FILE) names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "contract"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, how: str, given: Any) -> None:
        # What this reads of a result is private since ansible-core 2.19, and everything before.
        result, task, host = given._result, given._task, given._host
        shown = {name: value for name, value in result.items() if name not in ("start", "end", "delta")}
        line = {"how": how, "host": host.get_name(), "task": task.get_name(), "loop": bool(task.loop), "result": shown}
        with open(os.environ["CONTRACT_FILE"], "a") as file:
            print(json.dumps(line, sort_keys=True, default=str), file=file)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._write("item ok", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._write("item failed", result)
