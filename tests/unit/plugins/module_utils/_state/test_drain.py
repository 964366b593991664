# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drain hook, in the plan and against a stateful fake application; and the operator's own commands."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import Port
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import Devargs, parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.model import AppSpec, AppState, DeviceState, PortSpec
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.plan import plan, view
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.preview import predict
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp

Start = t.Callable[..., FakeApp]
Switching = t.Callable[[FakeApp], FakeApp]
ATTACHING = frozenset(("attach", "detach"))
SWITCHING = ATTACHING | {"start", "stop"}
SELF = ATTACHING | {"attach_started", "detach_started"}
NULL = parse("net_null0")


def state(*, started: bool = True, adopted: bool = True, bridge: str = "", devargs: str | None = None) -> AppState:
    port = Port(0, "net_null0", False, "", -1, started, started, adopted, bridge, devargs)
    return AppState({"net_null0": DeviceState(Devargs("vdev", "net_null0"), True, (port,))})


def ask(text: str = "net_null0", **more: t.Any) -> tuple[PortSpec, ...]:
    return (PortSpec(parse(text), **more),)


HOOK: dict[str, t.Any] = {"drain": ("drain",)}
GONE = ask(present=False)
PLANS: list[tuple[AppSpec, AppState, t.Collection[str], t.Any]] = [
    (AppSpec(ports=GONE, **HOOK), state(), SWITCHING, ["drain", "stop", "detach"]),
    (AppSpec(ports=GONE, **HOOK), state(), ATTACHING, ["drain", "detach"]),
    (AppSpec(ports=GONE, **HOOK), state(), SELF, ["drain", "detach"]),
    (AppSpec(ports=GONE, force=True, **HOOK), state(), ATTACHING, ["drain", "detach"]),
    (AppSpec(ports=GONE, **HOOK), state(started=False), SWITCHING, ["detach"]),
    (AppSpec(ports=GONE), state(), SELF, ["detach"]),
    (AppSpec(ports=GONE), state(), SELF | {"stop"}, ["detach"]),
    (AppSpec(ports=GONE), state(), ATTACHING, "port_started"),
    (AppSpec(ports=ask(started=False), **HOOK), state(), SWITCHING, ["drain", "stop"]),
    (AppSpec(ports=ask(started=True), **HOOK), state(started=False), SWITCHING, ["start"]),
    (AppSpec(ports=ask(started=True), **HOOK), AppState({}), SELF, ["attach"]),
    (AppSpec(ports=ask(started=False), **HOOK), AppState({}), SELF, "not_supported"),
    (AppSpec(ports=ask(started=False), **HOOK), AppState({}), SELF | {"stop"}, ["attach", "stop"]),
    (AppSpec(ports=ask(), **HOOK), state(), SWITCHING, []),
    (AppSpec(ports=ask()), state(started=False, adopted=False), SELF, ["attach"]),
    (AppSpec(ports=ask()), AppState({}), {"detach"}, "not_supported"),
    (AppSpec(ports=GONE), state(started=False), {"attach"}, "not_supported"),
    (AppSpec(ports=ask("net_null0,size=9"), recreate=True, **HOOK), state(), SELF, ["drain", "detach", "attach"]),
    (AppSpec(ports=ask(), bridge="br1"), state(bridge="br0"), SELF, "other_bridge"),
    (AppSpec(ports=ask(bridge="br0"), bridge="br1"), state(bridge="br0"), SELF, []),
    (AppSpec(ports=ask(), bridge="br1", recreate=True), state(bridge="br0"), SELF, ["detach", "attach"]),
    (AppSpec(ports=ask()), state(bridge="br0"), SELF, []),
]


@pytest.mark.parametrize("spec, before, verbs, expected", PLANS)
def test_plan(spec: AppSpec, before: AppState, verbs: t.Collection[str], expected: t.Any) -> None:
    if isinstance(expected, list):
        assert [step.verb for step in plan(spec, before, verbs).steps] == expected
        return
    with pytest.raises(HotplugError) as error:
        plan(spec, before, verbs)
    assert error.value.reason == expected
    assert error.value.way_out


def test_drains_come_before_every_other_step() -> None:
    many = AppState({f"net_null{n}": state().devices["net_null0"]._replace(device=parse(f"net_null{n}")) for n in "12"})
    spec = AppSpec(ports=tuple(PortSpec(one.device, present=False) for one in many.devices.values()), **HOOK)
    assert [step.verb for step in plan(spec, many, SWITCHING).steps] == [
        *("drain", "drain"),
        *("stop", "stop"),
        *("detach", "detach"),
    ]


def test_check_mode_predicts_what_a_self_starting_application_does() -> None:
    made = plan(AppSpec(ports=ask()), AppState({}), SELF)
    assert predict({}, made.steps, SELF) == {"net_null0": {"args": "", "started": True}}
    kept = plan(AppSpec(ports=ask(started=False), **HOOK), state(), SWITCHING)
    assert predict(view(state()), kept.steps[:1], SWITCHING) == view(state()), "a drain alone stops nothing"


pytestmark = pytest.mark.usefixtures("place", "patient")


class Hook:
    """A hook that notes what it was run with; ``code`` is what it ends with."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "noted"
        self.file.touch()

    def words(self, name: str, code: str = "") -> list[str]:
        note = f"import sys; open({str(self.file)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10)); {code}"
        return [sys.executable, "-S", "-c", note, name, "{app}", "{device}", "{port_ids}"]

    @property
    def noted(self) -> list[str]:
        return self.file.read_text().splitlines()


@pytest.fixture
def hook(tmp_path: Path) -> Hook:
    return Hook(tmp_path)


@pytest.fixture
def app(fake: Start) -> FakeApp:
    one = fake(vdevs=["net_null0", "net_null1"])
    one.start(0)
    return one


def run(app: FakeApp, *ports: t.Any, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
    entry = {"app": app.prefix, "runtime_dir": app.runtime_dir, "ports": list(ports), "timeout": 0.3, **more}
    return converge({"apps": [entry]}, check=check)


def fails(app: FakeApp, *ports: t.Any, **more: t.Any) -> HotplugError:
    with pytest.raises(HotplugError) as error:
        run(app, *ports, **more)
    assert error.value.way_out
    return error.value


ABSENT = {"device": "net_null0", "state": "absent"}
OTHER = {"device": "net_null1", "state": "absent"}


def test_a_started_port_is_drained_before_it_is_stopped(app: FakeApp, hook: Hook, switching: Switching) -> None:
    switching(app)
    result = run(app, ABSENT, OTHER, drain=hook.words("drain"))
    assert hook.noted == ["drain web net_null0 0"], "net_null1 is not started and needs no drain"
    acts = [(act["action"], act["device"]) for act in result["apps"][0]["actions"]]
    assert acts[0] == ("drain", "net_null0")
    assert app.attached == {}


def test_check_mode_shows_the_drain_and_does_not_run_it(app: FakeApp, hook: Hook, switching: Switching) -> None:
    switching(app)
    result = run(app, ABSENT, drain=hook.words("drain"), check=True)
    assert [act["action"] for act in result["apps"][0]["actions"]] == ["drain", "stop", "detach"]
    assert hook.noted == []


FAILS = [("sys.exit(7)", "ended with 7"), ("import time; time.sleep(600)", "did not end within 1 s")]


@pytest.mark.parametrize("code, text", FAILS)
def test_a_drain_that_fails_or_hangs_stops_the_plan_before_any_change(
    app: FakeApp, hook: Hook, switching: Switching, code: str, text: str
) -> None:
    switching(app)
    error = fails(app, ABSENT, OTHER, drain=hook.words("drain", code), undrain=hook.words("undrain"), drain_timeout=1)
    assert error.reason == "drain_failed"
    assert text in str(error) and "net_null0" in str(error)
    assert error.fields["actions"] == [] and error.fields["not_undone"] == []
    assert hook.noted == ["drain web net_null0 0", "undrain web net_null0 0"], "half a drain is taken back"
    assert app.requests == []
    assert set(app.attached) == {"net_null0", "net_null1"}


def test_a_drain_is_taken_back_when_a_later_step_fails(app: FakeApp, hook: Hook, switching: Switching) -> None:
    switching(app)
    hooks = {"drain": hook.words("drain"), "undrain": hook.words("undrain")}
    error = fails(app, ABSENT, {"device": "net_nosuch0"}, **hooks)
    assert error.reason == "unknown_driver"
    assert error.fields["undone"] == ["detach net_null0", "stop net_null0", "drain net_null0"]
    assert [line.split()[0] for line in hook.noted] == ["drain", "undrain"]
    assert "net_null0" in app.attached


def test_a_drain_that_cannot_be_taken_back_is_said(app: FakeApp, hook: Hook, switching: Switching) -> None:
    switching(app)
    error = fails(app, ABSENT, {"device": "net_nosuch0"}, drain=hook.words("drain"))
    assert error.fields["not_undone"] == ["drain net_null0: there is no command that takes it back (undrain)"]


def test_a_drain_must_stop_what_the_adapter_cannot(app: FakeApp, hook: Hook) -> None:
    error = fails(app, ABSENT, OTHER, drain=hook.words("drain"))
    assert error.reason == "drain_failed"
    assert "still started: 0" in str(error)
    assert app.requests == []
    assert run(app, ABSENT, drain=hook.words("drain"), force=True)["changed"]
    assert [line.split()[0] for line in hook.noted] == ["drain", "drain"], "force does not pass over the drain"


def test_a_hook_whose_program_is_missing_is_refused_before_any_change(app: FakeApp, switching: Switching) -> None:
    switching(app)
    error = fails(app, ABSENT, OTHER, drain=["/no/such/hook"])
    assert error.reason == "no_command"
    assert app.requests == []


def test_a_hook_is_not_looked_for_where_nothing_is_to_be_drained(app: FakeApp) -> None:
    assert run(app, OTHER, drain=["/no/such/hook"])["changed"]


def test_commands_of_the_operator_are_what_acts_and_status_is_what_tells(app: FakeApp, hook: Hook) -> None:
    """Commands that only note: nothing takes effect, and that is not called done."""
    status = [sys.executable, "-S", "-c", "print('[]')"]
    acting = {"attach": hook.words("attach"), "detach": hook.words("detach"), "status": status}
    error = fails(app, {"device": "net_null7"}, commands=acting)
    assert error.reason == "not_effective"
    assert hook.noted[0] == "attach web net_null7 "
    assert app.requests == []
    result = run(app, OTHER, commands=acting)
    assert (result["changed"], result["apps"][0]["app"]["adapter"]) == (False, "command")


def test_a_command_that_fails_after_it_did_its_work_has_done_it(app: FakeApp, hook: Hook, tmp_path: Path) -> None:
    there = tmp_path / "there"
    status = ["sh", "-c", f'[ -e {there} ] && echo \'[{{"device": "net_null7"}}]\' || echo "[]"']
    acting = {"attach": ["sh", "-c", f"touch {there}; exit 1"], "status": status}
    assert run(app, {"device": "net_null7"}, commands=acting)["changed"]
    there.unlink()
    acting["attach"] = ["sh", "-c", "echo no such card >&2; exit 1"]
    error = fails(app, {"device": "net_null7"}, commands=acting)
    assert (error.reason, error.device) == ("command_failed", "net_null7")
    assert "no such card" in str(error)
