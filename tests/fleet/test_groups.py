# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two cards behind a bridge that cannot tell them apart share an IOMMU group: vfio takes both or none."""

from __future__ import annotations

from bed import CARDS, Bed

ONE, OTHER = CARDS.shared
FREE = CARDS.e1000e[0]


def test_a_card_whose_group_has_another_with_a_kernel_driver_is_refused_with_its_members(guest: Bed) -> None:
    seen = guest.devices(device=list(CARDS.shared))
    assert seen[ONE]["iommu_group"] == seen[OTHER]["iommu_group"]
    assert {ONE, OTHER} <= set(seen[ONE]["group_members"])
    assert seen[ONE]["bindable"] is False and f"{OTHER} (e1000)" in seen[ONE]["reason"]
    error = guest.refused({"devices": [{"device": one, "driver": "vfio-pci"} for one in (FREE, ONE)]})
    assert error["reason"] == "group_not_viable" and error["device"] == ONE and error["members"] == [OTHER]
    assert f"{OTHER} (driver e1000)" in error["message"] and "actions" not in error
    assert guest.driver(FREE, ONE, OTHER) == {FREE: "e1000e", ONE: "e1000", OTHER: "e1000"}


def test_all_of_a_group_go_together_and_an_application_has_both(guest: Bed) -> None:
    document = {"devices": [{"device": one, "driver": "vfio-pci"} for one in CARDS.shared]}
    assert guest.converge(document)["changed"] and not guest.converge(document)["changed"]
    assert guest.driver(ONE, OTHER) == {ONE: "vfio-pci", OTHER: "vfio-pci"}
    pmd = guest.testpmd()
    both = {"app": pmd.prefix, "ports": [{"device": one} for one in CARDS.shared]}
    guest.converge({"apps": [both]})
    assert set(pmd.ports()) == {ONE, OTHER}
    # The application holds the group: neither can go without it, and one cannot while it has the other.
    gone = [{"device": ONE, "driver": "kernel"}]
    assert guest.refused({"devices": gone})["reason"] == "in_use"
    keeps = {"app": pmd.prefix, "ports": [{"device": ONE, "state": "absent"}]}
    assert guest.refused({"devices": gone, "apps": [keeps]})["reason"] == "in_use"
    assert set(pmd.ports()) == {ONE, OTHER}
    lets_go = {"app": pmd.prefix, "ports": [{"device": one, "state": "absent"} for one in CARDS.shared]}
    back = [{"device": one, "driver": "kernel"} for one in CARDS.shared]
    guest.converge({"devices": back, "apps": [lets_go]})
    assert guest.driver(ONE, OTHER) == {ONE: "e1000", OTHER: "e1000"} and not pmd.ports() and pmd.alive


def test_a_member_without_a_driver_does_not_stand_in_the_way(guest: Bed) -> None:
    guest.converge({"devices": [{"device": ONE, "driver": "vfio-pci"}, {"device": OTHER, "driver": "none"}]})
    assert guest.driver(ONE, OTHER) == {ONE: "vfio-pci", OTHER: ""}
