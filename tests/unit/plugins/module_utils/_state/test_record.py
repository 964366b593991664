# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _devices
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import Devargs
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import home
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import journal as journal_module
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.journal import Journal
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.looks import look
from ansible_collections.dpdk.hotplug.plugins.module_utils._state.record import Record

APP = App("web", "/run/dpdk", pid=7, start_time=99)
NULL = _devices.parse("net_null0,size=64")


@pytest.fixture
def kept(place: str) -> t.Iterator[str]:
    """The path of the record; its directory is there."""
    with home.open_home(home.key(APP)) as directory:
        yield f"{directory.path}/record.json"


def opened(app: App = APP) -> Record:
    return Record(home.open_home(home.key(app)), app)


def test_what_was_attached_is_known_to_the_next_run(kept: str) -> None:
    journal = Journal(opened())
    journal.attached(NULL)
    journal.adopted(NULL, ["odd name"])
    journal.save()
    again = opened()
    assert again.args("net_null0") == "size=64"
    assert again.device_of("odd name") == Devargs("vdev", "net_null0")
    assert again.device_of("net_null0") is None
    assert look(APP).devices == again.devices
    assert os.stat(kept).st_mode & 0o777 == 0o600
    assert sorted(os.listdir(os.path.dirname(kept))) == ["record.json"]


def test_what_is_planned_claims_nothing_yet(kept: str) -> None:
    one = opened()
    journal = Journal(one)
    journal.planned(NULL)
    journal.save()
    assert opened().args("net_null0") is None


def test_detached_and_absent_ones_have_no_arguments(kept: str) -> None:
    one = opened()
    journal = Journal(one)
    journal.attached(NULL)
    journal.attached(_devices.parse("net_null1,size=1"))
    one.forget_absent(["net_null1"])
    assert (one.args("net_null0"), one.args("net_null1")) == (None, "size=1")
    journal.detached(NULL._replace(name="net_null1"))
    assert one.args("net_null1") is None


def test_what_is_not_detached_after_all_is_known_again(kept: str) -> None:
    one = opened()
    journal = Journal(one)
    journal.attached(NULL)
    other = NULL._replace(name="net_null1")
    for device in (NULL, other):
        journal.restored(device, journal.detached(device))
    assert one.args("net_null0") == "size=64" and "net_null1" not in one.devices


def test_a_record_that_is_no_file_is_none(kept: str) -> None:
    os.mkdir(kept)
    assert opened().devices == {}


@pytest.mark.parametrize("life", [APP._replace(pid=8), APP._replace(start_time=100)])
def test_another_life_begins_anew(kept: str, life: App) -> None:
    one = opened()
    journal = Journal(one)
    journal.attached(NULL)
    journal.save()
    assert opened(life).devices == {}
    assert look(life).devices == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"pid": 7, "start_time": 99, "devices": []}', "\0"])
def test_a_broken_record_is_none(kept: str, text: str) -> None:
    with open(kept, "w") as file:
        file.write(text)
    assert opened().devices == {}


def test_a_link_is_not_followed(kept: str, tmp_path: t.Any) -> None:
    (tmp_path / "target").write_text(json.dumps({"pid": 7, "start_time": 99, "devices": {"x": {}}}))
    os.symlink(tmp_path / "target", kept)
    one = opened()
    assert one.devices == {}
    journal = Journal(one)
    journal.attached(NULL)
    journal.save()
    assert not os.path.islink(kept)
    assert "net_null0" not in (tmp_path / "target").read_text()


def test_nothing_new_is_not_written(kept: str) -> None:
    one = opened()
    journal = Journal(one)
    journal.attached(NULL)
    journal.save()
    before = os.stat(kept)
    journal.save()
    Journal(opened()).save()
    assert os.stat(kept) == before


class _Full:
    """os, on a disk that takes no more."""

    def __init__(self, call: str) -> None:
        self._call = call

    def __getattr__(self, name: str) -> t.Any:
        return self._refuse if name == self._call else getattr(os, name)

    def _refuse(self, *args: t.Any, **_more: t.Any) -> int:
        if self._call == "write":
            return 3
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_full_disk_is_an_error_and_keeps_the_old_record(
    kept: str, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    one = opened()
    journal = Journal(one)
    journal.attached(NULL)
    journal.save()
    journal.attached(_devices.parse("net_null1"))
    monkeypatch.setattr(journal_module, "os", _Full(call))
    with pytest.raises(HotplugError) as error:
        journal.save()
    monkeypatch.undo()
    assert error.value.reason == "no_journal"
    assert error.value.way_out


def test_looking_makes_nothing(place: str) -> None:
    assert look(APP).devices == {}
    assert not os.path.exists(place)
    journal = Journal(look(APP))
    journal.attached(NULL)
    journal.save()
    assert not os.path.exists(place)
