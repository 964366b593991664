# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evacuating and restoring fake applications: what goes, what is remembered, and what comes back."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _host_modules
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import Devargs
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import files, memory, persistence
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import evacuated, evacuation, host_info, replaced
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_adapter import SwitchingAdapter
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import Act, FakeApp

pytestmark = pytest.mark.usefixtures("place", "patient", "kept")
Start = t.Callable[..., FakeApp]
Switching = t.Callable[[FakeApp], FakeApp]
Json = dict[str, t.Any]
CARD = "0000:01:00.0"


def attach(app: FakeApp, /, *devices: str, **more: t.Any) -> None:
    ports = [{"device": one} for one in devices]
    converge({"apps": [{"app": app.prefix, "runtime_dir": app.runtime_dir, "ports": ports, **more}]})
    app.forget()


def evacuate(**more: t.Any) -> Json:
    return evacuation.run(timeout=0.3, **more)


def restore(**more: t.Any) -> Json:
    return evacuation.run(present=False, timeout=0.3, **more)


def remembered() -> dict[str, bool]:
    """The devices with their arguments, and whether they were started."""
    return {row["devargs"]: row["started"] for row in evacuated.rows(evacuated.read(System()))}


def acts(result: Json) -> list[str]:
    return [f"{one['action']} {one.get('device', '')}".strip() for one in result["actions"]]


def known(app: FakeApp) -> dict[str, t.Any]:
    """The arguments that are known of its devices; None of one where they are not."""
    entry = {"app": app.prefix, "runtime_dir": app.runtime_dir, "ports": []}
    ports = converge({"apps": [entry]}, check=True)["apps"][0]["diff"]["before"]["ports"]
    return {name: one["args"] for name, one in ports.items()}


def fails(call: t.Callable[[], t.Any], reason: str) -> HotplugError:
    with pytest.raises(HotplugError) as error:
        call()
    assert error.value.reason == reason, str(error.value)
    assert error.value.way_out
    json.dumps(error.value.result())
    return error.value


def test_check_do_repeat_undo_repeat(fake: Start, kept: str) -> None:
    app = fake(vdevs=["net_ring0"])
    attach(app, "net_null0,size=64", "net_null1")
    checked = evacuate(check=True)
    assert checked["changed"] and not os.path.exists(kept) and app.requests == []
    result = evacuate()
    assert app.attached == {"net_ring0": ""}
    assert result["changed"] and result["warnings"] == []
    assert acts(result) == acts(checked) == ["remember", "detach net_null0", "detach net_null1"]
    assert result["memory"] == checked["memory"]
    assert result["apps"][0]["diff"] == checked["apps"][0]["diff"]
    assert (checked["evacuated"], [row["devargs"] for row in result["evacuated"]]) == (
        [],
        ["net_null0,size=64", "net_null1"],
    )
    assert remembered() == {"net_null0,size=64": False, "net_null1": False}
    assert os.stat(kept).st_mode & 0o777 == 0o644
    for check in (True, False):
        again = evacuate(check=check)
        assert not again["changed"] and again["actions"] == []
        assert len(again["evacuated"]) == 2
    checked = restore(check=True)
    assert checked["changed"] and app.attached == {"net_ring0": ""}
    result = restore()
    assert acts(result) == acts(checked) == ["attach net_null0", "attach net_null1", "forget"]
    assert result["evacuated"] == [] and not os.path.exists(kept)
    assert app.attached == {"net_ring0": "", "net_null0": "size=64", "net_null1": ""}
    for check in (True, False):
        assert not restore(check=check)["changed"]


def test_ports_that_were_started_are_stopped_and_started_again(fake: Start, switching: Switching) -> None:
    app = switching(fake())
    attach(app, "net_null0", "net_null1")
    app.start(1)
    assert acts(evacuate()) == ["remember", "stop net_null1", "detach net_null0", "detach net_null1"]
    assert remembered() == {"net_null0": False, "net_null1": True}
    assert acts(restore()) == ["attach net_null0", "attach net_null1", "start net_null1", "forget"]
    assert app.started == {1}


@pytest.mark.parametrize("started", [{1}, {0, 1}, {0}])
def test_of_several_ports_those_are_started_that_were(
    fake: Start, switching: Switching, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: set[int]
) -> None:
    (tmp_path / CARD).mkdir()
    monkeypatch.setattr(evacuated, "_PLACE_OF_CARDS", str(tmp_path))
    app = switching(fake(pci={CARD: [CARD, f"{CARD}_representor_vf0"]}))
    attach(app, CARD)
    for port_id in started:
        app.start(port_id)
    evacuate()
    assert app.attached == {} and remembered() == {CARD: True}
    restore()
    assert app.started == started


def test_a_started_port_that_nobody_stops_is_refused(fake: Start, kept: str) -> None:
    app = fake()
    attach(app, "net_null0")
    app.start(0)
    fails(evacuate, "port_started")
    assert not os.path.exists(kept) and app.requests == []
    entry = {"app": "web", "runtime_dir": app.runtime_dir, "force": True}
    assert evacuate(apps=[entry])["changed"]
    assert "force" not in json.loads(Path(kept).read_text())["apps"][0]["entry"]
    result = restore()
    assert app.attached == {"net_null0": ""} and app.started == set()
    assert "were started, which the adapter multiprocess cannot do" in result["warnings"][0]


def test_what_was_drained_is_undrained_when_it_is_back(fake: Start, switching: Switching, run: str) -> None:
    app = switching(fake())
    attach(app, "net_null0", "net_null1")
    app.start(0)
    hook = ["sh", "-c", f"echo $0 $1 >>{run}/said"]
    entry = {"app": "web", "runtime_dir": run, "drain": [*hook, "drain", "{device}"]}
    entry["undrain"] = [*hook, "undrain", "{device}"]
    assert acts(evacuate(apps=[entry]))[:2] == ["remember", "drain net_null0"]
    assert acts(restore())[-2:] == ["undrain net_null0", "forget"]
    assert Path(f"{run}/said").read_text().split("\n") == ["drain net_null0", "undrain net_null0", ""]


def test_an_application_that_was_restarted_gets_its_ports(fake: Start) -> None:
    app = fake(vdevs=["net_ring0"])
    attach(app, "net_null0,size=64")
    evacuate()
    app.end()
    error = fails(restore, "no_application")
    assert "forget" in error.way_out
    assert remembered() == {"net_null0,size=64": False}
    entry = {"app": "web", "required": False}
    assert not restore(apps=[entry])["changed"]
    app = fake(vdevs=["net_ring0"])
    assert not evacuate()["changed"]
    restore()
    assert app.attached == {"net_ring0": "", "net_null0": "size=64"}


def test_only_what_is_known_to_be_hot_attached_goes(fake: Start) -> None:
    app = fake(vdevs=["net_ring0"])
    app.attach("vdev:net_null5")
    attach(app, "net_null0")
    result = evacuate()
    assert app.attached == {"net_ring0": "", "net_null5": ""}
    (warning,) = result["warnings"]
    assert "net_null5" in warning and "net_ring0" not in warning
    other = fake("other")
    other.attach("vdev:net_null6")
    assert len(evacuate()["warnings"]) == 2


NAMED: list[tuple[str, list[str], str, dict[str, bool]]] = [
    ("at the start", ["net_ring0"], "", {"net_ring0": False}),
    ("hot attached", ["net_null0"], "", {"net_null0,size=64": False}),
    ("with its arguments", ["net_null0,size=64"], "", {"net_null0,size=64": False}),
    ("with others", ["net_null0,size=128"], "other_arguments", {}),
    ("somebody else's", ["net_null5"], "unknown_arguments", {}),
    ("somebody else's with arguments", ["net_null5,copy=1"], "", {"net_null5,copy=1": False}),
    ("somebody else's with none", ["net_null5,"], "", {"net_null5": False}),
    ("no device", ["/dev/null"], "bad_devargs", {}),
    ("a card that EAL has probed", ["01:00.0"], "", {CARD: False}),
    ("one of two refused", ["net_null0", "net_null5"], "unknown_arguments", {}),
]


@pytest.mark.parametrize("_what, devices, reason, expected", NAMED)
def test_named_devices(fake: Start, _what: str, devices: list[str], reason: str, expected: dict[str, bool]) -> None:
    app = fake(vdevs=["net_ring0"], pci={CARD: [CARD]})
    app.attach(f"pci:{CARD}")
    app.attach("vdev:net_null5")
    attach(app, "net_null0,size=64")
    before = app.attached
    if reason:
        fails(lambda: evacuate(devices=devices), reason)
        assert app.attached == before
    else:
        assert evacuate(devices=devices)["changed"]
        assert not evacuate(devices=devices)["changed"]
        assert len(app.attached) == len(before) - 1
    assert remembered() == expected


@pytest.mark.parametrize("params", [["--no-pci"], ["-b", CARD], ["-a", "0000:02:00.0"]])
def test_a_card_that_eal_has_not_probed_has_arguments_that_nobody_knows(fake: Start, params: list[str]) -> None:
    app = fake(params=params, pci={CARD: [CARD]})
    app.attach(f"pci:{CARD}")
    fails(lambda: evacuate(devices=[CARD]), "unknown_arguments")


def test_a_named_device_that_nobody_has_is_told(fake: Start) -> None:
    fake()
    result = evacuate(devices=["net_null7"])
    assert not result["changed"]
    assert "net_null7" in result["warnings"][0]


def test_evacuating_again_adds(fake: Start) -> None:
    app = fake()
    attach(app, "net_null0,size=64")
    evacuate()
    attach(app, "net_null1")
    second = fake("other")
    attach(second, "net_null0")
    assert evacuate()["changed"]
    assert [(row["app"], row["devargs"]) for row in evacuated.rows(evacuated.read(System()))] == [
        ("web", "net_null0,size=64"),
        ("web", "net_null1"),
        ("other", "net_null0"),
    ]
    restore(apps=[{"app": "other"}])
    assert second.attached == {"net_null0": ""} and app.attached == {}
    restore(devices=["net_null1"])
    assert app.attached == {"net_null1": ""}
    assert remembered() == {"net_null0,size=64": False}
    restore()
    assert app.attached == {"net_null1": "", "net_null0": "size=64"}


def test_what_is_remembered_and_comes_with_a_restart_goes_again(fake: Start) -> None:
    app = fake(vdevs=["net_null0,size=64"])
    evacuate(devices=["net_null0"])
    app.end()
    app = fake(vdevs=["net_null0,size=64"])
    assert acts(evacuate()) == ["detach net_null0"]
    restore()
    assert app.attached == {"net_null0": "size=64"}


def test_what_is_back_in_the_same_life_is_taken_for_what_it_was(fake: Start) -> None:
    app = fake()
    attach(app, "net_null0,size=64")
    evacuate()
    app.attach("vdev:net_null0,size=64")
    result = restore()
    assert acts(result) == ["forget"]
    assert "is taken to have the arguments that are remembered: 'size=64'" in result["warnings"][0]
    assert known(app) == {"net_null0": "size=64"}


def test_what_somebody_else_has_brought_back_is_not_taken_for_ours(fake: Start) -> None:
    app = fake()
    attach(app, "net_null0,size=64")
    evacuate()
    app.end()
    app = fake()
    app.attach("vdev:net_null0,size=32")
    result = restore()
    assert acts(result) == ["forget"]
    assert "arguments that are not known" in result["warnings"][0]
    assert known(app) == {"net_null0": None}


def test_it_is_back_by_itself(fake: Start) -> None:
    app = fake(vdevs=["net_null0,size=64"])
    evacuate(devices=["net_null0"])
    app.end()
    app = fake(vdevs=["net_null0,size=32"])
    result = restore()
    assert acts(result) == ["forget"]
    assert "size=32" in result["warnings"][0]
    assert app.requests == []


def test_nothing_else_attaches_it(fake: Start) -> None:
    app = fake()
    attach(app, "net_null0", "net_null1")
    evacuate(devices=["net_null0"])
    attach(app, "net_null1", "net_null2")  # others may come
    for check in (True, False):
        ports = [{"device": "net_null0"}, {"device": "net_null3"}]
        document = {"apps": [{"app": "web", "runtime_dir": app.runtime_dir, "ports": ports}]}
        error = fails(lambda: converge(document, check=check), "evacuated")  # noqa: B023
        assert error.device == "net_null0" and "restore" in error.way_out
    other = fake("other")
    attach(other, "net_null0")
    result = converge(document, leave_evacuated=True)
    assert [row["device"] for row in result["evacuated"]] == ["net_null0"]
    assert "is evacuated from application 'web'" in result["warnings"][0]
    assert sorted(app.attached) == ["net_null1", "net_null2", "net_null3"]
    again = converge(document, leave_evacuated=True)
    assert not again["changed"] and again["evacuated"]
    restore()
    assert not converge(document)["changed"]


def test_modules_leave_it_away_where_they_are_asked_to(fake: Start) -> None:
    app = fake()
    attach(app, "net_null0")
    evacuate()
    names = ("hugepages", "devices", "allow_active", "persistent", "timeout")
    given: Json = {**dict.fromkeys(names), "detail": "all", "leave_evacuated": False}
    given["apps"] = [{"app": "web", "runtime_dir": app.runtime_dir, "ports": [{"device": "net_null0"}]}]
    fails(lambda: _host_modules.host(given, check=True), "evacuated")
    result = _host_modules.host({**given, "leave_evacuated": True}, check=True)
    assert not result["changed"] and len(result["evacuated"]) == len(result["warnings"]) == 1


def test_who_reads_the_host_sees_it(fake: Start) -> None:
    attach(fake(), "net_null0")
    assert host_info._evacuated(System()) == []
    evacuate()
    assert [row["device"] for row in host_info._evacuated(System())] == ["net_null0"]


HOSTILE: list[tuple[str, t.Callable[[str], t.Any], str]] = [
    ("no JSON", lambda path: Path(path).write_text("nonsense"), "bad_file"),
    ("deep", lambda path: Path(path).write_text("[" * 100000), "bad_file"),
    ("a list", lambda path: Path(path).write_text("[]"), "bad_file"),
    ("another version", lambda path: Path(path).write_text('{"version": 2, "apps": []}'), "bad_file"),
    ("no text", lambda path: Path(path).write_bytes(b"\xff\xfe"), "bad_file"),
    ("too large", lambda path: Path(path).write_text(" " * (1 << 20) + "{}"), "foreign"),
    ("a link", lambda path: os.symlink("/etc/passwd", path), "foreign"),
    ("a link to nothing", lambda path: os.symlink("/nonexistent", path), "foreign"),
    ("a directory", os.mkdir, "foreign"),
    ("a pipe", os.mkfifo, "foreign"),
    ("a place that all may write to", lambda path: os.chmod(os.path.dirname(path), 0o777), "foreign"),
    ("a file that all may write to", lambda path: os.chmod(path, 0o666), "foreign"),
    ("somebody else's", lambda path: os.chown(path, 65534, 65534), "foreign"),
]
CONTENT: list[t.Any] = [
    {"app": "../web", "runtime_dir": "/run/dpdk", "devices": []},
    {"app": "web", "runtime_dir": "run", "devices": []},
    {"app": "web", "runtime_dir": "/run/../etc", "devices": []},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": {}},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": [], "entry": []},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": [], "more": 1},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": [{"device": "a b", "started": True, "since": 1}]},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": [{"device": "net_null0", "started": 1, "since": 1}]},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": [{"device": "net_null0", "started": True, "since": -1}]},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": [{"device": "net_null0", "started": True, "since": 1 << 60}]},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": [{"started": True, "since": 1}]},
    {"app": "web", "runtime_dir": "/run/dpdk", "devices": [{"device": "a", "started": True, "since": 1, "ports": [1]}]},
    "web",
]


def _refuses(app: FakeApp, reason: str) -> None:
    """All that would act on it, without a change."""
    app.forget()
    before = app.attached
    for call in (evacuate, restore, lambda: restore(forget=True), lambda: attach(app, "net_null3")):
        fails(call, reason)
    assert app.attached == before and app.requests == []


@pytest.mark.parametrize("what, spoil, reason", HOSTILE)
def test_a_file_that_is_not_to_be_trusted(
    fake: Start, kept: str, what: str, spoil: t.Callable[[str], t.Any], reason: str
) -> None:
    if what == "somebody else's" and os.geteuid():
        pytest.skip("needs root to give files away")
    app = fake()
    attach(app, "net_null0", "net_null1")
    evacuate(devices=["net_null0"])
    if what.startswith(("a link", "a directory", "a pipe")):
        os.unlink(kept)
    spoil(kept)
    _refuses(app, reason)


@pytest.mark.parametrize("content", CONTENT)
def test_content_that_we_do_not_write(fake: Start, kept: str, content: t.Any) -> None:
    app = fake()
    attach(app, "net_null0", "net_null1")
    evacuate(devices=["net_null0"])
    Path(kept).write_text(json.dumps({"version": 1, "apps": [content]}))
    _refuses(app, "bad_file")


def test_what_was_said_of_its_application_is_checked_as_ever(fake: Start, kept: str) -> None:
    app = fake()
    attach(app, "net_null0")
    evacuate()
    found = json.loads(Path(kept).read_text())
    found["apps"][0]["entry"] = {"adapter": "telnet"}
    Path(kept).write_text(json.dumps(found))
    fails(restore, "bad_document")
    assert app.attached == {}


def test_exclusive_does_not_take_away_what_is_left(fake: Start) -> None:
    app = fake()
    attach(app, "net_null0", "net_null1")
    evacuate(devices=["net_null0"])
    ports = [{"device": "net_null0"}]
    document = {"apps": [{"app": "web", "runtime_dir": app.runtime_dir, "ports": ports, "exclusive": True}]}
    converge(document, leave_evacuated=True)
    assert app.attached == {}
    restore()
    assert app.attached == {"net_null0": ""}


def test_runs_with_nothing_to_attach_do_not_read_it(fake: Start, kept: str) -> None:
    app = fake()
    attach(app, "net_null0", "net_null1")
    evacuate(devices=["net_null0"])
    with open(kept, "w") as file:
        file.write("nonsense")
    attach(app, "net_null1")
    attach(app, "net_null1", state="absent")
    fails(lambda: attach(app, "net_null1"), "bad_file")


FAILING: list[tuple[str, str, dict[str, t.Any]]] = [
    ("a detach", "bad_devargs", {"acts": [Act(), Act(result=-1)]}),
    ("the application dies", "primary_gone", {"acts": [Act(), Act(dies="before")]}),
]


@pytest.mark.parametrize("_what, _reason, how", FAILING)
def test_a_failed_evacuation_is_undone(fake: Start, kept: str, _what: str, _reason: str, how: dict[str, t.Any]) -> None:
    app = fake()
    attach(app, "net_null0", "net_null1")
    app.script(*how["acts"])
    with pytest.raises(HotplugError) as error:
        evacuate()
    assert error.value.fields["not_undone"] == []
    assert not os.path.exists(kept)
    if _reason != "primary_gone":
        assert app.attached == {"net_null0": "", "net_null1": ""}


def test_what_cannot_be_brought_back_stays_remembered(fake: Start) -> None:
    app = fake()
    attach(app, "net_null0,size=64", "net_null1", "net_null2")
    app.script(Act(), Act(), Act(result=-1), Act(), Act(result=-1))
    with pytest.raises(HotplugError) as error:
        evacuate()
    assert app.attached == {"net_null1": "", "net_null2": ""}
    assert remembered() == {"net_null0,size=64": False}
    assert len(error.value.fields["not_undone"]) == 2
    restore()
    assert app.attached["net_null0"] == "size=64"


def test_a_failed_restoration_is_undone(fake: Start) -> None:
    app = fake()
    attach(app, "net_null0", "net_null1")
    evacuate()
    app.script(Act(), Act(result=-1))
    error = fails(restore, "bad_devargs")
    assert "forget" in error.way_out
    assert app.attached == {}
    assert remembered() == {"net_null0": False, "net_null1": False}


def test_a_card_that_is_gone(fake: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    new = "0000:02:00.0"
    app = fake(pci={CARD: [CARD], new: [new]}, vdevs=["net_ring0"])
    app.attach(f"pci:{CARD}")
    attach(app, "net_null0")
    evacuate(devices=[CARD, "net_null0"])
    (tmp_path / new).mkdir()
    monkeypatch.setattr(evacuated, "_PLACE_OF_CARDS", str(tmp_path))
    for check in (True, False):
        error = fails(lambda: restore(check=check), "no_device")  # noqa: B023
        assert "replaced" in error.way_out and "forget" in error.way_out
        assert app.attached == {"net_ring0": ""}
    restore(replaced={CARD: new})
    assert app.attached == {"net_ring0": "", "net_null0": "", new: ""}


def test_forgetting(fake: Start, kept: str) -> None:
    app = fake()
    attach(app, "net_null0", "net_null1")
    evacuate()
    app.end()
    assert acts(restore(forget=True, devices=["net_null0"])) == ["forget"]
    assert remembered() == {"net_null1": False}
    assert restore(forget=True)["changed"]
    assert not restore(forget=True)["changed"]
    assert not os.path.exists(kept)


BAD: list[tuple[str, dict[str, t.Any]]] = [
    ("bad_document", {"apps": [{"app": "web", "ports": []}]}),
    ("bad_document", {"apps": {"app": "web"}}),
    ("bad_document", {"apps": [{"app": "web", "what": 1}]}),
    ("bad_document", {"apps": [{"app": "web", "exclusive": False}]}),
    ("bad_document", {"devices": [7]}),
    ("bad_document", {"devices": "net_null0"}),
    ("bad_document", {"replaced": [CARD]}),
    ("bad_devargs", {"replaced": {CARD: ""}}),
    ("bad_devargs", {"replaced": {"a b": CARD}}),
    ("given_twice", {"replaced": {"net_null0": CARD, "net_null1": "01:00.0"}}),
]


WRONG_WAY: list[tuple[bool, dict[str, t.Any]]] = [
    (True, {"replaced": {"net_null0": "net_null1"}}),
    (True, {"forget": True}),
    (False, {"forget": True, "replaced": {"net_null0": "net_null1"}}),
]


@pytest.mark.parametrize("present, given", WRONG_WAY)
def test_options_of_the_other_way(present: bool, given: dict[str, t.Any]) -> None:
    fails(lambda: evacuation.run(present=present, **given), "bad_document")


@pytest.mark.parametrize("reason, given", BAD)
@pytest.mark.parametrize("present", [True, False])
def test_bad_requests(reason: str, given: dict[str, t.Any], present: bool) -> None:
    fails(lambda: evacuation.run(present=present, **given), reason)


def _kill_at(point: int, kept: str, app: FakeApp, call: t.Callable[[], t.Any]) -> bool:
    """Whether the run was killed: by SIGKILL before its write number ``point``, be that of a file or a request."""

    def child() -> None:
        count = 0

        def counted(work: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
            def do(*args: t.Any, **more: t.Any) -> t.Any:
                nonlocal count
                if count == point:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
                return work(*args, **more)

            return do

        evacuated.write = counted(evacuated.write)
        for name in ("attach", "detach", "start", "stop"):
            setattr(SwitchingAdapter, name, counted(getattr(SwitchingAdapter, name)))
        call()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("way", ["evacuate", "restore"])
@pytest.mark.parametrize("then", ["evacuate", "restore"])
def test_killed_at_any_point_and_run_again(fake: Start, switching: Switching, kept: str, way: str, then: str) -> None:
    ways = {"evacuate": evacuate, "restore": restore}
    point, killed = 0, True
    while killed:
        app = switching(fake(f"web{point}", vdevs=["net_ring0"]))
        attach(app, "net_null0,size=64", "net_null1")
        app.start(1)
        if way == "restore":
            evacuate()
        killed = _kill_at(point, kept, app, ways[way])
        ways[then]()
        if then == "evacuate":
            assert app.attached == {"net_ring0": ""}
            assert remembered() == {"net_null0,size=64": True, "net_null1": False}
            restore()
        assert app.attached == {"net_ring0": "", "net_null0": "size=64", "net_null1": ""}
        assert known(app) == app.attached
        assert len(app.started) == 1
        assert remembered() == {}
        app.end()
        point += 1
    assert point == 5 + (way == "restore")


@pytest.mark.parametrize("way", ["evacuate", "restore"])
def test_a_write_that_fails_changes_nothing(
    fake: Start, switching: Switching, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    app = switching(fake())
    attach(app, "net_null0,size=64", "net_null1")
    app.start(0)
    if way == "restore":
        evacuate()
    before, known = app.attached, remembered()
    real, count = files.replace, 0
    gone = files.remove
    for point in range(3):
        count = 0

        def failing(work: t.Callable[..., None]) -> t.Callable[..., None]:
            def do(system: System, path: str, *args: t.Any, **more: t.Any) -> None:
                nonlocal count
                count += 1
                if count - 1 == point:  # noqa: B023
                    raise HotplugError("no_journal", "no space left on device", way_out="Make room.")
                work(system, path, *args, **more)

            return do

        monkeypatch.setattr(files, "replace", failing(real))
        monkeypatch.setattr(files, "remove", failing(gone))
        try:
            evacuate() if way == "evacuate" else restore()
        except HotplugError as error:
            assert error.reason == "no_journal"
            assert (app.attached, remembered()) == (before, known), point
            continue
        break
    assert point == (1 if way == "evacuate" else 2)


NEW = "0000:02:00.0"
KNOWN = {CARD: memory.Known(mac="02:00:00:00:00:01", netdev="eth1"), NEW: memory.Known(mac="02:00:00:00:00:02")}
RENAMED: list[tuple[str, Json, Json]] = [
    ("by its name", {"device": CARD, "started": True}, {"device": NEW, "started": True}),
    ("with arguments", {"device": f"{CARD},a=b"}, {"device": f"{NEW},a=b"}),
    ("in its short form", {"device": "01:00.0"}, {"device": NEW}),
    ("by its MAC address", {"select": {"mac": "02:00:00:00:00:01"}}, {"select": {"mac": "02:00:00:00:00:02"}}),
    (
        "by a name of which the new one has none",
        {"select": {"netdev": "eth1"}, "args": "a=b"},
        {"device": f"{NEW},a=b"},
    ),
    ("by another MAC address", {"select": {"mac": "02:00:00:00:00:09"}}, {"select": {"mac": "02:00:00:00:00:09"}}),
    ("by what it is", {"select": {"vendor": "8086"}}, {"select": {"vendor": "8086"}}),
    ("another device", {"device": "net_null0"}, {"device": "net_null0"}),
]


@pytest.mark.parametrize("_what, port, expected", RENAMED)
def test_ports_of_the_boot_document(_what: str, port: Json, expected: Json) -> None:
    boot = {"version": 1, "apps": [{"app": "web", "ports": [port, {"device": "net_null7"}]}]}
    found = replaced.renamed(boot, {CARD: Devargs("pci", NEW)}, KNOWN)
    assert found["apps"][0]["ports"] == [expected, {"device": "net_null7"}]


def test_the_new_device_may_have_arguments_of_its_own() -> None:
    boot = {"version": 1, "apps": [{"app": "web", "ports": [{"device": f"{CARD},a=b"}]}]}
    found = replaced.renamed(boot, {CARD: Devargs("pci", CARD, "c=d")}, {})
    assert found["apps"][0]["ports"] == [{"device": f"{CARD},c=d"}]


def test_a_device_is_not_twice_in_the_boot_document() -> None:
    boot = {"version": 1, "apps": [{"app": "web", "ports": [{"device": NEW}, {"device": CARD}]}]}
    assert replaced.renamed(boot, {CARD: Devargs("pci", NEW)}, {})["apps"][0]["ports"] == [{"device": NEW}]


def test_of_the_old_device_nothing_is_left() -> None:
    selected = {"select": {"mac": "02:00:00:00:00:01"}, "driver": "vfio-pci"}
    boot = {"version": 1, "devices": [{"device": CARD, "driver": "vfio-pci"}, selected]}
    assert replaced.renamed(boot, {CARD: Devargs("pci", NEW)}, KNOWN) == {}
    assert replaced.renamed(boot, {CARD: Devargs("pci", CARD)}, KNOWN) == boot


def test_what_persists_says_how_an_application_is_reached(fake: Start, switching: Switching, run: str) -> None:
    app = switching(fake())
    attach(app, "net_null0")
    app.start(0)
    os.makedirs(os.path.dirname(persistence.PATH))
    hook = {"drain": ["sh", "-c", f"echo $0 >>{run}/said", "{device}"]}
    entries = [{"app": "other", "drain": ["false"]}, {"app": "web", "exclusive": True, "ports": [], **hook}]
    Path(persistence.PATH).write_text(json.dumps({"version": 1, "apps": entries}))
    assert acts(evacuate()) == ["remember", "drain net_null0", "stop net_null0", "detach net_null0"]
    assert evacuated.read(System())[0].entry == hook
    assert Path(f"{run}/said").read_text() == "net_null0\n"


def test_two_of_one_name_are_told_apart(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    one = evacuated.Evacuated("web", "/run/a/dpdk", (evacuated.Away(Devargs("vdev", "net_null0"), True, 1),))
    other = one._replace(runtime_dir="/run/b/dpdk")
    evacuated.write(System(), [one, other])
    result = restore(forget=True, apps=[{"app": "web", "runtime_dir": "/run/b/dpdk"}])
    assert set(result["memory"]["before"]) == {"web in /run/a/dpdk", "web in /run/b/dpdk"}
    assert evacuated.read(System()) == (one,)


def test_the_boot_document_names_the_new_device(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    new = "0000:02:00.0"
    boot = {
        "version": 1,
        "devices": [{"device": CARD, "driver": "vfio-pci"}, {"device": new, "driver": "vfio-pci"}],
        "apps": [
            {"app": "web", "ports": [{"device": f"{CARD},a=b", "started": True}, {"device": "net_null0"}]},
            {"app": "third"},
        ],
    }
    os.makedirs(os.path.dirname(persistence.PATH))
    with open(persistence.PATH, "w") as file:
        json.dump(boot, file)
    written: list[t.Any] = []
    monkeypatch.setattr(persistence, "change", lambda _system, _before, after: written.append(after))
    assert acts(restore(replaced={CARD: new}, check=True)) == ["persist"]
    assert written == []
    assert acts(restore(replaced={CARD: new})) == ["persist"]
    assert written == [
        {
            "version": 1,
            "devices": [{"device": new, "driver": "vfio-pci"}],
            "apps": [
                {"app": "web", "ports": [{"device": f"{new},a=b", "started": True}, {"device": "net_null0"}]},
                {"app": "third"},
            ],
        }
    ]
    assert not restore(replaced={CARD: CARD})["changed"]
    assert not restore(replaced={"net_null7": "net_null8"})["changed"]
