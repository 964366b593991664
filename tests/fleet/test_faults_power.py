# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of a host fails while runs change it (row 4 of what must be borne).

50 times in `make soak`; DPDK_HOTPLUG_SOAK_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import time
from typing import Any

from bed import CARDS, HOME, INSIDE, Bed
from releases import count

CARD, PF = CARDS.e1000e[0], CARDS.igb[0]
UNRELATED = {"devices": [{"device": CARDS.e1000e[1], "driver": "kernel"}]}
BOOT = "/etc/dpdk-hotplug/host.json"
ASKED, SAW = "/root/application-asks", "/run/application-saw"
UNIT = "application.service"
# It takes the card at its start, and nothing later gives it one: it says what there was before it.
APPLICATION = f"""
[Service]
ExecStartPre=/bin/sh -c 'python3 {INSIDE}/inside.py kernels < {ASKED} > {SAW}'
ExecStart=/usr/local/bin/dpdk-hotplug console --prefix web -- dpdk-testpmd --file-prefix=web -l 0,1 -m 128 -a {CARD} \
-- -i -a --total-num-mbufs=4096 --nb-cores=1

[Install]
WantedBy=multi-user.target
"""
SECONDS = 8.0  # the longest that runs go on; each takes one or two


def lasting(pages: int, vfs: int) -> dict[str, Any]:
    """A document that is to hold after a boot as well."""
    return {
        "hugepages": {
            "pages": [{"size": "2M", "count": pages, "node": node} for node in (0, 1)],
            "mounts": [{"path": "/mnt/huge"}],
            "persistent": True,
        },
        "devices": [
            {"device": CARD, "driver": "vfio-pci", "persistent": True},
            {"device": PF, "vfs": {"count": vfs, "driver": "vfio-pci"}, "persistent": True},
        ],
    }


GONE = {
    "hugepages": {
        "pages": [{"size": "2M", "count": 0, "node": node} for node in (0, 1)],
        "mounts": [{"path": "/mnt/huge", "state": "absent"}],
        "persistent": False,
    },
    "devices": [
        {"device": CARD, "driver": "kernel", "persistent": False},
        {"device": PF, "vfs": {"count": 0}, "persistent": False},
    ],
}
DOCUMENTS = [lasting(80, 1), lasting(82, 2), GONE]


def state(document: dict[str, Any]) -> tuple[str, list[str], list[str], bool]:
    """What the kernel is to have by it: the drivers of card and VFs, hugepages, and whether they are mounted."""
    card, pf = document["devices"]
    pages = [str(one["count"]) for one in document["hugepages"]["pages"]]
    driver = "vfio-pci" if card["driver"] == "vfio-pci" else "e1000e"
    return driver, ["vfio-pci"] * pf["vfs"]["count"], pages, document["hugepages"]["persistent"]


def seen(found: dict[str, Any]) -> tuple[str, list[str], list[str], bool]:
    """The same of what inside.py has found."""
    devices = found["devices"]
    return devices[CARD]["driver"], devices[PF]["vfs"], found["pages"], "/mnt/huge" in found["mounts"]


def run_until_power_fails(guest: Bed, after: float) -> tuple[int, int]:
    """Have the documents applied one after the other: the numbers of the last run that ended, and of the one begun."""
    argv = [*guest.machine.ssh(), f"PYTHONPATH={HOME} python3 {INSIDE}/killer.py"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout
        child.stdin.write(json.dumps({"endless": DOCUMENTS}) + "\n")
        begun, end = -1, None
        while True:
            child.stdin.flush()
            # There is never more than one line: the next run waits for our answer to it.
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([child.stdout], [], [], left)[0]:
                break
            said = json.loads(child.stdout.readline())
            assert "error" not in said["said"], said
            begun = said["begins"]
            end = end or time.monotonic() + after
            child.stdin.write("\n")
        guest.machine.reset()
        child.kill()
    return begun - 1, begun


def test_a_host_whose_power_fails_at_any_moment_comes_up_as_its_boot_document_says(guest: Bed) -> None:
    """That one is whole: of the run that ended last, or of the one that had begun. Applications find it applied."""
    seed = int(os.environ.get("DPDK_HOTPLUG_SOAK_SEED") or random.randrange(1 << 32))
    print(f"DPDK_HOTPLUG_SOAK_SEED={seed}")
    chance = random.Random(seed)
    guest.converge(GONE)
    guest.machine.write(f"/etc/systemd/system/{UNIT}", APPLICATION)
    guest.machine.write(ASKED, json.dumps({"addresses": [CARD, PF]}))
    guest.run("systemctl", "enable", UNIT)
    guest.run("sync")
    for number in range(count(50)):
        boot = guest.machine.boot_id()
        ended, begun = run_until_power_fails(guest, chance.uniform(0, SECONDS))
        guest.machine.comes_back(boot)
        guest.until(lambda: guest.run("test", "-s", SAW, check=False).returncode == 0, "the application to start")
        holds = kept(guest)
        print(f"power failed {number + 1} times: run {ended} had ended, run {begun} had begun, {holds} holds")
        assert holds in {one % len(DOCUMENTS) if one >= 0 else len(DOCUMENTS) - 1 for one in (ended, begun)}
        found = json.loads(guest.read(SAW))
        assert seen(found) == state(DOCUMENTS[holds]), found
        if DOCUMENTS[holds] != GONE:
            guest.until(lambda: list(ports(guest)) == [CARD], "the application to have its card")
        guest.run("systemctl", "stop", UNIT)
        guest.shell("rm -f /dev/hugepages/webmap_*")  # what it leaves when it is killed
        for document in (chance.choice(DOCUMENTS), GONE):
            guest.converge(document)
            assert not guest.converge(document)["changed"]
            now = guest.inside("kernels", addresses=[CARD, PF])
            assert seen(now) == state(document), now
            assert not now["journal"]


def kept(guest: Bed) -> int:
    """Which of the documents the guest has for its next boot."""
    written = json.loads(guest.run("sh", "-c", f"cat {BOOT} 2>/dev/null || echo '{{}}'").stdout)
    counts = {one["vfs"]["count"] for one in written.get("devices", ()) if one.get("vfs")}
    numbers = {index for index, one in enumerate(DOCUMENTS) if one["devices"][1]["vfs"]["count"] in (counts or {0})}
    (number,) = numbers
    asked = {one["count"] for one in written.get("hugepages", {}).get("pages", ())} or {0}
    assert asked == {one["count"] for one in DOCUMENTS[number]["hugepages"]["pages"]}, written
    return number


def ports(guest: Bed) -> dict[str, Any]:
    """Of the application, as far as it has come up."""
    socket = "/run/dpdk/web/dpdk_telemetry.v2"
    if guest.run("test", "-S", socket, check=False).returncode:
        return {}
    found: dict[str, Any] = guest.inside("ports", socket=socket)
    return found


def test_power_that_fails_in_the_middle_of_a_bind_leaves_nothing_to_repair(guest: Bed) -> None:
    """A journal of another boot is not one: the card has come up with its driver, and stays there."""
    guest.converge({"devices": [{"device": CARD, "driver": "kernel"}]})
    bound = {"devices": [{"device": CARD, "driver": "vfio-pci"}]}
    code = """
        import os, signal
        from ansible_collections.dpdk.hotplug.plugins.module_utils._host import writes
        from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine
        real = writes.Writer.write
        def write(self, path, text):
            real(self, path, text)
            if path.endswith("unbind"):
                os.sync()
                os.kill(os.getpid(), signal.SIGKILL)
        writes.Writer.write = write
        engine.converge(given)
    """
    guest.python(code, bound, check=False)
    assert guest.driver(CARD) == ""
    kept = guest.read("/run/dpdk-hotplug/host/journal.json")
    boot = guest.machine.boot_id()
    guest.machine.reset()
    guest.machine.comes_back(boot)
    guest.until(lambda: guest.driver(CARD) == "e1000e", "its driver")
    guest.run("mkdir", "-p", "-m", "700", "/run/dpdk-hotplug/host")
    guest.machine.write("/run/dpdk-hotplug/host/journal.json", kept)
    assert not guest.converge(UNRELATED)["changed"]
    assert guest.driver(CARD) == "e1000e"
    guest.converge(bound)
    assert guest.driver(CARD) == "vfio-pci"
