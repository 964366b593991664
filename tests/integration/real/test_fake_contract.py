# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stateful fake of the unit tests claims, held against a real testpmd: the same requests, the same answers."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from releases import Dpdk, Testpmd

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.discovery import find
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.ports import Ports
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding import ipc, releases
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.release_notes import SONAMES
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.telemetry import Telemetry
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import Directory, System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp

REQUESTS: list[tuple[str, str]] = [
    ("attach", "vdev:net_null0"),
    ("attach", "vdev:net_null0"),
    ("attach", "vdev:net_null0,size=64"),
    ("attach", "vdev:net_null1,size=64,copy=1"),
    ("attach", "vdev:net_ring0"),
    ("attach", "vdev:net_nope0"),
    ("attach", "vdev:net_null2,bogus=1"),
    ("attach", "pci:0000:ff:1f.7"),
    ("attach", "nobus:net_null3"),
    ("ping", ""),
    ("detach", "vdev:net_null0"),
    ("detach", "vdev:net_null0"),
    ("detach", "vdev:net_null3"),
    ("detach", "vdev:net_nope0"),
    ("detach", "pci:0000:ff:1f.7"),
    ("detach", "nobus:net_null3"),
    ("attach", "vdev:net_null4"),
    ("attach", "vdev:net_null0"),
    *[("attach", f"vdev:net_null{number}") for number in range(5, 40)],
    ("detach", "vdev:net_null20"),
    ("detach", "vdev:net_ring0"),
    ("attach", "vdev:net_null50"),
    ("ping", ""),
]


def observed(app: App) -> list[Any]:
    return [port._replace(mac="", numa_node=0) for port in Ports(app).read()]


def answers(app: App) -> Iterator[tuple[str, Any, list[Any]]]:
    """Each request, its result, and the ports after it."""
    with Directory(app.directory) as directory:
        assert app.release is not None
        primary = ipc.Primary(directory, app.release, pid=app.pid, uid=app.uid)
        for verb, devargs in REQUESTS:
            if verb == "ping":
                yield verb, primary.ping(timeout=10), observed(app)
            else:
                yield f"{verb} {devargs}", getattr(primary, verb)(devargs, timeout=20), observed(app)


def the_one(runtime_dir: str) -> App:
    (app,) = find(System(), runtime_dir=runtime_dir, prefixes=["contract"])
    return app


@pytest.fixture
def real(dpdk: Dpdk) -> Testpmd:
    return dpdk.start_testpmd("contract", extra=["--log-level=5"])


@pytest.fixture
def fake(real: Testpmd) -> Iterator[FakeApp]:
    directory = tempfile.mkdtemp(dir="/run")
    release = the_one(real.runtime_dir).release
    assert release is not None
    with FakeApp(directory, "contract", release=release) as app:
        yield app
    shutil.rmtree(directory)


def test_requests(real: Testpmd, fake: FakeApp) -> None:
    wrong = []
    for told, claimed in zip(answers(the_one(real.runtime_dir)), answers(the_one(fake.runtime_dir))):
        if told != claimed:
            wrong.append((told[:2], claimed[:2], [pair for pair in zip(told[2], claimed[2]) if pair[0] != pair[1]]))
    assert not wrong, "real, claimed: " + "\n".join(map(str, wrong))


def test_what_discovery_finds(real: Testpmd, fake: FakeApp) -> None:
    own = ("runtime_dir", "pid", "start_time", "name", "command", "eal_params")
    told, claimed = (
        {k: v for k, v in the_one(app.runtime_dir)._asdict().items() if k not in own} for app in (real, fake)
    )
    assert told == claimed


def test_telemetry(real: Testpmd, fake: FakeApp) -> None:
    for app in (the_one(real.runtime_dir), the_one(fake.runtime_dir)):
        with Directory(app.directory) as directory, Telemetry(directory, app.telemetry) as session:
            assert session.peer_pid == app.pid
            answers = session.ask("/ethdev/info,0", "/ethdev/info,99", "/ethdev/list", "/none")
        assert answers == [None, None, [], None]


def test_ten_clients(real: Testpmd, fake: FakeApp) -> None:
    for app in (the_one(real.runtime_dir), the_one(fake.runtime_dir)):
        with Directory(app.directory) as directory:
            sessions = [Telemetry(directory, app.telemetry) for _number in range(10)]
            with pytest.raises(Exception, match="is full"):
                Telemetry(directory, app.telemetry)
            for session in sessions:
                session.close()


def test_a_wrong_length_ends_the_thread(real: Testpmd, fake: FakeApp) -> None:
    for app in (the_one(real.runtime_dir), the_one(fake.runtime_dir)):
        assert app.release is not None
        other = releases.Release(25, 11) if app.release < releases.Release(25, 11) else releases.Release(22, 11)
        with Directory(app.directory) as directory:
            wrong, right = (ipc.Primary(directory, one, pid=app.pid, uid=app.uid) for one in (other, app.release))
            assert right.ping(timeout=10)
            assert not wrong.ping(timeout=0.5)
            assert not right.ping(timeout=0.5)


def test_soname(dpdk: Dpdk) -> None:
    (number,) = [one for one, names in SONAMES.items() if dpdk.release[:5] in names.split()]
    found = [path.name for path in Path(f"{dpdk.root}/usr/lib").glob("*/librte_eal.so.*")]
    assert f"librte_eal.so.{number}" in found
    assert not os.path.exists(f"{dpdk.root}/usr/lib/librte_eal.so.{number + 1}")
