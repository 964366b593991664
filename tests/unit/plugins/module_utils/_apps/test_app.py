# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.options import has_option, option_values

VALUES: list[tuple[tuple[str, ...], list[str]]] = [
    (("testpmd", "--vdev", "net_null0", "-a", "01:00.0"), ["net_null0", "01:00.0"]),
    (("testpmd", "--vdev=net_null0,size=64", "-a01:00.0"), ["net_null0,size=64", "01:00.0"]),
    (("testpmd", "--vdev"), []),
    (("testpmd", "--vdevs=x", "--allow=y", "--", "-a"), []),
    ((), []),
]


@pytest.mark.parametrize("words, values", VALUES)
def test_option_values(words: tuple[str, ...], values: list[str]) -> None:
    assert option_values(App("web", "/run/dpdk", eal_params=words), "--vdev", "-a") == values


def test_parameters_are_the_command_where_telemetry_does_not_tell_them() -> None:
    app = App("web", "/run/dpdk", command=("testpmd", "--in-memory", "--no-huge=1"))
    assert has_option(app, "--in-memory") and has_option(app, "--no-huge")
    assert not has_option(app, "--no-pci")
    assert not has_option(app._replace(eal_params=("testpmd",)), "--in-memory")


def test_directory_and_running() -> None:
    app = App("web", "/var/run/dpdk", "/proc/7/root")
    assert app.directory == "/proc/7/root/var/run/dpdk/web"
    assert not app.running
    assert app._replace(pid=7).running
