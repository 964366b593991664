# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

from .._apps.app import App
from .._errors import HotplugError
from .._system import Directory
from .home import key, place
from .record import Record


def look(app: App) -> Record:
    """The record of an application for reading only: looking makes no directory."""
    try:
        with Directory(place(app)) as above, Directory(key(app), parent=above) as own:
            return Record(own, app)
    except HotplugError:
        return Record(None, app)
