# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of adapters: what an operator may rely on, whatever the application is. Each test runs on every bed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beds import BASE, BEDS, Bed, running
from faults import names_all

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import info
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge

Done = dict[str, Any]


@pytest.fixture(scope="module", params=BEDS, ids=lambda kind: kind.adapter)
def started_bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with running(request.param, tmp_path_factory.mktemp(request.param.adapter)) as bed:
        yield bed


@pytest.fixture
def bed(started_bed: Bed) -> Bed:
    """The application, alive and with no more than it was started with."""
    if not started_bed.alive:
        started_bed.end()
        started_bed.start()
    left = [name for name in started_bed.devices() if name != BASE]
    if left:
        run(started_bed, *absent(*left), force=True)
    assert set(started_bed.devices()) - {BASE} == set()
    return started_bed


def run(bed: Bed, *ports: Any, check: bool = False, progress: Callable[[str], None] | None = None, **more: Any) -> Done:
    listed = [{"device": port} if isinstance(port, str) else port for port in ports]
    result = converge({"apps": [{**bed.entry, "ports": listed, **more}]}, check=check, progress=progress)
    return {"changed": result["changed"], "warnings": result["warnings"], **result["apps"][0]}


def absent(*devices: str) -> list[dict[str, Any]]:
    return [{"device": device, "state": "absent"} for device in devices]


def fails(bed: Bed, *ports: Any, **more: Any) -> HotplugError:
    with pytest.raises(HotplugError) as error:
        run(bed, *ports, **more)
    return error.value


def acts(result: Done) -> list[tuple[str, str]]:
    return [(act["action"], act["device"]) for act in result["actions"]]


def has(bed: Bed) -> set[str]:
    return set(bed.devices()) - {BASE}


class Hook:
    """A drain hook; it notes the state of the device that it was run for."""

    def __init__(self, directory: Path) -> None:
        self.noted = directory / "noted"
        self.noted.touch()

    def words(self, *then: str) -> list[str]:
        note = f'echo "$1" >> {self.noted}; shift; "$@"'
        return ["sh", "-c", note, "hook", "{device}", *(then or ("true",))]

    @property
    def ran(self) -> list[str]:
        return self.noted.read_text().split()


@pytest.fixture
def hook(tmp_path: Path) -> Hook:
    return Hook(tmp_path)


def test_attach_repeat_detach_repeat(bed: Bed) -> None:
    checked = run(bed, "net_null1,size=128", "net_null2", check=True)
    assert has(bed) == set(), "check mode attached something"
    result = run(bed, "net_null1,size=128", "net_null2")
    assert result["app"]["adapter"] == bed.adapter
    assert has(bed) == {"net_null1", "net_null2"}
    assert acts(checked) == acts(result) == [("attach", "net_null1"), ("attach", "net_null2")]
    assert checked["diff"] == result["diff"]
    told = {port["device"]: port for port in result["ports"]}
    assert told["net_null1"]["devargs"] == "net_null1,size=128"
    assert told["net_null1"]["started"] is bed.settles_itself
    for check in (False, True):
        again = run(bed, "net_null1,size=128", "net_null2", check=check)
        assert (again["changed"], again["actions"], again["warnings"]) == (False, [], [])
    run(bed, *absent("net_null1", "net_null2"), check=True)
    assert has(bed) == {"net_null1", "net_null2"}, "check mode detached something"
    gone = run(bed, *absent("net_null1", "net_null2"))
    assert [act for act in acts(gone) if act[0] != "stop"] == [("detach", "net_null1"), ("detach", "net_null2")]
    assert has(bed) == set()
    assert run(bed, *absent("net_null1", "net_null2"))["changed"] is False
    assert bed.alive


def test_other_arguments_are_an_error_until_recreate_is_asked_for(bed: Bed) -> None:
    run(bed, "net_null1,size=128")
    error = fails(bed, "net_null1,size=256")
    assert error.reason == "other_arguments"
    assert [verb for verb, _device in acts(run(bed, "net_null1,size=256", recreate=True))][-2:] == ["detach", "attach"]
    (port,) = (one for one in run(bed, "net_null1,size=256")["ports"] if one["device"] == "net_null1")
    assert port["devargs"] == "net_null1,size=256"


def test_exclusive_takes_away_what_is_not_listed(bed: Bed) -> None:
    run(bed, "net_null1", "net_null2")
    run(bed, "net_null2", BASE, exclusive=True)
    assert has(bed) == {"net_null2"}


def test_a_started_port_is_stopped_by_the_adapter_or_refused(bed: Bed) -> None:
    run(bed, "net_null1")
    bed.make_started("net_null1")
    assert bed.devices()["net_null1"]
    if not bed.can & {"stop", "detach_started"}:
        error = fails(bed, *absent("net_null1"))
        assert error.reason == "port_started"
        names_all(error, "net_null1")
        assert bed.devices()["net_null1"], "it was refused, and yet stopped"
        return
    run(bed, *absent("net_null1"))
    assert has(bed) == set()
    assert bed.alive


def test_ports_are_started_and_stopped_or_that_is_refused_before_anything_is_done(bed: Bed) -> None:
    wanted = {"device": "net_null1", "started": True}
    if "start" not in bed.can and not bed.settles_itself:
        assert fails(bed, wanted).reason == "not_supported"
        assert has(bed) == set()
        return
    run(bed, wanted)
    assert bed.devices()["net_null1"]
    assert run(bed, wanted)["changed"] is False
    if "stop" not in bed.can:
        assert fails(bed, {"device": "net_null1", "started": False}).reason == "not_supported"
        assert bed.devices()["net_null1"]
        return
    run(bed, {"device": "net_null1", "started": False})
    assert not bed.devices()["net_null1"]


def test_the_drain_hook_runs_before_a_started_port_goes(bed: Bed, hook: Hook) -> None:
    run(bed, "net_null1", "net_null2")
    bed.make_started("net_null1")
    started = [name for name, is_started in bed.devices().items() if is_started and name != BASE]
    result = run(bed, *absent("net_null1", "net_null2"), drain=hook.words(), check=True) if _drains(bed) else None
    assert hook.ran == [], "check mode ran the hook"
    if result is None:
        assert fails(bed, *absent("net_null1"), drain=hook.words()).reason == "drain_failed"
        assert has(bed) == {"net_null1", "net_null2"}, "the hook did not stop the port, and yet it was taken away"
        return
    result = run(bed, *absent("net_null1", "net_null2"), drain=hook.words())
    assert sorted(hook.ran) == sorted(started)
    assert [act for act in acts(result) if act[0] == "drain"] == [("drain", name) for name in hook.ran]
    assert acts(result)[0][0] == "drain"
    assert has(bed) == set()


def _drains(bed: Bed) -> bool:
    return bool(bed.can & {"stop", "detach_started"})


@pytest.mark.parametrize("then, text", [(("false",), "ended with 1"), (("sleep", "600"), "did not end within 0.5 s")])
def test_a_drain_that_fails_or_hangs_stops_everything_before_the_first_change(
    bed: Bed, hook: Hook, then: tuple[str, ...], text: str
) -> None:
    run(bed, "net_null1")
    bed.make_started("net_null1")
    before = bed.devices()
    error = fails(bed, "net_null3", *absent("net_null1"), drain=hook.words(*then), drain_timeout=0.5)
    assert error.reason == "drain_failed"
    names_all(error, "net_null1", text)
    assert bed.devices() == before
    assert hook.ran == ["net_null1"]
    assert error.fields["actions"] == []


# To each its own reason where the application tells; Open vSwitch has it in its log only.
BAD = ["net_nosuch1", "net_af_packet8,iface=nosuch0", "0000:ff:1f.7"]
REASONS = {"bad_devargs", "unknown_driver", "no_such_device", "command_failed"}


@pytest.mark.parametrize("device", BAD)
def test_bad_devargs_change_nothing_and_what_was_done_before_is_undone(bed: Bed, device: str) -> None:
    run(bed, "net_null1")
    before = bed.devices()
    error = fails(bed, "net_null2", device, *absent("net_null1"))
    assert error.reason in REASONS, str(error)
    names_all(error, device.partition(",")[0])
    assert error.fields["not_undone"] == []
    assert set(bed.devices()) == set(before)
    assert bed.alive
    run(bed, "net_null2")  # and it goes on as ever
    assert has(bed) == {"net_null1", "net_null2"}


def test_an_application_that_dies_half_way_is_told_and_the_next_run_converges(bed: Bed) -> None:
    def kill(text: str) -> None:
        if "net_null2" in text and bed.alive:
            bed.kill()

    with pytest.raises(HotplugError) as error:
        run(bed, "net_null1", "net_null2", progress=kill)
    assert error.value.reason == "primary_gone", str(error.value)
    assert error.value.fields["not_undone"] == []
    bed.end()
    bed.start()
    assert has(bed) == set()
    assert run(bed, "net_null1", "net_null2")["changed"]
    assert has(bed) == {"net_null1", "net_null2"}


def test_ports_that_do_well_pass_and_others_are_taken_away_again(bed: Bed) -> None:
    started = True if "start" in bed.can else None
    wanted = [{"device": one, "started": started} for one in ("net_null1", "net_null2")]
    run(bed, wanted[0])
    if started is None and not bed.settles_itself:
        error = fails(bed, *wanted, health={"started": True, "timeout": 0.3})
        assert error.reason == "unhealthy"
        names_all(error, "net_null1", "is not started")
        assert error.fields["not_undone"] == []
        assert has(bed) == {"net_null1"}
        bed.make_started("net_null1")
    result = run(bed, *wanted, health={"link": True, "timeout": 30})
    assert result["changed"]
    assert has(bed) == {"net_null1", "net_null2"}
    assert run(bed, *wanted, health={"packets": True, "timeout": 0.3})["changed"] is False, "nothing is to be undone"


def test_packets_have_to_move_where_that_is_asked_for(bed: Bed) -> None:
    """testpmd does not forward here; grout and Open vSwitch take what net_null receives without end."""
    if "start" not in bed.can and not bed.settles_itself:
        run(bed, "net_null1")
        bed.make_started("net_null1")
    wanted = [{"device": "net_null1", "started": True}, "net_null2"]
    if bed.settles_itself:
        assert run(bed, *wanted, health={"packets": True, "timeout": 30})["changed"]
        return
    before = has(bed)
    error = fails(bed, *wanted, health={"packets": True, "timeout": 1})
    assert error.reason == "unhealthy"
    names_all(error, "net_null1", "moves no packets")
    assert has(bed) == before


def test_the_adapter_is_found_and_says_what_it_can_do(bed: Bed) -> None:
    (found,) = [one for one in info.apps() if one["pid"] == bed.pid]
    assert found["prefix"] == bed.prefix
    rows = {(row["adapter"], row["channel"]): row for row in found["adapters"]}
    (mine,) = [row for (adapter, channel), row in rows.items() if adapter == bed.adapter and channel in ("", "ipc")]
    assert set(mine["can"]) == bed.can
    assert mine["usable"] is (bed.adapter != "command"), "commands come with the document"
    assert all(row["reason"] for row in rows.values() if not row["usable"])
    usable = [row["adapter"] for row in found["adapters"] if row["usable"]]
    if bed.adapter not in ("command", "multiprocess"):
        assert usable[0] == bed.adapter, "auto takes another one"
