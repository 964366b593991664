# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator's own tool for a testpmd: types at its standard input, and ends well when telemetry says that it is so.

act.py FIFO TELEMETRY attach DEVARGS | detach DEVICE | start PORT_ID | stop PORT_ID | status
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from releases import query, wait_until


def status(telemetry: str, port_id: int) -> dict[str, Any]:
    stats = query(telemetry, f"/ethdev/stats,{port_id}")
    up = query(telemetry, f"/ethdev/link_status,{port_id}")["status"] == "UP"
    return {"link": up, "packets": stats["ipackets"] + stats["opackets"]}


def ports(telemetry: str) -> dict[str, dict[str, Any]]:
    infos = (query(telemetry, f"/ethdev/info,{number}") for number in query(telemetry, "/ethdev/list"))
    return {info["name"]: info for info in infos}


def main(fifo: str, telemetry: str, verb: str, what: str = "") -> int:
    if verb == "status":
        told = ports(telemetry)
        for name, one in told.items():
            told[name] = {"device": name, "port_id": one["port_id"], "started": bool(one["dev_started"])}
            told[name].update(status(telemetry, one["port_id"]))
        print(json.dumps(list(told.values())))
        return 0
    lines = {"attach": f"port attach {what}", "detach": f"device detach vdev:{what}"}
    with open(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK), "w") as console:  # it fails where nobody reads
        console.write(lines.get(verb, f"port {verb} {what}") + "\n")
    name = what.partition(",")[0]
    wanted = {
        "attach": lambda: name in ports(telemetry),
        "detach": lambda: name not in ports(telemetry),
        "start": lambda: query(telemetry, f"/ethdev/info,{what}")["dev_started"],
        "stop": lambda: not query(telemetry, f"/ethdev/info,{what}")["dev_started"],
    }[verb]
    try:
        wait_until(wanted, f"{verb} {what}", 1.5)
    except TimeoutError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
