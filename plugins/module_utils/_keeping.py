# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import os

from . import _archive


def keep(name: str, data: bytes) -> None:
    """Keep what was compiled under that name. Where it cannot be, it is compiled in the next call too."""
    path = f"{_archive.PLACES[-1]}/{name}"
    fresh = f"{path}.{os.getpid()}"
    try:
        if not all(map(_made, _archive.PLACES)):
            return
        with open(fresh, "xb") as file:
            file.write(data)
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)


def _made(path: str) -> bool:
    if not os.path.lexists(path):
        os.mkdir(path, 0o700)
    return _archive.is_roots(path)
