# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import fcntl
import json
import os
import time
import typing as t

from .._errors import HotplugError
from .._system import Directory
from .home import unusable

_POLL = 0.02


class Lock:
    """One run at a time for one application: an exclusive flock, which ends with the process whatever happens to it."""

    def __init__(self, home: Directory, prefix: str, *, timeout: float) -> None:
        try:
            self.fd = home.open("lock", os.O_RDWR | os.O_CREAT)
        except OSError as exc:
            raise unusable(f"{home.path}/lock", exc.strerror) from exc
        self.waited = False
        end = time.monotonic() + timeout
        while not self._try():
            self.waited = True
            if time.monotonic() >= end:
                holder = self._holder()
                os.close(self.fd)
                raise HotplugError(
                    "locked",
                    f"another run works on application '{prefix}' {holder}, and did not end within {timeout:.0f} s",
                    way_out="Wait for it, or raise timeout; end it only if it hangs.",
                    app=prefix,
                )
            time.sleep(_POLL)
        note = json.dumps({"pid": os.getpid(), "since": int(time.time())}).encode()
        try:
            os.pwrite(self.fd, note.ljust(64), 0)
        except OSError as exc:
            os.close(self.fd)
            raise unusable(f"{home.path}/lock", exc.strerror) from exc

    def _try(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> str:
        try:
            note: dict[str, t.Any] = json.loads(os.pread(self.fd, 256, 0))
            since = time.strftime("%H:%M:%S", time.localtime(note["since"]))
            return f"(pid {int(note['pid'])}, since {since})"
        except (ValueError, KeyError, TypeError):
            return "(it does not say who it is)"

    def close(self) -> None:
        os.close(self.fd)
