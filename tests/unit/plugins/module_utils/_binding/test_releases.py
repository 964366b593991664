# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import release_notes, releases
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import Release

# ABI_VERSION, the datagram's size by the structure, and /ethdev/info, read from the source of each tag.
TABLE: list[tuple[str, int, int, bool]] = [
    ("20.11", 21, 332, False),
    ("21.02", 21, 332, False),
    ("21.05", 21, 332, False),
    ("21.08", 21, 332, False),
    ("21.11", 22, 332, True),
    ("22.03", 22, 332, True),
    ("22.07", 22, 332, True),
    ("22.11", 23, 332, True),
    ("23.03", 23, 332, True),
    ("23.07", 23, 332, True),
    ("23.11", 24, 332, True),
    ("24.03", 24, 332, True),
    ("24.07", 24, 332, True),
    ("24.11", 25, 332, True),
    ("25.03", 25, 332, True),
    ("25.07", 25, 332, True),
    ("25.11", 26, 340, True),
    ("26.03", 26, 340, True),
    ("26.07", 26, 340, True),
]


@pytest.mark.parametrize("text, soname, size, port_info", TABLE)
def test_facts(text: str, soname: int, size: int, port_info: bool) -> None:
    release = releases.parse(text)
    assert release is not None
    facts = releases.facts(release)
    assert facts is not None
    assert (facts.message_size, facts.port_info) == (size, port_info)
    assert text in release_notes.SONAMES[soname].split()
    assert releases.facts(release._replace(minor=7)) == facts
    assert releases.facts(release._replace(candidate=1)) is None


def test_table_is_whole() -> None:
    assert release_notes.known() == [text for text, *_rest in TABLE]


def test_notes_are_of_releases_in_the_table() -> None:
    named = {name for names in release_notes.DEFECTS.values() for name in names.split()}
    assert named | set(release_notes.SHOWN_ON) <= set(release_notes.known())
    assert len(release_notes.defects(Release(22, 11, 4))) == 3
    assert release_notes.defects(Release(26, 7)) == tuple(list(release_notes.DEFECTS)[1::3])


def test_unknown_release_has_no_facts() -> None:
    assert releases.facts(Release(26, 11)) is None
    assert releases.facts(Release(19, 11)) is None


PARSED: list[tuple[str, Release | None]] = [
    ("DPDK 22.11.11", Release(22, 11, 11)),
    ("DPDK 22.11.0", Release(22, 11)),
    ("25.11", Release(25, 11)),
    (" DPDK 24.11.4\n", Release(24, 11, 4)),
    ("DPDK 25.11.0-rc2", Release(25, 11, 0, 2)),
    ("DPDK 22.11.4-custom", Release(22, 11, 4)),
    ("DPDK 22.11.4 (Debian 22.11.4-1)", Release(22, 11, 4)),
    ("", None),
    ("DPDK", None),
    ("DPDK 2.2.0", None),
    ("22", None),
    ("DPDK 222.11", None),
]


@pytest.mark.parametrize("text, release", PARSED)
def test_parse(text: str, release: Release | None) -> None:
    assert releases.parse(text) == release


# The first 8 bytes of a config file, as the three releases wrote them on an x86 machine.
CONFIGS: list[tuple[bytes, Release | None]] = [
    (bytes.fromhex("ee6f2e01 630b0b16"), Release(22, 11, 11)),
    (bytes.fromhex("ee6f2e01 63040b18"), Release(24, 11, 4)),
    (bytes.fromhex("ee6f2e01 63040b19"), Release(25, 11, 4)),
    (bytes.fromhex("ee6f2e01 01000b19"), Release(25, 11, 0, 1)),
    (bytes.fromhex("00000000 63040b19"), None),
    (b"", None),
    (b"\xee\x6f\x2e", None),
]


@pytest.mark.parametrize("head, release", CONFIGS)
def test_of_config(head: bytes, release: Release | None) -> None:
    assert releases.of_config(struct.pack("=2I", *struct.unpack("<2I", head)) if len(head) == 8 else head) == release


@given(st.builds(Release, st.integers(10, 99), st.integers(10, 12), st.integers(0, 50), st.integers(-1, 9)))
def test_text_of_a_release_parses_to_it(release: Release) -> None:
    assert releases.parse(str(release)) == release
    assert releases.parse(f"DPDK {release}") == release


@given(st.binary(max_size=16))
def test_any_bytes_give_a_release_or_none(head: bytes) -> None:
    assert releases.of_config(head) is None or head[:4] == struct.pack("=I", releases.CONFIG_MAGIC)
