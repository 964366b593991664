# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the engine in a process of its own, so that tests can kill, stop and signal it.

    run_converge.py '{"document": {...}, "gate": true, "fault": ["MODULE:NAME", "before"|"after", N], "patch": {...}}'

With ``evacuation`` it is that which is run, with these arguments, and not the document.
It prints a line of JSON before each step ({"step": TEXT}) and at the end ({"result": ...} or {"error": ...}). With
``gate`` it waits before each step for a line on its standard input. ``fault`` ends it by SIGKILL around the N-th
call of that function of the library. ``patch`` sets constants of the library ("MODULE:NAME": value).
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import sys
from typing import Any

LIBRARY = "ansible_collections.dpdk.hotplug.plugins.module_utils."


def _owner(place: str) -> tuple[Any, str]:
    """The object that holds what "MODULE:NAME" or "MODULE:CLASS.NAME" names."""
    module, _colon, path = place.partition(":")
    holder: Any = importlib.import_module(module if module == "os" else LIBRARY + module)
    *classes, name = path.split(".")
    for one in classes:
        holder = getattr(holder, one)
    return holder, name


def _arm(place: str, when: str, number: int) -> None:
    holder, name = _owner(place)
    real = getattr(holder, name)
    calls = 0

    @functools.wraps(real)
    def failing(*positional: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        value = real(*positional, **named)
        if calls == number and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    setattr(holder, name, failing)


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> int:
    order = json.loads(sys.argv[1])
    from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
    from ansible_collections.dpdk.hotplug.plugins.module_utils._state import evacuation
    from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge

    for place, value in order.get("patch", {}).items():
        setattr(*_owner(place), value)
    if order.get("fault"):
        _arm(*order["fault"])

    def progress(step: str) -> None:
        _say(step=step)
        if order.get("gate"):
            sys.stdin.readline()

    _say(ready=os.getpid())
    try:
        if "evacuation" in order:
            _say(result=evacuation.run(**order["evacuation"], progress=progress))
        else:
            _say(result=converge(order["document"], progress=progress))
    except HotplugError as error:
        _say(error=error.result())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
