# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _journald
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import Devargs
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import events, persistence
from ansible_collections.dpdk.hotplug.plugins.module_utils._host_text import status_text
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import evacuated, home, reconciler, status
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._host.tree import modalias

PATIENCE = 20.0
APP = {"app": "web", "ports": [{"device": "net_null1"}]}
CARD = {"device": "0000:01:00.0", "driver": "vfio-pci", "expect": {"vendor": "8086", "device": "10d3"}}


def wait(until: t.Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.005)


class Bed:
    """A reconciler over a directory that stands for the host, and an engine that does as it is told."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        for name in ("etc/dpdk-hotplug", "run"):
            (root / name).mkdir(parents=True)
        self.asked: list[dict[str, t.Any]] = []
        self.answers: dict[str, t.Any] = {}
        self.rows: list[dict[str, t.Any]] = []
        self.log: list[tuple[str, dict[str, str]]] = []
        monkeypatch.setattr(_journald, "entry", self._entry)
        self.before: t.Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None

    def _entry(self, message: str, _priority: int = _journald.INFO, **fields: str) -> None:
        self.log.append((message, fields))

    def write(self, **document: t.Any) -> None:
        path = self.root / "etc/dpdk-hotplug/host.json"
        fresh = path.with_name(".host.json.new")
        fresh.write_text(json.dumps({"version": 1, **document}))
        fresh.rename(path)

    def converge(self, document: dict[str, t.Any], *, agreed: t.Callable[[], None]) -> dict[str, t.Any]:
        self.before()
        agreed()
        self.asked.append(document)
        key = next(name for name in document if name != "version")
        answer = self.answers.get(key)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if isinstance(answer, Exception):
            raise answer
        return answer or {"changed": False, "apps": [{"actions": []}] if key == "apps" else []}

    def start(self, **more: t.Any) -> None:
        self.reconciler = reconciler.Reconciler(self.converge, told=self._told, system=System(str(self.root)), **more)
        self._thread = threading.Thread(target=self.reconciler.run)
        self._thread.start()

    def _told(self, rows: list[dict[str, t.Any]]) -> None:
        self.rows = rows

    def times(self, key: str) -> int:
        return sum(key in one for one in self.asked)

    def state(self, name: str) -> str:
        return next((str(row["state"]) for row in self.rows if row["name"] == name), "")

    def application(self, name: str) -> None:
        """An application shows, as EAL makes its directory and its socket in there."""
        place = self.root / "run/dpdk" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "dpdk_telemetry.v2").unlink(missing_ok=True)
        (place / "dpdk_telemetry.v2").touch()

    def idle(self) -> bool:
        return self.reconciler._pause() is None and not any(one.working for one in self.reconciler._parts)

    def stop(self) -> None:
        if self._thread:
            self.reconciler.stop()
            self._thread.join(PATIENCE)
            self.reconciler.close()


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Bed]:
    made = Bed(tmp_path, monkeypatch)
    yield made
    made.stop()


def test_all_parts_are_applied_at_the_start_each_by_itself(bed: Bed) -> None:
    bed.write(hugepages={"pages": [{"size": "2M", "count": 4}]}, devices=[CARD], apps=[APP])
    bed.answers["devices"] = HotplugError("in_use", "it is in use")
    bed.start()
    wait(lambda: bed.state("web") == "holds" and bed.state("0000:01:00.0") == "failed")
    assert not bed.times("hugepages"), "memory is the boot's"
    device = next(one["devices"] for one in bed.asked if "devices" in one)
    assert device == [{"device": "0000:01:00.0", "driver": "vfio-pci"}], (
        "what is expected of it is no part of a document"
    )
    app = next(one["apps"] for one in bed.asked if "apps" in one)
    assert app == [{**APP, "required": False}]


def test_nothing_is_done_while_nothing_happens(bed: Bed) -> None:
    bed.write(apps=[APP])
    bed.start()
    wait(lambda: bed.state("web") == "holds")
    assert [one.due for one in bed.reconciler._parts] == [None] and bed.reconciler._pause() is None


def test_an_application_that_starts_gets_its_ports(bed: Bed) -> None:
    bed.write(apps=[APP, {"app": "other", "ports": []}])
    (bed.root / "run/dpdk").mkdir()
    bed.start()
    wait(lambda: bed.state("web") == "holds" and bed.state("other") == "holds")
    before = bed.times("apps")
    bed.answers["apps"] = {"changed": True, "apps": [{"actions": [{"action": "attach", "devargs": "net_null1"}]}]}
    bed.application("web")
    wait(lambda: any(message == "web: attach net_null1" for message, _fields in bed.log))
    assert all(one["apps"][0]["app"] == "web" for one in bed.asked[before:])
    fields = next(fields for message, fields in bed.log if message == "web: attach net_null1")
    assert fields == {"part": "web", "kind": "app", "action": "attach", "device": "net_null1"}


def test_directories_that_are_not_there_yet_are_waited_for(bed: Bed) -> None:
    bed.write(apps=[{**APP, "runtime_dir": ""}])
    bed.start()
    wait(lambda: bed.state("web") == "holds")
    for place in ("run/dpdk", "run/unit/dpdk"):
        before = bed.times("apps")
        (bed.root / place / "web").mkdir(parents=True)
        wait(lambda before=before: bed.times("apps") > before)  # type: ignore[misc]


def test_one_that_is_still_starting_is_tried_again_soon(bed: Bed) -> None:
    bed.write(apps=[APP])
    not_yet = HotplugError("not_ready", "it is still starting")
    bed.answers["apps"] = [{"changed": False, "apps": []}, not_yet, not_yet]
    bed.start()
    wait(lambda: bed.state("web") == "holds")
    assert bed.times("apps") == 4 and bed.log == [], "what passes by itself is not told"


def test_what_an_application_lacks_is_told_once_when_it_can_no_more_be_starting(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "_STARTING", 0.2)
    bed.write(apps=[APP])
    bed.answers["apps"] = HotplugError("no_memory", "there is none left")
    bed.start()
    wait(lambda: bool(bed.log))
    assert bed.times("apps") > 1
    tries = bed.times("apps")
    wait(lambda: bed.times("apps") > tries)
    assert [fields["reason"] for _message, fields in bed.log] == ["no_memory"]


def test_failures_are_tried_less_and_less_often_and_then_no_more(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "_FIRST_PAUSE", 0.0001)
    monkeypatch.setattr(reconciler, "_LAST_PAUSE", 0.001)
    bed.write(devices=[CARD])
    bed.answers["devices"] = HotplugError("in_use", "it is in use")
    bed.start()
    wait(lambda: bed.times("devices") == reconciler._MOST_TRIES + 1 and len(bed.log) == 2)
    assert bed.reconciler._pause() is None
    assert [("not tried again" in message) for message, _fields in bed.log] == [False, True]
    bed.answers.clear()
    bed.reconciler.reload()
    wait(lambda: bed.state("0000:01:00.0") == "holds")


def test_what_can_never_be_is_not_tried_again(bed: Bed) -> None:
    bed.write(apps=[APP])
    bed.answers["apps"] = HotplugError("bad_devargs", "no device")
    bed.start()
    wait(lambda: bed.state("web") == "failed")
    assert bed.reconciler._parts[0].due is None and len(bed.log) == 1


def test_a_new_document_takes_effect_when_it_is_written(bed: Bed) -> None:
    bed.start()
    wait(lambda: bed.rows == [] and bed.reconciler._pause() is None)
    bed.write(apps=[APP])
    wait(lambda: bed.state("web") == "holds")
    bed.write(apps=[])
    wait(lambda: bed.rows == [])


def test_a_document_that_is_written_while_the_first_is_read_takes_effect(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, late = persistence.read, iter([[APP]])

    def reading(system: System) -> dict[str, t.Any]:
        found = read(system)
        for apps in late:
            bed.write(apps=apps)
        return found

    monkeypatch.setattr(persistence, "read", reading)
    bed.start()
    wait(lambda: bed.state("web") == "holds")


def test_a_document_that_is_none_changes_nothing(bed: Bed) -> None:
    bed.write(apps=[APP])
    bed.start()
    wait(lambda: bed.state("web") == "holds")
    (bed.root / "etc/dpdk-hotplug/host.json").write_text("{")
    wait(lambda: bool(bed.log))
    assert bed.log[0][1]["reason"] == "bad_file" and bed.state("web") == "holds"


def test_what_asks_an_application_does_not_wake_us(bed: Bed) -> None:
    """The socket to which it answers is beside its own: a part that fails would be tried for ever, at once."""
    bed.write(apps=[APP])
    bed.application("web")
    bed.answers["apps"] = HotplugError("bad_devargs", "no")
    asked = bed.root / "run/dpdk/web/hotplug_1_2"

    def ask() -> None:
        asked.touch()
        asked.unlink()

    bed.before = ask
    bed.start()
    wait(lambda: bed.state("web") == "failed")
    before = bed.times("apps")
    ask()
    (bed.root / "run/dpdk/seen").mkdir()
    wait(lambda: bed.root.joinpath("run/dpdk/seen").as_posix() in bed.reconciler._directories._paths.values())
    assert bed.idle() and bed.times("apps") == before
    bed.application("web")
    wait(lambda: bed.times("apps") > before)


def test_what_we_keep_ourselves_does_not_wake_an_application_of_that_name(bed: Bed) -> None:
    bed.write(apps=[{**APP, "app": "dpdk-hotplug"}])
    bed.start()
    wait(lambda: bed.state("dpdk-hotplug") == "holds" and bed.idle())
    (bed.root / "run/dpdk-hotplug").mkdir()
    wait(lambda: bed.times("apps") > 1 and bed.idle())
    before = bed.times("apps")
    (bed.root / "run/dpdk-hotplug/reconciler.json").touch()
    (bed.root / "run/seen").mkdir()
    wait(lambda: bed.root.joinpath("run/seen").as_posix() in bed.reconciler._directories._paths.values())
    assert bed.idle() and bed.times("apps") == before


def test_a_task_that_had_the_locks_before_has_the_last_word(bed: Bed) -> None:
    """It has taken the application out of what is to persist while we waited for it."""
    bed.write(apps=[APP])
    fresh = {**APP, "ports": [{"device": "net_null2"}]}

    def task() -> None:
        bed.before = lambda: None
        bed.write(apps=[fresh])

    bed.before = task
    bed.start()
    wait(lambda: bed.state("web") == "holds" and bed.idle())
    assert [one["apps"][0]["ports"] for one in bed.asked if "apps" in one] == [fresh["ports"]] * len(bed.asked)
    assert bed.log == [], "what becomes of it is read again; nothing has failed"


def test_the_document_is_found_again_when_its_directory_went_meanwhile(bed: Bed) -> None:
    bed.write(apps=[APP])
    bed.start()
    wait(lambda: bed.state("web") == "holds")
    place = bed.root / "etc/dpdk-hotplug"
    (place / "host.json").unlink()
    place.rmdir()
    wait(lambda: bed.rows == [] and bed.idle())
    for _time in range(3):
        place.mkdir()
        bed.write(devices=[CARD])
        wait(lambda: bed.state("0000:01:00.0") == "holds")
        (place / "host.json").unlink()
        place.rmdir()
        wait(lambda: bed.rows == [])


def test_where_the_kernel_lost_events_everything_is_looked_at(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.write(devices=[CARD], apps=[APP])
    bed.start()
    wait(lambda: bed.state("web") == "holds" and bed.idle())
    read, lost = bed.reconciler._directories.read, [[("", "")]]
    monkeypatch.setattr(bed.reconciler._directories, "read", lambda: read() + (lost.pop() if lost else []))
    bed.reconciler._rouse()
    wait(lambda: bed.times("devices") > 1 and bed.times("apps") > 1)


@pytest.mark.parametrize("entry", [{"app": "grout", "ports": []}, {"app": "router", "adapter": "grout", "ports": []}])
def test_grout_shows_by_its_socket(bed: Bed, entry: dict[str, t.Any]) -> None:
    bed.write(apps=[entry, {"app": "web", "ports": []}])
    bed.start()
    wait(lambda: bed.state(entry["app"]) == "holds" and bed.state("web") == "holds" and bed.idle())
    before = len(bed.asked)
    (bed.root / "run/grout.sock").touch()
    wait(lambda: len(bed.asked) > before)
    assert {one["apps"][0]["app"] for one in bed.asked[before:]} == {entry["app"]}


def test_applications_go_on_when_a_device_came_to_be(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "_MOST_TRIES", 0)
    bed.write(devices=[CARD], apps=[APP])
    bed.answers["devices"] = HotplugError("in_use", "it is in use")
    bed.answers["apps"] = HotplugError("no_such_device", "it has no driver")
    bed.start()
    wait(lambda: bed.state("web") == "failed" and bed.state("0000:01:00.0") == "failed" and bed.idle())
    before = bed.times("apps")
    bed.answers["devices"] = [{"changed": True, "host": {"actions": [{"action": "bind", "device": "x"}]}, "apps": []}]
    bed.answers["apps"] = None
    bed.reconciler._parts[0].wake(time.monotonic())
    bed.reconciler._rouse()
    wait(lambda: bed.state("web") == "holds" and bed.times("apps") > before)


def test_when_it_last_acted_outlives_a_reconciler(bed: Bed) -> None:
    bed.write(apps=[APP])
    bed.start(acted={("app", "web"): 1234.5, ("app", "gone"): 1.0})
    wait(lambda: bed.state("web") == "holds")
    assert bed.rows[0]["acted"] == 1234.5


def test_a_card_that_comes_wakes_devices_and_applications(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.write(devices=[CARD], apps=[APP])
    bed.start()
    wait(lambda: bed.state("web") == "holds")
    news = [["0000:01:00.0"]]
    monkeypatch.setattr(bed.reconciler._uevents, "read", lambda: news.pop() if news else [])
    bed.reconciler._rouse()
    wait(lambda: bed.times("devices") > 1)
    wait(lambda: bed.times("apps") > 1)


def test_another_card_in_the_place_of_one_is_left_alone(bed: Bed) -> None:
    place = bed.root / "sys/bus/pci/devices/0000:01:00.0"
    place.mkdir(parents=True)
    (place / "modalias").write_text(modalias("15b3:1017"))
    bed.write(devices=[CARD])
    bed.start()
    wait(lambda: bed.state("0000:01:00.0") == "failed")
    assert bed.rows[0]["reason"] == "other_device" and bed.asked == []


def test_a_defect_of_ours_ends_nothing(bed: Bed) -> None:
    bed.write(apps=[APP])
    bed.answers["apps"] = [ZeroDivisionError("x")]
    bed.start()
    wait(lambda: bed.state("web") == "holds" and bed.times("apps") == 2)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"add@/devices/x\0ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:01:00.0\0SEQNUM=1", ["0000:01:00.0"]),
        (b"add@/devices/x\0ACTION=add\0SUBSYSTEM=net\0INTERFACE=eth0", []),
        (b"x\0ACTION=remove\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:01:00.0", []),
        (b"", []),
        (b"\xff\xfe=\0=", []),
    ],
)
def test_what_the_kernel_tells_of_devices(data: bytes, found: list[str]) -> None:
    assert list(events._arrived(data)) == found


# ---- what is evacuated

AWAY = {"app": "web", "device": "net_null1", "since": "2026-01-31T12:00:00Z"}
GONE = evacuated.Away(Devargs("vdev", "net_null1", "size=64"), False, 1769860800)
KEPT = evacuated.Evacuated("web", "/run/dpdk", (GONE,))
LEFT = {"changed": False, "apps": [{"actions": []}], "evacuated": [AWAY]}


def _remember(bed: Bed, *kept: evacuated.Evacuated) -> None:
    evacuated.write(System(str(bed.root)), kept)


@pytest.mark.parametrize("there", [True, False], ids=["there is a place for it", "it is written for the first time"])
def test_what_is_evacuated_is_left_away_until_it_is_back(bed: Bed, there: bool) -> None:
    (bed.root / "var/lib" / ("dpdk-hotplug" if there else "")).mkdir(parents=True)
    bed.write(apps=[APP, {"app": "other", "ports": []}])
    bed.start()
    wait(lambda: bed.state("web") == bed.state("other") == "holds" and bed.idle())
    before = bed.times("apps")
    _remember(bed, KEPT)
    time.sleep(0.1)
    assert bed.idle() and bed.times("apps") == before, "what is taken away is no matter of the reconciler's"
    bed.answers["apps"] = LEFT
    bed.application("web")
    wait(lambda: bed.state("web") == "evacuated" and bed.idle())
    row = next(row for row in bed.rows if row["name"] == "web")
    told = ("evacuated", "evacuated since 2026-01-31T12:00:00Z: net_null1", 0)
    assert (row["reason"], row["message"], row["tries"]) == told
    assert bed.log == [], "it is nothing that the journal should have"
    bed.answers["apps"] = None
    _remember(bed)
    wait(lambda: bed.state("web") == "holds" and bed.idle())
    before = bed.times("apps")
    for kept in ([KEPT], []):
        _remember(bed, *kept)
        time.sleep(0.1)
    wait(lambda: bed.times("apps") == before + 1 and bed.idle())
    assert bed.asked[-1]["apps"][0]["app"] == "web", "given up, what is to persist is to be there again"


def test_a_failure_is_looked_at_again_when_the_file_is_another(bed: Bed) -> None:
    (bed.root / "var/lib/dpdk-hotplug").mkdir(parents=True)
    (bed.root / "var/lib/dpdk-hotplug/evacuated.json").write_text("nonsense")
    bed.write(apps=[APP])
    bed.answers["apps"] = HotplugError("bad_file", "it is nonsense")
    bed.start()
    wait(lambda: bed.state("web") == "failed" and bed.idle())
    bed.answers["apps"] = None
    (bed.root / "var/lib/dpdk-hotplug/evacuated.json").unlink()
    wait(lambda: bed.state("web") == "holds")


def test_status_tells_what_is_evacuated(kept: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "read", lambda _system: {"apps": [APP]})
    monkeypatch.setattr(evacuated, "read", lambda _system: (KEPT,))
    found = status.status(lambda _desired, *, check: LEFT, system=kept)
    assert found["holds"] and [row["devargs"] for row in found["evacuated"]] == ["net_null1,size=64"]
    (row,) = found["parts"]
    assert (row["state"], row["message"]) == ("evacuated", "evacuated since 2026-01-31T12:00:00Z: net_null1")
    told = "web: net_null1,size=64 is evacuated since 2026-01-31T12:00:00Z; 'dpdk-hotplug restore' brings it back"
    assert told in status_text(found, 120)
    assert status_text({**found, "parts": []}, 120) == ["Nothing is to persist.", told]
    more = {**LEFT, "changed": True, "apps": [{"actions": [{"action": "attach", "devargs": "net_null2"}]}]}
    (row,) = status.status(lambda _desired, *, check: more, system=kept)["parts"]
    assert (row["state"], row["holds"]) == ("differs", False)


# ---- status


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setattr(home, "place", lambda: f"{tmp_path}/state")
    (tmp_path / "state").mkdir(mode=0o755)
    return System()


def test_status_tells_what_holds_and_what_does_not(kept: System, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"devices": [CARD], "apps": [APP, {"app": "gone", "ports": []}, {"app": "bad", "ports": []}]}
    monkeypatch.setattr(persistence, "read", lambda _system: document)

    def converge(desired: dict[str, t.Any], *, check: bool) -> dict[str, t.Any]:
        assert check
        if "devices" in desired:
            bind = {"action": "bind", "device": "0000:01:00.0", "before": "e1000e", "after": "vfio-pci"}
            return {"changed": True, "host": {"actions": [bind]}, "apps": []}
        if desired["apps"][0]["app"] == "bad":
            raise HotplugError("unreachable", "no way")
        return {"changed": False, "apps": [{"actions": []}] if desired["apps"][0]["app"] == "web" else []}

    found = status.status(converge, system=kept)
    assert not found["running"] and not found["holds"]
    assert [(row["name"], row["state"]) for row in found["parts"]] == [
        ("0000:01:00.0", "differs"),
        ("web", "holds"),
        ("gone", "waiting"),
        ("bad", "failed"),
    ]
    assert found["parts"][0]["todo"][0]["action"] == "bind" and found["parts"][3]["reason"] == "unreachable"


def test_status_has_what_the_reconciler_knows(kept: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "read", lambda _system: {"apps": [APP]})
    part = reconciler.parts({"apps": [APP]})[0]
    part.acted, part.tries = 1234.5, 3
    status.write([part.row()])

    def converge(_desired: dict[str, t.Any], *, check: bool) -> dict[str, t.Any]:
        return {"changed": not check, "apps": [{"actions": []}]}

    found = status.status(converge, system=kept)
    assert found["running"] and found["holds"]
    assert (found["parts"][0]["acted"], found["parts"][0]["tries"]) == (1234.5, 3)
    status.ended()
    found = status.status(converge, system=kept)
    assert not found["running"] and found["parts"][0]["acted"] == 1234.5
    assert status.acted() == {("app", "web"): 1234.5}


def test_status_tells_why_the_reconciler_could_not_do_it(kept: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "read", lambda _system: {"apps": [APP]})
    part = reconciler.parts({"apps": [APP]})[0]
    part.state, part.reason, part.message = "failed", "bad_devargs", "the driver refuses"
    status.write([part.row()])
    attach = {"changed": True, "apps": [{"actions": [{"action": "attach", "devargs": "net_null1"}]}]}
    (row,) = status.status(lambda _desired, *, check: attach, system=kept)["parts"]
    assert (row["state"], row["reason"], row["message"]) == ("differs", "bad_devargs", "the driver refuses")
    status.ended()
    (row,) = status.status(lambda _desired, *, check: attach, system=kept)["parts"]
    assert not row["message"], "what one that has ended could not do is not why"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": "x", "parts": [{}]}', '{"pid": 1, "parts": null}'])
def test_what_is_kept_may_be_damaged(kept: System, text: str) -> None:
    (Path(home.place()) / "reconciler.json").write_text(text)
    assert isinstance(status.acted(), dict)
