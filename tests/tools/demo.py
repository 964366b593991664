# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the collection at work on a real testpmd with virtual devices: no NIC, no hugepages. `make demo` runs it.

It ends with the machine as it was: it looks at processes, directories, mounts and hugepages before and after, also when
Ctrl-C ends it early. Only packages stay, and the report; both are named. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

sys.dont_write_bytecode = True  # what is imported from here on would leave files in the checkout

import bootstrap  # noqa: E402 - not before the line above
from machine import REPO  # noqa: E402 - as well

PLAYS = REPO / "tests" / "demo"
ANSIBLE = "ansible-2.19"
# Stays when the demo ends, for a browser; `make clean` removes it.
REPORT = REPO / "tests" / "output" / "demo" / "report.html"
APP = f"demo-{os.getpid()}"
# In the environment of everything that is started here, and so in that of all its descendants.
MARK = f"DPDK_HOTPLUG_DEMO={APP}"
# Where EAL and this collection keep what belongs to an application.
SHARED = (Path("/run/dpdk"), Path("/run/dpdk-hotplug"))
WANTED = [
    {"device": "net_null1", "started": True},
    {"device": "net_null2,size=128"},
    {"device": "net_ring1"},
]
_COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _colour(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if _COLOURS else text


class Failed(Exception):
    """The demo cannot go on, or has shown what it should not have."""


class Machine(NamedTuple):
    """What the demo must leave as it was."""

    processes: tuple[int, ...]
    directories: tuple[str, ...]
    mounts: tuple[str, ...]
    pages: str


def look() -> Machine:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    sizes = sorted(Path("/sys/kernel/mm/hugepages").glob("hugepages-*/nr_hugepages"))
    kept = [path for path in SHARED if path.exists()]
    kept += [path for above in SHARED for path in sorted(above.glob(f"{APP}*"))]
    return Machine(
        tuple(_marked()),
        tuple(map(str, kept)),
        tuple(sorted(mounts)),
        ", ".join(f"{p.read_text().strip()} of {p.parent.name.rpartition('-')[2]}" for p in sizes) or "none",
    )


def _marked() -> list[int]:
    """The processes that carry our mark, without ourselves."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if MARK.encode() in words:
            found.append(int(entry.name))
    return found


class Demo:
    """One run, with a directory for everything that it writes."""

    def __init__(self) -> None:
        self.before = look()
        self.scratch = Path(tempfile.mkdtemp(prefix="dpdk-hotplug-demo-"))
        self.step_number = 0
        self.testpmd: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            MARK.partition("=")[0]: APP,
            "HOME": str(self.scratch),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_COLLECTIONS_PATH": str(self.scratch / "collections"),
            "ANSIBLE_LOCAL_TEMP": str(self.scratch / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.scratch / "remote"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_FORCE_COLOR": "1" if _COLOURS else "0",
            "ANSIBLE_NOCOLOR": "" if _COLOURS else "1",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_CONFIG": str(self.scratch / "ansible.cfg"),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{self.scratch}/bin:{os.environ.get('PATH', '')}",
        }

    def step(self, text: str) -> None:
        self.step_number += 1
        print("\n" + _colour("1;36", f"{self.step_number}. {text}"), flush=True)

    def run(self, argv: Sequence[str], *, shown: str = "") -> str:
        """Runs a command to its end and prints what it prints."""
        print(_colour("2", "   $ " + (shown or " ".join(argv))), flush=True)
        process = subprocess.Popen(
            argv,
            cwd=self.scratch,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: we end it in order
        )
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.strip():
                print("   " + line.rstrip(), flush=True)
        if process.wait():
            raise Failed(f"'{shown or argv[0]}' ended with {process.returncode}")
        return "".join(lines)

    def play(self, name: str, *options: str, **variables: object) -> str:
        playbook = name if name.startswith("dpdk.") else str(PLAYS / name)
        argv = [str(self.ansible / "ansible-playbook"), "-i", "localhost,", "-c", "local", *options, playbook]
        values = {"ansible_python_interpreter": sys.executable, **variables}
        shown = " ".join(["ansible-playbook", *options, name])
        return self.run([*argv, "-e", json.dumps(values)], shown=shown)

    def install(self) -> None:
        self.step("Install what is needed")
        bootstrap.packages("demo")
        kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "dpdk-hotplug", "tools")
        if list(kept.glob(f"{ANSIBLE}-*/complete")):
            print(f"   ansible-core: the one that the tests use, in {kept}")
        else:
            print("   ansible-core: into a directory that goes when the demo ends", flush=True)
            os.environ["XDG_CACHE_HOME"] = str(self.scratch / "cache")
            os.environ["PIP_NO_CACHE_DIR"] = "1"
        self.ansible = bootstrap.tools(ANSIBLE).bin
        galaxy = [str(self.ansible / "ansible-galaxy"), "collection", "install", "--offline", str(REPO)]
        self.run(galaxy, shown="ansible-galaxy collection install .")
        self.play("install.yml", helper_prefix=str(self.scratch), helper_python=sys.executable)

    def start(self) -> None:
        self.step("Start a testpmd with two virtual devices, as a developer without a NIC would")
        eal = f"--no-huge -m 256 --no-pci -l 0,1 --file-prefix={APP} --vdev=net_null0 --vdev=net_ring0"
        argv = ["dpdk-hotplug", "console", "--prefix", APP, "--", "dpdk-testpmd", *eal.split(), "--", "-i"]
        print(_colour("2", "   $ " + " ".join(argv) + " &"), flush=True)
        with open(self.scratch / "testpmd.log", "wb") as log:
            self.testpmd = subprocess.Popen(
                [str(self.scratch / "bin" / "dpdk-hotplug"), *argv[1:], "--total-num-mbufs=4096"],
                cwd=self.scratch,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_testpmd(self.testpmd)
        self.command("apps")

    def _await_testpmd(self, testpmd: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + 30
        while b"testpmd> " not in (self.scratch / "testpmd.log").read_bytes():
            if testpmd.poll() is not None or time.monotonic() > end:
                raise Failed("testpmd does not start:\n" + (self.scratch / "testpmd.log").read_text()[-2000:])
            time.sleep(0.05)

    def command(self, *words: str) -> str:
        return self.run([str(self.scratch / "bin" / "dpdk-hotplug"), *words], shown=" ".join(["dpdk-hotplug", *words]))

    def show(self) -> None:
        apps = [{"app": APP, "ports": WANTED}]
        self.step("What a playbook would change, in check mode: three ports attached, one of them started")
        self._expect("changed=1", self.play("dpdk.hotplug.converge", "--check", "--diff", dpdk_hotplug_apps=apps))
        self.step("Run it")
        self._expect("changed=1", self.play("dpdk.hotplug.converge", dpdk_hotplug_apps=apps))
        self.step("Run the same playbook again: nothing is changed")
        self._expect("changed=0", self.play("dpdk.hotplug.converge", dpdk_hotplug_apps=apps))
        self.command("ports", APP)
        self.step("Try to detach the started port from under the application: refused, and nothing is changed")
        self._expect("has started ports", self.play("refused.yml", app=APP, device="net_null1"))
        self.step("Detach it properly: the testpmd adapter stops and closes it first")
        gone = [{"app": APP, "state": "absent", "ports": [{"device": "net_null1"}, {"device": "net_ring1"}]}]
        self._expect("changed=1", self.play("dpdk.hotplug.converge", dpdk_hotplug_apps=gone))
        self.step("The ports that are left")
        self._expect("net_null2", self.command("ports", APP))
        self.step("Audit: what is detached now is still asked for")
        self._expect("net_null1: not attached", self.play("dpdk.hotplug.audit", dpdk_hotplug_apps=apps))
        self.step("Report: the same on a page")
        page = {"dpdk_hotplug_report_path": str(REPORT), "dpdk_hotplug_report_title": "The demo's fleet"}
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        self._expect(str(REPORT), self.play("dpdk.hotplug.report", dpdk_hotplug_apps=apps, **page))

    @staticmethod
    def _expect(text: str, output: str) -> None:
        if text not in output:
            raise Failed(f"expected to see {text!r}")

    def clean(self) -> None:
        """Ends and removes what was started and written here; nothing interrupts this."""
        self.step("Clean up")
        self._end(signal.SIGINT if self.testpmd is None else signal.SIGTERM)
        for above, was in ((path, str(path) in self.before.directories) for path in SHARED):
            for path in above.glob(f"{APP}*"):
                shutil.rmtree(path, ignore_errors=True)
            if not was and above.is_dir() and not any(above.iterdir()):
                above.rmdir()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _end(self, first: signal.Signals) -> None:
        for number, patience in ((first, 15.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
            for pid in _marked():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            end = time.monotonic() + patience
            while _marked() and time.monotonic() < end:
                if self.testpmd is not None:
                    self.testpmd.poll()
                time.sleep(0.1)
            if not _marked():
                return

    def verify(self) -> bool:
        """Whether all is as it was."""
        after = look()
        mounts = set(after.mounts) ^ set(self.before.mounts)
        ours = {path for path in mounts if path.startswith((str(self.scratch), *map(str, SHARED), "/dev/hugepages"))}
        left = {
            "processes": {str(pid) for pid in set(after.processes) - set(self.before.processes)},
            "directories": set(after.directories) - set(self.before.directories),
            "mounts": ours,
            "files": {str(self.scratch)} if self.scratch.exists() else set(),
        }
        for what, rest in left.items():
            print(f"   {what}: {'as before' if not rest else 'LEFT: ' + ', '.join(sorted(rest))}")
        if mounts - ours:
            print(f"   meanwhile another one has mounted or unmounted {', '.join(sorted(mounts - ours))}")
        # testpmd was started with --no-huge: where the number differs, it was somebody else.
        same = after.pages == self.before.pages
        print(f"   hugepages: {after.pages}{'' if same else f' (was {self.before.pages}: another one has changed it)'}")
        if REPORT.exists():
            print(f"   report to open: {REPORT.as_uri()}")
        print(f"   packages that stay: {', '.join(bootstrap.listed('demo'))}", flush=True)
        return not any(left.values())


def _interrupted(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    if os.geteuid():
        print("demo: run it as root: it installs packages, and starts a DPDK application")
        return 1
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        signal.signal(number, _interrupted)
    demo, code = Demo(), 1
    try:
        demo.install()
        demo.start()
        demo.show()
        code = 0
    except KeyboardInterrupt:
        print(_colour("1;33", "\n   interrupted"), flush=True)
        code = 130
    except Failed as reason:
        print(_colour("1;31", f"\n   FAILED: {reason}"), flush=True)
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        demo.clean()
        clean = demo.verify()
    print(_colour("1;32", "\nDone: all of it worked.") if code == 0 and clean else _colour("1;31", "\nNot done."))
    return code if clean else code or 1


if __name__ == "__main__":
    sys.exit(main())
