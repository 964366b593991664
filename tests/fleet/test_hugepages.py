# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hugepages of a machine with two NUMA nodes of 1 GiB each."""

from __future__ import annotations

from typing import Any

from bed import Bed

MOUNT = "/mnt/huge"


def pages(*asked: tuple[str, int, int | None]) -> dict[str, Any]:
    listed = [{"size": size, "count": count, "node": node} for size, count, node in asked]
    return {"hugepages": {"pages": [{name: one[name] for name in one if one[name] is not None} for one in listed]}}


def counts(guest: Bed, size: str = "2M") -> list[int]:
    """Of the nodes, in their order, as the kernel has them."""
    return [one["count"] for one in guest.hugepages()["pages"] if one["size"] == size]


def test_each_node_gets_what_it_is_asked_for_and_keeps_it(guest: Bed) -> None:
    assert counts(guest) == [0, 0]
    document = pages(("2M", 10, 0), ("2M", 20, 1))
    foreseen = guest.converge(document, check=True)["host"]
    assert counts(guest) == [0, 0]
    done = guest.converge(document)["host"]
    assert (foreseen["actions"], foreseen["diff"]) == (done["actions"], done["diff"])
    for node, count in enumerate((10, 20)):
        place = f"/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
        assert guest.read(place) == str(count)
    assert not guest.converge(document)["changed"]
    guest.converge(pages(("2M", 4, 1)))
    assert counts(guest) == [10, 4], "what is not asked for stays"
    guest.converge(pages(("2M", 30, None)))
    assert counts(guest) == [15, 15]
    assert not guest.converge(pages(("2M", 30, None)))["changed"]


def test_what_the_kernel_cannot_give_is_told_in_numbers_and_taken_back(guest: Bed) -> None:
    guest.converge(pages(("2M", 6, 0), ("2M", 7, 1)))
    # More than is free there, with what the kernel and the programs have, and less than there is.
    error = guest.refused(pages(("2M", 20, 0), ("2M", 500, 1)))
    assert error["reason"] == "hugepages_short" and (error["asked"], error["node"]) == (500, 1)
    assert 7 <= error["gave"] < 500
    assert f"the kernel gave {error['gave']} of 500 hugepages of 2M on node 1" in error["message"]
    assert not error["not_undone"] and counts(guest) == [6, 7]
    # A node has 1 GiB with all that is in it.
    large = guest.refused(pages(("1G", 1, 0)))
    assert large["reason"] == "hugepages_short" and "of 1 hugepages of 1G on node 0" in large["message"]
    assert counts(guest, "1G") == [0, 0] and counts(guest) == [6, 7]


def test_what_there_is_not_and_what_is_in_use_is_refused(guest: Bed) -> None:
    size = guest.refused(pages(("16M", 4, None)))
    assert size["reason"] == "hugepages_size" and "2M" in size["message"] and "1G" in size["message"]
    mounted = {"mounts": [{"path": MOUNT, "size": "16M"}]}
    mount = guest.refused({"hugepages": {**pages(("2M", 4, 0))["hugepages"], **mounted}})
    assert mount["reason"] == "hugepages_size" and "actions" not in mount and counts(guest) == [0, 0]
    node = guest.refused(pages(("2M", 4, 7)))
    assert node["reason"] == "no_node" and "0, 1" in node["message"]
    pmd = guest.testpmd()
    has = counts(guest)
    used = guest.refused(pages(("2M", 0, 0)))
    assert used["reason"] == "hugepages_in_use" and "on node 0 are in use" in used["message"]
    assert counts(guest) == has and pmd.alive


def test_a_mount_is_made_changed_and_taken_away(guest: Bed) -> None:
    def document(**more: str) -> dict[str, Any]:
        return {"hugepages": {"mounts": [{"path": MOUNT, "size": "2M", "mode": "0750", "group": "mail", **more}]}}

    guest.run("mkdir", "-p", MOUNT)
    assert guest.converge(document(), check=True)["changed"]
    assert guest.run("findmnt", MOUNT, check=False).returncode
    assert guest.converge(document())["changed"] and not guest.converge(document())["changed"]
    assert guest.run("stat", "-c", "%a %G", MOUNT).stdout == "750 mail\n"
    assert "pagesize=2M" in guest.run("findmnt", "-no", "OPTIONS", MOUNT).stdout
    assert guest.converge(document(mode="0700"))["changed"]
    assert guest.run("stat", "-c", "%a", MOUNT).stdout == "700\n"
    assert guest.converge(document(state="absent"))["changed"]
    assert not guest.converge(document(state="absent"))["changed"]
    assert guest.run("findmnt", MOUNT, check=False).returncode
