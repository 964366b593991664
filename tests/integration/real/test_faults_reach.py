# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that are not there, not to be told apart, of another release (row 10), in a container (row 11)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from faults import Liar, converge, document, ipc_lives, names_all, refused, strangers
from releases import Dpdk, count, is_alive, wait_until

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import engine, info

Pages = Callable[[int], None]


def _reasons(pid: int) -> dict[str, str]:
    """Why each adapter and channel does not reach the application of that pid; empty where it does."""
    (found,) = [one for one in info.apps() if one["pid"] == pid]
    return {
        f"{one['adapter']} {one['channel']}".strip(): "" if one["usable"] else one["reason"]
        for one in found["adapters"]
    }


# None, several


def test_no_application() -> None:
    assert [app for app in info.apps() if app["state"] == "running"] == []
    for prefix in ("web", ""):
        error = refused(prefix, "net_null0")
        assert error.reason == "no_application"
        names_all(error, prefix, "no DPDK application", "Start it first")
    error = refused("web", "net_null0", runtime_dir="/run/nowhere/dpdk")
    assert error.reason == "no_application" and "web" in str(error)


def test_several_without_a_name(host_dpdk: Dpdk) -> None:
    first, second = (host_dpdk.start_testpmd(name) for name in ("one", "two"))
    error = refused("", "net_null0")
    assert error.reason == "several_applications"
    names_all(error, "one", "two", str(first.pid), str(second.pid), "Give app")
    error = refused("three", "net_null0")
    assert error.reason == "no_application"
    names_all(error, "three", "one", "two")
    second.quit()
    answer = engine.converge({"apps": [{"ports": [{"device": "net_null0"}], "adapter": "multiprocess"}]})
    assert answer["changed"] and set(first.ports()) == {"net_null0"}


# Out of reach


@pytest.mark.parametrize(
    "options, text",
    [
        (["--in-memory"], "--in-memory"),
        (["--no-shconf"], "--no-shconf"),
        (["--no-telemetry"], "telemetry"),
        (["--in-memory", "--no-telemetry"], "--in-memory"),
    ],
)
def test_started_so_that_nothing_reaches_it(dpdk: Dpdk, hugepages: Pages, options: list[str], text: str) -> None:
    """Found and named all the same, with the reason of each way, and nothing is touched."""
    hugepages(128)
    app = dpdk.start_testpmd("far", ["net_null8"], extra=options, huge=True, memory=64, wait=False)
    app.wait_for("testpmd> ")
    reasons = wait_until(
        lambda: any(one["pid"] == app.pid for one in info.apps()) and _reasons(app.pid), "its discovery"
    )
    assert reasons["multiprocess ipc"] and reasons["testpmd"], reasons
    assert text in reasons["multiprocess ipc"]
    for channel in ("auto", "ipc"):
        error = refused(app, "net_null0", channel=channel)
        assert error.reason == "unreachable"
        names_all(error, "far", str(app.pid), text)
    assert app.alive


# Releases


def test_the_matrix_of_a_release(dpdk: Dpdk) -> None:
    """Attach, repeat, detach, repeat, kill, quit: from the host, whatever release the application has."""
    app = dpdk.start_testpmd("matrix")
    for _round in range(count(30)):
        assert converge(app, "net_null0,size=80", "net_ring0")["changed"]
        assert not converge(app, "net_null0,size=80", "net_ring0")["changed"]
        assert set(app.ports()) == {"net_null0", "net_ring0"}
        assert converge(app, absent=("net_null0", "net_ring0"))["changed"]
        assert not converge(app, absent=("net_null0", "net_ring0"))["changed"]
        assert app.ports() == {}
    converge(app, "net_null0")
    assert app.quit() == 0
    assert refused(app, "net_null1").reason == "no_application"
    app = dpdk.start_testpmd("matrix")
    assert converge(app, "net_null0")["changed"]
    app.kill()
    assert refused(app, "net_null1").reason == "no_application"
    app = dpdk.start_testpmd("matrix")
    assert converge(app, "net_null0")["changed"] and set(app.ports()) == {"net_null0"}
    (found,) = info.apps(app="matrix")
    assert found["release"].startswith(dpdk.release) and strangers(app) == []


def test_three_releases_in_one_run(dpdk_of: Any) -> None:
    apps = [dpdk_of(release).start_testpmd(f"r{release}") for release in ("22.11", "24.11", "25.11")]
    answer = engine.converge({"apps": [document(app, "net_null0,size=80")["apps"][0] for app in apps]})
    assert [one["app"]["version"][:10] for one in answer["apps"]] == ["DPDK 22.11", "DPDK 24.11", "DPDK 25.11"]
    assert all(set(app.ports()) == {"net_null0"} for app in apps)
    error = refused(apps[2], "net_null1", channel="eal")
    assert error.reason == "unreachable"
    names_all(error, "r25.11", "eal")


@pytest.mark.parametrize("release", [[27, 11, 0, 99], [25, 7, 0, 1], [20, 8, 0, 99], [19, 11, 14, 99], [0, 0, 0, 0]])
def test_an_unknown_release(release: list[int]) -> None:
    """A wrong guess of the message's length would end its multi-process thread: nothing is sent."""
    year, month, minor, last = release
    text = f"{year}.{month:02d}" + (f".{minor}" if minor else "") + ("-rc1" if last == 1 else "")
    with Liar("future", release=release, banner={"version": f"DPDK {text}"}) as liar:
        for channel in ("auto", "ipc"):
            error = refused("future", "net_null1", channel=channel)
            assert error.reason == "unreachable"
            names_all(error, "future", str(liar.pid), "not known", "22.11", "25.11")
        assert liar.requests == []


@pytest.mark.parametrize(
    "release, size", [([22, 11, 11, 99], 332), ([25, 7, 0, 99], 332), ([25, 11, 0, 99], 340), ([26, 7, 0, 99], 340)]
)
def test_a_known_release_gets_its_own_length(release: list[int], size: int) -> None:
    with Liar("sized", release=release, banner={"version": f"DPDK {release[0]}.{release[1]:02d}.{release[2]}"}) as liar:
        refused("sized", "net_null1")  # it only says that it attached
        assert {one["bytes"] for one in liar.requests} == {size}
        assert {one["name"] for one in liar.requests} == {"eal_dev_mp_request"}


def test_a_config_that_is_not_complete(host_dpdk: Dpdk) -> None:
    """The magic word is written last: until then, no release is known."""
    app = host_dpdk.start_testpmd("early")
    with open(f"{app.directory}/config", "r+b") as config:
        head = config.read(8)
        config.seek(0)
        config.write(b"\0\0\0\0")
    error = refused(app, "net_null0")
    assert error.reason == "unreachable"
    names_all(error, "early", str(app.pid))
    with open(f"{app.directory}/config", "r+b") as config:
        config.write(head)
    assert converge(app, "net_null0")["changed"]


# Containers


def _contained(dpdk: Dpdk, prefix: str, *, pids: bool, own_run: bool) -> tuple[subprocess.Popen[bytes], int]:
    """A testpmd in a mount (and pid) namespace, with or without a /run of its own; (the tool, testpmd's pid)."""
    line = [
        "unshare",
        "--mount",
        "--kill-child=SIGKILL",
        *(["--pid", "--fork", "--mount-proc"] if pids else ["--fork"]),
    ]
    inner = ("mount -t tmpfs tmpfs /run; " if own_run else "") + 'exec "$@"'
    testpmd = [
        "dpdk-testpmd",
        f"--file-prefix={prefix}",
        "--no-huge",
        "--no-pci",
        "-m",
        "64",
        "-l",
        "0,1",
        "--vdev=net_null8",
        "--",
        "-i",
        "--total-num-mbufs=2048",
    ]
    tool = subprocess.Popen(
        [*line, "sh", "-c", inner, "sh", *testpmd],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def found() -> int:
        return next((one["pid"] for one in info.apps() if one["prefix"] == prefix and one["ports"]), 0)

    return tool, wait_until(found, f"testpmd {prefix} in its namespaces")


def _end(tool: subprocess.Popen[bytes], pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    tool.wait(10)
    wait_until(lambda: not is_alive(pid), "its end")


@pytest.mark.parametrize("pids", [False, True])
def test_in_a_container(host_dpdk: Dpdk, pids: bool) -> None:
    """Found, named, its ports read; acting is refused with the reason and the way out."""
    outside = host_dpdk.start_testpmd("web", ["net_null1"])
    tool, pid = _contained(host_dpdk, "boxed", pids=pids, own_run=True)
    try:
        (found,) = info.apps(app="boxed")
        assert found["pid"] == pid and found["container"] and found["state"] == "running"
        assert [port["device"] for port in found["ports"]] == ["net_null8"]
        error = refused("boxed", "net_null0")
        assert error.reason == "unreachable"
        names_all(error, "boxed", str(pid), "mount namespace", "in its container")
        assert converge(outside, "net_null0")["changed"]
    finally:
        _end(tool, pid)


def test_the_same_prefix_in_a_container_and_outside(host_dpdk: Dpdk) -> None:
    """They are two applications: neither is taken for the other, and no name or lock is shared."""
    outside = host_dpdk.start_testpmd("web", ["net_null1"])
    tool, pid = _contained(host_dpdk, "web2", pids=True, own_run=True)
    try:
        second = host_dpdk.start_testpmd("web2", ["net_null2"])
        pids = {one["pid"]: one["container"] for one in info.apps() if one["prefix"] == "web2"}
        assert pids == {pid: True, second.pid: False}
        assert converge("web2", "net_null0")["app"]["pid"] == second.pid
        assert set(second.ports()) == {"net_null0", "net_null2"}
    finally:
        _end(tool, pid)
    assert set(outside.ports()) == {"net_null1"}


@pytest.mark.parametrize("pids", [False, True])
def test_in_a_namespace_that_shares_the_runtime_directory(host_dpdk: Dpdk, pids: bool) -> None:
    """Seen from here at the same place: one application, not two, and reached."""
    tool, pid = _contained(host_dpdk, "shared", pids=pids, own_run=False)
    try:
        (found,) = info.apps(app="shared")
        assert found["pid"] == pid and not found["container"]
        assert converge("shared", "net_null0")["changed"]
        assert not converge("shared", "net_null0")["changed"]
        assert converge("shared", absent=("net_null0",))["changed"]
        assert not [name for name in os.listdir("/run/dpdk/shared") if name.startswith("hotplug_")]
    finally:
        _end(tool, pid)


def test_a_document_that_names_one_of_each(host_dpdk: Dpdk, hugepages: Pages) -> None:
    """One application out of reach: nothing is changed in the other either."""
    hugepages(128)
    near = host_dpdk.start_testpmd("near")
    far = host_dpdk.start_testpmd("far", extra=["--in-memory"], huge=True, memory=64, wait=False)
    far.wait_for("testpmd> ")
    with pytest.raises(HotplugError) as caught:
        engine.converge({"apps": [document(near, "net_null0")["apps"][0], document("far", "net_null0")["apps"][0]]})
    assert caught.value.reason == "unreachable" and caught.value.app == "far"
    assert near.ports() == {} and ipc_lives(near)
