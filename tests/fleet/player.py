# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks and tasks that are run against a guest over ssh, and what they printed; the fixture is ``player``."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import bootstrap
from bed import Bed
from machine import REPO, collections

# Where nothing of ours may be left. What is filtered out other programs write by themselves.
_LISTING = "find /etc /usr/local /var/lib /mnt -xdev ! -path '/var/lib/systemd/*'"


def listing(guest: Bed) -> set[str]:
    """All files of a guest where nothing of ours may be left."""
    return set(guest.shell(_LISTING).splitlines())


class Played(NamedTuple):
    """What a play has printed, and its numbers for the guest."""

    text: str
    ok: int
    changed: int
    failed: int


def told(text: str, name: str) -> Played:
    """What a play has printed, with the numbers of one host."""
    found = re.search(rf"^{name} +: ok=(\d+) +changed=(\d+) .*failed=(\d+)", text, re.MULTILINE)
    assert found, text
    return Played(text, *map(int, found.groups()))


class Player:
    """Runs playbooks against a guest, with ansible-core 2.19."""

    def __init__(self, guest: Bed, directory: Path) -> None:
        self.guest = guest
        self.directory = directory
        self.ansible = bootstrap.tools("ansible-2.19")

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_COLLECTIONS_PATH": str(collections()),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def run(self, playbook: str, *options: str, **variables: Any) -> Played:
        """A playbook by its name or path; its failure is a result."""
        name = self.guest.machine.name
        with self.started(playbook, "--limit", name, *options, **variables) as play:
            text, _none = play.communicate(timeout=900)
        return told(text, name)

    def started(self, playbook: str, *options: str, **variables: Any) -> subprocess.Popen[str]:
        """A playbook that runs, against all guests of the fleet."""
        argv = [self.ansible.program("ansible-playbook"), "-i", str(self.guest.inventory), *options]
        argv += [playbook, "-e", json.dumps(variables)]
        return subprocess.Popen(
            argv,
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def done(self, playbook: str, *options: str, **variables: Any) -> Played:
        """The same where it must succeed."""
        played = self.run(playbook, *options, **variables)
        assert played.failed == 0, played.text
        return played

    def rendered(self, role: str, template: str, **variables: Any) -> str:
        """A template of a role of the collection, as the role would write it; nothing is done to the guest."""
        place = REPO / "roles" / role
        play, made = self.directory / "render.yml", self.directory / "rendered"
        source = str(place / "templates" / template)
        task = {"ansible.builtin.template": {"src": source, "dest": str(made), "mode": "0644"}}
        values = [str(place / kind / "main.yml") for kind in ("defaults", "vars")]
        text = [{"hosts": "localhost", "gather_facts": False, "vars_files": values, "tasks": [task]}]
        play.write_text(json.dumps(text))
        argv = [self.ansible.program("ansible-playbook"), "-i", "localhost,", "-c", "local", str(play)]
        argv += ["-e", json.dumps({"ansible_python_interpreter": "/usr/bin/python3", **variables})]
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return made.read_text()

    def tasks(self, text: str, *options: str) -> dict[str, Any]:
        """Run tasks, and return what each has registered, by name."""
        play = self.directory / "play.yml"
        answers = self.directory / "answers.json"
        names = re.findall(r"register: (\w+)", text)
        kept = ", ".join(f"'{name}': {name}" for name in names)
        play.write_text(
            "- hosts: all\n  gather_facts: false\n  tasks:\n"
            + "".join(f"    {line}\n" for line in text.strip().splitlines())
            + f'    - ansible.builtin.copy:\n        content: "{{{{ {{ {kept} }} | to_json }}}}"\n'
            + f"        dest: {answers}\n        mode: '0600'\n      delegate_to: localhost\n      check_mode: false\n"
            + "      diff: false\n"
            + "      vars:\n        ansible_connection: local\n        ansible_python_interpreter: /usr/bin/python3\n"
        )
        self.done(str(play), *options)
        found: dict[str, Any] = json.loads(answers.read_text())
        return found
