# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random operations against a real testpmd and a model of it: both end in the same state, and nothing leaks.

10,000 in `make soak`, a tenth of it in `make test`; DPDK_HOTPLUG_SOAK_SEED repeats a run.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import HOMES
from releases import Dpdk, Testpmd, count, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge

DEVICES = [f"net_null{number}" for number in range(10)] + [f"net_ring{number}" for number in range(3)]
ARGS = {"net_null": ("", "size=64", "size=128", "copy=1,size=64"), "net_ring": ("",)}
SLOTS = 32


class Soak:
    """The application, the model of it (its devices' arguments by name), and the operations on both."""

    def __init__(self, dpdk: Dpdk, chance: random.Random) -> None:
        self.dpdk, self.chance = dpdk, chance
        self.model: dict[str, str] = {}
        self.done: dict[str, int] = {}
        self.stopped = False
        self.start()

    def start(self) -> None:
        self.app: Testpmd = self.dpdk.start_testpmd("soak", huge=True, memory=128, extra=["--log-level=3"])
        self.model = {}
        # What DPDK allocates at the first use of a driver, and keeps.
        self.present("net_null0", "net_ring0")
        self.absent("net_null0", "net_ring0")
        self.clean = self.held()

    # What is asked of the application

    def ask(self, ports: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        check = bool(more.pop("check", False))
        progress = more.pop("progress", None)
        entry = {"app": "soak", "adapter": "multiprocess", "channel": "ipc", "ports": ports, "timeout": 10, **more}
        return converge({"apps": [entry]}, check=check, progress=progress)

    def present(self, *devices: str, **more: Any) -> dict[str, Any]:
        result = self.ask([{"device": device} for device in devices], **more)
        told = {port["device"]: (port["devargs"] or "?").partition(",")[2] for port in result["apps"][0]["ports"]}
        if not more.get("check"):
            after = {} if more.get("exclusive") else dict(self.model)
            for name, args in map(_parts, devices):
                keep = name in self.model and not args
                after[name] = self.model[name] if keep else args
            assert result["changed"] is (after != self.model)
            self.model = after
            assert told == self.model
        return result

    def absent(self, *devices: str) -> None:
        result = self.ask([{"device": device, "state": "absent"} for device in devices])
        names = {_parts(device)[0] for device in devices}
        assert result["changed"] is bool(names & set(self.model))
        self.model = {name: args for name, args in self.model.items() if name not in names}

    def refused(self, reason: str, call: Callable[[], Any]) -> None:
        with pytest.raises(HotplugError) as error:
            call()
        assert error.value.reason == reason, str(error.value)

    # The operations

    def some(self, most: int = 4) -> list[str]:
        names = self.chance.sample(DEVICES, self.chance.randint(1, most))
        return [
            f"{name},{args}".rstrip(",")
            for name in names
            for args in [self.chance.choice(ARGS[name.rstrip("0123456789")])]
        ]

    def attach(self) -> None:
        wanted = self.some()
        if any(args and name in self.model and not _same(args, self.model[name]) for name, args in map(_parts, wanted)):
            self.refused("other_arguments", lambda: self.present(*wanted))
        else:
            self.present(*wanted)

    def detach(self) -> None:
        self.absent(*self.some())

    def detach_by_id(self) -> None:
        ports = self.app.ports()
        if ports:
            name = self.chance.choice(sorted(ports))
            self.ask([{"port_id": ports[name]["port_id"], "state": "absent"}])
            del self.model[name]

    def exclusive(self) -> None:
        self.present(*self.some(8), exclusive=True, recreate=True)

    def recreate(self) -> None:
        self.present(*self.some(), recreate=True)

    def again(self) -> None:
        assert not self.present(*self.model)["changed"]

    def check(self) -> None:
        self.present(*self.some(), exclusive=True, recreate=True, check=True)

    def fail(self) -> None:
        wanted = [{"device": device} for device in self.some()] + [{"device": "net_nope0"}]
        self.refused("unknown_driver", lambda: self.ask(wanted, recreate=True, exclusive=self.chance.random() < 0.5))

    def fill(self) -> None:
        free = SLOTS - len(self.model)
        more = [f"net_null{number}" for number in range(100, 100 + free)]
        self.refused("no_slot", lambda: self.ask([{"device": device} for device in [*more, "net_null99"]]))
        self.present(*more)
        self.absent(*more)

    def pause(self) -> None:
        self.app.pause()
        try:
            self.refused("unreachable", lambda: self.ask([{"device": "net_null0"}]))
        finally:
            self.app.resume()

    def stop(self) -> None:
        self.settle()
        assert self.app.quit() == 0
        self.start()

    def kill(self) -> None:
        self.app.kill()
        self.refused("no_application", lambda: self.ask([{"device": "net_null0"}]))
        self.start()

    def kill_in_the_middle(self) -> None:
        free = [f"net_null{number}" for number in range(200, 204)]
        at = self.chance.randrange(4)

        def kill(text: str) -> None:
            if free[at] in text:
                self.app.kill()

        self.refused("primary_gone", lambda: self.ask([{"device": device} for device in free], progress=kill))
        self.start()

    def settle(self) -> None:
        """All detached: what it holds is what it held before the first operation."""
        self.present(exclusive=True)
        assert self.model == {}
        wait_until(lambda: self.held() == self.clean, f"{self.clean}, there is {self.held()}", 30)

    # What is compared

    def held(self) -> dict[str, Any]:
        """What may leak: descriptors of both processes, files, memory, shared lock words, slots."""
        with open(f"{self.app.directory}/config", "rb") as file:
            # mlock, qlock, mplock, tlock, memory_hotplug_lock of struct rte_mem_config (lib/eal/common/eal_memcfg.h)
            locks = struct.unpack("=16x5I", file.read(36))
        heap = self.app.query("/eal/heap_info,0")
        (home,) = [path for path in HOMES.iterdir() if path.name.startswith("soak@")]
        return {
            "descriptors of the application": len(os.listdir(f"/proc/{self.app.pid}/fd")),
            "own descriptors": len(os.listdir("/proc/self/fd")),
            "threads of the application": len(os.listdir(f"/proc/{self.app.pid}/task")),
            "files of the application": sorted(os.listdir(self.app.directory)),
            "own files": sorted(path.name for path in home.iterdir()),
            "memory": (heap["Alloc_count"], heap["Alloc_size"], heap["Heap_size"]),
            "pages": sorted(path.name for path in Path("/dev/hugepages").iterdir()),
            "locks": locks,
            "ports": sorted(self.app.ports()),
        }

    def compare(self) -> None:
        assert len(self.app.query("/ethdev/list")) == len(self.model)
        if self.chance.random() < 0.1:  # it asks every slot by itself
            assert sorted(self.app.ports()) == sorted(self.model)

    @contextlib.contextmanager
    def telling(self, seed: int) -> Iterator[None]:
        """Where it fails, how to repeat it."""
        try:
            yield
        except BaseException:
            print(f"DPDK_HOTPLUG_SOAK_SEED={seed}; the model has {self.model}")
            raise


def _parts(device: str) -> tuple[str, str]:
    name, _comma, args = device.partition(",")
    return name, args


def _same(one: str, other: str) -> bool:
    return sorted(one.split(",")) == sorted(other.split(","))


# How often of a thousand; the rest are shared by the quick ones.
RARE = {"fill": 5, "settle": 5, "pause": 1, "stop": 1, "kill": 1, "kill_in_the_middle": 2}
OFTEN = ("attach", "attach", "detach", "detach_by_id", "exclusive", "recreate", "again", "check", "fail")


def test_soak(host_dpdk: Dpdk, hugepages: Callable[[int], None]) -> None:
    hugepages(160)
    operations = count(10_000)
    seed = int(os.environ.get("DPDK_HOTPLUG_SOAK_SEED") or random.randrange(1 << 32))
    print(f"{operations} operations, seed {seed}")
    chance = random.Random(seed)
    soak = Soak(host_dpdk, chance)
    names = [name for name, often in RARE.items() for _time in range(max(1, operations * often // 1000))]
    names += [chance.choice(OFTEN) for _time in range(operations - len(names))]
    chance.shuffle(names)
    with soak.telling(seed):
        for name in names:
            getattr(soak, name)()
            soak.compare()
    assert sorted(soak.app.ports()) == sorted(soak.model)
    soak.settle()
    soak.fill()
    soak.settle()
