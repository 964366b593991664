# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .._host.states import VfSettings
from .host_rows import mount_result, pool_result, vf_result

if t.TYPE_CHECKING:
    from .host_model import Change, HostState


_NAMES = {
    "noiommu": "allow_noiommu",
    "pages": "reserve",
    "arguments": "kernel_arguments",
    "vfs": "resize",
    "vf": "set_vf",
    "boot": "persist",
}


def action(change: Change) -> dict[str, t.Any]:
    """A change as results list it: ``action``, what it is done to, and ``before`` and ``after``."""
    kind = change.kind
    if kind == "driver":
        name = "bind" if change.after.driver else "unbind"
        repair = change.before == change.after
        return {
            "action": name,
            "device": change.target,
            "before": None if repair else change.before.driver or None,
            "after": change.after.driver or None,
        }
    if kind == "vfs":
        return {
            "action": "resize",
            "device": change.target,
            "before": change.before.number,
            "after": change.after.number,
        }
    if kind == "vf":
        pf, index = change.target
        return {
            "action": "set_vf",
            "device": pf,
            "vf": index,
            "before": vf_result(change.before),
            "after": vf_result(change.after),
        }
    if kind == "pages":
        from .._host.hugepages import size_text

        size, node = change.target
        return {
            "action": "reserve",
            "size": size_text(size),
            "node": node,
            "before": change.before,
            "after": change.after,
        }
    if kind == "mount":
        return {
            "action": "mount" if change.after else "unmount",
            "path": change.target,
            "before": mount_result(change.before) if change.before else None,
            "after": mount_result(change.after) if change.after else None,
        }
    return {"action": _NAMES[kind], "target": change.target, "before": change.before, "after": change.after}


def view(state: HostState) -> dict[str, t.Any]:
    """A host as a difference shows it."""
    shown: dict[str, t.Any] = {}
    named = {address for _entry, addresses in state.targets for address in addresses}
    named |= {vf for pf in state.vfs for vf in state.devices[pf].vfs} | {*state.vfs}
    named |= {change.target for change in state.half_done}
    devices = {
        address: {"driver": state.devices[address].driver or None} for address in named if address in state.devices
    }
    for pf, vfs in state.vfs.items():
        devices[pf]["vfs"] = vfs.number
        devices[pf]["vf"] = {str(index): vf_result(one) for index, one in enumerate(vfs.settings)}
    if devices:
        shown["devices"] = dict(sorted(devices.items()))
    if state.pools:
        shown["hugepages"] = {f"{pool_result(one)['size']} on node {one.node}": one.total for one in state.pools}
    if state.mounts:
        shown["mounts"] = {one.path: mount_result(one) for one in state.mounts}
    if state.arguments:
        shown["kernel_arguments"] = list(state.arguments)
    if state.boot:
        shown["boot"] = state.boot
    return shown


def predict(state: HostState, changes: t.Iterable[Change]) -> dict[str, t.Any]:
    """What ``view`` will be after the changes."""
    from .host_plan import overlaid

    devices = dict(state.devices)
    pools = {(one.size, one.node): one for one in state.pools}
    mounts = {one.path: one for one in state.mounts}
    vfs = dict(state.vfs)
    coming: dict[str, str] = {}
    for change in changes:
        kind, target, after = change.kind, change.target, change.after
        if kind == "driver":
            coming[target] = after.driver
            if target in devices:
                devices[target] = devices[target]._replace(driver=after.driver, override=after.override)
        elif kind == "vfs":
            for vf in devices[target].vfs[after.number :]:
                devices.pop(vf, None)
            vfs[target] = after
        elif kind == "vf":
            pf, index = target
            settings = list(vfs[pf].settings)
            settings += [VfSettings()] * (index + 1 - len(settings))
            settings[index] = overlaid(settings[index], after)
            vfs[pf] = vfs[pf]._replace(settings=tuple(settings))
        elif kind == "pages":
            pools[target] = pools[target]._replace(total=after)
        elif kind == "mount" and after is not None:
            mounts[target] = after
        elif kind == "mount":
            mounts.pop(target, None)
        elif kind == "arguments":
            state = state._replace(arguments=after)
        elif kind == "boot":
            state = state._replace(boot=after)
    shown = view(state._replace(devices=devices, pools=tuple(pools.values()), mounts=tuple(mounts.values()), vfs=vfs))
    for address, driver in coming.items():
        if address not in devices and driver:
            shown.setdefault("devices", {})[address] = {"driver": driver}
    return shown
