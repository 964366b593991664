# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import functools
import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import boot, files, persistence
from ansible_collections.dpdk.hotplug.plugins.module_utils._host.model import PciDevice
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import document
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.host_model import HostSpec, HostState
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import modalias

ADDRESS = "0000:01:00.0"
UNIT = "etc/systemd/system/dpdk-hotplug-host.service"
LINK = "etc/systemd/system/sysinit.target.wants/dpdk-hotplug-host.service"


@pytest.fixture
def host(tmp_path: Path) -> System:
    """A host with the command installed and one card."""
    command = tmp_path / "usr/local/bin/dpdk-hotplug"
    command.parent.mkdir(parents=True)
    command.write_text("")
    command.chmod(0o755)
    (tmp_path / "etc").mkdir()
    card(tmp_path, ADDRESS)
    return System(str(tmp_path))


def card(root: Path, address: str, device: str = "10d3") -> None:
    place = root / "sys/devices/pci0000:00" / address
    place.mkdir(parents=True)
    (place / "modalias").write_text(modalias(f"8086:{device}"))
    devices = root / "sys/bus/pci/devices"
    devices.mkdir(parents=True, exist_ok=True)
    (devices / address).symlink_to(f"../../../devices/pci0000:00/{address}")


def spec_and_state(desired: dict[str, t.Any]) -> tuple[HostSpec, HostState]:
    _apps, spec = document.parse(desired)
    assert spec is not None
    device = PciDevice(ADDRESS, vendor="8086", device="10d3", class_code="020000")
    targets = tuple((one, (one.device,) if one.device else (ADDRESS,)) for one in spec.devices)
    return spec, HostState({ADDRESS: device}, targets)


def merged(before: dict[str, t.Any], desired: dict[str, t.Any]) -> dict[str, t.Any]:
    return persistence.merged(before, *spec_and_state(desired))


# ---- what the boot document has


def test_what_shall_persist_is_kept_with_what_the_card_is() -> None:
    entry = {"device": "01:00.0", "driver": "vfio-pci", "persistent": True}
    (kept,) = merged({}, {"devices": [entry]})["devices"]
    assert kept["device"] == ADDRESS and kept["driver"] == "vfio-pci"
    assert kept["expect"] == {"vendor": "8086", "device": "10d3"}


def test_entries_of_others_stay_and_what_shall_not_persist_goes() -> None:
    before = {"version": 1, "devices": [{"device": "0000:09:00.0", "driver": "vfio-pci"}]}
    entry = {"device": ADDRESS, "driver": "vfio-pci"}
    both = merged(before, {"devices": [{**entry, "persistent": True}]})
    assert [one["device"] for one in both["devices"]] == [ADDRESS, "0000:09:00.0"]
    assert merged(both, {"devices": [entry]}) == both, "no word on persistence changes nothing of it"
    assert merged(both, {"devices": [{**entry, "persistent": False}]}) == before
    assert merged({"devices": [entry]}, {"devices": [{**entry, "persistent": False}]}) == {}


def test_hugepages_persist_without_their_kernel_arguments() -> None:
    asked = {"pages": [{"size": "2M", "count": 4}], "boot": True, "persistent": True}
    assert merged({}, {"hugepages": asked})["hugepages"] == {"pages": asked["pages"]}
    assert merged({"hugepages": asked}, {"hugepages": {**asked, "persistent": False}}) == {}


def test_what_goes_without_saying_is_not_kept_so_that_all_modules_write_the_same() -> None:
    pages, path = [{"size": "2M", "count": 4}], {"path": "/mnt/huge"}
    short = {"pages": pages, "mounts": [path], "persistent": True}
    said = {"size": "2M", "mode": "0755", "owner": None, "group": None, "state": "present"}
    long = {"pages": [{**pages[0], "node": None}], "mounts": [{**path, **said}], "boot": False, "persistent": True}
    assert merged({}, {"hugepages": short}) == merged({}, {"hugepages": long})
    own = [{**path, "mode": "0770"}, {**path, "path": "/mnt/none", "state": "absent"}]
    assert merged({}, {"hugepages": {**short, "mounts": own}})["hugepages"]["mounts"] == own

    device = {"device": ADDRESS, "vfs": {"count": 2}, "persistent": True}
    full = {**device, "vfs": {"count": 2, "driver": None, "settings": []}, "noiommu": False}
    assert merged({}, {"devices": [device]}) == merged({}, {"devices": [full]})


def test_what_drives_a_card_and_its_vfs_may_be_said_by_two_tasks() -> None:
    driven = {"devices": [{"device": ADDRESS, "driver": "vfio-pci", "noiommu": True, "persistent": True}]}
    parted = {"devices": [{"device": ADDRESS, "vfs": {"count": 2}, "persistent": True}]}
    both = merged(merged({}, driven), parted)
    assert both == merged(both, driven) == merged(both, parted)
    (kept,) = both["devices"]
    assert (kept["driver"], kept["noiommu"], kept["vfs"]) == ("vfio-pci", True, {"count": 2})
    (kept,) = merged(both, {"devices": [{**driven["devices"][0], "noiommu": False}]})["devices"]
    assert "noiommu" not in kept


# ---- the files


def test_the_document_its_unit_and_nothing_left_of_them(host: System, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    kept = merged({}, {"devices": [{"device": ADDRESS, "driver": "vfio-pci", "persistent": True}]})
    persistence.change(host, {}, kept)
    assert persistence.read(host) == kept
    unit = (tmp_path / UNIT).read_text()
    assert "ExecStart=/usr/local/bin/dpdk-hotplug boot\n" in unit
    assert "Before=network-pre.target sysinit.target" in unit
    assert (tmp_path / LINK).resolve() == (tmp_path / UNIT)
    persistence.change(host, kept, kept)
    persistence.change(host, kept, {})
    places = {tmp_path / "etc/systemd", tmp_path / "etc/systemd/system", (tmp_path / LINK).parent}
    assert {*tmp_path.rglob("*")} - {*before} <= places
    assert persistence.read(host) == {}


@pytest.mark.parametrize("gone", [False, True])
def test_where_it_is_broken_off_too_a_document_that_is_there_is_applied(
    host: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """As when the power fails: each of the files is written whole, or not at all."""
    kept = merged({}, {"devices": [{"device": ADDRESS, "driver": "vfio-pci", "persistent": True}]})
    steps = 0
    real = {name: getattr(files, name) for name in ("replace", "link", "remove")}
    for most in range(4):
        persistence.change(host, {} if gone else kept, kept if gone else {})
        done = 0

        def limited(name: str, *given: object, most: int = most, **more: object) -> None:
            nonlocal done
            if done == most:
                raise KeyboardInterrupt
            done += 1
            real[name](*given, **more)

        with monkeypatch.context() as patched:
            for name in real:
                patched.setattr(files, name, functools.partial(limited, name))
            with contextlib.suppress(KeyboardInterrupt):
                persistence.change(host, kept if gone else {}, {} if gone else kept)
                steps = done
        if persistence.read(host):
            assert (tmp_path / LINK).resolve() == (tmp_path / UNIT) and (tmp_path / UNIT).exists()
    assert steps == 3


def test_what_nothing_would_apply_is_refused(host: System, tmp_path: Path) -> None:
    (tmp_path / "usr/local/bin/dpdk-hotplug").unlink()
    device = {"device": ADDRESS, "driver": "vfio-pci"}
    kept: list[dict[str, t.Any]] = [
        {"devices": [{**device, "persistent": True}]},
        {"hugepages": {"pages": [], "persistent": True}},
        {"apps": [{"app": "web", "ports": [], "persistent": True}]},
    ]
    for asked in kept:
        error = persistence.unapplied(host, spec_and_state(asked)[0])
        assert error is not None and error.reason == "no_helper" and "role" in error.way_out
    for persistent in (None, False):
        asked = {"devices": [device if persistent is None else {**device, "persistent": persistent}]}
        assert persistence.unapplied(host, spec_and_state(asked)[0]) is None


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        (f"driverctl.d/{ADDRESS}", "uio_pci_generic\n", f"/etc/driverctl.d/{ADDRESS}"),
        ("dpdk/interfaces", f"# ours\npci {ADDRESS} uio_pci_generic\n", "/etc/dpdk/interfaces (line 2)"),
    ],
)
def test_another_tool_that_says_otherwise_is_named(
    file: str, text: str, named: str, host: System, tmp_path: Path
) -> None:
    path = tmp_path / "etc" / file
    path.parent.mkdir()
    path.write_text(text)
    asked = {"devices": [{"device": ADDRESS, "driver": "vfio-pci", "persistent": True}]}
    with pytest.raises(HotplugError) as caught:
        persistence.check(host, spec_and_state(asked)[1])
    assert caught.value.reason == "persistence_conflict" and caught.value.message.startswith(named)
    assert "uio_pci_generic" in caught.value.message
    path.write_text(text.replace("uio_pci_generic", "vfio-pci"))
    persistence.check(host, spec_and_state(asked)[1])
    path.write_text(f"# pci {ADDRESS} e1000e\nnet {ADDRESS} e1000e\n" if "interfaces" in file else "")
    persistence.check(host, spec_and_state(asked)[1])


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_a_document_that_is_none_is_not_thrown_away(text: str, host: System, tmp_path: Path) -> None:
    path = tmp_path / "etc/dpdk-hotplug/host.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(HotplugError) as caught:
        persistence.read(host)
    assert caught.value.reason == "bad_file" and "/etc/dpdk-hotplug/host.json" in caught.value.message


# ---- at boot


class Engine:
    """Takes the documents that the boot gives to the engine; fails where told."""

    def __init__(self, *fails: str) -> None:
        self.fails = fails
        self.asked: list[dict[str, t.Any]] = []
        self.log: list[str] = []

    def converge(self, desired: dict[str, t.Any]) -> dict[str, t.Any]:
        self.asked.append(desired)
        if any(word in json.dumps(desired) for word in self.fails):
            raise HotplugError("bind_failed", "the driver does not take it")
        return {"changed": True}

    def run(self, system: System, kept: dict[str, t.Any]) -> int:
        path = system.path(persistence.PATH)
        os.makedirs(os.path.dirname(path))
        Path(path).write_text(json.dumps(kept))
        return boot.boot(system, self.converge, self.log.append)


DOCUMENT = {
    "version": 1,
    "hugepages": {"pages": [{"size": "2M", "count": 4}]},
    "devices": [{"device": ADDRESS, "driver": "vfio-pci", "expect": {"vendor": "8086", "device": "10d3"}}],
}


def test_each_entry_is_applied_by_itself(host: System) -> None:
    engine = Engine()
    assert engine.run(host, DOCUMENT) == 0
    assert engine.asked == [
        {"version": 1, "hugepages": DOCUMENT["hugepages"]},
        {"version": 1, "devices": [{"device": ADDRESS, "driver": "vfio-pci"}]},
    ]
    assert engine.log == ["hugepages: done", f"{ADDRESS}: done"]


def test_what_fails_keeps_nothing_else(host: System) -> None:
    engine = Engine("hugepages")
    assert engine.run(host, DOCUMENT) == 1
    assert len(engine.asked) == 2
    assert engine.log == ["hugepages: the driver does not take it", f"{ADDRESS}: done"]


def test_another_card_at_its_place_is_left_alone(host: System) -> None:
    engine = Engine()
    entry = {"device": ADDRESS, "driver": "vfio-pci", "expect": {"vendor": "15b3", "device": "1017"}}
    assert engine.run(host, {"devices": [entry]}) == 1
    assert engine.asked == [] and "8086:10d3, expected is 15b3:1017" in engine.log[0]


def test_cards_that_do_not_come_keep_the_boot_once(host: System, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    engine = Engine()
    gone = [{"device": f"0000:0{n}:00.0", "driver": "vfio-pci"} for n in (5, 6, 7)]
    vfs = {"device": ADDRESS, "vfs": {"count": 2}}
    assert engine.run(host, {"devices": [*gone, vfs]}) == 1
    assert engine.asked == [] and now[0] < 2 * boot._PATIENCE
    assert ["is not there" in line for line in engine.log] == [True, True, True, False]
    assert "has no driver, without which it has no VFs" in engine.log[3]


def test_a_card_that_comes_late(host: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: card(tmp_path, "0000:05:00.0"))
    engine = Engine()
    assert engine.run(host, {"devices": [{"device": "0000:05:00.0", "driver": "vfio-pci"}]}) == 0
    assert engine.log == ["0000:05:00.0: done"]
