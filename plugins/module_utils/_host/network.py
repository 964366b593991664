# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

from .netlink import Address, Link


class Network(t.Protocol):
    """What is asked of the kernel; netlink.Netlink answers it."""

    def links(self) -> list[Link]:
        """Those of this network namespace."""

    def links_elsewhere(self) -> list[Link]:
        """Those of others that are known here."""

    def addresses(self) -> list[Address]:
        """Those of all links."""

    def default_routes(self) -> list[tuple[int, int]]:
        """IP version and index of the link."""

    def routes_to(self, address: str) -> list[int]:
        """Indexes of the links that lead to an address."""
