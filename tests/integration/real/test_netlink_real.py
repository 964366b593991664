# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells of its network: of hundreds of links, while they change, and when its answer is no answer."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from links import Links

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.netlink import Address, Netlink

HEADER = struct.Struct("=IHHII")
NEWLINK, ERROR, DONE = 16, 2, 3
INTERRUPTED = 0x10
MANY = 400


@pytest.fixture
def net() -> Iterator[Links]:
    links = Links()
    yield links
    links.remove()


# The kernel's own answers


def test_hundreds_of_links_are_all_seen(net: Links) -> None:
    """More than one message holds: the dump comes in parts."""
    net.nic("nic")
    net.batch(*(f"link add mv{number} link nic type macvlan mode bridge" for number in range(MANY)))
    net.batch(*(f"address add 10.9.{number // 250}.{number % 250 + 1}/32 dev mv{number}" for number in range(MANY)))
    with Netlink() as netlink:
        named = {link.name: link for link in netlink.links()}
        addresses = netlink.addresses()
    assert {"lo", "nic", "nic-wire", *(f"mv{number}" for number in range(MANY))} == set(named)
    assert {named[f"mv{number}"].lower for number in range(MANY)} == {named["nic"].ifindex}
    assert Address(named["mv399"].ifindex, "10.9.1.150") in addresses
    assert len([one for one in addresses if one.text.startswith("10.9.")]) == MANY


def test_links_that_come_and_go_meanwhile_hide_none_of_those_that_stay(net: Links) -> None:
    net.nic("nic")
    net.batch(*(f"link add mv{number} link nic type macvlan mode bridge" for number in range(MANY)))
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            net.ip("link add link nic name flap type macvlan mode bridge")
            net.ip("link del flap")

    thread = threading.Thread(target=churn)
    thread.start()
    answered = 0
    try:
        for _look in range(60):
            try:
                with Netlink() as netlink:
                    names = {link.name for link in netlink.links()}
            except HotplugError as error:
                assert error.reason == "netlink" and "do not stand still" in error.message
                continue
            answered += 1
            assert {"nic", *(f"mv{number}" for number in range(MANY))} <= names
    finally:
        stop.set()
        thread.join()
    assert answered > 0


def test_a_link_tells_its_kind_its_master_and_what_it_is_on(net: Links) -> None:
    net.nic("nic")
    net.ip("link add br0 type bridge")
    net.ip("link set nic master br0")
    net.ip("link add link br0 name mv0 type macvlan mode bridge")
    with Netlink() as netlink:
        named = {link.name: link for link in netlink.links()}
    assert (named["nic"].kind, named["nic"].master, named["nic"].up) == ("veth", named["br0"].ifindex, True)
    assert (named["mv0"].kind, named["mv0"].lower, named["mv0"].up) == ("macvlan", named["br0"].ifindex, False)
    assert named["nic"].lower == 0, "a veth stands on nothing: its peer is at the other end of the wire"


def test_what_another_namespace_has_on_a_link_of_this_one_is_seen(net: Links) -> None:
    net.nic("nic")
    net.ip("link add link nic name mv0 type macvlan mode bridge")
    with Netlink() as netlink:
        assert netlink.links_elsewhere() == []
        net.move("mv0")
        (nic,) = [link for link in netlink.links() if link.name == "nic"]
        assert [(one.name, one.kind, one.lower) for one in netlink.links_elsewhere()] == [
            ("mv0", "macvlan", nic.ifindex)
        ]
        net.move("nic-wire")
        assert [one.name for one in netlink.links_elsewhere()] == ["mv0"], "a veth's peer elsewhere is only a wire"


# Answers that are none. What the kernel says comes through a socket of ours here.


class Said:
    """A socket that says what it is given: for each datagram asked for the next; then nothing more."""

    def __init__(self, *datagrams: bytes) -> None:
        self.datagrams = list(datagrams)
        self.asked = 0

    def send(self, data: bytes) -> int:
        self.asked = HEADER.unpack_from(data)[3]
        return len(data)

    def recv(self, _size: int) -> bytes:
        if not self.datagrams:
            raise socket.timeout
        return self.datagrams.pop(0)

    def close(self) -> None:
        pass


def hearing(*datagrams: bytes) -> Netlink:
    netlink = Netlink()
    netlink._socket.close()
    netlink._socket = Said(*datagrams)  # type: ignore[assignment]
    return netlink


def message(kind: int, body: bytes = b"", *, number: int = 1, flags: int = 2) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, flags, number, 0) + body


def link(name: str, index: int = 7, *, number: int = 1, flags: int = 2) -> bytes:
    text = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(text), 3) + text + b"\0" * (-len(text) % 4)
    return message(NEWLINK, struct.pack("=BxHiII", 0, 1, index, 1, 0) + attribute, number=number, flags=flags)


def done(code: int = 0, *, number: int = 1, flags: int = 2) -> bytes:
    return message(DONE, struct.pack("=i", code), number=number, flags=flags)


def refusal(netlink: Netlink) -> HotplugError:
    with pytest.raises(HotplugError) as caught:
        netlink.links()
    assert caught.value.reason == "netlink" and caught.value.way_out
    return caught.value


def test_an_interrupted_dump_is_asked_for_again() -> None:
    torn = [link("old", number=number, flags=2 | INTERRUPTED) + done(number=number) for number in (1, 2)]
    netlink = hearing(*torn, link("new", number=3) + done(number=3))
    assert [one.name for one in netlink.links()] == ["new"]


def test_a_dump_that_says_at_its_end_that_it_was_interrupted_is_asked_for_again() -> None:
    netlink = hearing(link("old"), done(flags=2 | INTERRUPTED), link("new", number=2), done(number=2))
    assert [one.name for one in netlink.links()] == ["new"]


def test_tables_that_never_stand_still_are_an_error() -> None:
    error = refusal(hearing(*(link("x", number=n, flags=2 | INTERRUPTED) + done(number=n) for n in range(1, 10))))
    assert "do not stand still" in error.message


def test_a_kernel_that_does_not_answer_is_an_error_with_a_limit() -> None:
    assert "has not answered for 10 s" in refusal(hearing()).message
    assert "has not answered for 10 s" in refusal(hearing(link("x"))).message, "an end of the table is missing"


@pytest.mark.parametrize("answer", [done(-errno.EPERM), message(ERROR, struct.pack("=i", -errno.EPERM))])
def test_a_refusal_of_the_kernel_is_told(answer: bytes) -> None:
    """At the end of a dump as well: the links before it are not all there are."""
    assert "Operation not permitted" in refusal(hearing(link("x") + answer)).message


def test_what_answers_another_question_is_passed_over() -> None:
    netlink = hearing(link("stale", number=99), link("x") + done())
    assert [one.name for one in netlink.links()] == ["x"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\1",
        message(NEWLINK)[:-4],
        HEADER.pack(0, NEWLINK, 2, 1, 0),
        HEADER.pack(1 << 31, NEWLINK, 2, 1, 0) + b"x" * 64,
        message(NEWLINK, b"short") + done(),
    ],
    ids=["nothing", "a byte", "cut", "no length", "too long", "no body"],
)
def test_garbage_is_an_error_and_no_network(garbage: bytes) -> None:
    assert "makes no sense" in refusal(hearing(garbage)).message


def test_an_address_of_a_wrong_length_is_an_error() -> None:
    body = struct.pack("=BBBBI", socket.AF_INET, 24, 0, 0, 3) + struct.pack("=HH", 7, 2) + b"\x0a\0\0\0"
    with pytest.raises(HotplugError, match="makes no sense"):
        hearing(message(20, body) + done()).addresses()


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=96), st.binary(max_size=80).map(lambda body: message(NEWLINK, body)))))
def test_no_answer_does_more_than_be_refused(datagrams: list[bytes]) -> None:
    """Whatever comes: a table, or an error that says so; never another exception, and never no end."""
    for ask in (Netlink.links, Netlink.addresses, Netlink.default_routes):
        netlink = hearing(*datagrams, done())
        try:
            ask(netlink)
        except HotplugError as error:
            assert error.reason == "netlink"
