# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

from .releases import RELEASES, Release


def known() -> list[str]:
    """The releases in the table, oldest first."""
    return [str(Release(*key)) for key in sorted(RELEASES)]


# What is told of releases, and no call has to know. The N of librte_eal.so.N, by ABI_VERSION of each tag.
SONAMES = {
    21: "20.11 21.02 21.05 21.08",
    22: "21.11 22.03 22.07",
    23: "22.11 23.03 23.07",
    24: "23.11 24.03 24.07",
    25: "24.11 25.03 25.07",
    26: "25.11 26.03 26.07",
}

# The patch release on which all facts of a release were tried; those
# of the others were read from their source only.
SHOWN_ON = {
    "20.11": "20.11.0",
    "21.11": "21.11.0",
    "22.11": "22.11.11",
    "23.11": "23.11.0",
    "24.11": "24.11.4",
    "25.07": "25.07.0",
    "25.11": "25.11.4",
    "26.07": "26.07.0",
}

# What is known to go wrong in which releases. All of it is worked around, or never asked for.
DEFECTS = {
    "secondary processes serve telemetry too, under the primary's prefix": "20.11 21.02 21.05 21.08",
    "a datagram of the wrong length ends the primary's multi-process thread for good": (
        "22.03 22.07 22.11 23.03 23.07 23.11 24.03 24.07 24.11 25.03 25.07 25.11 26.03 26.07"
    ),
    "rte_eth_dev_owner_get() and rte_eth_dev_socket_id() end the process at a port id that was never used": (
        "22.11 23.03 23.07"
    ),
    "devargs over 127 bytes are cut without a word": " ".join(name for name in known() if name != "26.07"),
    "a detach of a virtual device that is not there ends the primary": "26.07",
}


def defects(release: Release) -> tuple[str, ...]:
    """What is known to go wrong in a release."""
    name = str(Release(release.year, release.month))
    return tuple(text for text, names in DEFECTS.items() if name in names.split())
