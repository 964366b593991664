# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import os
import typing as t


class Meaning(t.NamedTuple):
    """What a negative errno of DPDK says: a stable ``reason``, words for a person, and the way out."""

    reason: str
    what: str
    way_out: str


# What each errno was seen to mean on 22.11, 24.11 and 25.11, for rte_eal_hotplug_add() and rte_dev_probe(), in the
# process itself or as the primary answers a request. Source: lib/eal/common/eal_common_dev.c and the drivers behind it.
ATTACH = {
    errno.EPERM: Meaning(
        "bad_devargs", "its driver refuses it", "Check its arguments; the application's log says more."
    ),
    errno.ENOENT: Meaning(
        "no_such_device", "there is no such device", "Check its name and arguments; the application's log says more."
    ),
    errno.ENOMEM: Meaning("no_memory", "the application has no memory for it", "Give it more hugepages."),
    errno.EFAULT: Meaning(
        "unknown_driver", "the application has no driver or bus of that name", "Check the name; load the driver (-d)."
    ),
    errno.EEXIST: Meaning("exists", "it is attached already, or half of it is", "Look at the application's log."),
    errno.ENODEV: Meaning(
        "no_such_device", "there is no such device on its bus", "Check the address, and that it was not pulled out."
    ),
    errno.EINVAL: Meaning(
        "bad_devargs", "its arguments are not valid", "Check them against the driver's documentation."
    ),
    errno.ENOTSUP: Meaning(
        "not_supported", "no driver of the application takes it", "Bind it to vfio-pci first, and load its driver (-d)."
    ),
}
DETACH = {
    errno.ENOENT: Meaning("no_such_device", "the application does not know it", "It was detached meanwhile."),
    errno.ENODEV: Meaning("no_such_device", "the application does not know it", "It was detached meanwhile."),
    # rte_eal_hotplug_remove() in a process that has not probed the device
    errno.EINVAL: Meaning("no_such_device", "the asking process does not know it", "It was detached meanwhile."),
    errno.EBUSY: Meaning("busy", "it is in use", "Stop and close what uses it."),
    errno.ENOTSUP: Meaning(
        "not_supported", "its driver or bus cannot detach", "It stays until the application is restarted."
    ),
}


def meaning(table: t.Mapping[int, Meaning], code: int) -> Meaning:
    """The meaning of a negative errno in one of the tables."""
    return table.get(-code, Meaning("failed", f"DPDK refuses: {os.strerror(-code)}", "Look at the application's log."))
