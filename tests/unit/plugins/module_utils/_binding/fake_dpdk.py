# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stateful stand-in for librte_eal and librte_ethdev, and the claims that it makes about them.

walk() does a fixed sequence of calls through the binding and writes down what came back. test_eal.py holds the fake to
EXPECTED; tests/integration/real/test_eal_real.py holds DPDK to it, by running this file:

    fake_dpdk.py ABI        prints what the real libraries of that ABI do, as JSON
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import eal, ethdev
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError

SLOTS = 32
DRIVERS = ("net_null", "net_pcap", "net_ring")

EXPECTED: list[list[Any]] = [
    ["type", "primary"],
    ["hugepages", False],
    ["pci", False],
    ["iova", "va"],
    ["none yet", [], 0, 0],
    ["attach", None],
    ["ports", [0]],
    ["name", "net_null0"],
    ["by name", 0],
    ["valid", True, False],
    ["owner", [0, ""]],
    ["mtu", 1500],
    ["mac", 17],
    ["removed", False],
    ["link is up", False],
    ["attach again", None],
    ["attach by devargs", None],
    ["unknown driver", ["unknown_driver", -errno.EFAULT]],
    ["unknown bus", ["unknown_driver", -errno.EFAULT]],
    ["bad arguments", ["bad_devargs", -errno.EPERM]],
    ["detach of nothing", ["no_such_device", -errno.EINVAL]],
    ["no such name", ["no_such_port", -errno.ENODEV]],
    ["no name", ["no_such_port", -errno.ENODEV]],
    ["no mac", ["no_such_port", -errno.ENODEV]],
    ["no mtu", ["no_such_port", -errno.ENODEV]],
    ["no owner", ["no_such_port", -errno.ENODEV]],
    ["no link", ["no_such_port", -errno.ENODEV]],
    ["no node", ["no_such_port", -errno.ENODEV]],
    ["stop", None],
    ["stop of nothing", ["no_such_port", -errno.ENODEV]],
    ["close of nothing", ["no_such_port", -errno.ENODEV]],
    ["detach", None],
    ["detach again", "no_such_device"],  # -2 or -22, with the driver
    ["ports left", [1]],
    ["close", None],
    ["after close", []],
    ["slots", SLOTS],
    ["full", SLOTS, ["no_memory", -errno.ENOMEM]],
    ["init again", ["eal_failed", -errno.EALREADY]],
]


def _tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except eal.EalError as exc:
        return [exc.reason, exc.code]


def walk(env: eal.Eal, dev: ethdev.EthDev) -> list[list[Any]]:
    """What the binding makes of a primary without hugepages and PCI, call by call."""
    env.init(ARGUMENTS)
    seen: list[list[Any]] = [
        ["type", env.process_type()],
        ["hugepages", env.has_hugepages()],
        ["pci", env.has_pci()],
        ["iova", env.iova_mode()],
        ["none yet", dev.ports(), dev.count_total(), dev.count_avail()],
        ["attach", _tried(lambda: env.hotplug_add("vdev", "net_null0"))],
        ["ports", dev.ports()],
        ["name", dev.name(0)],
        ["by name", dev.port_by_name("net_null0")],
        ["valid", dev.is_valid(0), dev.is_valid(1)],
        ["owner", list(dev.owner(0))],
        ["mtu", dev.mtu(0)],
        ["mac", len(dev.mac(0))],
        ["removed", dev.is_removed(0)],
        ["link is up", dev.link(0).up],
        ["attach again", _tried(lambda: env.hotplug_add("vdev", "net_null0"))],
        ["attach by devargs", _tried(lambda: env.probe("vdev:net_null1,size=128"))],
        ["unknown driver", _tried(lambda: env.hotplug_add("vdev", "foo0"))],
        ["unknown bus", _tried(lambda: env.hotplug_add("nobus", "net_null0"))],
        ["bad arguments", _tried(lambda: env.hotplug_add("vdev", "net_pcap0", "iface=nosuch"))],
        ["detach of nothing", _tried(lambda: env.hotplug_remove("vdev", "net_null9"))],
        ["no such name", _tried(lambda: dev.port_by_name("nope"))],
        ["no name", _tried(lambda: dev.name(9))],
        ["no mac", _tried(lambda: dev.mac(9))],
        ["no mtu", _tried(lambda: dev.mtu(9))],
        ["no owner", _tried(lambda: dev.owner(9))],
        ["no link", _tried(lambda: dev.link(9))],
        ["no node", _tried(lambda: dev.numa_node(9))],
        ["stop", _tried(lambda: dev.stop(0))],
        ["stop of nothing", _tried(lambda: dev.stop(9))],
        ["close of nothing", _tried(lambda: dev.close(9))],
        ["detach", _tried(lambda: env.hotplug_remove("vdev", "net_null0"))],
        ["detach again", _tried(lambda: env.hotplug_remove("vdev", "net_null0"))[0]],
        ["ports left", dev.ports()],
        ["close", _tried(lambda: dev.close(1))],
        ["after close", dev.ports()],
        ["slots", dev.slots()],
    ]
    for number in range(100, 100 + dev.slots()):
        env.hotplug_add("vdev", f"net_null{number}")
    seen.append(["full", dev.count_total(), _tried(lambda: env.hotplug_add("vdev", "net_null99"))])
    seen.append(["init again", _tried(lambda: env.init(ARGUMENTS))])
    return seen


ARGUMENTS = eal.arguments(
    prefix=f"walk{os.getpid()}", role="primary", hugepages=False, shared=False, pci=False, memory_mb=64
)


class Function:
    """What ctypes makes of a symbol: it can be given restype, argtypes and errcheck, and be called."""

    restype: Any = None
    argtypes: Any = None
    errcheck: Any = None

    def __init__(self, body: Callable[..., Any]) -> None:
        self.body = body

    def __call__(self, *arguments: Any) -> Any:
        assert self.argtypes is not None and len(arguments) == len(self.argtypes), (self.body, arguments)
        value = self.body(*arguments)
        return value if self.errcheck is None else self.errcheck(value, self, arguments)


class Dpdk:
    """Both libraries at once. ``opener`` stands in for dlopen(3); ``missing`` are symbols of another release.

    ``answers``: the value that a function gives instead, by its name.
    """

    def __init__(self, version: str = "DPDK 22.11.11", missing: tuple[str, ...] = ()) -> None:
        self.text = version
        self.missing = missing
        self.opened: list[str] = []
        self.argv: list[str] = []
        self.errno = 0
        self.started = self.services = False
        self.devices: dict[str, bool] = {}
        self.ports: dict[int, str] = {}
        self.answers: dict[str, int] = {}

    def opener(self, name: str) -> Any:
        if "absent" in name:
            raise OSError(f"{name}: cannot open shared object file")
        self.opened.append(name)
        return self

    def __getattr__(self, symbol: str) -> Any:
        body = getattr(type(self), f"_{symbol}", None)
        if not symbol.startswith("rte_") or body is None or symbol in self.missing:
            raise AttributeError(symbol)

        def call(*arguments: Any) -> Any:
            given = self.answers.get(symbol)
            return body(self, *arguments) if given is None else given

        return Function(call)

    def variable(self, symbol: str) -> int:
        if symbol in self.missing:
            raise ValueError(symbol)
        assert symbol == "per_lcore__rte_errno"
        return self.errno

    def _fails(self, number: int) -> int:
        self.errno = number
        return -1

    def _rte_version(self) -> bytes:
        return self.text.encode()

    def _rte_strerror(self, number: int) -> bytes:
        return os.strerror(number).encode()

    def _rte_eal_init(self, count: int, argv: Any) -> int:
        if self.started:
            return self._fails(errno.EALREADY)
        self.argv = [os.fsdecode(argv[n]) for n in range(count)]
        assert argv[count] is None
        lcore = next((word.partition("@")[0] for word in self.argv if "@" in word), "0")
        if int(lcore) > 63:
            return self._fails(errno.EINVAL)
        self.started = self.services = True
        return count - 1

    def _rte_eal_cleanup(self) -> int:
        return 0

    def _rte_service_finalize(self) -> None:
        self.services = False

    def _rte_eal_process_type(self) -> int:
        return int("--proc-type=secondary" in self.argv)

    def _rte_eal_primary_proc_alive(self, config: bytes | None) -> int:
        return int(config is None)

    def _rte_eal_get_runtime_dir(self) -> bytes:
        return b"/var/run/dpdk/" + self.argv[self.argv.index("--file-prefix") + 1].encode()

    def _rte_eal_has_hugepages(self) -> int:
        return int("--no-huge" not in self.argv)

    def _rte_eal_has_pci(self) -> int:
        return int("--no-pci" not in self.argv)

    def _rte_eal_iova_mode(self) -> int:
        return 2 if self.started else 0

    def _rte_eal_hotplug_add(self, bus: bytes, name: bytes, args: bytes) -> int:
        return self._rte_dev_probe(bus + b":" + name + b"," + args)

    def _rte_dev_probe(self, devargs: bytes) -> int:
        bus, _colon, rest = devargs.decode().partition(":")
        name, _comma, args = rest.partition(",")
        if bus not in ("vdev", "pci") or (bus == "vdev" and not name.startswith(DRIVERS)):
            return -errno.EFAULT
        if bus == "pci":
            return -errno.ENODEV
        if self.devices.get(name):
            return 0
        if "nosuch" in args:
            return -errno.EPERM
        free = next((port for port in range(SLOTS) if port not in self.ports), None)
        if free is None:
            return -errno.ENOMEM
        self.devices[name] = True
        self.ports[free] = name
        return 0

    def _rte_eal_hotplug_remove(self, bus: bytes, name: bytes) -> int:
        text = name.decode()
        if text not in self.devices:
            return -errno.EINVAL
        if not self.devices[text]:
            return -errno.ENOENT
        self.devices[text] = False
        self.ports = {port: held for port, held in self.ports.items() if held != text}
        return 0

    def _of(self, port: int) -> int:
        return 0 if port in self.ports else -errno.ENODEV

    def _rte_eth_dev_get_port_by_name(self, name: bytes, port: Any) -> int:
        for number, held in self.ports.items():
            if held == name.decode():
                port._obj.value = number
                return 0
        return -errno.ENODEV

    def _rte_eth_dev_get_name_by_port(self, port: int, text: Any) -> int:
        if port in self.ports:
            text.value = self.ports[port].encode()
        return self._of(port)

    def _rte_eth_dev_count_avail(self) -> int:
        return len(self.ports)

    _rte_eth_dev_count_total = _rte_eth_dev_count_avail

    def _rte_eth_find_next(self, port: int) -> int:
        return min((number for number in self.ports if number >= port), default=SLOTS)

    def _rte_eth_dev_is_valid_port(self, port: int) -> int:
        return int(port in self.ports)

    def _rte_eth_dev_owner_get(self, port: int, owner: Any) -> int:
        assert port in self.ports, "22.11.11 crashes here"
        return 0

    def _rte_eth_dev_socket_id(self, port: int) -> int:
        assert port in self.ports, "22.11.11 crashes here"
        return 0

    def _rte_eth_macaddr_get(self, port: int, octets: Any) -> int:
        if port in self.ports:
            octets[0], octets[5] = 2, port
        return self._of(port)

    def _rte_eth_dev_get_mtu(self, port: int, mtu: Any) -> int:
        mtu._obj.value = 1500
        return self._of(port)

    def _rte_eth_dev_is_removed(self, port: int) -> int:
        return 0

    def _rte_eth_link_get_nowait(self, port: int, link: Any) -> int:
        link._obj.speed = 10000
        return self._of(port)

    def _rte_eth_dev_stop(self, port: int) -> int:
        return self._of(port)

    def _rte_eth_dev_close(self, port: int) -> int:
        status = self._of(port)
        self.ports.pop(port, None)
        return status


if __name__ == "__main__":
    _abi = int(sys.argv[1])
    _answer = os.dup(1)
    os.dup2(2, 1)  # EAL prints there
    try:
        _seen = walk(eal.Eal(eal.soname("eal", _abi)), ethdev.EthDev(eal.soname("ethdev", _abi)))
    except HotplugError as _exc:
        _seen = [[str(_exc)]]
    os.write(_answer, json.dumps(_seen).encode())
    os._exit(0)
