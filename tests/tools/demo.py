# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: ports of a running testpmd attached and detached from playbooks, on virtual devices.

It installs what it needs (the packages stay, and are named), then goes on with processes, mounts, network and /run
of its own (isolate.py): when it ends, nothing that it started or made is left.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bootstrap
import isolate
from machine import REPO, collections

PLAYS = REPO / "tests" / "demo"
PREFIX = Path("/run/demo")
COMMAND = str(PREFIX / "bin" / "dpdk-hotplug")
TESTPMD = ["dpdk-testpmd", "--file-prefix=demo", "--no-huge", "-m", "256", "--no-pci", "-l", "0,1", "--vdev=net_null0"]


def step(text: str) -> None:
    print(f"\n==> {text}", flush=True)


def show(*argv: str) -> None:
    print("$ " + " ".join(argv), flush=True)
    subprocess.run(argv, check=True)


def play(name: str, *extra: str, expected: str, code: int = 0) -> None:
    """Runs a playbook and holds it against what it is meant to show."""
    print(f"$ ansible-playbook {(PLAYS / name).relative_to(REPO)} {' '.join(extra)}", flush=True)
    argv = [os.environ["DEMO_ANSIBLE"], "-i", "localhost,", "-c", "local", str(PLAYS / name), *extra]
    argv += ["-e", f"ansible_python_interpreter=/usr/bin/python3 demo_prefix={PREFIX}"]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    print(done.stdout, flush=True)
    if done.returncode != code or expected not in done.stdout:
        raise SystemExit(f"demo: {name} ended with {done.returncode} (expected {code}) or did not say {expected!r}")


def start_testpmd() -> subprocess.Popen[bytes]:
    argv = [COMMAND, "console", "--prefix", "demo", "--", *TESTPMD, "--", "-i", "--total-num-mbufs=4096"]
    print("$ " + " ".join(argv) + " &", flush=True)
    log = open(PREFIX / "testpmd.log", "wb")  # noqa: SIM115
    app = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    for _tenth in range(200):
        if b"testpmd>" in (PREFIX / "testpmd.log").read_bytes():
            return app
        time.sleep(0.1)
    raise SystemExit("demo: testpmd did not start:\n" + (PREFIX / "testpmd.log").read_text(errors="replace"))


def demo() -> None:
    step("Install the command dpdk-hotplug with the role dpdk.hotplug.helper")
    PREFIX.mkdir()
    play("install.yml", expected="failed=0")
    step("Make a wire between two network interfaces, and start a testpmd with one port, its console in our hands")
    show("ip", "link", "add", "demo0", "type", "veth", "peer", "name", "demo1")
    for name in ("demo0", "demo1"):
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    app = start_testpmd()
    show(COMMAND, "apps")
    show(COMMAND, "ports")
    step("What would be attached: check mode with a diff changes nothing")
    play("ports.yml", "--check", "--diff", expected="changed=1")
    step("Attach four ports, and start them")
    play("ports.yml", expected="changed=1")
    show(COMMAND, "ports")
    step("The second run changes nothing")
    play("ports.yml", expected="changed=0")
    step("A started port is not detached from under the application")
    play("refused.yml", expected="started", code=2)
    step("The adapter testpmd stops and closes ports first, so they can be detached")
    play("detach.yml", expected="changed=1")
    show(COMMAND, "ports")
    step("End the testpmd")
    app.terminate()
    print(f"it ended with {app.wait(20)}", flush=True)


def main() -> int:
    if os.environ.get(isolate.MARK):
        demo()
        return 0
    step("Install what is needed")
    bootstrap.packages("demo")
    ansible = bootstrap.tools("ansible-2.19")
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(
            {
                "DEMO_ANSIBLE": ansible.program("ansible-playbook"),
                "HOME": home,
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_NOCOWS": "1",
                "ANSIBLE_COLLECTIONS_PATH": str(collections()),
                "ANSIBLE_LOCAL_TEMP": f"{home}/local",
                "ANSIBLE_REMOTE_TEMP": f"{home}/remote",
                "ANSIBLE_DEPRECATION_WARNINGS": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        )
        code = subprocess.call(isolate.command([sys.executable, str(Path(__file__).resolve())]))
    step("All is gone again" if code == 0 else "demo: FAILED")
    print(f"Debian packages that it uses stay: {', '.join(bootstrap.listed('demo'))}.")
    print(f"Ansible is in {ansible.bin.parent}.")
    return code


if __name__ == "__main__":
    sys.exit(main())
