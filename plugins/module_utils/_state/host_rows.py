# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .device_rows import device_result

if t.TYPE_CHECKING:
    from .._host.states import Mount, Pool, VfSettings
    from .host_work import HostWork

# What is returned of a host of which nothing was to be changed.


def pool_result(pool: Pool) -> dict[str, t.Any]:
    from .._host.hugepages import size_text

    return {
        "size": size_text(pool.size),
        "size_kib": pool.size,
        "node": pool.node,
        "count": pool.total,
        "free": pool.free,
        "surplus": pool.surplus,
    }


def mount_result(mount: Mount) -> dict[str, t.Any]:
    from .._host.hugepages import size_text

    return {
        "path": mount.path,
        "size": size_text(mount.size),
        "mode": f"{mount.mode:04o}",
        "uid": mount.uid,
        "gid": mount.gid,
    }


def vf_result(settings: VfSettings) -> dict[str, t.Any]:
    return dict(settings._asdict())


def result(work: HostWork, *, predicted: bool) -> dict[str, t.Any]:
    """What the engine returns of a host."""
    after = work.after
    named = {address for _entry, addresses in after.targets for address in addresses}
    named |= {vf for pf in after.vfs if pf in after.devices for vf in after.devices[pf].vfs}
    found: dict[str, t.Any] = {
        "devices": [device_result(after.devices[one]) for one in sorted(named) if one in after.devices],
        "actions": [work.action(change) for change in work.changes],
        "diff": {"before": {}, "after": {}},
        "reboot_required": False,
    }
    for row in found["devices"]:
        if row["address"] in after.vfs:
            row["vf_settings"] = [vf_result(one) for one in after.vfs[row["address"]].settings]
    if work.changes:
        from .host_results import predict, view

        last = predict(work.before, work.changes) if predicted else view(after)
        found["diff"] = {"before": view(work.before), "after": last}
    asked = work.spec.hugepages
    if asked is not None:
        found["hugepages"] = {
            "pages": [pool_result(one) for one in after.pools],
            "mounts": [mount_result(one) for one in after.mounts],
        }
        if asked.boot is not None:
            from .._host import kernel_args

            found["reboot_required"] = kernel_args.reboot_required(work.system, "hugepages")
    return found
