# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""How an inventory's lists become one. The rules are those of the filter merge_apps, which documents them."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.dpdk.hotplug.plugins.module_utils import _devices
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError

Entry = Mapping[str, t.Any]


def apps(lists: t.Any) -> list[dict[str, t.Any]]:
    """One list of applications from several, the one that counts least first. ValueError where they are none."""
    merged: dict[tuple[str, str], dict[str, t.Any]] = {}
    for entry in (entry for one in _listing(lists, "the input") for entry in _listing(one, "each of the lists")):
        if not isinstance(entry, Mapping):
            raise ValueError(f"an application is a dictionary, not {entry!r}")
        key = str(entry.get("app") or ""), str(entry.get("runtime_dir") or "").rstrip("/")
        merged[key] = _over(merged.get(key, {}), entry)
    return [_without_absent(one) if one.get("exclusive") else one for one in merged.values()]


def _listing(value: t.Any, what: str) -> Sequence[t.Any]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise ValueError(f"{what} must be a list, not {value!r}")
    return value


def _over(below: Entry, above: Entry) -> dict[str, t.Any]:
    """``above`` where it says something, else ``below``."""
    found = {**below, **{name: value for name, value in above.items() if value is not None}}
    if above.get("ports") is not None and below.get("ports") is not None:
        ports = {_key(port): port for entry in (below, above) for port in _listing(entry["ports"], "ports")}
        found["ports"] = list(ports.values())
    return found


def _key(port: t.Any) -> str:
    if not isinstance(port, Mapping):
        raise ValueError(f"a port is a dictionary, not {port!r}")
    if port.get("device") is None:
        return json.dumps({name: port.get(name) for name in ("select", "port_id")}, sort_keys=True)
    try:
        return _devices.parse(str(port["device"])).name
    except HotplugError as error:
        raise ValueError(str(error)) from error


def _without_absent(entry: Entry) -> dict[str, t.Any]:
    ports = [port for port in entry.get("ports", ()) if port.get("state") != "absent"]
    return {**entry, "ports": ports} if "ports" in entry else dict(entry)
