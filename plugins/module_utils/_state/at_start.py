# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

from .. import _devices
from .._apps.app import App
from .._apps.options import option_values
from .._errors import HotplugError


def arguments_at_start(app: App) -> dict[str, str]:
    """The devices that the application was started with, with their arguments. Source: EAL options --vdev, -a, -w."""
    found: dict[str, str] = {}
    for text in option_values(app, "--vdev", "--allow", "-a", "-w"):
        try:
            device = _devices.parse(text)
        except HotplugError:
            continue
        found[device.name] = device.args
    return found
