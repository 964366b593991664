# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of virtual machines with real IOMMUs, vfio, SR-IOV and PCIe hotplug, reached over loopback only.

    python3 tests/fleet/fleet.py up [--releases 22.11 24.11]   boots one guest for each, and prints how to use them
    python3 tests/fleet/fleet.py down                          ends them and removes what they wrote
    python3 tests/fleet/fleet.py status | ssh NAME [COMMAND ...] | qmp NAME COMMAND [KEY=VALUE ...]
    python3 tests/fleet/fleet.py ansible ... | ansible-playbook ...      of the tests' tools, with the fleet's inventory

A release can be given several times; the guests are guest1, guest2, ... in the order of the releases.
Several fleets can be up at once: --name gives another than "mine".
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import bootstrap
import images
from machine import cache, collections
from machines import CARDS, Guest, accelerator

_NAME = "mine"


class Fleet:
    """Guests under one name, in a directory of the cache."""

    def __init__(self, name: str) -> None:
        self.directory = cache() / "fleet" / f"run-{name}"

    def guests(self) -> list[Guest]:
        places = sorted(self.directory.glob("*/release"))
        return [Guest(place.parent.name, place.read_text(), place.parent) for place in places]

    def guest(self, name: str) -> Guest:
        for one in self.guests():
            if one.name == name:
                return one
        raise SystemExit(f"fleet: there is no guest {name}; there are {[one.name for one in self.guests()]}")

    def up(self, releases: Sequence[str]) -> list[Guest]:
        """Boot a guest for each release, side by side, and wait until ssh answers. Those that are up stay so."""
        there = {guest.name: guest.release for guest in self.guests() if guest.running}
        for number, release in enumerate(releases, 1):
            if there.get(f"guest{number}", release) != release:
                raise SystemExit(f"fleet: guest{number} is up with DPDK {there[f'guest{number}']}: take it down first")
        bootstrap.packages("fleet")
        bootstrap.qemu()
        with ThreadPoolExecutor() as pool:
            list(pool.map(images.ensure, sorted(set(releases))))
        guests = []
        for number, release in enumerate(releases, 1):
            guest = Guest(f"guest{number}", release, self.directory / f"guest{number}")
            guest.directory.mkdir(parents=True, exist_ok=True)
            (guest.directory / "release").write_text(release)
            if not guest.running:
                guest.start()
            guests.append(guest)
        with ThreadPoolExecutor() as pool:
            list(pool.map(Guest.answer, guests))
        self.inventory.write_text(_inventory([guest for guest in self.guests() if guest.running]))
        return guests

    def down(self) -> None:
        for guest in self.guests():
            guest.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def inventory(self) -> Path:
        return self.directory / "inventory.json"


def _inventory(guests: Sequence[Guest]) -> str:
    """For ansible-playbook: JSON is YAML."""
    hosts = {
        guest.name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": guest.port,
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": str(images.ssh_key()),
            "ansible_ssh_common_args": "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
            "-o IdentitiesOnly=yes -o LogLevel=ERROR",
            "dpdk_release": guest.release,
        }
        for guest in guests
    }
    return json.dumps({"fleet": {"hosts": hosts}}, indent=2) + "\n"


_USE = """
The fleet is up ({accelerator}): {guests}.
Inventory:  {inventory}
Each guest has two e1000e ({e1000e}) and two igb PFs ({igb}), each pair on a wire,
two e1000 that share an IOMMU group ({shared}), two empty slots, two NUMA nodes, DPDK and testpmd.

    {fleet} ssh {first}
    {fleet} qmp {first} device_add driver=e1000e id=new bus=spare0
    {fleet} qmp {first} device_del id=new
    {fleet} ansible all -m dpdk.hotplug.dpdk_device_info
    {fleet} ansible-playbook dpdk.hotplug.site -e '{variables}'
    {fleet} down

An Ansible of your own needs: export ANSIBLE_INVENTORY={inventory} \\
    ANSIBLE_COLLECTIONS_PATH={collections}
"""


def _up(fleet: Fleet, name: str, releases: Sequence[str]) -> None:
    guests = fleet.up(releases)
    wanted = [{"device": CARDS.e1000e[0], "driver": "vfio-pci"}]
    print(
        _USE.format(
            accelerator=accelerator()[1],
            guests=", ".join(f"{guest.name} (DPDK {guest.release}, port {guest.port})" for guest in guests),
            inventory=fleet.inventory,
            e1000e=", ".join(CARDS.e1000e),
            igb=", ".join(CARDS.igb),
            shared=", ".join(CARDS.shared),
            first=guests[0].name,
            fleet="python3 tests/fleet/fleet.py" + ("" if name == _NAME else f" --name {name}"),
            variables=json.dumps({"dpdk_hotplug_devices": wanted}),
            collections=collections(),
        )
    )


def _ansible(fleet: Fleet, argv: Sequence[str]) -> None:
    """Become a program of Ansible that has the fleet and this checkout of the collection."""
    tools = bootstrap.tools("ansible-2.19")
    os.environ.update(ANSIBLE_INVENTORY=str(fleet.inventory), ANSIBLE_COLLECTIONS_PATH=str(collections()))
    os.execv(tools.program(argv[0]), list(argv))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default=_NAME)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up").add_argument("--releases", nargs="+", default=list(images.SUITES), choices=images.SUITES)
    verbs.add_parser("down")
    verbs.add_parser("status")
    for verb in ("ssh", "qmp"):
        one = verbs.add_parser(verb)
        one.add_argument("guest")
        one.add_argument("words", nargs=argparse.REMAINDER)
    for verb in ("ansible", "ansible-playbook"):
        verbs.add_parser(verb, add_help=False, prefix_chars="\0").add_argument("words", nargs=argparse.REMAINDER)
    given = parser.parse_args(argv)
    fleet = Fleet(given.name)
    if given.verb == "up":
        _up(fleet, given.name, given.releases)
    elif given.verb == "down":
        fleet.down()
    elif given.verb == "status":
        for guest in fleet.guests():
            print(guest.name, f"DPDK {guest.release}", f"port {guest.port}" if guest.running else "ended")
    elif given.verb == "ssh":
        command = [*fleet.guest(given.guest).ssh(), *given.words]
        os.execvp(command[0], command)
    elif given.verb != "qmp":
        _ansible(fleet, [given.verb, *given.words])
    else:
        words = dict(word.split("=", 1) for word in given.words[1:])
        print(json.dumps(fleet.guest(given.guest).qmp().call(given.words[0], **words), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
