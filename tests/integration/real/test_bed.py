# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed itself: a testpmd of each release starts, tells its ports, takes what is typed, and ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from releases import Dpdk, is_alive


def test_testpmd_serves_and_quits(dpdk: Dpdk) -> None:
    app = dpdk.start_testpmd("bed", ["net_null0", "net_ring0"])
    assert app.query("/ethdev/list") == [0, 1]
    assert set(app.ports()) == {"net_null0", "net_ring0"}
    assert os.path.exists(app.mp_socket)
    app.console("show port summary all")
    app.wait_for("net_null0")
    assert app.quit() == 0
    assert not is_alive(app.pid)


def test_testpmd_with_hugepages_has_a_secondary(dpdk: Dpdk, hugepages: Callable[[int], None]) -> None:
    hugepages(256)
    primary = dpdk.start_testpmd("bed", ["net_null0"], huge=True, memory=128)
    secondary = primary.start_secondary(["--log-level=8"], options=["--num-procs=2", "--proc-id=1"])
    assert {primary.pid, secondary.pid} <= {int(p.name) for p in Path("/proc").glob("[0-9]*")}
    secondary.pause()
    secondary.stop()
    assert primary.alive


def test_nothing_of_the_machine_is_seen(host_dpdk: Dpdk, veth: Callable[[str, str], None]) -> None:
    veth("va", "vb")
    assert sorted(p.name for p in Path("/sys/class/net").iterdir()) == ["lo", "va", "vb"]
    assert not Path("/run/dpdk").exists() or all(not (d / "mp_socket").exists() for d in Path("/run/dpdk").iterdir())
