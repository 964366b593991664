# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import errno
import json
import os
import re
import time
import typing as t

from .._bad_devices import name_of
from .._binding import outcome
from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from . import hooks
from .app import App, Port
from .options import option_values
from .reach_others import GROUT_VERBS

PROGRAM = "grcli"
SOCKET = "/run/grout.sock"
_SETTLE = 15.0
_LOOK = 0.1
# grout's GR_IFACE_NAME_SIZE is 16 with its NUL (modules/infra/api/gr_infra.h).
_NAME = 15


if t.TYPE_CHECKING:
    from .vitals import Vitals


def socket_of(app: App, system: System) -> str:
    """Where grout serves its API: its option, its environment, or the default."""
    words = list(app.command)
    own = app._replace(eal_params=None, command=tuple(words[: words.index("--")] if "--" in words else words))
    told = option_values(own, "-s", "--socket")
    for one in system.read(f"/proc/{app.pid}/environ").split(b"\0"):
        if one.startswith(b"GROUT_SOCK_PATH=") and not told:
            told = [one.partition(b"=")[2].decode("utf-8", "replace")]
    return (told or [SOCKET])[-1]


class Interface(t.NamedTuple):
    """A port of grout: the name that it goes by there, and its id."""

    name: str
    number: int
    devargs: str
    mac: str
    up: bool
    running: bool = False  # it has a link

    @property
    def device(self) -> str:
        return name_of(self.devargs)


class Cli:
    """grout's own client, with its answers in JSON; ``timeout``: seconds for each."""

    def __init__(self, app: App, system: System, *, timeout: float) -> None:
        self._start = (PROGRAM, "-s", socket_of(app, system), "-e", "-j")
        self._timeout = timeout

    def run(self, *words: str) -> t.Any:
        """The answer, None if it is none; an error has ``errno`` among its fields where grout tells one."""
        try:
            ended = hooks.run([*self._start, *words], timeout=self._timeout)
        except OSError as exc:
            raise HotplugError(
                "no_command", f"{PROGRAM} cannot be started: {exc.strerror}", way_out="Install it."
            ) from exc
        if ended.code is None:
            raise HotplugError(
                "timeout", f"grout did not answer '{' '.join(words)}' within {self._timeout:g} s", way_out="Look at it."
            )
        if ended.code:
            told = _json(ended.err)
            number = told.get("errno") if isinstance(told, dict) else None
            what = str(told["error"]) if isinstance(told, dict) and "error" in told else ended.why
            fields: dict[str, t.Any] = {"errno": 0 - number} if isinstance(number, int) else {}
            raise HotplugError(
                "grout_error", f"grout refuses '{' '.join(words)}': {what}", way_out="Its log says more.", **fields
            )
        return _json(ended.out)

    def interfaces(self) -> list[Interface]:
        """Every interface of type port."""
        listed = self.run("interface", "show")
        if not isinstance(listed, list):
            raise _nonsense()
        names = [str(one.get("name")) for one in listed if isinstance(one, dict) and one.get("type") == "port"]
        found = []
        for name in names:
            try:
                one = self.run("interface", "show", "name", name)
            except HotplugError as error:
                if error.fields.get("errno") == -errno.ENODEV:  # it has gone this moment
                    continue
                raise
            if (
                not isinstance(one, dict)
                or not isinstance(one.get("id"), int)
                or not isinstance(one.get("flags"), list)
            ):
                raise _nonsense()
            flags, mac = one["flags"], str(one.get("mac", "")).lower()
            up, running = "up" in flags, "running" in flags
            found.append(Interface(name, one["id"], str(one.get("devargs", "")), mac, up, running))
        return found


def _json(text: str) -> t.Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _nonsense() -> HotplugError:
    return HotplugError("grout_error", f"{PROGRAM} does not tell interfaces", way_out="Is it of another release?")


class Grout:
    """grout, through its command line client. A port starts when it is added, and is stopped when it is deleted."""

    name = "grout"
    channel = ""
    verbs = frozenset(GROUT_VERBS)

    def __init__(self, app: App, system: System, *, timeout: float) -> None:
        self._cli = Cli(app, system, timeout=timeout)
        self._names: dict[str, str] = {}  # of what we deleted, to be put back under the same

    def precheck(self, attaching: t.Sequence[Devargs] = ()) -> None:
        self._cli.interfaces()

    def release(self, port_ids: t.Sequence[int]) -> None:
        """Nothing: each port is stopped by itself."""

    def attach(self, device: Devargs) -> None:
        name = self._names.get(device.name) or _name(device, {one.name for one in self._cli.interfaces()})
        self._do(device, "attach", outcome.ATTACH, "interface", "add", "port", name, "devargs", device.text)

    def detach(self, device: Devargs, port_ids: t.Sequence[int]) -> None:
        for one in self._cli.interfaces():
            if one.device == device.name:
                self._names[device.name] = one.name
                self._do(device, "detach", outcome.DETACH, "interface", "del", one.name)

    def start(self, port_id: int) -> None:
        self._switch(port_id, "up")

    def stop(self, port_id: int) -> None:
        self._switch(port_id, "down")

    def _switch(self, port_id: int, to: str) -> None:
        for one in self._cli.interfaces():
            if one.number == port_id:
                self._cli.run("interface", "set", "port", one.name, to)

    def _do(self, device: Devargs, verb: str, meanings: t.Mapping[int, outcome.Meaning], *words: str) -> None:
        try:
            self._cli.run(*words)
        except HotplugError as error:
            if "errno" not in error.fields:
                raise
            found = outcome.meaning(meanings, error.fields["errno"])
            raise HotplugError(
                found.reason,
                f"grout cannot {verb} device '{device.text}': {found.what} ({error.fields['errno']})",
                way_out=found.way_out,
                device=device.text,
                errno=error.fields["errno"],
            ) from error

    def settle(self) -> bool:
        """It works off requests in order: when it answers again, those before are over."""
        end = time.monotonic() + _SETTLE
        while True:
            try:
                self._cli.interfaces()
                return True
            except HotplugError:
                if time.monotonic() >= end:
                    return False
            time.sleep(_LOOK)

    def revoke(self, verb: str, device: Devargs) -> str | None:
        return None

    def close(self) -> None:
        """Nothing is held."""


def _name(device: Devargs, taken: t.Collection[str]) -> str:
    """A name for the interface: the device's own where it fits and is free. grout takes no address as a name."""
    own = device.name if device.bus == "vdev" else "p" + re.sub("[:.]", "_", device.name)
    names = [own[:_NAME], *(f"{own[: _NAME - 4]}-{number}" for number in range(100))]
    return next(name for name in names if name not in taken)


class GroutPorts:
    """The ports of grout as its client tells them; it serves no telemetry. Their ids are those of its interfaces."""

    def __init__(self, app: App, system: System, *, timeout: float) -> None:
        self._cli = Cli(app, system, timeout=timeout)

    def read(self) -> list[Port]:
        return [
            Port(one.number, one.device, False, one.mac, -1, True, one.up, devargs=one.devargs)
            for one in sorted(self._cli.interfaces(), key=lambda one: one.number)
        ]

    def vitals(self) -> dict[int, Vitals]:
        """Of every port."""
        from .vitals import Vitals, counted

        told = self._cli.run("interface", "stats")
        rows = {one.get("interface"): one for one in told if isinstance(one, dict)} if isinstance(told, list) else {}
        return {
            one.number: Vitals(one.running, counted(rows.get(one.name, {}), ("rx_packets", "tx_packets")))
            for one in self._cli.interfaces()
        }

    def again(self, port_ids: t.Iterable[int]) -> list[Port]:
        wanted = set(port_ids)
        return [port for port in self.read() if port.port_id in wanted]


def obstacle(app: App, system: System) -> str:
    """Why a running grout cannot be reached, else empty. Nothing is asked of it."""
    if not os.path.exists(system.path(socket_of(app, system))):
        return f"its socket {socket_of(app, system)} is not there"
    try:
        hooks.check([PROGRAM], "client")
    except HotplugError:
        return f"{PROGRAM} is not on this host"
    return ""
