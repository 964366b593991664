# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices change their drivers, on real PCI devices behind a real IOMMU."""

from __future__ import annotations

from bed import CARDS, Bed

FIRST, SECOND = CARDS.e1000e


def test_a_device_is_bound_and_given_back(guest: Bed) -> None:
    guest.converge({"devices": [{"device": FIRST, "driver": "vfio-pci"}]})
    assert guest.driver(FIRST) == "vfio-pci"
    guest.converge({"devices": [{"device": FIRST, "driver": "kernel"}]})
    assert guest.driver(FIRST) == "e1000e"
