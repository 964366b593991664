# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import tempfile
import typing as t

import pytest
from hypothesis import HealthCheck, settings

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import adapter, discovery, multiprocess
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import reach as reachability
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App, Means, Reach
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import persistence
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import evacuation, evacuation_notes, home, looks
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_adapter import SwitchingAdapter
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp

# Function-scoped fixtures here are only constants and directories, which examples may share.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("default")


@pytest.fixture
def run() -> t.Iterator[str]:
    """A runtime directory with a short path: a socket's address has 107 bytes at most."""
    path = tempfile.mkdtemp(prefix="hp")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def fake(run: str) -> t.Iterator[t.Callable[..., FakeApp]]:
    """fake("web", vdevs=[...]) starts a fake application; it ends with the test."""
    apps: list[FakeApp] = []

    def start(prefix: str = "web", **options: t.Any) -> FakeApp:
        apps.append(FakeApp(run, prefix, **options))
        return apps[-1]

    yield start
    for app in apps:
        app.end()


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[str]:
    """Where locks and records are: a directory of the test's own, not made yet."""
    above = tempfile.mkdtemp(prefix="hp")
    path = f"{above}/dpdk-hotplug"
    monkeypatch.setattr(home, "place", lambda _app=None: path)
    monkeypatch.setattr(looks, "place", lambda _app=None: path)
    yield path
    shutil.rmtree(above)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, run: str) -> t.Iterator[str]:
    """The file that remembers, in a directory of the test's own; and no other applications than the test's."""
    above = tempfile.mkdtemp(prefix="hp")
    monkeypatch.setattr(home, "EVACUATED", f"{above}/dpdk-hotplug/evacuated.json")
    monkeypatch.setattr(evacuation_notes, "_may", lambda _system: True)
    monkeypatch.setattr(persistence, "PATH", f"{above}/etc/host.json")
    monkeypatch.setattr(evacuation, "find", lambda system: discovery.find(system, runtime_dir=run))
    yield f"{above}/dpdk-hotplug/evacuated.json"
    shutil.rmtree(above)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of tenths of a second where DPDK needs seconds."""
    monkeypatch.setattr(multiprocess, "_ANSWER", 0.3)
    monkeypatch.setattr(multiprocess, "_SETTLE", 1.5)
    monkeypatch.setattr(multiprocess, "_PING", 0.3)


@pytest.fixture
def switching(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Callable[[FakeApp], FakeApp]]:
    """switching(app): the application is reached by an adapter that can start and stop its ports too."""

    real = reachability.reaches

    def reaches(app: App, system: System) -> list[Reach]:
        usable = app.pid in SwitchingAdapter.apps
        own = Reach("testpmd", "", usable, "" if usable else "no console", tuple(SwitchingAdapter.verbs))
        return [own, *(one for one in real(app, system) if one.adapter == "multiprocess")]

    def connect(
        app: App, reach: Reach, system: System, *, timeout: float, keep: t.Sequence[int] = (), means: Means
    ) -> adapter.Adapter:
        kind = SwitchingAdapter if reach.adapter == "testpmd" else multiprocess.Multiprocess
        return kind(app, "ipc", system, timeout=timeout)

    def add(app: FakeApp) -> FakeApp:
        SwitchingAdapter.apps[app.pid] = app
        return app

    monkeypatch.setattr(reachability, "reaches", reaches)
    monkeypatch.setattr(adapter, "connect", connect)
    yield add
    SwitchingAdapter.apps.clear()
    SwitchingAdapter.failing.clear()
