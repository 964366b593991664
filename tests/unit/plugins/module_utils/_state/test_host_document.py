# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document may say of a host, and that what is wrong in it is told with its place."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.states import Mount, VfSettings
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import document
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.host_model import HostSpec

NIC = "0000:01:00.0"


def parse(**parts: t.Any) -> HostSpec:
    _apps, host = document.parse(parts)
    assert host is not None
    return host


def _vf(**more: t.Any) -> dict[str, t.Any]:
    return {"devices": [{"device": NIC, "vfs": {"settings": [{"index": 0, **more}]}}]}


def _vfs(vfs: t.Any) -> dict[str, t.Any]:
    return {"devices": [{"device": NIC, "vfs": vfs}]}


def _device(**more: t.Any) -> dict[str, t.Any]:
    return {"devices": [{"device": NIC, "driver": "none"}, {"device": NIC, **more}]}


def _pages(*pages: t.Any) -> dict[str, t.Any]:
    return {"hugepages": {"pages": list(pages)}}


def _mount(**more: t.Any) -> dict[str, t.Any]:
    return {"hugepages": {"mounts": [{"path": "/dev/hugepages", **more}]}}


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"devices": {}}, "devices"),
        ({"devices": ["x"]}, "devices[0]"),
        ({"devices": [{}]}, "devices[0]"),
        ({"devices": [{"device": NIC, "select": {"netdev": "eth1"}}]}, "devices[0]"),
        (_device(name="x"), "devices[1]"),
        ({"devices": [{"device": "eth0"}]}, "devices[0].device"),
        ({"devices": [{"device": 7}]}, "devices[0].device"),
        ({"devices": [{"device": "0000:01:20.0"}]}, "devices[0].device"),
        (_device(driver="../x"), "devices[1].driver"),
        (_device(driver="-r"), "devices[1].driver"),
        (_device(driver="a b"), "devices[1].driver"),
        (_device(driver=7), "devices[1].driver"),
        (_device(persistent="yes"), "devices[1].persistent"),
        (_device(noiommu=1), "devices[1].noiommu"),
        (_vfs([]), "devices[0].vfs"),
        (_vfs({"number": 1}), "devices[0].vfs"),
        (_vfs({"count": -1}), "devices[0].vfs.count"),
        (_vfs({"count": True}), "devices[0].vfs.count"),
        (_vfs({"count": "4"}), "devices[0].vfs.count"),
        (_vfs({"driver": "vfio/pci"}), "devices[0].vfs.driver"),
        (_vfs({"settings": {}}), "devices[0].vfs.settings"),
        (_vfs({"settings": [{"index": 1}, {"index": 1}]}), "devices[0].vfs.settings"),
        (_vfs({"count": 1, "settings": [{"index": 1}]}), "devices[0].vfs.settings"),
        (_vfs({"settings": [{}]}), "devices[0].vfs.settings[0].index"),
        (_vf(index=-1), "devices[0].vfs.settings[0].index"),
        (_vf(name=1), "devices[0].vfs.settings[0]"),
        (_vf(mac="zz"), "devices[0].vfs.settings[0].mac"),
        (_vf(mac=2), "devices[0].vfs.settings[0].mac"),
        (_vf(mac="02:00:00:00:00:1"), "devices[0].vfs.settings[0].mac"),
        (_vf(mac="01:00:5e:00:00:01"), "devices[0].vfs.settings[0].mac"),
        (_vf(mac="00:00:00:00:00:00"), "devices[0].vfs.settings[0].mac"),
        (_vf(vlan=4095), "devices[0].vfs.settings[0].vlan"),
        (_vf(trust="on"), "devices[0].vfs.settings[0].trust"),
        (_vf(spoofchk=0), "devices[0].vfs.settings[0].spoofchk"),
        (_vf(driver=";"), "devices[0].vfs.settings[0].driver"),
        ({"allow_active": NIC}, "allow_active"),
        ({"allow_active": [NIC, "eth0"]}, "allow_active[1]"),
        ({"devices": [], "timeout": -1}, "timeout"),
        ({"devices": [], "timeout": True}, "timeout"),
        ({"devices": [], "timeout": float("nan")}, "timeout"),
        ({"devices": [], "timeout": 3601}, "timeout"),
        ({"hugepages": []}, "hugepages"),
        ({"hugepages": {"size": "2M"}}, "hugepages"),
        ({"hugepages": {"pages": {}}}, "hugepages.pages"),
        ({"hugepages": {"mounts": "/dev/hugepages"}}, "hugepages.mounts"),
        ({"hugepages": {"boot": "yes"}}, "hugepages.boot"),
        ({"hugepages": {"persistent": 1}}, "hugepages.persistent"),
        (_pages("2M"), "hugepages.pages[0]"),
        (_pages({"size": "2M"}), "hugepages.pages[0].count"),
        (_pages({"size": "2M", "count": 1.5}), "hugepages.pages[0].count"),
        (_pages({"size": "2M", "count": 1, "node": -1}), "hugepages.pages[0].node"),
        (_pages({"size": "2X", "count": 1}), "hugepages.pages[0].size"),
        (_pages({"count": 1}), "hugepages.pages[0].size"),
        (_pages({"size": "2M", "count": 1}, {"size": "2048K", "count": 1}), "hugepages.pages"),
        (_pages({"size": "2M", "count": 1}, {"size": "2M", "count": 1, "node": 0}), "hugepages.pages"),
        (_mount(size=0), "hugepages.mounts[0].size"),
        (_mount(size="0M"), "hugepages.mounts[0].size"),
        (_mount(path="dev"), "hugepages.mounts[0].path"),
        (_mount(path="/dev/../etc"), "hugepages.mounts[0].path"),
        (_mount(path="/"), "hugepages.mounts[0].path"),
        (_mount(path="//"), "hugepages.mounts[0].path"),
        (_mount(path="/dev/a\nb"), "hugepages.mounts[0].path"),
        (_mount(path=None), "hugepages.mounts[0].path"),
        (_mount(mode=755), "hugepages.mounts[0].mode"),
        (_mount(mode="0888"), "hugepages.mounts[0].mode"),
        (_mount(owner=-1), "hugepages.mounts[0].owner"),
        (_mount(owner=True), "hugepages.mounts[0].owner"),
        (_mount(owner="nobody-of-this-name"), "hugepages.mounts[0].owner"),
        (_mount(group=1 << 40), "hugepages.mounts[0].group"),
        (_mount(group="no-group-of-this-name"), "hugepages.mounts[0].group"),
        (_mount(state="on"), "hugepages.mounts[0].state"),
        ({"hugepages": {"mounts": [{"path": "/a/b"}, {"path": "/a//b/", "state": "absent"}]}}, "hugepages.mounts"),
        ({"version": 2, "devices": []}, "version"),
        ({"device": []}, "the document"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(parts: dict[str, t.Any], place: str) -> None:
    with pytest.raises(HotplugError) as caught:
        document.parse(parts)
    assert caught.value.reason in ("bad_document", "hugepages_size")
    assert caught.value.way_out
    assert caught.value.message.startswith((f"{place} ", f"{place}: ")), caught.value.message


def test_a_document_that_asks_nothing_of_the_host_has_no_spec() -> None:
    assert document.parse({"version": 1}) == ((), None)


def test_everything_is_read_in_one_spelling() -> None:
    spec = parse(
        devices=[
            {
                "device": "1:0.0",
                "driver": "kernel",
                "vfs": {
                    "count": 2,
                    "driver": "vfio-pci",
                    "settings": [{"index": 1, "mac": "02:AA:00:00:00:01", "vlan": 0, "trust": False}],
                },
                "persistent": False,
                "noiommu": None,
            }
        ],
        hugepages={
            "pages": [{"size": "1g", "count": 2, "node": 1}, {"size": "2MiB", "count": 3}],
            "mounts": [{"path": "//dev/./huge/", "size": "1G", "mode": "770", "owner": "root", "group": 7}],
        },
        allow_active=["01:00.1"],
        timeout=2,
    )
    (device,) = spec.devices
    assert (device.device, device.driver, device.persistent, device.noiommu) == (NIC, "kernel", False, False)
    assert device.vfs is not None and device.vfs.number == 2
    assert device.vfs.vfs[0].settings == VfSettings("02:aa:00:00:00:01", 0, False, None)
    assert "persistent" not in device.entry and "noiommu" not in device.entry
    assert spec.hugepages is not None
    assert [(one.size, one.number, one.node) for one in spec.hugepages.pages] == [(1 << 20, 2, 1), (2048, 3, -1)]
    assert [one.mount for one in spec.hugepages.mounts] == [Mount("/dev/huge", 1 << 20, 0o770, 0, 7)]
    assert (spec.allow_active, spec.timeout) == (frozenset({"0000:01:00.1"}), 2.0)
