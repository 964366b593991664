# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .steps import Step


def predict(before: dict[str, t.Any], steps: t.Iterable[Step], verbs: t.Collection[str] = ()) -> dict[str, t.Any]:
    """What ``view`` will be after the steps of an adapter that can do ``verbs``."""
    after = {name: dict(one) for name, one in before.items()}
    for step in steps:
        name = step.device.name
        if step.verb == "detach":
            after.pop(name, None)
        elif step.verb == "attach":
            after[name] = {"args": step.device.args, "started": "attach_started" in verbs}
        elif step.verb in ("start", "stop") and name in after:
            after[name]["started"] = step.verb == "start"
    return dict(sorted(after.items()))
