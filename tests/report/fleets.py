# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets that are not there: the variables of their hosts, as the playbooks register what the modules answer.

python3 tests/report/fleets.py NUMBER DIRECTORY     writes a report of so many hosts
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from machine import collections

sys.path.insert(0, str(collections()))

from ansible_collections.dpdk.hotplug.plugins.plugin_utils import _fleet, _page

Json = dict[str, Any]
GENERATED = "2026-03-14T09:26:53Z"


def device(address: str, **given: Any) -> Json:
    """As dpdk_host_info has one."""
    row: Json = {
        "address": address,
        "vendor": "8086",
        "device": "1583",
        "subvendor": "8086",
        "subdevice": "0001",
        "class": "020000",
        "driver": "i40e",
        "override": None,
        "numa_node": 0,
        "iommu_group": None,
        "netdevs": [],
        "pf": None,
        "vf_index": None,
        "max_vfs": 0,
        "vfs": [],
        "slot": None,
        "group_members": [],
        "macs": [],
        "in_use_by": [],
        "active": [],
        "bindable": True,
        "reason": None,
        "remembered": None,
    }
    return {**row, **given}


def port(number: int, name: str, **given: Any) -> Json:
    row: Json = {
        "device": name.partition(",")[0],
        "devargs": name,
        "name": name.partition(",")[0],
        "port_id": number,
        "mac": f"02:70:6f:72:74:{number:02x}",
        "numa_node": 0,
        "attached": True,
        "configured": True,
        "started": True,
        "owned": False,
        "siblings": [],
    }
    return {**row, **given}


def app(prefix: str, ports: list[Json] | None, **given: Any) -> Json:
    ipc = {"adapter": "multiprocess", "channel": "ipc", "usable": True, "reason": "", "can": ["attach", "detach"]}
    row: Json = {
        "prefix": prefix,
        "runtime_dir": "/var/run/dpdk",
        "state": "running",
        "pid": 4711,
        "uid": 0,
        "name": "dpdk-testpmd",
        "version": "DPDK 24.11.4",
        "release": "24.11.4",
        "command": ["dpdk-testpmd", "--file-prefix", prefix, "--key=in-a-command-line"],
        "eal_params": ["dpdk-testpmd", "--vdev=net_x,password=in-a-parameter"],
        "shared": True,
        "container": False,
        "secondaries": [],
        "ports": ports,
        "ports_error": "",
        "adapters": [ipc],
    }
    return {**row, **given}


def pool(size_kib: int, node: int, total: int, free: int) -> Json:
    name = "1G" if size_kib == 1 << 20 else "2M"
    return {"size": name, "size_kib": size_kib, "node": node, "count": total, "free": free, "surplus": 0}


def info(devices: list[Json], apps: list[Json], pages: list[Json], **given: Any) -> Json:
    return {
        "changed": False,
        "devices": devices,
        "iommu": True,
        "iommu_hint": None,
        "hugepages": {
            "pages": pages,
            "mounts": [{"path": "/dev/hugepages", "size": "2M", "mode": "0755", "uid": 0, "gid": 0}],
            "kernel_arguments": [],
            "reboot_required": False,
        },
        "apps": apps,
        "boot": None,
        "drivers": ["vfio-pci"],
        **given,
    }


def check(actions: list[Json] | None = None, apps: list[Json] | None = None, **given: Any) -> Json:
    """As dpdk_host answers in check mode."""
    answer: Json = {"changed": bool(actions or apps), "warnings": [], "actions": actions or [], "apps": apps or []}
    return {**answer, **given}


def router(number: int, *, vfs: int = 8) -> Json:
    """A host of two sockets: a card for management, two cards for DPDK on each socket with VFs, two applications."""
    devices = [
        device(
            "0000:01:00.0",
            device="1533",
            driver="igb",
            iommu_group=11,
            group_members=["0000:01:00.0"],
            netdevs=["eno1"],
            macs=[f"3c:ec:ef:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"],
            active=[
                "eno1 has the default route (IPv4)",
                f"eno1 has the address 10.1.{number >> 8 & 255}.{number & 255}",
            ],
            bindable=False,
            reason="eno1 has the default route (IPv4)",
        )
    ]
    names = []
    for node, bus in ((0, 0x3B), (1, 0xAF)):
        for function in (0, 1):
            pf = f"0000:{bus:02x}:00.{function}"
            own = [f"0000:{bus:02x}:{2 + 8 * function + i // 8:02x}.{i % 8}" for i in range(vfs)]
            group = 40 + 100 * node + 20 * function
            devices.append(
                device(
                    pf,
                    numa_node=node,
                    iommu_group=group,
                    group_members=[pf],
                    slot=str(3 + node),
                    netdevs=[f"ens{3 + node}f{function}"],
                    macs=[f"40:a6:b7:{number & 255:02x}:{node:02x}:{function:02x}"],
                    max_vfs=64,
                    vfs=own,
                    bindable=False,
                    reason=f"it has {vfs} VFs",
                )
            )
            for index, address in enumerate(own):
                devices.append(
                    device(
                        address,
                        device="154c",
                        driver="vfio-pci" if index < vfs - 1 else "iavf",
                        numa_node=node,
                        iommu_group=group + 1 + index,
                        group_members=[address],
                        pf=pf,
                        vf_index=index,
                        slot=str(3 + node),
                        in_use_by=[{"pid": 4711, "name": "dpdk-testpmd", "path": f"/dev/vfio/{group}"}]
                        if index < 2
                        else [],
                    )
                )
            names += own[:2]
    ports = [port(i, name, numa_node=i // 4, started=i != 3) for i, name in enumerate(names)]
    apps = [
        app("router", ports),
        app(
            "probe",
            [port(0, "net_tap0,iface=dtap0", mac="02:00:00:00:00:01", configured=False, started=False)],
            pid=815,
        ),
    ]
    pages = [
        pool(2048, 0, 2048, 1024 + number % 900),
        pool(2048, 1, 2048, 1900),
        pool(1 << 20, 0, 16, 4),
        pool(1 << 20, 1, 16, 12),
    ]
    boot = {"version": 1, "hugepages": {"pages": [{"size": "2M", "count": 4096}]}, "devices": []}
    boot["devices"] = [{"device": "0000:3b:00.0", "vfs": {"count": vfs, "driver": "vfio-pci"}}]
    return {
        _fleet.INFO: info(devices, apps, pages, boot=boot),
        _fleet.CHECK: check(),
        _fleet.DEVICES: boot["devices"],
    }


def drifting() -> Json:
    """What dpdk_host would change on a router that somebody has worked on."""
    kept = {"device": "0000:3b:00.0", "vfs": {"count": 8, "driver": "vfio-pci"}}
    new = {"device": "0000:af:00.1", "vfs": {"count": 16, "driver": "vfio-pci"}}
    return check(
        [
            {"action": "reserve", "size": "2M", "node": 1, "before": 2048, "after": 4096},
            {"action": "bind", "device": "0000:3b:02.7", "before": "iavf", "after": "vfio-pci"},
            {"action": "resize", "device": "0000:af:00.1", "before": 8, "after": 16},
            {
                "action": "persist",
                "target": "/etc/dpdk-hotplug/host.json",
                "before": {"version": 1, "devices": [kept]},
                "after": {"version": 1, "devices": [kept, new]},
            },
        ],
        [
            {
                "app": {"prefix": "router"},
                "actions": [
                    {"action": "start", "device": "0000:3b:0a.1", "devargs": "0000:3b:0a.1", "port_ids": [3]},
                    {"action": "attach", "device": "0000:af:02.2", "devargs": "0000:af:02.2", "port_ids": []},
                ],
            }
        ],
        warnings=["Application 'meter' is left out, since it need not run: no DPDK application 'meter' is running."],
    )


def bare() -> Json:
    """A host that nobody has asked anything of."""
    card = device(
        "0000:06:00.0", driver="e1000e", device="10d3", numa_node=-1, netdevs=["enp6s0"], macs=["52:54:00:12:34:56"]
    )
    hint = "Boot with intel_iommu=on."
    return {
        _fleet.INFO: info([card], [], [pool(2048, 0, 0, 0)], iommu=False, iommu_hint=hint, drivers=[]),
        _fleet.CHECK: {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"},
    }


def refused() -> Json:
    error = {
        "reason": "no_such_device",
        "message": "device '0000:d8:00.0': there is no such device",
        "way_out": "See dpdk_device_info for what there is.",
        "device": "0000:d8:00.0",
    }
    return {"failed": True, "msg": error["message"], "error": error}


def hosts(number: int) -> dict[str, Json]:
    """So many hosts: most as they should be, some of every other kind."""
    found: dict[str, Json] = {}
    for index in range(1, number + 1):
        row = router(index)
        if index % 10 == 3:
            row[_fleet.CHECK] = drifting()
        elif index % 40 == 6:
            row[_fleet.CHECK] = refused()
        elif index % 25 == 8:
            row = bare()
        elif index % 50 == 12:
            msg = "Failed to connect to the host via ssh: ssh: connect to host 10.1.0.12 port 22: No route to host"
            row = {_fleet.INFO: {"unreachable": True, "changed": False, "msg": msg}}
        elif index % 90 == 14:
            row = {
                _fleet.INFO: {
                    "failed": True,
                    "changed": False,
                    "msg": "/bin/sh: 1: /usr/bin/python3: not found",
                    "rc": 127,
                }
            }
        found[f"edge{index}.par{1 + index % 3}.example.net"] = row
    return found


def document(found: dict[str, Json], title: str = "Edge routers") -> Json:
    return _fleet.fleet(found, found, title=title, generated=GENERATED, version="0.1.0")


def write(found: dict[str, Json], directory: Path, title: str = "Edge routers") -> Path:
    whole = document(found, title)
    (directory / "report.json").write_text(_fleet.as_json(whole), encoding="utf-8")
    target = directory / "report.html"
    target.write_text(_page.page(whole), encoding="utf-8")
    return target


if __name__ == "__main__":
    print(write(hosts(int(sys.argv[1])), Path(sys.argv[2])))
