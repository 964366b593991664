# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real netdevs in the network namespace of the test run, and namespaces beside it; all of them go with the test."""

from __future__ import annotations

import subprocess
from pathlib import Path

from releases import wait_until


class Links:
    """Makes links with ip(8). A veth stands for a card: it is an Ethernet interface with a carrier."""

    def __init__(self) -> None:
        self._before = self._names()
        self._nics: list[str] = []
        self._others: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def _names() -> set[str]:
        return {path.name for path in Path("/sys/class/net").iterdir()}

    def ip(self, line: str) -> None:
        subprocess.run(["ip", *line.split()], check=True, stdout=subprocess.DEVNULL)

    def batch(self, *lines: str) -> None:
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)

    def nic(self, name: str) -> None:
        """A netdev that is up, without any address; the other end of its wire is NAME-wire."""
        self.ip(f"link add {name} type veth peer name {name}-wire")
        self._nics.append(f"{name}-wire")
        for end in (name, f"{name}-wire"):
            Path(f"/proc/sys/net/ipv6/conf/{end}/addr_gen_mode").write_text("1")  # no link-local address by itself
            self.ip(f"link set {end} up")

    def move(self, name: str) -> None:
        """Move a netdev into a network namespace of its own."""
        other = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE)
        self._others.append(other)
        assert other.stdout is not None
        other.stdout.readline()  # it is in its namespace
        self.ip(f"link set {name} netns {other.pid}")

    def remove(self) -> None:
        for other in self._others:
            other.kill()
            other.communicate()
        for name in [*self._nics, *sorted(self._names() - self._before)]:
            if name in self._names():  # what stands on a card goes with it, and with a namespace what is in it
                subprocess.run(["ip", "link", "del", name], check=False, stderr=subprocess.DEVNULL)
        self.ip("route flush type unreachable")
        wait_until(lambda: self._names() <= self._before, "the links of the test to go")
