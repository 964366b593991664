# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several runs at once on one host (row 6), and one whose controller is gone (row 5)."""

from __future__ import annotations

import json
from typing import Any

from bed import CARDS, COMMAND, HOME, PACKAGE, Bed

CARD = CARDS.e1000e[0]

# Starts requests at once, each in a process of its own; their answers, in the order of their ends.
_AT_ONCE = f"""
    import os, subprocess, threading, time
    answer = []
    def run(request):
        words = [{COMMAND!r}, "request"]
        done = subprocess.run(words, input=json.dumps(request).encode(), capture_output=True)
        answer.append([request["converge"]["devices"][0]["driver"], json.loads(done.stdout)])
    threads = [threading.Thread(target=run, args=(one,)) for one in given]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
"""

# Holds the lock as a run does: for so many seconds, or until it is killed.
_HOLDER = """
import fcntl, json, os, sys, time
fd = os.open("/run/dpdk-hotplug/host/lock", os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
os.pwrite(fd, json.dumps({"pid": os.getpid(), "since": int(time.time())}).encode().ljust(64), 0)
print("held", flush=True)
time.sleep(float(sys.argv[1]))
"""

# A run that gets at every write what a cut connection and a user in a hurry send.
_CUT = f"""
import json, os, signal, sys
sys.path.insert(0, {HOME!r})
from {PACKAGE}._host import writes
from {PACKAGE}._state import engine
real = writes.Writer.write
def write(self, path, text):
    real(self, path, text)
    for one in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        os.killpg(0, one)
writes.Writer.write = write
engine.converge(json.loads(sys.argv[1]))
"""


def hold(guest: Bed, seconds: float) -> int:
    """The pid of what holds the lock."""
    code = """
        import subprocess
        holder = subprocess.Popen(["python3", "-c", *given], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True)
        assert holder.stdout.readline() == b"held\\n"
        answer = holder.pid
    """
    return int(guest.python(code, [_HOLDER, str(seconds)]))


def bind(driver: str, **options: Any) -> dict[str, Any]:
    return {"devices": [{"device": CARD, "driver": driver}], **options}


def test_runs_at_once_wait_for_each_other_and_the_last_one_decides(guest: Bed) -> None:
    asked = [{"converge": bind(driver, timeout=200)} for driver in ("vfio-pci", "kernel") * 3]
    answers = guest.python(_AT_ONCE, asked)
    assert len(answers) == len(asked)
    for _driver, answer in answers:
        assert not answer.get("failed"), answer
    drivers = {"vfio-pci": "vfio-pci", "kernel": "e1000e"}
    for driver, answer in answers:
        (device,) = answer["host"]["devices"]
        assert device["driver"] == drivers[driver], answer
    assert guest.driver(CARD) in drivers.values()
    override = guest.read(f"/sys/bus/pci/devices/{CARD}/driver_override")
    assert override == ("vfio-pci" if guest.driver(CARD) == "vfio-pci" else "(null)")
    for driver in ("kernel", "vfio-pci"):
        guest.converge(bind(driver))
        assert guest.driver(CARD) == drivers[driver]
        assert not guest.converge(bind(driver))["changed"]


def test_a_run_that_waits_too_long_says_who_has_the_lock_and_changes_nothing(guest: Bed) -> None:
    guest.converge(bind("kernel"))
    pid = hold(guest, 3600)
    error = guest.refused(bind("vfio-pci", timeout=1))
    assert error["reason"] == "locked", error
    assert str(pid) in error["message"], error
    assert guest.driver(CARD) == "e1000e"
    assert guest.converge(bind("vfio-pci", timeout=1), check=True)["changed"], "who only looks takes no lock"
    guest.run("kill", "-KILL", str(pid))
    assert guest.converge(bind("vfio-pci", timeout=30))["changed"], "a lock ends with its process"


def test_a_run_waits_for_the_one_before_it(guest: Bed) -> None:
    guest.converge(bind("kernel"))
    hold(guest, 4)
    assert guest.converge(bind("vfio-pci", timeout=200))["changed"]
    assert guest.driver(CARD) == "vfio-pci"


def test_a_run_whose_connection_is_cut_goes_on_to_its_end(guest: Bed) -> None:
    """Its session gets SIGHUP, its output goes nowhere."""
    guest.converge(bind("kernel"))
    code = """
        import os, subprocess
        there, output = os.pipe()
        os.close(there)
        done = subprocess.run(["python3", "-c", *given], stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.PIPE, text=True, start_new_session=True)
        answer = [done.returncode, done.stderr]
    """
    assert guest.python(code, [_CUT, json.dumps(bind("vfio-pci"))]) == [0, ""]
    assert guest.driver(CARD) == "vfio-pci"
    assert not guest.converge(bind("vfio-pci"))["changed"]
