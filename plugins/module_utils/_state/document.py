# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from . import checks

if t.TYPE_CHECKING:
    from .host_model import HostSpec
    from .model import AppSpec

VERSION = 1
MAX_BYTES = 1 << 20
_HOST = ("hugepages", "devices", "allow_active", "timeout")


def parse(document: t.Any) -> tuple[tuple[AppSpec, ...], HostSpec | None]:
    """What a state document asks of applications and of the host, checked; refused with the place of what is wrong.

    ``{"version": 1, "hugepages": {...}, "devices": [...], "apps": [...]}``; see the README. Only what it asks for is
    imported.
    """
    top = checks.mapping(document, "the document", ("version", "apps", *_HOST))
    if top.get("version", VERSION) != VERSION:
        what = f"is {top['version']!r}; this release reads version {VERSION}"
        raise checks.bad("version", what, "Use a matching release.")
    apps: tuple[AppSpec, ...] = ()
    kept: t.Sequence[t.Mapping[str, t.Any]] = ()
    if top.get("apps") is not None:
        from . import app_document

        given = checks.listing(top["apps"], "apps")
        if any(isinstance(one, dict) and "persistent" in one for one in given):
            from . import app_entries

            given, kept = app_entries.parted(given)
        apps = app_document.parse(given)
    # How long to wait, and what may be taken, ask nothing of a host by themselves: its lock takes root.
    if not kept and all(top.get(name) is None for name in ("hugepages", "devices")) and not top.get("allow_active"):
        return apps, None
    from . import host_document

    spec = host_document.parse({name: top.get(name) for name in _HOST})
    if kept:
        from . import app_entries

        spec = spec._replace(apps=app_entries.checked(kept))
    return apps, spec
