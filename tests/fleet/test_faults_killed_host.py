# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on a host is killed at every step that it takes (row 3 of what must be borne)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bed import CARDS, HOME, INSIDE, Bed

CARD, OTHER = CARDS.e1000e
PF = CARDS.igb[0]
UNRELATED = {"devices": [{"device": OTHER, "driver": "kernel"}]}


def bound(driver: str, card: str = CARD) -> dict[str, Any]:
    return {"devices": [{"device": card, "driver": driver}]}


def killed(guest: Bed, start: dict[str, Any], document: dict[str, Any], **order: Any) -> Iterator[dict[str, Any]]:
    """Each run that was killed, and what the next two made of it; see killer.py."""
    given = {"start": start, "document": document, "look": [CARD, PF], **order}
    argv = ["python3", f"{INSIDE}/killer.py"]
    said = guest.run(*argv, input=json.dumps(given), environment={"PYTHONPATH": HOME}, limit=600).stdout
    rounds = [json.loads(line) for line in said.splitlines()]
    *hit, last = rounds
    assert "killed" not in last["hit"], "the last run was to end by itself"
    assert hit, "nothing was killed"
    for one in hit:
        assert "error" not in one["start"], one
        assert "killed" in one["hit"], one
        yield one


def converges(one: dict[str, Any]) -> dict[str, Any]:
    """The next run ends well, the one after it has nothing to do, and the journal is gone. What is there then."""
    assert "error" not in one["first"], one
    assert one["second"] == {"changed": False, "actions": []}, one
    assert one["state"]["journal"] == [], one
    state: dict[str, Any] = one["state"]["devices"]
    assert all(device["driver"] for device in state.values()), one
    return state


# One card


def test_a_bind_that_was_killed_at_any_step_is_done_by_the_same_document(guest: Bed) -> None:
    half_done = 0
    for one in killed(guest, bound("kernel"), bound("vfio-pci")):
        half_done += one["left"]["devices"][CARD]["driver"] == ""
        assert converges(one)[CARD] == {"driver": "vfio-pci", "override": "vfio-pci"}, one
    assert half_done, "no run was killed between unbind and bind"


def test_a_card_that_a_killed_run_has_left_half_done_is_repaired_by_any_document(guest: Bed) -> None:
    """It has the driver that it had, or the one that it was to have: never another, none, or an override of its own."""
    whole = ({"driver": "e1000e", "override": ""}, {"driver": "vfio-pci", "override": "vfio-pci"})
    for start, document in (("kernel", "vfio-pci"), ("vfio-pci", "kernel")):
        half_done = 0
        for one in killed(guest, bound(start), bound(document), then=UNRELATED, whens=["after"]):
            half_done += one["left"]["devices"][CARD] not in whole
            assert converges(one)[CARD] in whole, one
            if one["left"]["devices"][CARD] not in whole:
                assert one["first"]["changed"], "a repair is told"
                assert one["state"]["devices"][CARD] == one["at_first"]["devices"][CARD], one
        assert half_done


def test_a_run_that_repairs_may_be_killed_as_well(guest: Bed) -> None:
    order = {"then": UNRELATED, "whens": ["after"], "twice": True}
    whole = ({"driver": "e1000e", "override": ""}, {"driver": "vfio-pci", "override": "vfio-pci"})
    for one in killed(guest, bound("kernel"), bound("vfio-pci"), **order):
        assert converges(one)[CARD] in whole, one


# A host


def host(pages: int, vfs: int, driver: str, state: str) -> dict[str, Any]:
    each: dict[str, Any] = {"count": vfs}
    if vfs:
        each |= {"driver": "vfio-pci", "settings": [{"index": 0, "mac": "02:00:00:00:00:01"}]}
    return {
        "hugepages": {
            "pages": [{"size": "2M", "count": pages, "node": node} for node in (0, 1)],
            "mounts": [{"path": "/mnt/huge", "state": state}],
        },
        "devices": [{"device": CARD, "driver": driver}, {"device": PF, "vfs": each}],
        "apps": [
            {
                "app": "web",
                "adapter": "multiprocess",
                "channel": "ipc",
                "ports": [{"device": CARD, "state": state}],
            }
        ],
    }


def test_a_plan_for_a_host_that_was_killed_at_any_step_is_done_by_the_same_document(guest: Bed) -> None:
    """Hugepages, a mount, VFs with an address, drivers, and the attach to an application that runs."""
    app = guest.testpmd()
    wanted = host(82, 1, "vfio-pci", "present")
    steps = []
    for one in killed(guest, host(80, 0, "kernel", "absent"), wanted, whens=["after"]):
        state = converges(one)
        assert state[CARD] == {"driver": "vfio-pci", "override": "vfio-pci"}, one
        assert state[PF] == {"driver": "igb", "override": "", "vfs": ["vfio-pci"], "autoprobe": "1"}, one
        assert one["state"]["pages"] == ["82", "82"], one
        assert "/mnt/huge" in one["state"]["mounts"], one
        steps.append(one["hit"]["killed"])
    for part in ("nr_hugepages", "/mnt/huge", "sriov_numvfs", "02:00:00:00:00:01", f"{CARD}/driver/unbind", "AppActs"):
        assert any(part in step for step in steps), (part, steps)
    assert app.alive
    assert list(app.ports()) == [CARD]


def test_vfs_that_a_killed_run_has_left_half_done_are_repaired_by_any_document(guest: Bed) -> None:
    """As many as there were or were to be, each with a driver; and those that come have one as ever."""
    few = {"devices": [{"device": PF, "vfs": {"count": 1, "driver": "vfio-pci"}}]}
    more = {"devices": [{"device": PF, "vfs": {"count": 2}}]}
    for one in killed(guest, few, more, then=UNRELATED, whens=["after"]):
        state = converges(one)[PF]
        assert len(state["vfs"]) in (1, 2) and all(state["vfs"]), one
        assert state["autoprobe"] == "1", one
