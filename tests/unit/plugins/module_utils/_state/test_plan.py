# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan, as a pure function: tables of cases, and what holds for every state and every document."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import Port
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import Devargs
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.model import AppSpec, AppState, DeviceState, PortSpec
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.plan import Plan, plan, view
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.preview import predict
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.steps import Step

ATTACHING = frozenset(("attach", "detach"))
ALL = ATTACHING | {"start", "stop"}


def device(number: int, args: str = "") -> Devargs:
    return Devargs("vdev", f"net_null{number}", args)


def seen(
    number: int,
    args: str | None = "",
    *,
    started: bool = False,
    owned: bool = False,
    ids: t.Sequence[int] | None = None,
) -> DeviceState:
    ports = tuple(Port(port_id, f"net_null{number}", owned, "", -1, started, started) for port_id in (ids or [number]))
    return DeviceState(device(number, args or ""), args is not None, ports)


def state(*devices: DeviceState) -> AppState:
    return AppState({one.device.name: one for one in devices})


def ask(number: int, args: str = "", **more: t.Any) -> PortSpec:
    return PortSpec(device(number, args), **more)


def gone(port_id: int) -> PortSpec:
    return PortSpec(port_id=port_id, present=False)


CASES: list[tuple[AppSpec, AppState, t.Collection[str], t.Any]] = [
    (AppSpec(), state(), ATTACHING, []),
    (AppSpec(ports=(ask(0),)), state(), ATTACHING, ["attach net_null0"]),
    (AppSpec(ports=(ask(0, "size=64"),)), state(), ATTACHING, ["attach net_null0,size=64"]),
    (AppSpec(ports=(ask(0),)), state(seen(0, "size=64")), ATTACHING, []),
    (AppSpec(ports=(ask(0, "size=64"),)), state(seen(0, "size=64")), ATTACHING, []),
    (AppSpec(ports=(ask(0, "b=2,a=1"),)), state(seen(0, "a=1,b=2")), ATTACHING, []),
    (AppSpec(ports=(ask(0, present=False),)), state(), ATTACHING, []),
    (AppSpec(ports=(ask(0, present=False),)), state(seen(0)), ATTACHING, ["detach net_null0"]),
    (AppSpec(ports=(gone(5),)), state(seen(0, ids=[4, 5])), ATTACHING, ["detach net_null0"]),
    (AppSpec(ports=(gone(5),)), state(seen(0)), ATTACHING, []),
    (AppSpec(ports=(gone(0), ask(0, present=False))), state(seen(0)), ATTACHING, "given_twice"),
    (AppSpec(ports=(ask(0), ask(0, "size=64"))), state(), ATTACHING, "given_twice"),
    (AppSpec(ports=(gone(4), gone(5))), state(seen(0, ids=[4, 5])), ATTACHING, "given_twice"),
    (AppSpec(ports=(ask(0),), exclusive=True), state(seen(0), seen(1)), ATTACHING, ["detach net_null1"]),
    (AppSpec(exclusive=True), state(seen(1, owned=True)), ATTACHING, []),
    (AppSpec(ports=(ask(1, present=False),)), state(seen(1, owned=True)), ATTACHING, "owned"),
    (AppSpec(ports=(ask(1, present=False),), force=True), state(seen(1, owned=True)), ATTACHING, ["detach net_null1"]),
    (AppSpec(ports=(ask(0, present=False),)), state(seen(0, started=True)), ATTACHING, "port_started"),
    (
        AppSpec(ports=(ask(0, present=False),), force=True),
        state(seen(0, started=True)),
        ATTACHING,
        ["detach net_null0"],
    ),
    (
        AppSpec(ports=(ask(0, present=False),)),
        state(seen(0, started=True)),
        ALL,
        ["stop net_null0", "detach net_null0"],
    ),
    (
        AppSpec(ports=(ask(0, present=False),), force=True),
        state(seen(0, started=True)),
        ALL,
        ["stop net_null0", "detach net_null0"],
    ),
    (AppSpec(exclusive=True), state(seen(0, started=True)), ATTACHING, "port_started"),
    (AppSpec(ports=(ask(0, "size=64"),)), state(seen(0, "size=32")), ATTACHING, "other_arguments"),
    (AppSpec(ports=(ask(0, "size=64"),)), state(seen(0, None)), ATTACHING, []),
    (
        AppSpec(ports=(ask(0, "size=64"),), recreate=True),
        state(seen(0, "size=32")),
        ATTACHING,
        ["detach net_null0,size=32", "attach net_null0,size=64"],
    ),
    (
        AppSpec(ports=(ask(0, "a=1"),), recreate=True),
        state(seen(0, None)),
        ATTACHING,
        ["detach net_null0", "attach net_null0,a=1"],
    ),
    (AppSpec(ports=(ask(0, "a=1"),), recreate=True), state(seen(0, "a=1")), ATTACHING, []),
    (AppSpec(ports=(ask(0, "a=1"),), recreate=True), state(seen(0, "", started=True)), ATTACHING, "port_started"),
    (
        AppSpec(ports=(ask(0, "a=1"),), recreate=True),
        state(seen(0, "", started=True)),
        ALL,
        ["stop net_null0", "detach net_null0", "attach net_null0,a=1", "start net_null0,a=1"],
    ),
    (
        AppSpec(ports=(ask(0, "a=1", started=False),), recreate=True),
        state(seen(0, "", started=True)),
        ALL,
        ["stop net_null0", "detach net_null0", "attach net_null0,a=1"],
    ),
    (AppSpec(ports=(ask(0, started=True),)), state(), ALL, ["attach net_null0", "start net_null0"]),
    (AppSpec(ports=(ask(0, started=True),)), state(seen(0)), ALL, ["start net_null0"]),
    (AppSpec(ports=(ask(0, started=False),)), state(seen(0, started=True)), ALL, ["stop net_null0"]),
    (AppSpec(ports=(ask(0, started=True),)), state(seen(0, started=True)), ATTACHING, []),
    (AppSpec(ports=(ask(0, started=False),)), state(), ATTACHING, ["attach net_null0"]),
    (AppSpec(ports=(ask(0, started=True),)), state(), ATTACHING, "not_supported"),
    (AppSpec(ports=(ask(0, started=False),)), state(seen(0, started=True)), ATTACHING, "not_supported"),
    (
        AppSpec(ports=(ask(3, started=True), ask(0, present=False), ask(1, "a=1"), ask(2)), recreate=True),
        state(seen(0, started=True), seen(1, "b=1")),
        ALL,
        [
            "stop net_null0",
            "detach net_null0",
            "detach net_null1,b=1",
            "attach net_null3",
            "attach net_null1,a=1",
            "attach net_null2",
            "start net_null3",
        ],
    ),
]


@pytest.mark.parametrize("spec, before, verbs, expected", CASES)
def test_plan(spec: AppSpec, before: AppState, verbs: t.Collection[str], expected: t.Any) -> None:
    if isinstance(expected, list):
        assert [str(step) for step in plan(spec, before, verbs).steps] == expected
        return
    with pytest.raises(HotplugError) as error:
        plan(spec, before, verbs)
    assert error.value.reason == expected
    assert error.value.way_out and error.value.device


def test_all_refusals_are_told_at_once() -> None:
    spec = AppSpec("web", ports=(ask(0, present=False), ask(1, "a=1"), ask(2)))
    with pytest.raises(HotplugError) as error:
        plan(spec, state(seen(0, started=True), seen(1, "a=2")), ATTACHING)
    assert [one["reason"] for one in error.value.fields["refusals"]] == ["port_started", "other_arguments"]
    assert "net_null0" in str(error.value) and "net_null1" in str(error.value)
    assert error.value.app == "web"


def test_unknown_arguments_are_a_warning() -> None:
    before = state(seen(0, None))
    assert "net_null0" in plan(AppSpec(ports=(ask(0, "a=1"),)), before, ALL).warnings[0]
    assert plan(AppSpec(ports=(ask(0),)), before, ALL).warnings == ()
    assert plan(AppSpec(ports=(ask(0, "a=1"),), recreate=True), before, ALL).warnings == ()


# What holds for all of them

_ARGS = st.sampled_from(["", "a=1", "a=2", "b=1,a=1", "a=1,b=1"])
_FLAG = st.booleans()


# What test_drain.py has.
_NO_HOOK: dict[str, t.Any] = {"drain": st.just(()), "undrain": st.just(()), "bridge": st.just("")}


@st.composite
def _states(draw: t.Callable[..., t.Any]) -> AppState:
    devices = []
    ids = iter(draw(st.permutations(range(10))))
    for number in sorted(draw(st.sets(st.integers(0, 4)))):
        own = [next(ids) for _port in range(draw(st.integers(1, 2)))]
        args = draw(st.none() | _ARGS)
        devices.append(
            seen(number, args, started=draw(_FLAG), owned=draw(st.sampled_from([False, False, True])), ids=own)
        )
    return state(*devices)


_PRESENT = st.builds(ask, st.integers(0, 4), _ARGS, started=st.none() | _FLAG)
_ABSENT = st.builds(ask, st.integers(0, 4), present=st.just(False)) | st.builds(gone, st.integers(0, 10))
_SPECS = st.builds(
    AppSpec,
    st.just("web"),
    ports=st.lists(_PRESENT | _ABSENT, max_size=4).map(tuple),
    force=_FLAG,
    recreate=_FLAG,
    **_NO_HOOK,
) | st.builds(
    AppSpec,
    st.just("web"),
    ports=st.lists(_PRESENT, max_size=4).map(tuple),
    exclusive=st.just(True),
    force=_FLAG,
    recreate=_FLAG,
    **_NO_HOOK,
)
_VERBS = st.sampled_from([ATTACHING, ALL])


def done(before: AppState, step: Step) -> AppState:
    """What a step makes of a state; it fails where DPDK or an application would."""
    devices = dict(before.devices)
    name = step.device.name
    if step.verb == "attach":
        assert name not in devices
        taken = {port.port_id for one in devices.values() for port in one.ports}
        port_id = next(number for number in range(32) if number not in taken)
        devices[name] = DeviceState(step.device, True, (Port(port_id, name, False, "", -1, False, False),))
    elif step.verb == "detach":
        del devices[name]
    else:
        started = step.verb == "start"
        assert devices[name].started is not started
        ports = tuple(port._replace(started=started) for port in devices[name].ports)
        devices[name] = devices[name]._replace(ports=ports)
    return AppState(devices)


def applied(before: AppState, steps: t.Iterable[Step]) -> AppState:
    for step in steps:
        before = done(before, step)
    return before


def planned(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> Plan | None:
    try:
        return plan(spec, before, verbs)
    except HotplugError:
        return None


def _named(spec: AppSpec, before: AppState) -> list[PortSpec]:
    owners = {port.port_id: one.device for one in before.devices.values() for port in one.ports}
    ports = [one._replace(device=one.device or owners.get(one.port_id)) for one in spec.ports]
    return [one for one in ports if one.device]


@given(_SPECS, _states(), _VERBS)
def test_applying_a_plan_reaches_the_document(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> None:
    made = planned(spec, before, verbs)
    if made is None:
        return
    after = applied(before, made.steps).devices
    listed = _named(spec, before)
    for one in listed:
        assert one.device is not None
        there = after.get(one.device.name)
        assert (there is not None) is one.present
        if there is None:
            continue
        if one.started is not None:
            assert there.started is one.started
        if one.device.args and there.args_known:
            assert one.device.same_args(there.device.args)
    if spec.exclusive:
        names = {one.device.name for one in listed if one.device}
        assert all(name in names or there.owned for name, there in after.items())


@given(_SPECS, _states(), _VERBS)
def test_planning_again_gives_nothing(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> None:
    made = planned(spec, before, verbs)
    if made is not None:
        named = spec._replace(ports=tuple(_named(spec, before)))
        assert plan(named, applied(before, made.steps), verbs).steps == ()


@given(_SPECS, _states(), _VERBS)
def test_the_undo_of_every_step_restores(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> None:
    made = planned(spec, before, verbs)
    if made is None or not all(step.args_known for step in made.steps):
        return
    for count in range(len(made.steps) + 1):
        part = made.steps[:count]
        there = applied(before, part)
        back = applied(there, [step.inverse() for step in reversed(part)])
        expected = view(before)
        for step in part:
            if step.verb == "detach" and "start" not in verbs:  # forced, by an adapter that cannot start it again
                expected[step.device.name]["started"] = False
        assert view(back) == expected


@given(_SPECS, _states(), _VERBS)
def test_a_prediction_is_what_comes(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> None:
    made = planned(spec, before, verbs)
    if made is not None:
        assert predict(view(before), made.steps) == view(applied(before, made.steps))


@given(_SPECS, _states(), _VERBS)
def test_started_ports_and_owned_ones_are_safe(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> None:
    made = planned(spec, before, verbs)
    if made is None:
        return
    there = before
    for step in made.steps:
        if step.verb == "detach" and not spec.force:
            assert not there.devices[step.device.name].started
            assert not there.devices[step.device.name].owned
        there = done(there, step)


@given(_SPECS, _states(), _VERBS)
def test_exclusive_touches_only_what_is_not_listed(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> None:
    made = planned(spec, before, verbs)
    if made is None:
        return
    listed = {one.device.name: one for one in _named(spec, before) if one.device}
    for step in made.steps:
        if step.device.name in listed:
            continue
        assert spec.exclusive
        assert step.verb in ("stop", "detach")
        assert not before.devices[step.device.name].owned


def _justified(reason: str, spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> bool:
    named = _named(spec, before)
    names = [one.device.name for one in named if one.device]
    if reason == "given_twice":
        return len(set(names)) < len(names)
    there = [(one, before.devices.get(one.device.name)) for one in named if one.device]
    if spec.exclusive:
        there += [
            (PortSpec(one.device, present=False), one) for name, one in before.devices.items() if name not in names
        ]
    going = [(one, now) for one, now in there if now and (not one.present or spec.recreate)]
    if reason == "port_started":
        return not spec.force and "stop" not in verbs and any(now.started for _one, now in going)
    if reason == "owned":
        return not spec.force and any(now.owned for _one, now in going)
    if reason == "other_arguments":
        return not spec.recreate and any(
            now and now.args_known and one.device and one.present and not one.device.same_args(now.device.args)
            for one, now in there
        )
    return reason == "not_supported" and "start" not in verbs and any(one.started is not None for one in named)


@given(_SPECS, _states(), _VERBS)
def test_refusals_are_justified(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> None:
    try:
        plan(spec, before, verbs)
    except HotplugError as error:
        reasons = [one["reason"] for one in error.fields.get("refusals", [])] or [error.reason]
        assert all(_justified(reason, spec, before, verbs) for reason in reasons)


@given(_SPECS, _states(), _VERBS)
def test_the_order_is_the_one_of_the_host(spec: AppSpec, before: AppState, verbs: t.Collection[str]) -> None:
    kept = repr(before)
    made = planned(spec, before, verbs)
    assert repr(before) == kept
    if made is not None:
        assert [step.phase for step in made.steps] == sorted(step.phase for step in made.steps)
        assert {step.verb for step in made.steps} <= set(verbs)
