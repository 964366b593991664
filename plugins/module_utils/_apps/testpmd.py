# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import re
import typing as t

from .. import _devices
from .._devices import Devargs
from .._errors import HotplugError
from .._system import System
from . import console
from .app import App, Port
from .ports import Ports
from .reach_testpmd import TESTPMD_VERBS

# A request that a secondary does not answer takes 10 s (lib/eal/common/hotplug_mp.h, MP_TIMEOUT_S twice).
_ANSWER = 30.0
_SETTLE = 15.0
# lib/cmdline/cmdline_parse.c: '#' begins a comment; cmdline_vt100.c: '?' is the help key, wherever it stands.
_KEYS = "#?"

# What EAL, ethdev and testpmd print, to what it means. It only names the failure: whether it is one, the ports tell.
# lib/eal/common/eal_common_dev.c, eal_common_devargs.c, lib/ethdev/ethdev_driver.c, app/test-pmd/testpmd.c.
_ATTACH = (
    (
        "Reached maximum number of Ethernet ports",
        "no_slot",
        "the application has no free port slot",
        "Detach something.",
    ),
    ("hotplug add request to secondary", "secondary_failed", "a secondary process does not answer", "Look at them."),
    ("attach device on secondary", "secondary_failed", "a secondary process refuses it", "Look at its log."),
    ("failed to parse device", "unknown_driver", "the application has no driver or bus of that name", "Load it (-d)."),
    ("Cannot find device", "no_such_device", "there is no such device on its bus", "Check the address."),
    ("annot allocate", "no_memory", "there is no memory for it", "Give the application more, or detach something."),
    ("ut of memory", "no_memory", "there is no memory for it", "Give the application more, or detach something."),
)
_PCI_REFUSED = (
    "not_supported",
    "no driver of the application takes it",
    "Bind it to vfio-pci, and load its driver (-d).",
)
_VDEV_REFUSED = ("bad_devargs", "its driver refuses it", "Check its arguments; the application's log says more.")
_DETACH = (
    ("Cannot find plugged device", "no_such_device", "the application does not know it", "It was detached meanwhile."),
    ("Device is not probed", "no_such_device", "the application does not know it", "It was detached meanwhile."),
    ("unplug not supported", "not_supported", "its bus cannot detach", "It stays until the application is restarted."),
    ("request to secondary", "secondary_failed", "a secondary process does not answer", "Look at them."),
    ("device on secondary", "secondary_failed", "a secondary process refuses it", "Look at its log."),
    ("not stopped", "port_started", "testpmd has one of its ports started", "Stop it first."),
)
_START = (
    (
        "No mempool allocation",
        "no_memory",
        "testpmd has no buffers for it",
        "Give it mempools on the port's NUMA node.",
    ),
    ("annot allocate", "no_memory", "there is no memory for it", "Give the application more."),
    ("Please remove port", "refused", "it belongs to a bonding device", "Take it out of that first."),
)
# What testpmd prints between what matters, and says nothing.
_CHATTER = re.compile(r"^(?:Attaching a new port|Removing a device|Stopping ports|Checking link|Done|$)")


class Testpmd:
    """A testpmd, driven through its console.

    testpmd starts to forward only when every one of its ports is started (all_ports_started()), and takes a port in
    or out only while it does not forward: then it is halted for that moment, and goes on with the ports that are left.
    """

    name = "testpmd"
    channel = ""
    verbs = frozenset(TESTPMD_VERBS)

    def __init__(self, app: App, *, timeout: float, system: System | None = None) -> None:
        self._app = app
        self._system = system or System()
        self._answer = max(_ANSWER, timeout)
        self._wait = timeout
        self._ports = Ports(app)
        self._open: console.Console | None = None
        # Ports that we stopped, that we took out of forwarding to stop them, that we started and do not forward yet.
        self._stopped: set[int] = set()
        self._released: set[int] = set()
        self._joining: set[int] = set()

    def precheck(self, attaching: t.Sequence[Devargs] = ()) -> None:
        if self._app.secondaries:
            self._check_secondaries()
        self._run()

    def _check_secondaries(self) -> None:
        """DPDK asks them all, whoever wants the attach: a stopped one makes it fail and removes a live port."""
        from .multiprocess import Multiprocess

        other = Multiprocess(self._app, "ipc", self._system, timeout=self._wait)
        try:
            other.precheck()
        finally:
            other.close()

    def attach(self, device: Devargs) -> None:
        """testpmd adopts the port, sets it up and takes it into its forwarding list; it is stopped."""
        if any(key in device.text for key in _KEYS):
            raise HotplugError(
                "bad_devargs",
                f"device '{device.text}' holds '#' or '?', which are keys on testpmd's console",
                way_out="Choose another name, or the adapter multiprocess.",
                device=device.text,
            )
        (out,) = self._run(f"port attach {device.wire}")
        if re.search(r"^Port \d+ is attached\.", out, re.MULTILINE):
            return
        if "Failed to attach port" not in out and "Attaching a new port" in out:
            raise HotplugError("exists", f"device '{device.text}' is attached already", device=device.text, console=out)
        refused = _PCI_REFUSED if device.bus == "pci" else _VDEV_REFUSED
        raise _failure(f"attach device '{device.text}'", out, (*_ATTACH, ("Driver cannot attach", *refused)))

    def detach(self, device: Devargs, port_ids: t.Sequence[int]) -> None:
        """Stop what is started of its ports, close them and detach the device."""
        for port in self._ports.again(port_ids):
            if port.started:
                self.stop(port.port_id)
        (out,) = self._run(f"device detach {device.bare.wire}")
        # A port that another process attached is neither stopped nor started for testpmd, only to be closed.
        strange = [int(number) for number in re.findall(r"^Port (\d+) not stopped", out, re.MULTILINE)]
        if strange and not any(port.started for port in self._ports.again(strange)):
            *_closed, out = self._run(
                *(f"port close {number}" for number in port_ids), f"device detach {device.bare.wire}"
            )
        if not re.search(r"^Device \S+ is detached", out, re.MULTILINE):
            raise _failure(f"detach device '{device.text}'", out, _DETACH)
        for ports in (self._stopped, self._released, self._joining):
            ports.difference_update(port_ids)
        self._join()

    def start(self, port_id: int) -> None:
        """Start the port; where testpmd forwards, the port does so as soon as every port is started."""
        out = self._port("start", port_id)
        if "is now not stopped" in out and not self._started(port_id):
            self._adopt(port_id)
            out = self._port("start", port_id)
        if not self._started(port_id):
            raise _failure(f"start port {port_id}", out, _START)
        self._stopped.discard(port_id)
        self._joining.add(port_id)
        self._join()

    def stop(self, port_id: int) -> None:
        """Stop the port; the others go on forwarding."""
        if not self._started(port_id):
            return
        out = self._port("stop", port_id)
        if "from forwarding configuration" in out:
            self.release([port_id])
            out = self._port("stop", port_id)
        if self._started(port_id):
            raise _failure(f"stop port {port_id}", out, _START)
        self._stopped.add(port_id)
        self._released.discard(port_id)
        self._joining.discard(port_id)

    def release(self, port_ids: t.Sequence[int]) -> None:
        """Take ports out of what is forwarded, in one go: stop() then halts nothing. close() puts back what still runs.

        Refuses before it changes anything where testpmd could not go on to forward.
        """
        if not self.forwarding():
            return
        idle = [port for port in self._own_ports() if not port.started]
        strange = [port for port in idle if port.port_id not in self._stopped]
        if strange:
            names = ", ".join(f"{port.port_id} ({port.name})" for port in strange)
            raise HotplugError(
                "forwarding",
                f"testpmd forwards, and could not go on after this: its ports {names} are not started",
                way_out="Start or detach those first, or stop forwarding yourself.",
                app=self._app.prefix,
            )
        # Those that we stopped ourselves must be started for the moment in which forwarding is.
        for port in idle:
            self._port("start", port.port_id)
        try:
            self._forward_on(lambda have: [one for one in have if one not in port_ids])
        finally:
            for port in idle:
                self._port("stop", port.port_id)
        self._released.update(port_ids)

    def forwarding(self) -> bool:
        """Whether testpmd forwards. No telemetry tells; this command is refused while it does, else does nothing."""
        (out,) = self._run("set portlist none")
        return "stop forwarding first" in out

    def settle(self) -> bool:
        self._disconnect()
        try:
            self._open = self._connect(_SETTLE)
        except HotplugError:
            return False
        return True

    def revoke(self, verb: str, device: Devargs) -> str | None:
        return None

    def close(self) -> None:
        """Let others have the console. What release() took out and nobody stopped forwards again."""
        try:
            self._joining.update(port.port_id for port in self._ports.again(self._released) if port.started)
            self._released.clear()
            self._join()
        except HotplugError:
            pass  # it is gone, or does not answer: whoever asked it for something knows
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _run(self, *commands: str) -> list[str]:
        return self._console().run_all(*commands, timeout=self._answer)

    def _port(self, verb: str, port_id: int) -> str:
        """What testpmd says to ``port start`` or ``port stop``, without its look at all links, which may last 9 s."""
        command = f"port {verb} {port_id}"
        if "--disable-link-check" in self._app.command:
            return self._run(command)[0]
        return self._run("set link_check off", command, "set link_check on")[1]

    def _console(self) -> console.Console:
        if self._open is None:
            self._open = self._connect(self._wait)
        return self._open

    def _connect(self, timeout: float) -> console.Console:
        place = console.find(self._app, self._system)
        return console.Console(place, uids=(self._app.uid,), timeout=timeout)

    def _own_ports(self) -> list[Port]:
        """The ports that testpmd sees: it passes over those that have another owner."""
        return [port for port in self._ports.read() if not port.owned]

    def _started(self, port_id: int) -> bool:
        return any(port.started for port in self._ports.again([port_id]))

    def _adopt(self, port_id: int) -> None:
        """Have testpmd set up a port that another process attached: it does at any attach, also of what is there."""
        for port in self._ports.again([port_id]):
            (out,) = self._run(f"port attach {_devices.of_port(port.name).wire}")
            if not re.search(rf"^Port {port_id} is attached\.", out, re.MULTILINE):
                raise HotplugError(
                    "not_adopted",
                    f"testpmd does not take over port {port_id} ({port.name}), which another process attached",
                    way_out="Detach it, and attach it with the adapter testpmd.",
                    device=port.name,
                    console=out,
                )

    def _forward_on(self, change: t.Callable[[list[int]], list[int]]) -> None:
        """Change which ports are forwarded. All ports must be started; testpmd halts only if it was forwarding."""
        there = {port.port_id for port in self._own_ports()}
        running = self.forwarding()
        if running:
            self._console().if_lost("start")  # killed half-way, we leave no halted testpmd behind
            self._run("stop")
        have, count = self._forwarded()
        want = [one for one in change(have) if one in there]
        if want != have or count != len(have):
            # "set nbport" is deadly while testpmd forwards: "stop" then waits for ever.
            self._run("set portlist " + ",".join(map(str, want)) if want else "set nbport 0")
        if running:
            (out,) = self._run("start")
            if not self.forwarding():
                raise _failure("start forwarding again: it is halted", out, ())
            self._console().if_lost("")

    def _join(self) -> None:
        """Have the ports that we started forwarded, as soon as testpmd can: when every port is started."""
        if self._joining and all(port.started for port in self._own_ports()):
            joining = sorted(self._joining)
            self._forward_on(lambda have: have + [one for one in joining if one not in have])
            self._joining.clear()

    def _forwarded(self) -> tuple[list[int], int]:
        """The ports in testpmd's forwarding list, and how many entries it has. Only while it does not forward.

        An invalid peer address changes nothing but has testpmd work its list out anew
        (app/test-pmd/cmdline.c, cmd_set_eth_peer_parsed()).
        """
        _none, out = self._run("set eth-peer 65535 none", "show config fwd")
        count = re.search(r"packet forwarding.* - ports=(\d+)", out)
        ports = dict.fromkeys(int(number) for number in re.findall(r"RX P=(\d+)/Q=", out))
        return list(ports), int(count.group(1)) if count else 0


def _failure(what: str, out: str, meanings: t.Sequence[tuple[str, str, str, str]]) -> HotplugError:
    """The error for what the console said; its last lines go with it."""
    said = [line.strip() for line in out.splitlines() if not _CHATTER.match(line.strip())]
    for sign, reason, meaning, way_out in meanings:
        if sign in out:
            return HotplugError(reason, f"cannot {what}: {meaning}", way_out=way_out, console=said[-10:])
    return HotplugError(
        "failed",
        f"cannot {what}: {'; '.join(said[-3:])[:300] or 'testpmd does not say why'}",
        way_out="Look at its output.",
        console=said[-10:],
    )
