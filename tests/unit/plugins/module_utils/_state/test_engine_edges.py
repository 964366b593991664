# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import Act, FakeApp

pytestmark = pytest.mark.usefixtures("place", "patient")


def test_one_that_dies_after_its_answer_was_given_up(fake: t.Callable[..., FakeApp]) -> None:
    app = fake()
    app.script(Act(), Act(delay=0.6, dies="before"))
    ports = [{"device": "net_null0"}, {"device": "net_null1"}]
    with pytest.raises(HotplugError) as error:
        converge({"apps": [{"app": "web", "runtime_dir": app.runtime_dir, "ports": ports, "timeout": 0.3}]})
    assert error.value.reason == "primary_gone"
    assert error.value.fields["not_undone"] == error.value.fields["undone"] == []
    app.gone()


def test_the_undo_of_a_forced_detach_says_that_the_port_is_not_started_again(fake: t.Callable[..., FakeApp]) -> None:
    app = fake(vdevs=["net_null0"])
    app.start(0)
    ports = [{"device": "net_null0", "state": "absent"}, {"device": "net_nope0"}]
    with pytest.raises(HotplugError) as error:
        converge({"apps": [{"app": "web", "runtime_dir": app.runtime_dir, "ports": ports, "force": True}]})
    assert error.value.reason == "unknown_driver"
    (left,) = error.value.fields["not_undone"]
    assert "attached again, but not started" in left
    assert (app.attached, app.started) == ({"net_null0": ""}, set())


CARD = "0000:01:00.0"


class Slot(System):
    """A host whose card is there when it is looked for first, and is pulled out then."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def link(self, path: str) -> str:
        if path != f"/sys/bus/pci/devices/{CARD}":
            return super().link(path)
        self.looks += 1
        return "../../../devices/pci0000:00/0000:01:00.0" if self.looks == 1 else ""


def _asked(app: FakeApp, state: str) -> dict[str, t.Any]:
    return {"apps": [{"app": "web", "runtime_dir": app.runtime_dir, "ports": [{"device": CARD, "state": state}]}]}


def test_a_card_that_is_pulled_out_during_its_attach_is_told(fake: t.Callable[..., FakeApp]) -> None:
    app = fake(pci={CARD: [CARD]})
    app.script(Act(result=-19))
    with pytest.raises(HotplugError) as error:
        converge(_asked(app, "present"), system=Slot())
    assert (error.value.reason, error.value.device) == ("removed_underneath", CARD)
    assert "has vanished from the bus: " in error.value.message
    assert app.attached == {}


def test_a_detach_that_fails_for_the_application_has_let_go_of_its_card_by_itself_is_done(
    fake: t.Callable[..., FakeApp],
) -> None:
    app = fake(pci={CARD: [CARD]})
    converge(_asked(app, "present"))
    app.script(Act(result=-2, done=True))
    result = converge(_asked(app, "absent"), system=Slot())
    assert result["changed"]
    assert app.attached == {}
    assert not converge(_asked(app, "absent"))["changed"]


def test_a_detach_that_fails_is_told_while_the_port_is_there(fake: t.Callable[..., FakeApp]) -> None:
    app = fake(pci={CARD: [CARD]})
    converge(_asked(app, "present"))
    app.script(Act(result=-2))
    with pytest.raises(HotplugError) as error:
        converge(_asked(app, "absent"), system=Slot())
    assert error.value.reason == "removed_underneath"
    assert list(app.attached) == [CARD]


class Bound(System):
    """A host whose card is at vfio-pci; ``opened``: what the application has open."""

    def __init__(self, opened: list[str]) -> None:
        super().__init__()
        self.opened = opened

    def link(self, path: str) -> str:
        if path == f"/sys/bus/pci/devices/{CARD}":
            return "../../../devices/pci0000:00/0000:01:00.0"
        if path == f"/sys/bus/pci/devices/{CARD}/driver":
            return "../../../../bus/pci/drivers/vfio-pci"
        if path.startswith("/proc/") and "/fd/" in path:
            return self.opened[int(path.rpartition("/")[2])]
        return super().link(path)

    def names(self, path: str) -> list[str]:
        if path.startswith("/proc/") and path.endswith("/fd"):
            return [str(number) for number in range(len(self.opened))]
        return super().names(path)


@pytest.mark.parametrize(
    ("opened", "reason"),
    [
        (["/dev/null", "socket:[1]"], "no_vfio"),
        (["/dev/null", "/dev/vfio/vfio"], "bad_devargs"),
        ([], "bad_devargs"),  # not to be known
    ],
)
def test_an_application_that_was_started_before_vfio_is_told_of(
    fake: t.Callable[..., FakeApp], opened: list[str], reason: str
) -> None:
    app = fake(pci={CARD: [CARD]})
    app.script(Act(result=-1))
    with pytest.raises(HotplugError) as error:
        converge(_asked(app, "present"), system=Bound(opened))
    assert (error.value.reason, error.value.device) == (reason, CARD)
    assert error.value.way_out
