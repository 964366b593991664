# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

from .._binding import releases
from .app import App


def combined(app: App, owner: int, release: releases.Release | None, served: list[App]) -> list[App]:
    """The applications of one directory: the one that holds its lock, and those that run in memory only."""
    living = [one for one in served if one.pid and one.pid != owner]
    primary = [
        one._replace(
            pid=owner, shared=True, release=release, telemetry_error=one.telemetry_error or _other(one, release)
        )
        for one in served
        if owner and one.pid == owner
    ]
    if owner and not primary:
        # Its socket may be held by another, or does not answer at all: that is said, and nothing is taken from it.
        silent = next((one for one in served if not one.pid), app)
        error = silent.telemetry_error or f"no telemetry socket of pid {int(owner)}"
        primary = [app._replace(pid=owner, shared=True, release=release, telemetry_error=error)]
    if primary or living:
        return primary + living
    return [app._replace(release=release)]


def _other(app: App, release: releases.Release | None) -> str:
    if app.release == release:
        return ""
    return f"telemetry says {app.version}, the application's config file {release}"
