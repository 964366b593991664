# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests in a virtual machine: `pytest tests/fleet --release 24.11` as root boots it, and ends it.

guest      a Bed (bed.py): the guest, in the state that it has after a boot, and brought back there after each test
           (drivers, VFs, hugepages, network, processes, files of the collection, plugged cards)
testpmd    a function: testpmd("web") starts one in the guest, see Bed.testpmd
player     runs playbooks and tasks against the guest, with ansible-core 2.19: see player.py

    --release 24.11       the guest's release of DPDK
    --fleet NAME          take the guest of a fleet that is up (fleet.py --name NAME up), and leave it up

The kernel's own complaints (an oops, a hung task) fail the test in which they come.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import images
import pytest
from bed import Bed, Pmd
from fleet import Fleet
from player import Player


def pytest_addoption(parser: pytest.Parser) -> None:
    newest = list(images.SUITES)[-1]
    parser.addoption("--release", choices=list(images.SUITES), default=newest, help=f"of DPDK, {newest} by default")
    parser.addoption("--fleet", metavar="NAME", help="a fleet that is up")


@pytest.fixture(scope="session")
def _booted(request: pytest.FixtureRequest) -> Iterator[Bed]:
    """The only guest of a run. A guest that does not boot fails every test."""
    release, name = request.config.getoption("--release"), request.config.getoption("--fleet")
    fleet = Fleet(name or os.environ.get("DPDK_HOTPLUG_FLEET") or f"test-{release}")
    if name:
        machine = [one for one in fleet.guests() if one.release == release][0]  # noqa: RUF015 - no StopIteration here
        machine.wait()
    else:
        fleet.down()  # what a run has left that was broken off
        (machine,) = fleet.up([release])
    bed = Bed(fleet, machine)
    try:
        bed.begin()
        yield bed
    finally:
        if not name:
            fleet.down()


@pytest.fixture
def guest(_booted: Bed) -> Iterator[Bed]:
    _booted.ready()
    yield _booted
    complaints = _booted.restore()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def testpmd(guest: Bed) -> Callable[..., Pmd]:
    return guest.testpmd


@pytest.fixture
def player(guest: Bed, tmp_path: Path) -> Player:
    return Player(guest, tmp_path)
