# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""What a service says to systemd: an entry with fields, and how it is. Source: systemd's Native Journal Protocol."""

from __future__ import annotations

import os
import socket
import sys

INFO, WARNING, ERROR = 6, 4, 3
_SOCKET = "/run/systemd/journal/socket"


def entry(message: str, priority: int = INFO, **fields: str) -> None:
    """An entry of the journal; fields are named DPDK_HOTPLUG_<NAME> there. Without a journal, a line on stderr."""
    from ._tables import printable

    named = {f"DPDK_HOTPLUG_{name.upper()}": text for name, text in fields.items() if text}
    lines = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "dpdk-hotplug", **named}
    data = b"".join(f"{name}={printable(text)}\n".encode() for name, text in lines.items())
    if not os.environ.get("JOURNAL_STREAM") or not _send(_SOCKET, data):
        sys.stderr.write(f"dpdk-hotplug: {printable(message)}\n")
        sys.stderr.flush()


def notify(state: str) -> None:
    """Tell systemd how the service is: ``READY=1``. Source: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        _send(address, state.encode())


def _send(address: str, data: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(data, f"\0{address[1:]}" if address[0] == "@" else address)
        except OSError:
            return False
    return True
