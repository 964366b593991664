# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of three guests, for playbooks that go through it: `pytest tests/rolling --release 24.11` as root.

fleet      a Three: the guests, each a Bed as tests/fleet has them, and what runs playbooks against all of them

The guests are not brought back to how they were booted: the first test makes a fleet of them, the others go on from
there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bed import CARDS, Bed
from fleet import Fleet
from player import Played, Player, told

APP = "router"
UNIT = f"dpdk-testpmd-{APP}.service"
SOCKET = f"/run/dpdk/{APP}/dpdk_telemetry.v2"
PORTS = [{"device": card, "started": True} for card in CARDS.e1000e]
# Both cards of a guest are on one wire: what testpmd sends from one it receives at the other (txonly would not).
DOCUMENT: dict[str, Any] = {
    "dpdk_hotplug_hugepages": {"pages": [{"size": "2M", "count": 80, "node": node} for node in (0, 1)]},
    "dpdk_hotplug_devices": [{"device": card, "driver": "vfio-pci"} for card in CARDS.e1000e],
    "dpdk_hotplug_testpmd": [
        {
            "app": APP,
            "memory": 128,
            "timeout": 240,
            "args": ["--auto-start", "--disable-link-check", "--total-num-mbufs=4096", "--forward-mode=flowgen"],
        }
    ],
    "dpdk_hotplug_apps": [{"app": APP, "exclusive": True, "ports": PORTS}],
    "dpdk_hotplug_health": {"started": True, "link": True, "packets": True, "timeout": 60},
    "dpdk_hotplug_timeout": 60,
}
# testpmd polls without rest, which three guests on two processors cannot all do.
QUOTA = f"/etc/systemd/system/{UNIT}.d/quota.conf"


class Three:
    """Three guests, and the playbooks that go through them."""

    def __init__(self, guests: list[Bed], directory: Path) -> None:
        self.guests = guests
        self.player = Player(guests[0], directory)
        self.code = 0  # with which the last playbook ended

    def run(self, playbook: str, *options: str, **variables: Any) -> list[Played]:
        """A playbook against all of them; what it did to each that it came to."""
        with self.started(playbook, *options, **variables) as play:
            text, _none = play.communicate(timeout=1800)
        print(text)
        self.code = play.returncode
        return [told(text, name) for name in self.names if f"\n{name} " in text.rpartition("PLAY RECAP")[2]]

    def started(self, playbook: str, *options: str, **variables: Any) -> Any:
        return self.player.started(playbook, *options, **{**DOCUMENT, **variables})

    def done(self, playbook: str, *options: str, **variables: Any) -> list[Played]:
        """The same where it must succeed on all of them."""
        played = self.run(playbook, *options, **variables)
        assert (self.code, {one.failed for one in played}) == (0, {0}), played[0].text
        return played

    @property
    def names(self) -> list[str]:
        return [guest.machine.name for guest in self.guests]

    def ports(self, guest: Bed) -> dict[str, bool]:
        """The application's devices, and whether they are started; none while it does not answer."""
        try:
            told = guest.inside("ports", socket=SOCKET)
        except Exception:  # it is about to start, or to end
            return {}
        return {name: bool(one["dev_started"]) for name, one in told.items()}

    def forwards(self, guest: Bed) -> None:
        """Both cards are at vfio, attached, started, and packets go over the wire between them."""
        assert guest.driver(*CARDS.e1000e) == dict.fromkeys(CARDS.e1000e, "vfio-pci")
        assert self.ports(guest) == dict.fromkeys(CARDS.e1000e, True)
        before = self._received(guest)
        guest.until(lambda: all(now > then for now, then in zip(self._received(guest), before)), "packets")

    def _received(self, guest: Bed) -> list[int]:
        told = guest.inside("ports", socket=SOCKET)
        return [int(told[card]["stats"]["ipackets"]) for card in CARDS.e1000e]


@pytest.fixture(scope="session")
def _booted(request: pytest.FixtureRequest) -> Iterator[list[Bed]]:
    release, name = request.config.getoption("--release"), request.config.getoption("--fleet")
    fleet = Fleet(name or os.environ.get("DPDK_HOTPLUG_FLEET") or f"rolling-{release}")
    if not name:
        fleet.down()  # what a run has left that was broken off
    machines = fleet.guests() if name else fleet.up([release] * 3)
    guests = [Bed(fleet, machine) for machine in machines]
    try:
        for guest in guests:
            guest.machine.wait()
            guest.install()
            guest.run("rm", "-rf", "/usr/local/lib/dpdk-hotplug", "/usr/local/bin/dpdk-hotplug")  # they come bare
            guest.run("mkdir", "-p", os.path.dirname(QUOTA))
            guest.machine.write(QUOTA, "[Service]\nCPUQuota=33%\n")
        yield guests
    finally:
        if not name:
            fleet.down()


@pytest.fixture
def fleet(_booted: list[Bed], tmp_path: Path) -> Three:
    return Three(_booted, tmp_path)
