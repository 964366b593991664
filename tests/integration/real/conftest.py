# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests against real DPDK. `pytest tests/integration/real` as root is all: the run isolates itself.

The whole pytest run is moved into process, mount and network namespaces of its own with a fresh /run
(tests/tools/isolate.py says what is there), so no other DPDK application is seen, none of ours stays, and
runs may go side by side.

    def test_attach(dpdk: Dpdk) -> None:             # once a release: 22.11, 24.11, 25.11
        app = dpdk.start_testpmd("web", ["net_null0"])
        ...
        assert set(app.ports()) == {"net_null0"}

dpdk        a Dpdk (releases.py) of each release; everything that the test started is ended after it
host_dpdk   the same, of this machine's own release only; these can use the EAL library of this machine
dpdk_of     a function: dpdk_of("25.11") for a test that wants several releases at once
hugepages   a function: hugepages(256) reserves 256 MiB until the test ends; skips where the kernel has none to give
veth        a function: veth("va", "vb") makes a pair of interfaces

    --release 24.11       only this release (may be given again)

`from releases import count`: count(100) repetitions are 100 in `make soak` (DPDK_HOTPLUG_SOAK=1), 10 in `make test`,
at least 3.

What is absent skips a test with the reason; with DPDK_HOTPLUG_REQUIRED=1 (make test) it fails instead.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "tools")]

import isolate
from needs import needed
from releases import HOST, RELEASES, Dpdk, reserved_hugepages
from releases import veth as make_veth


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--release", action="append", help="only this DPDK release (22.11, 24.11, 25.11)")


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(isolate.MARK) or config.option.collectonly:
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    line = isolate.command([sys.executable, "-m", "pytest", *config.invocation_params.args])
    sys.stdout.flush()
    os.execvp(line[0], line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dpdk" in metafunc.fixturenames:
        metafunc.parametrize("dpdk", metafunc.config.getoption("--release") or RELEASES, indirect=True)


@pytest.fixture
def _beds() -> Iterator[dict[str, Dpdk]]:
    beds: dict[str, Dpdk] = {}
    yield beds
    for bed in beds.values():
        bed.stop_all()


@pytest.fixture
def dpdk_of(_beds: dict[str, Dpdk]) -> Callable[[str], Dpdk]:
    def get(release: str) -> Dpdk:
        with needed():
            return _beds.setdefault(release, Dpdk(release))

    return get


@pytest.fixture
def dpdk(request: pytest.FixtureRequest, dpdk_of: Callable[[str], Dpdk]) -> Dpdk:
    return dpdk_of(request.param)


@pytest.fixture
def host_dpdk(dpdk_of: Callable[[str], Dpdk]) -> Dpdk:
    return dpdk_of(HOST)


@pytest.fixture
def hugepages(_beds: dict[str, Dpdk]) -> Iterator[Callable[[int], None]]:
    with contextlib.ExitStack() as stack:

        def reserve(megabytes: int) -> None:
            with needed():
                stack.enter_context(reserved_hugepages(megabytes))

        yield reserve
        for bed in _beds.values():
            bed.stop_all()  # a page in use cannot be given back


@pytest.fixture
def veth() -> Iterator[Callable[[str, str], None]]:
    import subprocess

    made: list[str] = []

    def make(first: str, second: str) -> None:
        make_veth(first, second)
        made.append(first)

    yield make
    for name in made:
        subprocess.run(["ip", "link", "del", name], check=False)
