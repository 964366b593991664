# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs contract.yml twice, by the command and by the modules, and holds the two against each other.

    contract.py --directory DIR --playbook ANSIBLE_PLAYBOOK --stdin FIFO

In DIR are the command (usr/), another version of it (other/), and the runtime directory of the testpmd web, at whose
console FIFO types. Everything that Ansible knows of a result must be the same, and all that it prints.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[4]
SUDOERS = REPO / "roles" / "helper" / "files" / "sudoers.example"
sys.path.insert(0, str(REPO / "tests" / "tools"))

from sshd import RELEASE, Host  # noqa: E402 - found by the line above

# It notes who runs it, and whether an argument can be seen in the list of processes.
SPY = """#!/bin/sh
id -un >>{directory}/asked
for one in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$one; done 2>/dev/null |
    grep -o '[h]idden-argument' >>{directory}/seen
exec {directory}/usr/bin/dpdk-hotplug "$@"
"""
# net_null takes a random address.
_VOLATILE = ("ansible_job_id", "jid", "results_file", "mac", "since")
# Since when something is evacuated.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
Row = dict[str, Any]


class Ran(NamedTuple):
    """What a run of the playbook gave: the results in their order, and what was printed."""

    rows: list[Row]
    printed: list[str]
    asked: int


class Bench:
    """The hosts, and the playbooks that are run on them."""

    def __init__(self, given: argparse.Namespace, host: Host) -> None:
        self.directory: Path = given.directory
        self.playbook: str = given.playbook
        self.host = host
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_async_dir": str(self.directory / "async"),
        }
        gone = {**host.variables(), "ansible_port": 1}
        hosts = {
            "here": local,
            "there": host.variables(),
            "deploy": host.variables("deploy"),
            "limited": host.variables("limited", ansible_become=True),
            "nopipe": {**local, "ansible_connection": "nopipe"},
            "gone": gone,
        }
        self.inventory = self.directory / "inventory.json"
        self.inventory.write_text(json.dumps({"all": {"hosts": hosts}}))

    def run(self, name: str, *words: str, variables: Row, check: bool = True) -> str:
        """What ansible-playbook printed."""
        environment = {
            # Each user has a place of his own for it.
            **{name: value for name, value in os.environ.items() if name != "ANSIBLE_REMOTE_TEMP"},
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "contract",
            "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection"),
            "ANSIBLE_FORKS": "1",
            "ANSIBLE_INJECT_INVOCATION": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_PIPELINING": "1",  # without it the module's way to a host that is gone has other words for that
            "CONTRACT_FILE": str(self.directory / "rows"),
        }
        argv = [self.playbook, "-i", str(self.inventory), "-e", json.dumps(variables), *words, name]
        done = subprocess.run(
            argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout

    def contract(self, command: str, *words: str) -> Ran:
        for name in ("rows", "asked", "seen"):
            path = self.directory / name
            path.write_text("")
            path.chmod(0o666)
        variables = {"contract_command": command, "contract_directory": str(self.directory)}
        book = self.directory / "contract.yml"
        text = (HERE / "contract.yml").read_text()
        # Not from the command line, which would win over what tasks say.
        ours = 'vars: {dpdk_hotplug_command: "{{ contract_command }}"}'
        plays = text.replace("  gather_facts: false\n", f"  gather_facts: false\n  {ours}\n")
        book.write_text(plays)
        printed = self.run(str(book), *words, variables=variables)
        rows = [json.loads(line) for line in (self.directory / "rows").read_text().splitlines()]
        return Ran(rows, printed.splitlines(), len((self.directory / "asked").read_text().split()))


def _plain(value: Any, *, inside_memory: bool = False) -> Any:
    """Without what is another each time; pages are counted for the whole machine, on which others work."""
    if isinstance(value, dict):
        return {
            name: _plain(one, inside_memory=inside_memory or name in ("pages", "hugepages"))
            for name, one in value.items()
            if name not in _VOLATILE
        }
    if isinstance(value, list):
        return [_plain(one, inside_memory=inside_memory) for one in value]
    return 0 if inside_memory and isinstance(value, int) else value


def _differences(fast: Ran, module: Ran) -> Iterator[str]:
    assert len(fast.rows) == len(module.rows) > 100, (len(fast.rows), len(module.rows))
    for one, other in zip(fast.rows, module.rows):
        found = list(_unlike(_lines(one), _lines(other)))
        yield from [f"{one['host']}: {one['task']}", *found] if found else []
    yield from _unlike([_same(line) for line in fast.printed], [_same(line) for line in module.printed])


def _unlike(fast: list[str], module: list[str]) -> Iterator[str]:
    return difflib.unified_diff(fast, module, "by the command", "by the module", lineterm="", n=1)


def _lines(row: Row) -> list[str]:
    return _TIME.sub("TIME", json.dumps(_plain(row), indent=1, sort_keys=True)).splitlines()


def _same(line: str) -> str:
    """Without the id of a job. ansible-core 2.19 and later say whether an error came from a module or an action."""
    line = _TIME.sub("TIME", line)
    return re.sub(r"j\d+\.\d+", "JOB", line.replace("Task failed: Action failed:", "Task failed: Module failed:"))


def _goes_by_the_command(row: Row) -> bool:
    aggregate = row["loop"] and not row["how"].startswith("item")
    return not aggregate and not row["task"].endswith(("(as a module)", "(refused here)"))


def both_ways(bench: Bench) -> None:
    """Whole results, and all that is printed, are the same; and each way was the one that was meant."""
    spy = bench.directory / "spy"
    fast, module = bench.contract(str(spy)), bench.contract("")
    differences = list(_differences(fast, module))
    assert not differences, "\n".join(differences)
    # A task that has failed in all its retries does not count the first time.
    attempts = sum(1 + row["result"].get("attempts", 0) for row in fast.rows if _goes_by_the_command(row))
    assert (fast.asked, module.asked) == (attempts, 0), (fast.asked, module.asked, attempts)
    ways = {row["how"] for row in fast.rows}
    assert ways >= {"ok", "failed", "unreachable", "skipped", "item ok", "item failed"}, ways
    for sort in ("warnings", "diff", "invocation", "attempts"):
        assert any(sort in row["result"] for row in fast.rows), f"no result has {sort}"


def unseen(bench: Bench) -> None:
    """No argument is in the list of processes, none is run by a shell, none is printed that must not be.

    A command that is not there is looked for once by each host.
    """
    printed = bench.contract(str(bench.directory / "spy"), "-vvvv", "--tags=secret").printed
    assert (bench.directory / "seen").read_text() == ""
    assert not (bench.directory / "injected").exists()
    whole = "\n".join(printed)
    assert "hidden-argument" in whole and "size=99" not in whole
    assert whole.count("did not begin") == whole.count("was not there before") == 2
    # ansible-core 2.21 itself tells why a task failed that has no_log, as it does for modules.
    assert _told(printed) <= _told(bench.contract("", "-vvvv", "--tags=secret").printed)


def _told(printed: list[str]) -> set[str]:
    return {_same(line) for line in printed if "not-to-be-logged" in line}


def granted(bench: Bench) -> None:
    """With the example for sudo a user may ask the command by Ansible, and gets nothing else of root."""
    host = bench.host
    host.run("sh", "-c", "cat >/etc/sudoers.d/limited && chmod 0440 /etc/sudoers.d/limited", given=SUDOERS.read_text())
    host.run("visudo", "-c")
    bench.run(str(HERE / "granted.yml"), variables={"contract_directory": str(bench.directory)})
    word = "BECOME-SUCCESS-" + "a" * 32
    command = "/usr/local/bin/dpdk-hotplug"
    allowed = ("/bin/sh", "-c", f"echo {word} ; {command} request")
    printed = host.run("su", "limited", "-c", f"sudo -n {shlex.join(allowed)} || :", given="{}")
    assert word in printed and '"bad_request"' in printed, printed
    for words in (
        ("id",),
        (command, "request"),
        (command, "console", "--prefix", "x", "--", "id"),
        ("/bin/sh", "-c", "id"),
        ("/bin/sh", "-c", f"echo {word} ; {command} request ; id"),
        ("/bin/sh", "-c", f"echo {word}; id ; {command} request"),
        ("/bin/sh", "-c", f"echo BECOME-SUCCESS-; id #{'a' * 27} ; {command} request"),
        ("/bin/sh", "-c", f"echo BECOME-SUCCESS-{'$(id)' + 'a' * 27} ; {command} request"),
        ("X=1", *allowed),
        ("-u", "deploy", *allowed),
    ):
        line = f"sudo -n {shlex.join(words)} </dev/null && echo let through || :"
        printed = host.run("su", "limited", "-c", line)
        assert "let through" not in printed and "uid=" not in printed, (words, printed)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--playbook", required=True)
    parser.add_argument("--stdin", type=Path, required=True)
    given = parser.parse_args()
    given.directory.chmod(0o755)
    spy = given.directory / "spy"
    spy.write_text(SPY.format(directory=given.directory))
    spy.chmod(0o755)
    with open(given.stdin, "w") as console:
        console.write("port attach net_null7\n")
    with tempfile.TemporaryDirectory(prefix="dh") as directory:
        host = Host(Path("/run/chroots", RELEASE), Path(directory))
        try:
            for user in ("deploy", "limited"):
                host.add_user(user)
                # Ansible warns when it has to make it for another user.
                temporary = (f"/home/{user}/.ansible", f"/home/{user}/.ansible/tmp")
                host.run("install", "-d", "-m", "0700", "-o", user, *temporary)
            host.run("sh", "-c", "cat >/etc/sudoers.d/deploy", given="deploy ALL=(ALL) NOPASSWD: ALL\n")
            host.run("chmod", "0440", "/etc/sudoers.d/deploy")
            bench = Bench(given, host)
            for test in (both_ways, unseen, granted):
                begin = time.monotonic()
                test(bench)
                print(f"{test.__name__}: ok, {time.monotonic() - begin:.0f} s", flush=True)
        finally:
            host.stop()


if __name__ == "__main__":
    main()
