# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import json
import typing as t

from .. import _devices
from .._devices import Devargs
from .._errors import HotplugError
from . import hooks
from .app import App, Port
from .observers import Observer

if t.TYPE_CHECKING:
    from .vitals import Vitals


T = t.TypeVar("T")


class Command:
    """Any application, by commands of the operator's own: one for each verb that they give."""

    name = "command"
    channel = ""

    def __init__(self, app: App, commands: t.Mapping[str, tuple[str, ...]], ports: Observer, *, timeout: float) -> None:
        self.verbs = frozenset(commands) - {"status"}
        self._app = app
        self._commands = commands
        self._ports = ports
        self._timeout = timeout

    def precheck(self, attaching: t.Sequence[Devargs] = ()) -> None:
        for verb, words in self._commands.items():
            hooks.check(words, f"command for {verb}")

    def release(self, port_ids: t.Sequence[int]) -> None:
        """Nothing: each port is stopped by itself."""

    def attach(self, device: Devargs) -> None:
        self._run("attach", device)

    def detach(self, device: Devargs, port_ids: t.Sequence[int]) -> None:
        self._run("detach", device, port_ids)

    def start(self, port_id: int) -> None:
        self._switch("start", port_id)

    def stop(self, port_id: int) -> None:
        self._switch("stop", port_id)

    def _switch(self, verb: str, port_id: int) -> None:
        for port in self._ports.again([port_id]):
            self._run(verb, _devices.of_port(port.name), [port_id])

    def _run(self, verb: str, device: Devargs, port_ids: t.Sequence[int] = ()) -> None:
        if verb not in self._commands:
            raise HotplugError(
                "not_supported", f"there is no command for {verb}", way_out=f"Give one under commands.{verb}."
            )
        hooks.must(
            hooks.filled(self._commands[verb], values(self._app, device, port_ids)),
            f"command for {verb}",
            timeout=self._timeout,
            late="timeout",
            failed="command_failed",
        )

    def settle(self) -> bool:
        """A command that did not end in time was ended: what it did is done."""
        return True

    def revoke(self, verb: str, device: Devargs) -> str | None:
        return None

    def close(self) -> None:
        """Nothing is held."""


def values(app: App, device: Devargs | None, port_ids: t.Sequence[int]) -> dict[str, str]:
    """What stands for each placeholder."""
    known = {
        "app": app.prefix,
        "pid": str(app.pid),
        "runtime_dir": app.runtime_dir,
        "port_ids": ",".join(map(str, port_ids)),
    }
    return {**known, "device": device.name, "devargs": device.text} if device else known


class CommandPorts:
    """The ports of an application by the operator's command ``status``, which changes nothing and prints JSON:

    ``[{"device": "net_null0,size=64", "port_id": 0, "started": true}, ...]``. Only ``device`` must be there. ``link``
    (true or false) and ``packets`` (received and sent) are for health.
    """

    def __init__(self, app: App, status: t.Sequence[str], *, timeout: float) -> None:
        self._app = app
        self._status = status
        self._timeout = timeout

    def read(self) -> list[Port]:
        return self._read(_port)

    def vitals(self) -> dict[int, Vitals]:
        """Of every port."""
        return dict(self._read(_vitals))

    def _read(self, row: t.Callable[[int, t.Any], T]) -> list[T]:
        words = hooks.filled(self._status, values(self._app, None, ()))
        ended = hooks.must(
            words, "command for status", timeout=self._timeout, late="command_failed", failed="command_failed"
        )
        try:
            told = json.loads(ended.out)
            return [row(index, one) for index, one in enumerate(told)]
        except (ValueError, TypeError, RecursionError, HotplugError) as exc:
            raise HotplugError(
                "command_failed",
                f"the command for status '{' '.join(words)}' does not print a JSON list of ports: {exc}",
                way_out='It prints [{"device": "0000:01:00.0", "port_id": 0, "started": true}, ...].',
            ) from exc

    def again(self, port_ids: t.Iterable[int]) -> list[Port]:
        wanted = set(port_ids)
        return [port for port in self.read() if port.port_id in wanted]


def _port(index: int, one: t.Any) -> Port:
    if not isinstance(one, dict) or {type(one.get("port_id", index)), type(one.get("started", False))} != {int, bool}:
        raise ValueError(f"port {index} is no object with device, port_id (a number) and started (true or false)")
    device = _devices.parse(one.get("device", ""))
    started = one.get("started", False)
    return Port(
        port_id=one.get("port_id", index),
        name=device.name,
        owned=False,
        mac=str(one.get("mac", "")).lower(),
        numa_node=-1,
        configured=started,
        started=started,
        devargs=device.text if device.args else None,
    )


def _vitals(index: int, one: t.Any) -> tuple[int, Vitals]:
    from .vitals import Vitals

    port_id = _port(index, one).port_id
    link, packets = one.get("link"), one.get("packets")
    if {type(link)} - {bool, type(None)} or {type(packets)} - {int, type(None)}:
        raise ValueError(f"port {index} has a link that is not true or false, or packets that are no number")
    return port_id, Vitals(link, packets)
