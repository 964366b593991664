# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one call costs inside a module's process: run afresh a call, with the library in an archive as Ansible packs it.

    python within.py ARCHIVE attach|nothing|info|devices DOCUMENT [DEVICE]

Of ``devices`` the document is ``{"root": ...}``: the host is the tree there, and this machine where it is empty.
Prints one line of JSON. What Ansible's own files import is imported before the clock starts, and the archive's list of
files read: Ansible packs its own in the same one.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import zipimport
from typing import Any

PACKAGE = "ansible_collections.dpdk.hotplug.plugins.module_utils"


def load(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


def sources() -> dict[str, int]:
    """Bytes of source of each of the library's files that was imported."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        loader: Any = getattr(module, "__loader__", None)
        if name.startswith(PACKAGE + ".") and hasattr(loader, "get_source"):
            found[name[len(PACKAGE) + 1 :]] = len((loader.get_source(name) or "").encode())
    return found


def raw(prefix: str, device: str) -> float:
    """DPDK's own time for an attach: the request and its answer on a connection that is ready. Detaches after."""
    app = next(one for one in load("_apps.discovery").find(load("_system").System(), prefixes=[prefix]) if one.running)
    with load("_system").Directory(app.directory) as directory:
        primary = load("_binding.ipc").Primary(directory, app.release, pid=app.pid, uid=app.uid)
        wire = load("_devices").parse(device).wire
        begin = time.perf_counter()
        assert primary.attach(wire, timeout=20) == 0
        took = time.perf_counter() - begin
        assert primary.detach(wire, timeout=20) == 0
    return took


def main(archive: str, what: str, text: str, device: str = "") -> None:
    import ansible.module_utils.basic  # noqa: F401 - every module has imported it

    sys.path.insert(0, archive)
    document = json.loads(text)
    zipimport.zipimporter(archive)
    begin = time.perf_counter()
    load("_errors")  # as every module does, before anything else
    if what == "info":
        load("_app_modules")
        result: Any = load("_state.info").apps()
    elif what == "devices":
        load("_host_info_modules")
        result = load("_state.device_info").devices(system=load("_system").System(document["root"]), every=True)
    else:
        load("_modules")
        result = load("_state.engine").converge(document)
    took = time.perf_counter() - begin
    answer: dict[str, Any] = {"seconds": took, "sources": sources(), "libraries": eal_libraries()}
    if what == "info":
        answer["ports"] = sum(len(one["ports"] or ()) for one in result)
        answer["apps"] = sum(one["state"] == "running" for one in result)
    elif what == "devices":
        answer["devices"] = len(result["devices"])
    else:
        answer["changed"] = result["changed"]
    if what == "attach":
        prefix = document["apps"][0]["app"]
        gone = {"apps": [{"app": prefix, "state": "absent", "ports": [{"device": device}]}]}
        converge = load("_state.engine").converge
        converge(gone)
        # Again, now that the library is imported, which has a figure of its own.
        begin = time.perf_counter()
        converge(document)
        answer["imported"] = time.perf_counter() - begin
        converge(gone)
        answer["raw"] = raw(prefix, device)
    print(json.dumps(answer))


def eal_libraries() -> list[str]:
    """The DPDK libraries in this process, and its children: there are none of either."""
    with open("/proc/self/maps") as maps:
        return sorted({line.split()[-1] for line in maps if "librte_" in line})


if __name__ == "__main__":
    main(*sys.argv[1:])
