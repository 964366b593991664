# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import (
    MAX_NAME,
    MAX_WIRE,
    Devargs,
    of_port,
    parse,
    pci_address,
)
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError

PARSED: list[tuple[str, str, str]] = [
    ("0000:01:00.0", "0000:01:00.0", "pci:0000:01:00.0"),
    ("01:00.0", "0000:01:00.0", "pci:0000:01:00.0"),
    ("1:0.0", "0000:01:00.0", "pci:0000:01:00.0"),
    ("0000:AF:1F.7", "0000:af:1f.7", "pci:0000:af:1f.7"),
    ("10000:01:00.0", "10000:01:00.0", "pci:10000:01:00.0"),
    ("pci:01:00.0,rx_pkts=1", "0000:01:00.0,rx_pkts=1", "pci:0000:01:00.0,rx_pkts=1"),
    ("net_null0", "net_null0", "vdev:net_null0"),
    ("vdev:net_null0", "net_null0", "vdev:net_null0"),
    ("net_pcap0,iface=eth0", "net_pcap0,iface=eth0", "vdev:net_pcap0,iface=eth0"),
    ("net_tap0,iface=t0,mac=02:00:00:00:00:01", "net_tap0,iface=t0,mac=02:00:00:00:00:01", ""),
    ("eth_bond-a.b_c,x", "eth_bond-a.b_c,x", "vdev:eth_bond-a.b_c,x"),
    ("net_ring0,nodeaction=a:0:CREATE", "net_ring0,nodeaction=a:0:CREATE", ""),
]


@pytest.mark.parametrize("given_text, text, wire", PARSED)
def test_parse(given_text: str, text: str, wire: str) -> None:
    device = parse(given_text)
    assert device.text == text
    assert device.wire == (wire or f"vdev:{text}")
    assert parse(device.text) == parse(device.wire) == device
    assert device.bare == parse(device.name)


REFUSED: list[t.Any] = [
    "",
    None,
    7,
    ["net_null0"],
    ",iface=eth0",
    "0000:01:20.0",
    "0000:01:00.8",
    "000000001:01:00.0",
    "pci:net_null0",
    "vdev:0000:01:00.0",
    "0net",
    "_net",
    "net null0",
    "net_null0,",
    "net_null0, size=64",
    "net_null0,a=1\n",
    "net_null0\n",
    "net_null0\0",
    "net_null0,a=\0b",
    "net_null0,a=ä",
    "nét_null0",
    "net_null0;reboot",
    "$(reboot)",
    "../net_null0",
    "net/null0",
    "vdev:vdev:net_null0",
    "auxiliary:x",
    "net_null0:1",
    "class=eth",
]


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: t.Any) -> None:
    with pytest.raises(HotplugError) as error:
        parse(text)
    assert error.value.reason == "bad_devargs"
    assert error.value.way_out


LENGTHS: list[tuple[str, bool]] = [
    ("n" * MAX_NAME, True),
    ("n" * (MAX_NAME + 1), False),
    ("n," + "a" * (MAX_WIRE - len("vdev:n,")), True),
    ("n," + "a" * (MAX_WIRE - len("vdev:n,") + 1), False),
    ("01:00.0," + "a" * (MAX_WIRE - len("pci:0000:01:00.0,")), True),
    ("01:00.0," + "a" * (MAX_WIRE - len("pci:0000:01:00.0,") + 1), False),
    ("n," + "a" * 100000, False),
]


@pytest.mark.parametrize("text, good", LENGTHS)
def test_lengths(text: str, good: bool) -> None:
    if good:
        assert len(parse(text).wire.encode()) <= MAX_WIRE
        return
    with pytest.raises(HotplugError) as error:
        parse(text)
    assert len(str(error.value)) < 500


@given(st.one_of(st.text(max_size=80), st.from_regex(r"(pci:|vdev:)?[\w:.]{1,30}(,[ -~]{0,20})?", fullmatch=True)))
def test_whatever_is_taken_is_safe_and_in_one_spelling(text: str) -> None:
    try:
        device = parse(text)
    except HotplugError:
        return
    assert parse(device.text) == device
    assert parse(device.wire) == device
    assert device.wire.isascii() and device.wire.isprintable() and " " not in device.wire
    assert "," not in device.name and "/" not in device.name
    assert len(device.wire) <= MAX_WIRE


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F), st.integers(0, 7))
def test_every_pci_address(domain: int, bus: int, device: int, function: int) -> None:
    text = f"{domain:04x}:{bus:02x}:{device:02x}.{function}"
    assert pci_address(text.upper()) == pci_address(text) == text
    assert parse(text) == Devargs("pci", text)
    assert of_port(text) == Devargs("pci", text)


SAME: list[tuple[str, str, bool]] = [
    ("", "", True),
    ("a=1,b=2", "b=2,a=1", True),
    ("a=1", "a=2", False),
    ("a=1", "", False),
    ("a=1,a=1", "a=1", False),
]


@pytest.mark.parametrize("one, other, same", SAME)
def test_same_args(one: str, other: str, same: bool) -> None:
    assert Devargs("vdev", "net_null0", one).same_args(other) is same


OF_PORT: list[tuple[str, Devargs]] = [
    ("net_null0", Devargs("vdev", "net_null0")),
    ("0000:03:00.0", Devargs("pci", "0000:03:00.0")),
    ("0000:03:00.0_representor_vf0", Devargs("pci", "0000:03:00.0")),
    ("0000:03:00.0_p1", Devargs("pci", "0000:03:00.0")),
    ("net_0000:03:00.0", Devargs("pci", "0000:03:00.0")),
    ("0000:03:00.0 port 1", Devargs("pci", "0000:03:00.0")),
    ("00000:03:00.09", Devargs("vdev", "00000:03:00.09")),
    ("strange name", Devargs("vdev", "strange name")),
]


@pytest.mark.parametrize("name, device", OF_PORT)
def test_of_port(name: str, device: Devargs) -> None:
    assert of_port(name) == device
