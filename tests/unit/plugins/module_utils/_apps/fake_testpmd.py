# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A testpmd that keeps books of its ports as app/test-pmd/testpmd.c does, and says what that says.

What it claims is what tests/integration/real/test_testpmd_real.py sees of the real one. As a program it is a console:
it echoes, prints the prompt, and ends with its input. For tests of consoles it also knows: sleep SECONDS, flood BYTES,
cut (a log line in the middle of the next echo), quit.
"""

from __future__ import annotations

import os
import re
import sys
import time
import typing as t

PROMPT = b"testpmd> "
HANDLING, STOPPED, STARTED = "handling", "stopped", "started"


class FakePort:
    """``status`` is what testpmd thinks, ``started`` what ethdev knows."""

    def __init__(self, name: str, status: str) -> None:
        self.name = name
        self.status = status
        self.started = status == STARTED
        self.owned = False


class FakeTestpmd:
    def __init__(self, *names: str, forwarding: bool = False, slots: int = 32) -> None:
        self.slots = slots
        self.ports: dict[int, FakePort] = {number: FakePort(name, STARTED) for number, name in enumerate(names)}
        self.listed = list(self.ports)
        self.streams = list(self.ports)
        self.running = forwarding
        self.halts = 0
        self.typed: list[str] = []
        self.refuse: dict[str, str] = {}
        self.looks_at_links = True

    def answer(self, line: str) -> str:
        self.typed.append(line)
        for start, said in self.refuse.items():
            if line.startswith(start):
                return said
        words = line.partition("#")[0].split()
        if not words:
            return ""
        if words[0] == "port" and words[1] == "attach":
            return self._attach(words[2])
        if words[0] == "device":
            return self._detach(words[2].partition(":")[2])
        if words[0] == "port":
            return str(getattr(self, "_" + words[1])(int(words[2])))
        return str(
            getattr(self, "_" + "_".join(words[: 2 if words[0] in ("set", "show") else 1]).replace("-", "_"))(words)
        )

    def ipc_attach(self, name: str) -> int:
        """What another process attaches: testpmd hears of it, and sets it up at its own next attach."""
        number = min(set(range(self.slots)) - set(self.ports))
        self.ports[number] = FakePort(name, HANDLING)
        return number

    def ipc_detach(self, number: int) -> None:
        del self.ports[number]

    def _attach(self, text: str) -> str:
        bus, _colon, device = text.partition(":")
        name = device.partition(",")[0]
        out = "Attaching a new port...\n"
        failed = f"EAL: Failed to attach device on primary process\ntestpmd: Failed to attach port {text}\n"
        if "nosuch" in name:
            return f'{out}EAL: failed to parse device "{text}"\n{failed}'
        if bus == "pci" and name.endswith("ff:1f.7"):
            return f"{out}EAL: Cannot find device ({name})\n{failed}"
        if "bad" in device or name.endswith("00:1f.7"):
            return f"{out}EAL: Driver cannot attach the device ({name})\n{failed}"
        if name in [port.name for port in self.ports.values()]:
            out += "EAL: Failed to attach device on primary process\n"
        elif len(self.ports) >= self.slots:
            return f"{out}ETHDEV: Reached maximum number of Ethernet ports\nEAL: Driver cannot attach\n{failed}"
        else:
            self.ipc_attach(name)
        return out + self._set_up()

    def _set_up(self) -> str:
        out = ""
        for number, port in self.ports.items():
            if port.status == HANDLING:
                port.status = STOPPED
                self.listed.append(number)
                out += f"Port {number} is attached. Now total ports is {len(self.ports)}\nDone\n"
        return out

    def _detach(self, name: str) -> str:
        out = "Removing a device...\n"
        found = [number for number, port in self.ports.items() if port.name == name]
        for number in found:
            if self.ports[number].status != STOPPED:
                return f"{out}Port {number} not stopped\n"
            assert not self.ports[number].started, "a started port was detached"
            del self.ports[number]
        if not found:
            return f"{out}EAL: Cannot find plugged device ({name})\ntestpmd: Failed to detach device {name}(vdev)\n"
        self._purge()
        return f"{out}Port {found[0]} is closed\nDevice vdev:{name} is detached\nNow total ports is 1\nDone\n"

    def _purge(self) -> None:
        self.listed = [number for number in self.listed if number in self.ports]

    def _start(self, arg: t.Any) -> str:
        return self._forward() if isinstance(arg, list) else self._start_port(arg)

    def _stop(self, arg: t.Any) -> str:
        return self._halt() if isinstance(arg, list) else self._stop_port(arg)

    def _start_port(self, number: int) -> str:
        port = self.ports[number]
        if port.status != STOPPED:
            return f"Port {number} is now not stopped\nPlease stop the ports first\nDone\n"
        port.status, port.started = STARTED, True
        return (
            f"Configuring Port {number} (socket 0)\nPort {number}: 02:00:00:00:00:01\nChecking link statuses...\nDone\n"
        )

    def _stop_port(self, number: int) -> str:
        port = self.ports[number]
        if self.running and number in self.listed:
            return f"Stopping ports...\nPlease remove port {number} from forwarding configuration.\nDone\n"
        if port.status == STARTED:
            port.status, port.started = STOPPED, False
        return "Stopping ports...\nChecking link statuses...\nDone\n"

    def _close(self, number: int) -> str:
        if self.running and number in self.listed:
            return f"Closing ports...\nPlease remove port {number} from forwarding configuration.\nDone\n"
        self.ports[number].status, self.ports[number].started = STOPPED, False
        return f"Closing ports...\nPort {number} is closed\nDone\n"

    def _forward(self) -> str:
        if any(port.status != STARTED for port in self.ports.values() if not port.owned):
            return "Not all ports were started\n"
        if self.running:
            return "Packet forwarding already started\n"
        self.running = True
        self.streams = list(self.listed)
        return self._show_config([])

    def _halt(self) -> str:
        if not self.running:
            return "Packet forwarding not started\n"
        self.running = False
        self.halts += 1
        return "Telling cores to stop...\nWaiting for lcores to finish...\n\nDone.\n"

    def _set_portlist(self, words: list[str]) -> str:
        if self.running:
            return "Please stop forwarding first\n"
        if not re.fullmatch(r"[\d,]+", words[2]):
            return f"character {words[2][0]} is not a decimal digit\n"
        wanted = [int(number) for number in words[2].split(",")]
        assert len(set(wanted)) == len(wanted), "a port is listed twice"
        assert all(self.ports[number].status != HANDLING for number in wanted), "testpmd would crash"
        self.listed = self.streams = wanted
        return ""

    def _set_link_check(self, words: list[str]) -> str:
        self.looks_at_links = words[2] == "on"
        return ""

    def _set_nbport(self, words: list[str]) -> str:
        assert not self.running, "testpmd would hang at the next stop"
        del self.listed[int(words[2]) :]
        self.streams = list(self.listed)
        return f"Number of forwarding ports set to {words[2]}\n"

    def _set_eth_peer(self, _words: list[str]) -> str:
        if self.running:
            return "Please stop forwarding first\n"
        assert all(port.status != HANDLING for port in self.ports.values()), "testpmd would crash"
        self.streams = list(self.listed)
        return "Error: Invalid port number 65535\n"

    def _show_config(self, _words: list[str]) -> str:
        lines = [f"io packet forwarding - ports={len(self.streams)} - cores=1 - streams={len(self.streams)} - NUMA"]
        lines += [f"  RX P={number}/Q=0 (socket 0) -> TX P={number}/Q=0 (socket 0) peer=02" for number in self.streams]
        return "\n".join(lines) + "\n\n"


def _main() -> None:
    """Bytes in, bytes out, as lib/cmdline does it: the terminal's echo is not used."""
    model = FakeTestpmd("net_null0", forwarding=True)
    cut = False

    def put(data: bytes) -> None:
        while data:
            data = data[os.write(1, data) :]

    put(b"EAL: starting\r\n\x1b[0m" + PROMPT)
    line = b""
    while byte := os.read(0, 1):
        if byte != b"\n":
            line += byte
            put(byte)
            if cut and len(line) == 8:
                put(b"\nEAL: a line of another thread\n")
                cut = False
            continue
        put(b"\r\n")
        text, line = line.decode(), b""
        word, _blank, argument = text.partition(" ")
        if word == "quit":
            sys.exit(int(argument or 0))
        elif word == "sleep":
            time.sleep(float(argument))
        elif word == "flood":
            put(b"x" * 79 + b"\n" if not argument else (b"x" * 79 + b"\n") * (int(argument) // 80))
        elif word == "cut":
            cut = True
        else:
            put(model.answer(text.strip()).encode())
        put(b"\x1b[K" + PROMPT)


if __name__ == "__main__":
    _main()
