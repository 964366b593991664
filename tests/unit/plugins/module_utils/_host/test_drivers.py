# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers that are asked for by modprobe, with a program in its place."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import drivers, programs
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

NAME = "no_such_driver"


@pytest.fixture
def modprobe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], Path]:
    """modprobe(script): what stands in its place; the file has the words of each call."""

    def install(script: str) -> Path:
        path = tmp_path / "modprobe"
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{script}\n')
        path.chmod(0o755)
        monkeypatch.setattr(programs, "PATH", (str(tmp_path / "nothing"), str(tmp_path), "/bin"))
        return tmp_path / "calls"

    return install


def test_a_driver_is_looked_for_without_loading_it(modprobe: t.Callable[[str], Path]) -> None:
    calls = modprobe(f"echo insmod /lib/modules/6/{NAME}.ko")
    assert drivers.unavailable(System(), NAME) is None
    assert calls.read_text() == f"--dry-run --verbose --use-blacklist {NAME}\n"


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("", "held back by a blacklist"),
        ("echo install /bin/false", "runs /bin/false in place of its module"),
        ("echo insmod /lib/modules/6/uio.ko; echo install /usr/bin/true # no", "runs /usr/bin/true in place of"),
        ("echo install /sbin/modprobe --ignore-install vfio_pci disable_vga=1", ""),
    ],
)
def test_a_module_that_is_held_back_is_known_before_it_is_loaded(
    modprobe: t.Callable[[str], Path], says: str, why: str
) -> None:
    modprobe(says)
    error = drivers.unavailable(System(), NAME)
    if not why:
        assert error is None
        return
    assert error is not None and error.reason == "module_blocked"
    assert why in error.message and "modprobe -c" in error.way_out


@pytest.mark.parametrize(
    ("driver", "way_out"), [(NAME, "Check the name"), ("igb_uio", "use vfio-pci, or build it from dpdk-kmods")]
)
def test_what_no_module_has_is_missing(
    modprobe: t.Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, driver: str, way_out: str
) -> None:
    modprobe("echo 'FATAL: not found' >&2; exit 1")
    monkeypatch.setattr("os.path.isdir", lambda path: "/lib/modules/" in path)
    error = drivers.unavailable(System(), driver)
    assert error is not None and error.reason == "driver_missing"
    assert error.message == f"there is no driver {driver}: FATAL: not found"
    assert way_out in error.way_out


def test_a_kernel_that_has_lost_its_modules_is_said_to_be_that(
    modprobe: t.Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    modprobe("exit 1")
    monkeypatch.setattr("os.path.isdir", lambda _path: False)
    error = drivers.unavailable(System(), NAME)
    assert error is not None and "no modules for the running kernel" in error.way_out
    with pytest.raises(HotplugError) as caught:
        drivers.load(System(), NAME)
    assert caught.value.reason == "driver_missing"


def test_a_modprobe_that_does_not_end_is_a_stuck_kernel(
    modprobe: t.Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    modprobe("exec sleep 60")
    monkeypatch.setattr(drivers, "_LIMIT", 0.2)
    with pytest.raises(HotplugError) as caught:
        drivers.unavailable(System(), NAME)
    assert caught.value.reason == "kernel_stuck" and "modprobe --dry-run" in caught.value.message


def test_what_is_there_needs_no_module(modprobe: t.Callable[[str], Path], tmp_path: Path) -> None:
    calls = modprobe("exit 1")
    (tmp_path / "sys/bus/pci/drivers/vfio-pci").mkdir(parents=True)
    drivers.load(System(str(tmp_path)), "vfio-pci")
    assert not calls.exists()
    assert drivers.module("vfio-pci") == "vfio_pci"
