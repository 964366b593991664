# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import fcntl
import json
import os
import time

from .._system import Directory

_POLL = 0.02


class Lock:
    """One run at a time on one thing: an exclusive flock, which ends with the process whatever happens to it."""

    def __init__(self, home: Directory, what: str, *, timeout: float) -> None:
        try:
            self.fd = home.open("lock", os.O_RDWR | os.O_CREAT)
        except OSError as exc:
            from .refusals import unusable

            raise unusable(f"{home.path}/lock", exc.strerror) from exc
        self.waited = False
        end = time.monotonic() + timeout
        while not self._try():
            self.waited = True
            if time.monotonic() >= end:
                from .refusals import locked

                error = locked(what, os.pread(self.fd, 256, 0), timeout)
                os.close(self.fd)
                raise error
            time.sleep(_POLL)
        note = json.dumps({"pid": os.getpid(), "since": int(time.time())}).encode()
        try:
            os.pwrite(self.fd, note.ljust(64), 0)
        except OSError as exc:
            os.close(self.fd)
            from .refusals import unusable

            raise unusable(f"{home.path}/lock", exc.strerror) from exc

    def _try(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self.fd)
