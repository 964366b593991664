# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import typing as t

from .._errors import HotplugError
from .._system import System
from . import files, pci

if t.TYPE_CHECKING:
    from .._state.host_model import HostSpec, HostState

PATH = "/etc/dpdk-hotplug/host.json"
UNIT = "dpdk-hotplug-host.service"
_UNITS = "/etc/systemd/system"
_WANTS = f"{_UNITS}/sysinit.target.wants"
_COMMANDS = ("/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin", "/opt/dpdk-hotplug/bin")
# Before whatever has the default dependencies, applications too, and before anything configures the network.
_TEXT = """# Written by dpdk.hotplug; it goes with the last entry of {path}.
[Unit]
Description=Devices and hugepages for DPDK applications
Documentation=file:{path}
DefaultDependencies=no
After=local-fs.target systemd-modules-load.service systemd-udev-trigger.service
Wants=network-pre.target
Before=network-pre.target sysinit.target shutdown.target
Conflicts=shutdown.target
ConditionPathExists={path}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={command} boot
TimeoutStartSec=300

[Install]
WantedBy=sysinit.target
"""


def read(system: System) -> dict[str, t.Any]:
    """The boot document; empty where there is none. One that is not root's alone, or no JSON, is refused."""
    import json

    data = system.read(PATH)
    if not data:
        return {}
    try:
        found = json.loads(data)
        if isinstance(found, dict):
            return found
    except ValueError:
        pass
    raise HotplugError("bad_file", f"{PATH} is no document", way_out="Mend it, or remove it to start anew.")


class Piece(t.NamedTuple):
    """An entry of the boot document by itself, so that one that fails keeps no other. ``entry``: as it is kept."""

    kind: str  # hugepages, device, app
    name: str
    document: dict[str, t.Any]
    entry: t.Mapping[str, t.Any] = {}


def pieces(boot: t.Mapping[str, t.Any]) -> list[Piece]:
    """The boot document in pieces; memory and devices come before the applications that use them."""
    found = []
    if boot.get("hugepages"):
        found.append(Piece("hugepages", "hugepages", {"hugepages": boot["hugepages"]}))
    for entry in boot.get("devices", ()):
        plain = {name: one for name, one in entry.items() if name != "expect"}
        found.append(Piece("device", str(entry.get("device") or entry.get("select")), {"devices": [plain]}, entry))
    apps = boot.get("apps", ())
    found += [Piece("app", str(one.get("app", "")), {"apps": [{**one, "required": False}]}, one) for one in apps]
    return found


def same_card(system: System, entry: t.Mapping[str, t.Any]) -> None:
    """Refuse an entry where another card is at its address than it was written for."""
    expected = entry.get("expect") or {}
    device = pci.read(system, entry["device"], {}) if expected else None
    if device is None:
        return
    has = {"vendor": device.vendor, "device": device.device}
    if any(has.get(name) != value for name, value in expected.items()):
        what = f"at {device.address} there is {device.vendor}:{device.device}, expected is "
        what += f"{expected.get('vendor')}:{expected.get('device')}: another card is left alone"
        way_out = "Bind it anew with persistent: true."
        raise HotplugError("other_device", what, way_out=way_out, device=device.address)


def merged(boot: t.Mapping[str, t.Any], spec: HostSpec, state: HostState) -> dict[str, t.Any]:
    """The boot document with what is to persist, and without what is not to."""
    entries = {_key(one): one for one in boot.get("devices", ())}
    for spec_entry, addresses in state.targets:
        entry = dict(spec_entry.entry)
        if spec_entry.device:
            entry["device"] = spec_entry.device
        before = entries.pop(_key(entry), {}) if spec_entry.persistent is not None else {}
        if spec_entry.persistent:
            # One task may say what drives a card, and another one what VFs it has.
            entry = _plain({**before, **entry}, {"noiommu": False})
            if spec_entry.device:
                device = state.devices.get(addresses[0])
                if device is not None:
                    entry["expect"] = {"vendor": device.vendor, "device": device.device}
            entries[_key(entry)] = entry
    found: dict[str, t.Any] = {}
    pages = boot.get("hugepages")
    if spec.hugepages is not None and spec.hugepages.persistent is not None:
        pages = _memory(spec.hugepages.entry) if spec.hugepages.persistent else None
    if pages:
        found["hugepages"] = pages
    if entries:
        found["devices"] = [entries[key] for key in sorted(entries)]
    apps = boot.get("apps", ())
    if spec.apps:
        from .._state import app_entries

        apps = app_entries.merged(apps, spec.apps)
    if apps:
        found["apps"] = list(apps)
    return {"version": 1, **found} if found else {}


def _memory(entry: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    from .._state.host_document_parts import MOUNT

    unsaid = {"mounts": MOUNT}
    return {name: [_plain(one, unsaid.get(name, {})) for one in entry[name]] for name in entry}


def _plain(value: t.Any, unsaid: t.Mapping[str, t.Any]) -> t.Any:
    """Without what was left out or goes without saying: a task of any module writes the same for the same wish."""
    if isinstance(value, list):
        return [_plain(one, {}) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _plain(one, {}) for name, one in value.items() if one not in (None, []) and one != unsaid.get(name)}


def _key(entry: t.Mapping[str, t.Any]) -> str:
    import json

    return str(entry.get("device") or json.dumps(entry.get("select"), sort_keys=True))


def command(system: System) -> str:
    """The installed command, which applies the boot document."""
    for place in _COMMANDS:
        if os.access(system.path(f"{place}/dpdk-hotplug"), os.X_OK):
            return f"{place}/dpdk-hotplug"
    raise HotplugError(
        "no_helper",
        "what is to persist is applied at boot by the command dpdk-hotplug, which is not installed",
        way_out="Run the role dpdk.hotplug.helper on this host first (the role vfio does).",
    )


def can_keep(system: System | None = None) -> bool:
    """Whether there is the command, and we are root, whose the boot document is."""
    try:
        return bool(command(system or System())) and os.geteuid() == 0
    except HotplugError:
        return False


def unapplied(system: System, spec: HostSpec) -> HotplugError | None:
    """Why nothing would apply at boot what is to persist; None where something does."""
    asked = [entry.persistent for entry in spec.devices] + [one["persistent"] for one in spec.apps]
    asked += [spec.hugepages.persistent] if spec.hugepages else []
    try:
        if any(asked):
            command(system)
    except HotplugError as error:
        return error
    return None


def check(system: System, state: HostState) -> None:
    """Refuse what another tool does otherwise at boot."""
    for entry, addresses in state.targets:
        for address in addresses if entry.persistent and entry.driver else ():
            for file, driver in _others(system, address):
                if driver != entry.driver:
                    raise HotplugError(
                        "persistence_conflict",
                        f"{file} gives device '{address}' to {driver} at boot, asked for is {entry.driver}",
                        way_out=f"Take it out of {file}, or leave persistent out.",
                        device=address,
                    )


def _others(system: System, address: str) -> list[tuple[str, str]]:
    """What driverctl and Debian's dpdk package would do. Source: driverctl(8), dpdk-setup's /etc/dpdk/interfaces."""
    found = []
    driver = system.read(f"/etc/driverctl.d/{address}").decode("utf-8", "replace").strip()
    if driver:
        found.append((f"/etc/driverctl.d/{address}", driver))
    lines = system.read("/etc/dpdk/interfaces").decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if len(words) >= 3 and words[0] == "pci" and words[1].lower() == address:
            found.append((f"/etc/dpdk/interfaces (line {number})", words[2]))
    return found


def change(system: System, _before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> None:
    """Write the boot document and the unit that has it applied; nothing of either is left when it is empty.

    The document comes last and goes first: wherever the power fails, what is written is what is applied.
    """
    import json

    unit, link = f"{_UNITS}/{UNIT}", f"{_WANTS}/{UNIT}"
    if not after:
        files.remove(system, PATH)
        files.remove(system, link, directory=False)
        files.remove(system, unit, directory=False)
        return
    text = _TEXT.format(path=PATH, command=command(system))
    files.replace(system, unit, text.encode(), 0o644)
    files.link(system, link, f"../{UNIT}")
    files.replace(system, PATH, json.dumps(after, indent=2, sort_keys=True).encode() + b"\n", 0o644)
