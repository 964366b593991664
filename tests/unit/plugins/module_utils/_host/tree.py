# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host made of files: a tree of sysfs and procfs in a directory, and a kernel that acts on what is written there.

    tree = Tree(directory)
    tree.add(Card("0000:01:00.0", driver="e1000e", netdev="eth1"))
    system, kernel = tree.system, Kernel(tree)

``Kernel`` has the interface of ``_host/writes.Writer``. What it does and refuses follows drivers/base/{bus,dd}.c and
drivers/pci/{pci-driver,pci-sysfs,iov}.c of Linux 6.1. ``fleet_of(directory, 512)`` makes a tree of that many devices.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import typing as t
from pathlib import Path

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.model import USERSPACE_DRIVERS
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.netlink import Address, Link
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.states import VfSettings
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

PCI = "/sys/bus/pci"
# The drivers of a tree, and the devices that each is for.
DRIVERS: dict[str, tuple[str, ...]] = {
    "e1000e": ("8086:10d3",),
    "igb": ("8086:10c9",),
    "igbvf": ("8086:10ca",),
    "mlx5_core": ("15b3:1017", "15b3:1018"),
    "pcieport": ("1b36:000c",),
    "vfio-pci": (),
    "uio_pci_generic": (),
}
# Those that can make VFs. vfio-pci can only where it is told to (its parameter enable_sriov).
SRIOV_DRIVERS = ("igb", "mlx5_core")
VF_IDS = {"8086:10c9": "8086:10ca", "15b3:1017": "15b3:1018"}
_ZERO = "00:00:00:00:00:00"


class Card(t.NamedTuple):
    """A PCI device. ``ids``: vendor and device; ``group``: its IOMMU group, -1 for none; ``behind``: of a bridge.

    ``netdev`` and ``mac``: what it has while a network driver of the kernel has it; ``offset`` and ``stride``: of VFs.
    ``pf`` and ``number``: of a VF.
    """

    address: str
    ids: str = "8086:10d3"
    driver: str = ""
    override: str = ""
    class_code: str = "020000"
    group: int = -1
    node: int = 0
    netdev: str = ""
    mac: str = ""
    behind: str = ""
    max_vfs: int = 0
    offset: int = 0x80
    stride: int = 2
    pf: str = ""
    number: int = -1

    @property
    def domain_bus_device(self) -> str:
        return self.address.rpartition(".")[0]


class Tree:
    """The files. Paths are the host's own, absolute."""

    def __init__(self, directory: str | Path) -> None:
        self.root = str(directory)
        self.system = System(self.root)
        self.cards: dict[str, Card] = {}
        self._numbers: dict[str, set[int]] = {}
        self._lowest: dict[str, int] = {}
        for name in DRIVERS:
            self.driver(name)
        for place in (f"{PCI}/devices", f"{PCI}/slots", "/proc", "/sys/kernel/iommu_groups", "/sys/class/net"):
            os.makedirs(self.root + place, exist_ok=True)
        self.write("/proc/sys/kernel/random/boot_id", "6c6b9b1e-0000-4000-8000-000000000001\n")
        self.write("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro\n")
        self.write("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n")
        for path in ("/proc/sys/vm/compact_memory", f"{PCI}/drivers_probe", f"{PCI}/rescan"):
            self.write(path, "")

    # Files

    def write(self, path: str, text: str) -> None:
        full = self.root + path
        try:
            with open(full, "w", encoding="utf-8", newline="") as file:
                file.write(text)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8", newline="") as file:
                file.write(text)

    def read(self, path: str) -> str:
        with open(self.root + path, encoding="utf-8", newline="") as file:
            return file.read()

    def link(self, path: str, target: str) -> None:
        """A link to a path of the host: relative, as those of sysfs are, so that it leads nowhere else."""
        full = self.root + path
        target = "../" * (path.count("/") - 1) + target[1:]
        try:
            os.symlink(target, full)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            os.symlink(target, full)

    def gone(self, path: str) -> None:
        full = self.root + path
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        elif os.path.lexists(full):
            os.unlink(full)

    def there(self, path: str) -> bool:
        return os.path.lexists(self.root + path)

    def names(self, path: str) -> list[str]:
        return self.system.names(path)

    def snapshot(self, *places: str) -> dict[str, str]:
        """Every file's content and every link's target below these places; all of sysfs where none is given."""
        found: dict[str, str] = {}
        for place in places or ("/sys",):
            for above, folders, files in os.walk(self.root + place):
                for name in (*folders, *files):
                    full = f"{above}/{name}"
                    if os.path.islink(full):
                        found[full[len(self.root) :]] = "-> " + os.readlink(full)
                    elif name in files:
                        found[full[len(self.root) :]] = Path(full).read_text(encoding="utf-8")
        return found

    # Devices

    def driver(self, name: str) -> None:
        """A driver that is in the kernel."""
        for one in ("bind", "unbind"):
            self.write(f"{PCI}/drivers/{name}/{one}", "")

    def add(self, *cards: Card) -> Tree:
        """Plug cards in, each bound to the driver that it says."""
        for card in cards:
            self._add(card)
        return self

    def place(self, address: str) -> str:
        """The directory of a device, below the bridge that it is behind."""
        behind = self.cards[address].behind
        above = self.place(behind) if behind else f"/sys/devices/pci{address[:7]}"
        return f"{above}/{address}"

    def _add(self, card: Card) -> None:
        self.cards[card.address] = card
        place = self.place(card.address)
        os.makedirs(self.root + place)
        self.link(f"{PCI}/devices/{card.address}", place)
        self.write(f"{place}/numa_node", f"{card.node}\n")
        self.write(f"{place}/driver_override", f"{card.override or '(null)'}\n")
        self.write(f"{place}/remove", "")
        self.write(f"{place}/modalias", modalias(card.ids, card.class_code))
        if card.group >= 0:
            self.group(card.address, card.group)
        if card.max_vfs:
            for name, value in (
                ("totalvfs", card.max_vfs),
                ("numvfs", 0),
                ("offset", card.offset),
                ("stride", card.stride),
                ("drivers_autoprobe", 1),
            ):
                self.write(f"{place}/sriov_{name}", f"{value}\n")
        if card.pf:
            self.link(f"{place}/physfn", self.place(card.pf))
            self.link(f"{self.place(card.pf)}/virtfn{card.number}", place)
        if card.driver:
            self.bound(card.address, card.driver)

    def group(self, address: str, number: int, name: str = "") -> None:
        """Put a device into an IOMMU group."""
        self.gone(f"{self.place(address)}/iommu_group")
        self.link(f"{self.place(address)}/iommu_group", f"/sys/kernel/iommu_groups/{number}")
        place = f"/sys/kernel/iommu_groups/{number}"
        self.link(f"{place}/devices/{address}", self.place(address))
        if name:
            self.write(f"{place}/name", f"{name}\n")

    def ungroup(self, address: str) -> None:
        number = os.path.basename(os.readlink(f"{self.root}{self.place(address)}/iommu_group"))
        place = f"/sys/kernel/iommu_groups/{number}"
        self.gone(f"{self.place(address)}/iommu_group")
        self.gone(f"{place}/devices/{address}")
        if not self.names(f"{place}/devices"):
            self.gone(place)

    def bound(self, address: str, driver: str) -> None:
        """A device has a driver, and what comes with it: a netdev, a group's file, a uio device."""
        card, place = self.cards[address], self.place(address)
        self.link(f"{place}/driver", f"{PCI}/drivers/{driver}")
        self.link(f"{PCI}/drivers/{driver}/{address}", place)
        if driver == "uio_pci_generic":
            os.makedirs(f"{self.root}{place}/uio/uio{self._free('uio')}")
        elif driver == "vfio-pci":
            os.makedirs(f"{self.root}{place}/vfio-dev/vfio{self._free('vfio')}")
        elif card.netdev:
            self.netdev(address, card.netdev, card.mac)

    def _free(self, kind: str) -> int:
        """The lowest number that no device has, as the kernel gives them."""
        taken = self._numbers.setdefault(kind, set())
        number = next(one for one in range(self._lowest.get(kind, 0), 1 << 20) if one not in taken)
        self._lowest[kind] = number + 1
        taken.add(number)
        return number

    def _freed(self, address: str) -> None:
        for kind, folder in (("uio", "uio"), ("vfio", "vfio-dev")):
            for name in self.names(f"{self.place(address)}/{folder}"):
                number = int(name[len(kind) :])
                self._numbers[kind].discard(number)
                self._lowest[kind] = min(number, self._lowest[kind])

    def netdev(self, address: str, name: str, mac: str) -> None:
        place = f"{self.place(address)}/net/{name}"
        self.write(f"{place}/address", f"{mac or _ZERO}\n")
        self.link(f"/sys/class/net/{name}", place)

    def unbound(self, address: str) -> None:
        place = self.place(address)
        driver = self.driver_of(address)
        self._freed(address)
        for name in self.names(f"{place}/net"):
            self.gone(f"/sys/class/net/{name}")
        for name in ("net", "uio", "vfio-dev", "driver"):
            self.gone(f"{place}/{name}")
        self.gone(f"{PCI}/drivers/{driver}/{address}")

    def driver_of(self, address: str) -> str:
        return os.path.basename(self.system.link(f"{self.place(address)}/driver"))

    def override_of(self, address: str) -> str:
        text = self.read(f"{self.place(address)}/driver_override").strip()
        return "" if text == "(null)" else text

    def pull(self, address: str) -> None:
        """Take a device out, with all that is behind it."""
        for other in [one for one, card in self.cards.items() if address in (card.behind, card.pf)]:
            if other in self.cards:
                self.pull(other)
        card = self.cards[address]
        if self.driver_of(address):
            self.unbound(address)
        if self.there(f"{self.place(address)}/iommu_group"):
            self.ungroup(address)
        if card.pf and card.pf in self.cards:
            self.gone(f"{self.place(card.pf)}/virtfn{card.number}")
        self.gone(self.place(address))
        self.gone(f"{PCI}/devices/{address}")
        del self.cards[address]

    def vfs(self, pf: str) -> dict[int, str]:
        return {card.number: one for one, card in sorted(self.cards.items()) if card.pf == pf}

    # What else there is on a host

    def process(self, pid: int, name: str, *paths: str, state: str = "S", start_time: int = 1000) -> None:
        """A process, and the files that it has open."""
        fields = f"{pid} ({name}) {state} " + " ".join(["1"] * 18) + f" {start_time} 0 0\n"
        self.write(f"/proc/{pid}/stat", fields)
        os.makedirs(f"{self.root}/proc/{pid}/fd", exist_ok=True)
        for number, path in enumerate(paths, 3):
            os.symlink(path, f"{self.root}/proc/{pid}/fd/{number}")

    def slot(self, name: str, address: str, power: bool | None = None) -> None:
        """A hotplug slot for what is at ``address`` (without the function); ``power``: None where it has no switch."""
        self.write(f"{PCI}/slots/{name}/address", f"{address}\n")
        if power is not None:
            self.write(f"{PCI}/slots/{name}/power", f"{int(power)}\n")

    def pages(self, size: int, *, node: int, total: int = 0, free: int | None = None) -> None:
        """Hugepages of a size (KiB) on a node."""
        for one, value in (("nr", total), ("free", total if free is None else free), ("surplus", 0)):
            self.write(
                f"/sys/devices/system/node/node{node}/hugepages/hugepages-{size}kB/{one}_hugepages", f"{value}\n"
            )


class Kernel:
    """What stands behind the files. Every write is in ``writes``.

    ``failing``: an errno by a pattern of the path; ``fails_at``: the number of the write (from 0) that gives EIO, done
    before it has any effect; ``hangs_at``: the one that is never answered; ``dies_at``: the one before which the run is
    killed. ``probes_fail``: (driver, address); ``down``: PFs whose link is down; ``room``: VFs that a PF's firmware
    left room for; ``memory``: pages there are of (size, node); ``before``: called with (path, text) before each write.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.writes: list[tuple[str, str]] = []
        self.failing: dict[str, int] = {}
        self.fails_at = self.hangs_at = self.dies_at = -1
        self.probes_fail: set[tuple[str, str]] = set()
        self.down: set[str] = set()
        self.room: dict[str, int] = {}
        self.memory: dict[tuple[int, int], int] = {}
        self.before: t.Callable[[str, str], None] | None = None
        self.sriov_drivers = set(SRIOV_DRIVERS)
        self.settings: dict[str, list[VfSettings]] = {}
        self.out: list[Card] = []  # removed through sysfs: a rescan finds them again
        self.closed = 0

    # The interface of Writer

    def read(self, path: str) -> bytes:
        return Path(self.tree.root + path).read_bytes()

    def write(self, path: str, text: str) -> None:
        number = len(self.writes)
        self.writes.append((path, text))
        if self.before:
            self.before(path, text)
        if number == self.dies_at:
            raise Killed
        if number == self.hangs_at:
            raise HotplugError("kernel_stuck", f"no answer to {path}", way_out="Reboot.", pid=4711, path=path)
        if number == self.fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        for pattern, code in self.failing.items():
            if re.search(pattern, path):
                raise OSError(code, os.strerror(code), path)
        for pattern, act in _ACTS:
            match = re.fullmatch(pattern, path)
            if match:
                if not os.path.exists(self.tree.root + path):
                    self._refuse(errno.ENOENT, path)
                act(self, path, text, *match.groups())
                return
        self._refuse(errno.ENOENT, path)

    def close(self) -> None:
        self.closed += 1

    @staticmethod
    def _refuse(code: int, path: str) -> t.NoReturn:
        raise OSError(code, os.strerror(code), path)

    # Drivers. Source: bind_store, unbind_store and drivers_probe_store in drivers/base/bus.c, pci_match_device.

    def _matches(self, driver: str, address: str) -> bool:
        override = self.tree.override_of(address)
        if override:
            return override == driver
        return self.tree.cards[address].ids in DRIVERS.get(driver, ())

    def _probe(self, driver: str, address: str) -> int:
        """0, or the errno of a probe that failed."""
        card, tree = self.tree.cards[address], self.tree
        autoprobe = not card.pf or tree.read(f"{tree.place(card.pf)}/sriov_drivers_autoprobe").strip() == "1"
        if not autoprobe and not tree.override_of(address):
            return errno.ENODEV
        if (driver, address) in self.probes_fail:
            return errno.EINVAL
        if driver == "vfio-pci" and not tree.there(f"{tree.place(address)}/iommu_group"):
            if tree.read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode").strip() != "Y":
                return errno.EINVAL
            taken = tree.names("/sys/kernel/iommu_groups")
            tree.group(address, next(one for one in range(1 << 16) if str(one) not in taken), "vfio-noiommu")
        tree.bound(address, driver)
        return 0

    def _bind(self, path: str, text: str, driver: str) -> None:
        address = text.strip()
        if address not in self.tree.cards or not self._matches(driver, address):
            self._refuse(errno.ENODEV, path)
        if self.tree.driver_of(address):
            self._refuse(errno.EBUSY, path)
        code = self._probe(driver, address)
        if code:
            self._refuse(code, path)

    def _unbind_from_driver(self, path: str, text: str, driver: str) -> None:
        address = text.strip()
        if address not in self.tree.cards or self.tree.driver_of(address) != driver:
            self._refuse(errno.ENODEV, path)
        self._unbind(address)

    def _unbind_device(self, path: str, text: str, address: str) -> None:
        self._unbind_from_driver(path, text, self.tree.driver_of(address))

    def _unbind(self, address: str) -> None:
        tree = self.tree
        for vf in reversed(tree.vfs(address).values()):
            tree.pull(vf)
        if tree.vfs(address) == {} and tree.cards[address].max_vfs:
            tree.write(f"{tree.place(address)}/sriov_numvfs", "0\n")
        tree.unbound(address)
        group = os.path.basename(tree.system.link(f"{tree.place(address)}/iommu_group"))
        if tree.system.read(f"/sys/kernel/iommu_groups/{group}/name").strip() == b"vfio-noiommu":
            tree.ungroup(address)

    def _drivers_probe(self, path: str, text: str) -> None:
        address = text.strip()
        if address not in self.tree.cards:
            self._refuse(errno.ENODEV, path)
        self.attach(address)

    def attach(self, address: str) -> None:
        """Let the drivers have a device that has none; one whose probe fails is no error, the next has its turn."""
        if self.tree.driver_of(address):
            return
        for driver in self.tree.names(f"{PCI}/drivers"):
            if self._matches(driver, address) and self._probe(driver, address) == 0:
                return

    def _override(self, path: str, text: str, address: str) -> None:
        self.tree.write(path, f"{text.strip() or '(null)'}\n")

    # SR-IOV. Source: sriov_numvfs_store in drivers/pci/iov.c.

    def _numvfs(self, path: str, text: str, pf: str) -> None:
        tree = self.tree
        if not text.strip().isdigit():
            self._refuse(errno.EINVAL, path)
        wanted, has = int(text), int(tree.read(path))
        if wanted > tree.cards[pf].max_vfs:
            self._refuse(errno.ERANGE, path)
        if wanted == has:
            return
        if tree.driver_of(pf) not in self.sriov_drivers:
            self._refuse(errno.ENOENT, path)
        if wanted and has:
            self._refuse(errno.EBUSY, path)
        if wanted and pf in self.down:
            self._refuse(errno.ENETDOWN, path)
        if wanted > self.room.get(pf, wanted):
            self._refuse(errno.ENOMEM, path)
        if wanted == 0:
            for vf in reversed(tree.vfs(pf).values()):
                tree.pull(vf)
            self.settings.pop(pf, None)
        else:
            self.settings[pf] = [VfSettings(_ZERO, 0, False, True)] * wanted
            for index in range(wanted):
                self._new_vf(pf, index)
        tree.write(path, f"{wanted}\n")
        if wanted:
            for vf in tree.vfs(pf).values():
                self.attach(vf)

    def _new_vf(self, pf: str, index: int) -> None:
        tree, card = self.tree, self.tree.cards[pf]
        address = vf_address(card, index)
        taken = tree.names("/sys/kernel/iommu_groups")
        group = -1 if card.group < 0 else next(one for one in range(1 << 16) if str(one) not in taken)
        netdev = f"{card.netdev}v{index}" if card.netdev else ""
        tree.add(vf_of(card, index)._replace(address=address, group=group, netdev=netdev))

    def _autoprobe(self, path: str, text: str, _pf: str) -> None:
        if text.strip() not in ("0", "1"):
            self._refuse(errno.EINVAL, path)
        self.tree.write(path, f"{text.strip()}\n")

    # The bus and its slots

    def _remove(self, path: str, text: str, address: str) -> None:
        if text.strip() != "1":
            return
        self.out += [card for one, card in self.tree.cards.items() if address in self._way(one)]
        self.tree.pull(address)

    def _way(self, address: str) -> list[str]:
        found = [address]
        while self.tree.cards[found[-1]].behind:
            found.append(self.tree.cards[found[-1]].behind)
        return found

    def _rescan(self, _path: str, text: str) -> None:
        off = [self.tree.read(f"{PCI}/slots/{one}/address").strip() for one in self._slots_off()]
        for card in list(self.out) if text.strip() == "1" else ():
            if card.domain_bus_device not in off:
                self._in(card)

    def _in(self, card: Card) -> None:
        self.out.remove(card)
        self.tree.add(card._replace(driver="", override=""))
        self.attach(card.address)

    def _slots_off(self) -> list[str]:
        names = self.tree.names(f"{PCI}/slots")
        return [one for one in names if self.tree.system.read(f"{PCI}/slots/{one}/power").strip() == b"0"]

    def _power(self, path: str, text: str, slot: str) -> None:
        address = self.tree.read(f"{PCI}/slots/{slot}/address").strip()
        self.tree.write(path, f"{text.strip()}\n")
        if text.strip() == "0":
            for one in [one for one, card in self.tree.cards.items() if card.domain_bus_device == address]:
                if one in self.tree.cards:
                    self._remove(path, "1", one)
        else:
            for card in [card for card in self.out if card.domain_bus_device == address or card.behind]:
                self._in(card)

    # Memory

    def _pages(self, path: str, text: str, node: str, size: str) -> None:
        place = path.rpartition("/")[0]
        has, free = (int(self.tree.read(f"{place}/{one}_hugepages")) for one in ("nr", "free"))
        gets = max(min(int(text), max(self.memory.get((int(size), int(node)), int(text)), has)), has - free)
        self.tree.write(path, f"{gets}\n")
        self.tree.write(f"{place}/free_hugepages", f"{free + gets - has}\n")

    def _parameter(self, path: str, text: str) -> None:
        self.tree.write(path, f"{text.strip()}\n")

    def _nothing(self, _path: str, _text: str) -> None:
        """Compaction shows nowhere."""


class Killed(BaseException):
    """The run is killed here: nothing of ours is cleaned up."""


_ADDRESS = r"([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])"
_ACTS: list[tuple[str, t.Callable[..., None]]] = [
    (f"{PCI}/drivers/([^/]+)/bind", Kernel._bind),
    (f"{PCI}/drivers/([^/]+)/unbind", Kernel._unbind_from_driver),
    (f"{PCI}/devices/{_ADDRESS}/driver/unbind", Kernel._unbind_device),
    (f"{PCI}/devices/{_ADDRESS}/driver_override", Kernel._override),
    (f"{PCI}/devices/{_ADDRESS}/sriov_numvfs", Kernel._numvfs),
    (f"{PCI}/devices/{_ADDRESS}/sriov_drivers_autoprobe", Kernel._autoprobe),
    (f"{PCI}/devices/{_ADDRESS}/remove", Kernel._remove),
    (f"{PCI}/drivers_probe", Kernel._drivers_probe),
    (f"{PCI}/rescan", Kernel._rescan),
    (f"{PCI}/slots/([^/]+)/power", Kernel._power),
    (r"/sys/devices/system/node/node(\d+)/hugepages/hugepages-(\d+)kB/nr_hugepages", Kernel._pages),
    ("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", Kernel._parameter),
    ("/proc/sys/vm/compact_memory", Kernel._nothing),
]


class Network:
    """What netlink tells of a tree's network: it is given, but for the settings of VFs, which the kernel has.

    ``supports``: the settings that the drivers of PFs know.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.supports = {"mac", "vlan", "trust", "spoofchk"}
        self.link_list: list[Link] = []
        self.address_list: list[Address] = []
        self.routes: list[tuple[int, int]] = []
        self.elsewhere: list[Link] = []
        self.ways: dict[str, list[int]] = {}
        self.calls: list[tuple[str, int, VfSettings]] = []

    def __call__(self) -> Network:
        return self

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_exc: object) -> None:
        """It holds nothing."""

    def links(self) -> list[Link]:
        """Those given, and every other netdev of the tree with an index from 1000 on."""
        given = {link.name for link in self.link_list}
        others = [name for name in self.kernel.tree.names("/sys/class/net") if name not in given]
        return [*self.link_list, *(Link(1000 + number, name) for number, name in enumerate(others))]

    def links_elsewhere(self) -> list[Link]:
        return self.elsewhere

    def addresses(self) -> list[Address]:
        return self.address_list

    def default_routes(self) -> list[tuple[int, int]]:
        return self.routes

    def routes_to(self, address: str) -> list[int]:
        return self.ways.get(address, [])

    def _pf(self, netdev: str) -> str:
        return next(one for one in self.kernel.tree.cards if netdev in self._netdevs(one))

    def _netdevs(self, address: str) -> list[str]:
        return self.kernel.tree.names(f"{self.kernel.tree.place(address)}/net")

    def vfs(self, netdev: str) -> list[VfSettings]:
        known: dict[str, t.Any] = dict.fromkeys({"mac", "vlan", "trust", "spoofchk"} - self.supports)
        return [one._replace(**known) for one in self.kernel.settings.get(self._pf(netdev), [])]

    def set_vf(self, netdev: str, vf: int, settings: VfSettings) -> None:
        self.calls.append((netdev, vf, settings))
        pf = self._pf(netdev)
        asked = {name: value for name, value in settings._asdict().items() if value is not None}
        if pf in self.kernel.down:
            raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))
        if set(asked) - self.supports:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        self.kernel.settings[pf][vf] = self.kernel.settings[pf][vf]._replace(**asked)


def modalias(ids: str, class_code: str = "020000") -> str:
    """What the file of that name says of a device. Source: modalias_show in drivers/pci/pci-sysfs.c."""
    vendor, device = ids.upper().split(":")
    base, sub, interface = (class_code[at : at + 2].upper() for at in (0, 2, 4))
    return f"pci:v0000{vendor}d0000{device}sv00001AF4sd00001100bc{base}sc{sub}i{interface}\n"


def vf_address(pf: Card, index: int) -> str:
    """Where a PF's VF is on the bus. Source: the SR-IOV capability, First VF Offset and VF Stride."""
    domain, bus, rest = pf.address.split(":")
    device, function = rest.split(".")
    number = (int(bus, 16) << 8 | int(device, 16) << 3 | int(function, 16)) + pf.offset + pf.stride * index
    return f"{domain}:{number >> 8:02x}:{number >> 3 & 31:02x}.{number & 7}"


def vf_of(pf: Card, index: int) -> Card:
    """A VF of a PF, with nothing bound to it."""
    return Card(
        vf_address(pf, index), ids=VF_IDS[pf.ids], node=pf.node, behind=pf.behind, pf=pf.address, number=index, group=-1
    )


def with_vfs(kernel: Kernel, pf: str, count: int, *, driver: str | None = None) -> list[str]:
    """Have the kernel make VFs, bound to ``driver`` ("" for none) where it is given; their addresses."""
    tree = kernel.tree
    kernel.write(f"{PCI}/devices/{pf}/sriov_numvfs", str(count))
    vfs = list(tree.vfs(pf).values())
    for vf in vfs if driver is not None else ():
        bind(kernel, vf, driver or "")
    kernel.writes.clear()
    return vfs


def bind(kernel: Kernel, address: str, driver: str) -> None:
    """Give a device a driver as an operator would, with driverctl's files."""
    tree = kernel.tree
    if tree.driver_of(address):
        kernel.write(f"{PCI}/devices/{address}/driver/unbind", address)
    if driver:
        kernel.write(f"{PCI}/devices/{address}/driver_override", driver if driver in USERSPACE_DRIVERS else "")
        kernel.write(f"{PCI}/drivers_probe", address)
    kernel.writes.clear()


def fleet_of(directory: str | Path, count: int = 512) -> Tree:
    """A host of ``count`` network devices, as a big one has them: PFs of 63 VFs each, two NUMA nodes, groups, netdevs.

    Every other PF's VFs are at vfio-pci, the others have the kernel's driver. It takes about a second for 512.
    """
    tree = Tree(directory)
    pf: Card | None = None
    made = 0
    buses = iter(range(1, 256))
    index = 0
    while made < count:
        if pf is None or index == pf.max_vfs:
            bus = next(buses)
            pf = Card(
                f"0000:{bus:02x}:00.0",
                ids="8086:10c9",
                driver="igb",
                group=made,
                node=bus % 2,
                netdev=f"ens{bus}",
                mac=f"02:00:00:00:{bus:02x}:00",
                max_vfs=63,
                offset=8,
                stride=1,
            )
            tree.add(pf)
            index = 0
        else:
            vf = vf_of(pf, index)
            passed = int(pf.address[5:7], 16) % 2 == 0
            tree.add(
                vf._replace(
                    driver="vfio-pci" if passed else "igbvf",
                    override="vfio-pci" if passed else "",
                    group=made,
                    netdev=f"{pf.netdev}v{index}",
                    mac=f"02:00:00:00:{pf.address[5:7]}:{index + 1:02x}",
                )
            )
            index += 1
            tree.write(f"{tree.place(pf.address)}/sriov_numvfs", f"{index}\n")
        made += 1
    return tree
