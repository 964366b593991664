# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests do inside a guest; bed.py copies it there and runs it, one JSON value in, one out.

    inside.py VERB < {"name": value, ...}

snapshot                what restore() can bring back: drivers, VFs, hugepages, network, files of ours
empty before            ends what tests have started, and switches off the slots of cards that were plugged
restore before          the guest as the snapshot has it; answers what still differs
write writes look       [[path, text], ...] one after the other; of each the errno, and the drivers of ``look`` then
testpmd ...             starts one, see releases.py; answers once its prompt is there
type directory lines pattern limit     types lines at its console, and answers what it printed up to the pattern
served prefix argv      starts a testpmd whose console dpdk-hotplug serves
kernels addresses       what the kernel has: drivers, VFs, hugepages, mounts, and our journal
ports socket            its ports, by telemetry, with their counters
frames netdev number    sends broadcasts from a netdev of the kernel
stop pid                ends it

Standard library only, beside releases.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket as socket_
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from releases import HOST, Dpdk, is_alive, query, wait_until

MANAGEMENT = "enp0s2"
DEVICES = Path("/sys/bus/pci/devices")
NETDEVS = Path("/sys/class/net")
# Whatever tests or the collection write there goes again.
_FILES = (
    "/etc/dpdk",
    "/etc/dpdk-hotplug",
    "/etc/default/grub.d",
    "/etc/driverctl.d",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/sysctl.d",
    "/etc/systemd/network",
    "/etc/systemd/system",
    "/etc/udev/rules.d",
)
_OURS = ("/run/dpdk-hotplug", "/var/lib/dpdk-hotplug", "/run/dpdk")
_PROGRAMS = ("dpdk-testpmd", "dpdk-hotplug")
_NOIOMMU = Path("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
_COMPLAINTS = r"Oops|BUG: (?!soft lockup|workqueue)|kernel BUG at|general protection|refcount_t|blocked for more than"
_PATIENCE = 60.0


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return ""


def _write(path: Path | str, text: str) -> int:
    """The errno; 0 where the kernel took it."""
    try:
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as exc:
        return exc.errno or 5
    return 0


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=False, capture_output=True)


def _asked(*words: str) -> Any:
    return json.loads(subprocess.run(["ip", "-j", *words], check=True, capture_output=True, text=True).stdout or "[]")


# The guest as a whole


def snapshot() -> dict[str, Any]:
    return {
        "devices": {one.name: [_link(one / "driver"), _override(one)] for one in sorted(DEVICES.iterdir())},
        "vfs": {one.parent.name: _text(one) for one in sorted(DEVICES.glob("*/sriov_numvfs"))},
        "autoprobe": {one.parent.name: _text(one) for one in sorted(DEVICES.glob("*/sriov_drivers_autoprobe"))},
        "pages": {str(one): _text(one) for one in sorted(_pools())},
        "mounts": sorted(_hugetlbfs()),
        "links": _links(),
        "routes": sorted(_routes()),
        "files": sorted(_files()),
        "ours": [one for one in _OURS if os.path.exists(one)],
        "processes": sorted(name for _pid, name in _programs()),
        "noiommu": _text(_NOIOMMU) or "N",
        "arguments": _text(Path("/proc/cmdline")),
        "complaints": _complaints(),
    }


def _complaints() -> list[str]:
    """Of the kernel; a stall is not one, machines that emulate others have them."""
    said = subprocess.run(["dmesg"], check=True, capture_output=True, text=True).stdout
    return [line for line in said.splitlines() if re.search(_COMPLAINTS, line)]


def _override(device: Path) -> str:
    text = _text(device / "driver_override")
    return "" if text == "(null)" else text


def _pools() -> Iterator[Path]:
    return Path("/sys/devices/system/node").glob("node*/hugepages/*/nr_hugepages")


def _hugetlbfs() -> Iterator[str]:
    for line in Path("/proc/mounts").read_text().splitlines():
        _what, place, kind = line.split(" ")[:3]
        if kind == "hugetlbfs":
            yield place


def _links() -> dict[str, list[Any]]:
    """By name: its master, whether it is up, and its addresses but those that the kernel makes by itself."""
    found = {}
    for link in _asked("address"):
        own = (one for one in link["addr_info"] if one["scope"] != "link")
        addresses = sorted(f"{one['local']}/{one['prefixlen']}" for one in own)
        found[link["ifname"]] = [link.get("master", ""), "UP" in link["flags"], addresses]
    del found["lo"]
    return found


def _routes() -> Iterator[str]:
    for version in ("-4", "-6"):
        for one in _asked(version, "route"):
            if one.get("protocol") != "kernel":
                yield f"{version} {one['dst']} dev {one.get('dev', '')}"


def _files() -> Iterator[str]:
    for place in _FILES:
        for directory, folders, names in os.walk(place):
            yield from (os.path.join(directory, name) for name in (*folders, *names))


def _programs() -> Iterator[tuple[int, str]]:
    for one in Path("/proc").glob("[0-9]*/comm"):
        name = _text(one)
        if name in _PROGRAMS and is_alive(int(one.parent.name)):
            yield int(one.parent.name), name


def restore(before: dict[str, Any]) -> dict[str, Any]:
    """Bring back what a test has changed; what differs then, by the snapshot's names, as [was, is]."""
    for attempt in (_no_programs, _network, _no_vfs, _drivers, _memory, _no_files):
        with contextlib.suppress(OSError, TimeoutError):
            attempt(before)
    after = snapshot()
    return {name: [was, after[name]] for name, was in before.items() if was != after[name]}


def empty(before: dict[str, Any]) -> None:
    """QEMU takes out what is in a slot that is off; asked for by device_del it would wait for who has the card."""
    _no_programs(before)
    for slot in Path("/sys/bus/pci/slots").glob("*/power"):
        inside = [one.name for one in DEVICES.glob(_text(slot.parent / "address") + ".*")]
        if inside and not set(inside) & set(before["devices"]):
            _write(slot, "0")


def _no_programs(_before: dict[str, Any]) -> None:
    # A service would start again what is killed.
    subprocess.run(["systemctl", "stop", "dpdk-*.service"], check=False, capture_output=True)
    for pid, _name in _programs():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not list(_programs()), "the end of what a test started", _PATIENCE)


def _network(before: dict[str, Any]) -> None:
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
        _ip("netns", "del", name)  # its cards come back here
    # What stands on others goes first, or its members stay where they are.
    for name in set(_links()) - set(before["links"]):
        if not (NETDEVS / name / "device").exists():
            _ip("link", "del", name)
    has = _links()
    for name, wanted in before["links"].items():
        master, up, addresses = wanted
        if name not in has or has[name] == wanted or name == MANAGEMENT:
            continue
        if not master:
            _ip("link", "set", name, "nomaster")
        _ip("address", "flush", "dev", name)
        for address in addresses:
            _ip("address", "add", address, "dev", name)
        _ip("link", "set", name, "up" if up else "down")
    for route in set(_routes()) - set(before["routes"]):
        version, *words = route.split(" ")
        _ip(version, "route", "del", *words)


def _no_vfs(before: dict[str, Any]) -> None:
    for address, number in before["vfs"].items():
        place = DEVICES / address
        if place.exists() and _text(place / "sriov_numvfs") != number:
            for vf in place.glob("virtfn*"):
                _write(vf / "driver_override", "\n")
            _write(place / "sriov_numvfs", "0")
            _write(place / "sriov_numvfs", number)
    for address, value in before["autoprobe"].items():
        _write(DEVICES / address / "sriov_drivers_autoprobe", value)


def _drivers(before: dict[str, Any]) -> None:
    for slot in Path("/sys/bus/pci/slots").glob("*/power"):
        if _text(slot) == "0":
            _write(slot, "1")
    if set(before["devices"]) - {one.name for one in DEVICES.iterdir()}:
        _write("/sys/bus/pci/rescan", "1")
    for address, (driver, override) in before["devices"].items():
        place = DEVICES / address
        if [_link(place / "driver"), _override(place)] == [driver, override] or not place.exists():
            continue
        if _link(place / "driver") != driver:
            _write(place / "driver_override", (driver or "nothing") + "\n")
            _write(place / "driver" / "unbind", address)
            _write("/sys/bus/pci/drivers_probe", address)
        _write(place / "driver_override", override + "\n")
    if _text(_NOIOMMU) not in ("", before["noiommu"]):
        _write(_NOIOMMU, before["noiommu"])
    names = set(before["links"])
    wait_until(lambda: names <= set(os.listdir(NETDEVS)), "the netdevs to come back", _PATIENCE)


def _memory(before: dict[str, Any]) -> None:
    for place in _hugetlbfs():
        for file in Path(place).iterdir():
            file.unlink()
    for place in sorted(set(_hugetlbfs()) - set(before["mounts"]), reverse=True):
        subprocess.run(["umount", place], check=False)
    for path, number in before["pages"].items():
        if _text(Path(path)) != number:
            _write(path, number)


def _no_files(before: dict[str, Any]) -> None:
    extra = sorted(set(_files()) - set(before["files"]), reverse=True)
    for one in extra:
        if os.path.isdir(one) and not os.path.islink(one):
            os.rmdir(one)
        else:
            os.unlink(one)
    for one in _OURS:
        if one not in before["ours"]:
            shutil.rmtree(one, ignore_errors=True)
    if any("/systemd/" in one for one in extra):
        subprocess.run(["systemctl", "daemon-reload"], check=False)
        subprocess.run(["systemctl", "reset-failed"], check=False)


def write(writes: Sequence[Sequence[str]], look: Sequence[str] = ()) -> list[Any]:
    found = []
    for path, text in writes:
        number = _write(path, text)
        drivers = {one: _link(DEVICES / one / "driver") if (DEVICES / one).exists() else None for one in look}
        found.append([number, drivers])
    return found


def kernels(addresses: Sequence[str]) -> dict[str, Any]:
    """What the kernel has, without the library."""
    return {
        "devices": {one: _device(DEVICES / one) for one in addresses},
        "pages": [_text(one) for one in sorted(Path("/sys/devices/system/node").glob("node*/hugepages/*2048*/nr_*"))],
        "mounts": sorted(_hugetlbfs()),
        "journal": sorted(str(one) for one in Path("/run/dpdk-hotplug/host").glob("journal*")),
    }


def _device(place: Path) -> dict[str, Any] | None:
    if not place.exists():
        return None
    found: dict[str, Any] = {"driver": _link(place / "driver"), "override": _override(place)}
    if (place / "sriov_numvfs").exists():
        vfs = sorted(place.glob("virtfn*"), key=lambda one: int(one.name[6:]))
        found |= {
            "vfs": [_link(one / "driver") for one in vfs],
            "autoprobe": _text(place / "sriov_drivers_autoprobe"),
        }
    return found


# Applications


def testpmd(**given: Any) -> dict[str, Any]:
    app = Dpdk(HOST, Path("/run")).start_testpmd(**given, wait=False)

    def ready() -> bool:
        if not app.alive:
            raise RuntimeError(f"testpmd has ended: {app.output[-3000:]}")
        return "testpmd> " in app.output and os.path.exists(app.telemetry)

    wait_until(ready, f"the prompt of {app}", 2 * _PATIENCE)
    return {"pid": app.pid, "prefix": app.prefix, "log": str(app.log), "stdin": app.stdin, "socket": app.telemetry}


def type_(log: str, stdin: str, lines: Sequence[str], pattern: str, limit: float) -> str:
    """What it printed since, once that matches."""
    begin = os.path.getsize(log)
    with open(stdin, "w") as console:
        console.writelines(line + "\n" for line in lines)

    def printed() -> str:
        text = Path(log).read_bytes()[begin:].decode(errors="replace")
        return text if re.search(pattern, text) else ""

    try:
        found: str = wait_until(printed, f"{pattern!r} in {log}", limit)
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {Path(log).read_text(errors='replace')[begin:]}") from None
    return found


def served(prefix: str, argv: Sequence[str]) -> dict[str, Any]:
    command = ["dpdk-hotplug", "console", "--prefix", prefix, "--", "dpdk-testpmd", *argv]
    log, place = Path(f"/run/served-{prefix}.log"), f"/run/dpdk/{prefix}/dpdk_telemetry.v2"
    with open(log, "wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def pid() -> int:
        if child.poll() is not None:
            raise RuntimeError(f"it ended with {child.returncode}: {log.read_text(errors='replace')[-3000:]}")
        running = [pid for pid, name in _programs() if name == "dpdk-testpmd"]
        return running[0] if running and os.path.exists(place) and "testpmd>" in log.read_text(errors="replace") else 0

    found: int = wait_until(pid, "testpmd to start", 2 * _PATIENCE)
    return {"pid": found, "prefix": prefix, "log": str(log), "stdin": "", "socket": place}


def ports(socket: str) -> dict[str, Any]:
    """Every port by its name."""
    found = {}
    for port_id in range(32):
        info = query(socket, f"/ethdev/info,{port_id}")
        if info:
            stats = query(socket, f"/ethdev/stats,{port_id}")
            found[info["name"]] = {**info, "port_id": port_id, "stats": stats}
    return found


def frames(netdev: str, number: int) -> None:
    """Of a protocol number for experiments (IEEE Std 802, 88b5)."""
    _ip("link", "set", netdev, "up")
    wait_until(lambda: _text(NETDEVS / netdev / "carrier") == "1", f"the carrier of {netdev}", _PATIENCE)
    with socket_.socket(socket_.AF_PACKET, socket_.SOCK_RAW) as link:
        link.bind((netdev, 0))
        mac = bytes.fromhex(_text(NETDEVS / netdev / "address").replace(":", ""))
        for one in range(number):
            link.send(b"\xff" * 6 + mac + b"\x88\xb5" + one.to_bytes(2, "big") + bytes(44))


def stop(pid: int, number: int = signal.SIGTERM) -> bool:
    """Whether it has ended by that signal; where it has not, it is killed."""
    ended = True
    for one in (number, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, one)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not is_alive(pid), f"the end of {pid}", 15)
            return ended
        ended = False
    return ended


VERBS: dict[str, Callable[..., Any]] = {
    "snapshot": snapshot,
    "empty": empty,
    "restore": restore,
    "write": write,
    "testpmd": testpmd,
    "type": type_,
    "served": served,
    "kernels": kernels,
    "ports": ports,
    "frames": frames,
    "stop": stop,
}


def main() -> int:
    given = json.loads(sys.stdin.read() or "{}")
    print(json.dumps(VERBS[sys.argv[1]](**given)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
