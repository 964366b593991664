# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fault tests share: documents, runs of the engine here and in processes of their own, liars."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from releases import Testpmd, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine, info

HOMES = Path("/run/dpdk-hotplug")


def document(app: Testpmd | str, *devices: str, absent: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
    """A document for one application; through its multi-process socket unless ``options`` say otherwise."""
    prefix = app if isinstance(app, str) else app.prefix
    ports: list[dict[str, Any]] = [{"device": device} for device in devices]
    ports += [{"device": device, "state": "absent"} for device in absent]
    ports += options.pop("ports", [])
    options = {"adapter": "multiprocess", "channel": "ipc", **options}
    return {"apps": [{"app": prefix, "ports": ports, **options}]}


def converge(app: Testpmd | str, *devices: str, absent: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
    """Converges one application; what is returned of it, with ``changed``."""
    answer = engine.converge(document(app, *devices, absent=absent, **options))
    return {"changed": answer["changed"], **answer["apps"][0]}


def refused(app: Testpmd | str, *devices: str, absent: tuple[str, ...] = (), **options: Any) -> HotplugError:
    """The error of a document that must fail."""
    with pytest.raises(HotplugError) as caught:
        engine.converge(document(app, *devices, absent=absent, **options))
    return caught.value


def names_all(error: HotplugError, *parts: str) -> None:
    """An operator reads all of this in the error's text, and what to do about it."""
    for part in parts:
        assert part in str(error), f"{part!r} is missing in: {error}"
    assert error.way_out, f"no way out: {error}"


def args_of(app: Testpmd) -> dict[str, str | None]:
    """The devargs that the library tells for each device of an application."""
    (found,) = [one for one in info.apps() if one["pid"] == app.pid]
    return {port["device"]: _arguments(port["devargs"]) for port in found["ports"]}


def _arguments(devargs: str | None) -> str | None:
    return None if devargs is None else devargs.partition(",")[2]


def strangers(app: Testpmd) -> list[str]:
    """What of ours is left in an application's own directory."""
    return [name for name in os.listdir(app.directory) if name.startswith("hotplug_")]


def ipc_lives(app: Testpmd) -> bool:
    """Whether the application's multi-process thread still works: an attach and a detach through it succeed."""
    converge(app, "net_null31")
    converge(app, absent=("net_null31",))
    return "net_null31" not in app.ports()


class _Program:
    """A program beside this file, in a process of its own; each line that it says is JSON."""

    def __init__(self, name: str, order: dict[str, Any], *, output: int = subprocess.PIPE, **options: Any) -> None:
        line = [sys.executable, str(Path(__file__).with_name(name)), json.dumps(order)]
        self.process = subprocess.Popen(line, stdout=output, text=True, **options)
        self.ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        if output == subprocess.PIPE:
            self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if "ready" in said:
                self.ready.set()
            else:
                self._heard(said)

    def _heard(self, said: dict[str, Any]) -> None:
        raise NotImplementedError


class Run(_Program):
    """The engine in a process of its own (run_converge.py). ``steps`` fills as it goes."""

    def __init__(self, wanted: dict[str, Any], *, output: int = subprocess.PIPE, **order: Any) -> None:
        self.steps: list[str] = []
        self.answer: dict[str, Any] = {}
        whole = {"document": wanted, **order}
        pipe = subprocess.PIPE
        super().__init__("run_converge.py", whole, output=output, stdin=pipe, stderr=pipe, start_new_session=True)

    def _heard(self, said: dict[str, Any]) -> None:
        if "step" in said:
            self.steps.append(said["step"])
        else:
            self.answer = said

    def await_step(self, number: int) -> None:
        """Until it is about to do its step of that number, from 1."""
        wait_until(lambda: len(self.steps) >= number or self.process.poll() is not None, f"step {number}")
        assert len(self.steps) >= number, self.outcome()

    def go(self) -> None:
        """Opens the gate for one step."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            os.kill(self.pid, number)

    def outcome(self, timeout: float = 60.0) -> dict[str, Any]:
        """What it said at its end: {"result": ...}, {"error": ...}, or nothing where it was killed."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        assert self.process.stderr is not None
        complaint = self.process.stderr.read()
        assert "Traceback" not in complaint, complaint
        return {"code": code, **self.answer}


class Liar(_Program):
    """A process that pretends to be a primary (hostile_app.py); as a context manager it ends with the block."""

    def __init__(self, prefix: str = "liar", *, runtime_dir: str = "/run/dpdk", **order: Any) -> None:
        self.prefix, self.directory = prefix, f"{runtime_dir}/{prefix}"
        self.requests: list[dict[str, Any]] = []
        super().__init__("hostile_app.py", {"directory": self.directory, **order})
        assert self.ready.wait(30), "the liar did not begin"

    def _heard(self, said: dict[str, Any]) -> None:
        self.requests.append(said)

    def __enter__(self) -> Liar:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory)
