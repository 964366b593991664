# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of one's own that is reached by ssh: the sshd of a tree, on the loopback interface, with keys of its own.

    host = Host(Path("/run/chroots/24.11"), directory)     inside tests/tools/isolate.py
    host.variables("deploy")                               what an inventory says of it, for that user
    host.run("visudo", "-c")                               as root, in the tree
    host.stop()

The tree is the overlay that isolate.py has laid, so nothing of it stays. It shares /proc, /sys, /run and /tmp with the
machine: an application that runs on the machine runs on this host as well. Standard library only.
"""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from machine import free_port

# A fresh Debian has no sshd and no sudo; the tree of this release has both.
RELEASE = "24.11"
_SETTINGS = """ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host
AuthorizedKeysFile {directory}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
PidFile none
MaxStartups 1000
MaxSessions 1000
Subsystem sftp internal-sftp
"""


class Host:
    """``directory`` is one of its own below /tmp."""

    def __init__(self, root: Path, directory: Path) -> None:
        # Where Ansible itself runs inside of the tree, that is this host.
        self.root = root if root.is_dir() else Path("/")
        self.directory = directory
        self.port = free_port()
        directory.chmod(0o755)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
        (directory / "sshd.conf").write_text(_SETTINGS.format(port=self.port, directory=directory))
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        argv = self._inside("/usr/sbin/sshd", "-D", "-e", "-f", str(directory / "sshd.conf"))
        with open(directory / "sshd.log", "w") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()

    def _inside(self, *argv: str) -> list[str]:
        return list(argv) if self.root == Path("/") else ["chroot", str(self.root), *argv]

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"sshd: not up: {(self.directory / 'sshd.log').read_text()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket() as link:
            return link.connect_ex(("127.0.0.1", self.port)) == 0

    def run(self, *argv: str, given: str = "") -> str:
        """What a command printed, run as root; it must succeed."""
        done = subprocess.run(
            self._inside(*argv), input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, (argv, done.stdout)
        return done.stdout

    def add_user(self, name: str) -> None:
        """One who can log in. A locked password would lock the account; this is none that anything matches."""
        self.run("useradd", "--create-home", "--shell", "/bin/sh", "--password", "*", name)

    def variables(self, user: str = "root", **more: Any) -> dict[str, Any]:
        """Ansible's variables for this host. The connection is kept by ControlPersist, as Ansible does by default."""
        known = f"-o UserKnownHostsFile={self.directory}/known_hosts -o StrictHostKeyChecking=accept-new"
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self.directory / "user"),
            "ansible_ssh_common_args": f"{known} -o IdentitiesOnly=yes",
            "ansible_control_path_dir": str(self.directory / "cp"),
            "ansible_python_interpreter": "/usr/bin/python3",
            **more,
        }

    def hang_up(self, control_paths: Path) -> None:
        """End the connections that are kept there."""
        for path in control_paths.glob("*"):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "127.0.0.1"], capture_output=True, check=False
            )

    def stop(self) -> None:
        self.hang_up(self.directory / "cp")
        self._process.terminate()
        self._process.wait()
