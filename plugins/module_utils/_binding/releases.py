# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import re
import struct
import typing as t

# lib/eal/common/eal_memcfg.h: the config file starts with a magic word and RTE_VERSION.
CONFIG_MAGIC = 0x012E6FEE
# lib/eal/include/rte_version.h: a final release has 99 in the last byte, a candidate its number.
_FINAL = 99

_TEXT = re.compile(r"(?:DPDK )?(\d{2})\.(\d{2})(?:\.(\d+))?(?:-rc(\d+))?(\D.*)?")


class Release(t.NamedTuple):
    """A release of DPDK: ``Release(22, 11, 4)`` is 22.11.4; ``candidate`` is the n of ``-rcn``, else -1."""

    year: int
    month: int
    minor: int = 0
    candidate: int = -1

    def __str__(self) -> str:
        text = f"{self.year:02d}.{self.month:02d}"
        if self.minor:
            text += f".{self.minor}"
        return text + (f"-rc{self.candidate}" if self.candidate >= 0 else "")


class Facts(t.NamedTuple):
    """What a call has to know of a release; what else is known of it: see release_notes.py.

    ``message_size``: bytes of one multi-process datagram. ``port_info``: telemetry has /ethdev/info.
    """

    message_size: int
    port_info: bool


# lib/eal/common/hotplug_mp.h and eal_common_proc.c: struct mp_msg_internal less its descriptors. 340 since
# rte_mp_msg.param is aligned to 8 bytes (25.11). The endpoints: by git grep of each tag.
RELEASES = {
    (int(name[:2]), int(name[3:])): known
    for names, known in (
        ("20.11 21.02 21.05 21.08", Facts(332, False)),
        ("21.11 22.03 22.07 22.11 23.03 23.07 23.11 24.03 24.07 24.11 25.03 25.07", Facts(332, True)),
        ("25.11 26.03 26.07", Facts(340, True)),
    )
    for name in names.split()
}


def facts(release: Release) -> Facts | None:
    """The facts of a release; None for one that is not in the table, which includes every release candidate."""
    return RELEASES.get((release.year, release.month)) if release.candidate < 0 else None


def parse(text: str) -> Release | None:
    """The release that a version text names, as ``rte_version()`` or the telemetry banner give it."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, minor, candidate, _suffix = match.groups()
    return Release(int(year), int(month), int(minor or 0), -1 if candidate is None else int(candidate))


def of_config(head: bytes) -> Release | None:
    """The release in the first 8 bytes of ``<runtime>/<prefix>/config``; None when they are not DPDK's.

    Source: struct rte_mem_config (lib/eal/common/eal_memcfg.h), RTE_VERSION (lib/eal/include/rte_version.h).
    The magic word is written last, when the primary's EAL is up.
    """
    if len(head) < 8:
        return None
    magic, version = struct.unpack("=II", head[:8])
    if magic != CONFIG_MAGIC:
        return None
    year, month, minor, last = version >> 24, version >> 16 & 255, version >> 8 & 255, version & 255
    return Release(year, month, minor, -1 if last == _FINAL else last)
