# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library in an archive, as Ansible sends it: compiled once in a call, and by root once until the next boot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest

import ansible_collections.dpdk.hotplug.plugins.module_utils._errors as of_library

LIBRARY = Path(of_library.__file__).parent
NAME = "ansible_collections.dpdk.hotplug.plugins.module_utils"
INSIDE = LIBRARY.relative_to(LIBRARY.parents[4])
# Before anything of the library runs, Python is on its own.
OWN = {f"{NAME}.{name}" for name in ("_errors", "_archive")}
CALL = """
import collections, importlib, json, os, sys

times = collections.Counter()
sys.addaudithook(lambda event, given: times.update([given[1]]) if event == "compile" else None)
sys.path.insert(0, sys.argv[1])
package, place = sys.argv[2:]
errors = importlib.import_module(package + "._errors")
archive = sys.modules[package + "._archive"]
archive.PLACES = (place, place + "/code")  # and not what this machine has in /run
names = ("._state", "._state.engine", "._state.device_info", "._host.netlink")
found = [importlib.import_module(package + name) for name in names]
absent = []
for name in ("._none", "._state.none", "._errors.none"):
    try:
        importlib.import_module(package + name)
    except ModuleNotFoundError as error:
        absent.append(error.name)
try:
    found[1].converge({"apps": 1})
except errors.HotplugError as error:
    frame = error.__traceback__.tb_next.tb_frame
sent = {name: one.__file__ for name, one in sys.modules.items() if name.startswith(package + ".")}
print(json.dumps({
    "sent": sent,
    "times": times,
    "places": list(found[0].__path__),
    "absent": absent,
    "frame": frame.f_code.co_filename,
}))
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "payload.zip"
    pack(path)
    return path


def pack(path: Path, **changed: bytes) -> None:
    """The library, with more text at the end of some of its files."""
    with zipfile.ZipFile(path, "w") as into:
        for file in LIBRARY.rglob("*.py"):
            into.writestr(str(file.relative_to(LIBRARY.parents[4])), file.read_bytes() + changed.get(file.stem, b""))
        for above in range(1, 5):
            into.writestr(f"{LIBRARY.parents[above - 1].relative_to(LIBRARY.parents[4])}/__init__.py", "")


def call(archive: Path, place: Path, **environment: str) -> dict[str, t.Any]:
    """One call; ``compiled`` tells how often each module was."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, str(archive), NAME, str(place)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
    )
    told: dict[str, t.Any] = json.loads(done.stdout)
    inside = {name: file[len(f"{archive}/") :] for name, file in told["sent"].items() if name not in OWN}
    told["compiled"] = {name: told["times"][file] for name, file in inside.items() if told["times"].get(file)}
    assert told["compiled"].keys() <= told["sent"].keys() and len(inside) > 10
    return told


def test_what_ansible_sends_is_compiled_once(archive: Path, tmp_path: Path) -> None:
    told = call(archive, tmp_path / "none", PYTHONDONTWRITEBYTECODE="1")
    assert not (tmp_path / "none").exists(), "nothing is kept where Python shall write none"
    assert told["compiled"] == dict.fromkeys(told["sent"].keys() - OWN, 1)
    assert all(file.startswith(f"{archive}/") for file in told["sent"].values())
    assert told["places"] == [f"{archive}/{INSIDE}/_state"]
    assert told["absent"] == [f"{NAME}._none", f"{NAME}._state.none", f"{NAME}._errors.none"]
    assert told["frame"] == f"{INSIDE}/_state/engine.py"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    if os.geteuid():
        pytest.skip("only root keeps what it compiles")
    return tmp_path / "kept"


def test_what_root_has_compiled_is_kept(archive: Path, place: Path) -> None:
    first, second = call(archive, place), call(archive, place)
    assert first["compiled"] == dict.fromkeys(first["sent"].keys() - OWN, 1)
    assert second["compiled"] == {}
    assert {**second, "sent": 0, "times": 0, "compiled": 0} == {**first, "sent": 0, "times": 0, "compiled": 0}
    assert second["sent"].keys() == first["sent"].keys() - {f"{NAME}._keeping"}
    assert [one.stat().st_mode & 0o7777 for one in (place, place / "code")] == [0o700, 0o700]
    assert len(list((place / "code").iterdir())) == len(first["sent"].keys() - OWN), "one file each, and no others"


def test_only_what_has_changed_is_compiled_again(archive: Path, place: Path) -> None:
    first = call(archive, place)
    pack(archive, _system=b"# another release\n")
    assert call(archive, place)["compiled"] == {f"{NAME}._system": 1}
    assert call(archive, place)["compiled"] == {}
    assert len(list((place / "code").iterdir())) == len(first["sent"].keys() - OWN)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def _shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:12])


def _of_another_python(file: Path) -> None:
    file.write_bytes(b"\0\0\0\0" + file.read_bytes()[4:])


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("harm", [_cut, _shortened, _of_another_python, Path.unlink, _directory])
def test_what_cannot_be_used_is_compiled_again(archive: Path, place: Path, harm: t.Callable[[Path], None]) -> None:
    call(archive, place)
    (file,) = (place / "code").glob("_system.*")
    harm(file)
    assert f"{NAME}._system" in call(archive, place)["compiled"]
    assert (f"{NAME}._system" in call(archive, place)["compiled"]) == (harm is _directory)
    assert not list((place / "code").glob("*.[0-9]*")), "nothing is left half-written"


def _anybodys(place: Path) -> None:
    place.chmod(0o777)


def _anybodys_code(place: Path) -> None:
    (place / "code").chmod(0o770)


def _another_users(place: Path) -> None:
    os.chown(place / "code", 65534, -1)


def _link(place: Path) -> None:
    (place / "code").rename(place / "other")
    (place / "code").symlink_to("other")


def _file(place: Path) -> None:
    (place / "code").rename(place / "other")
    (place / "code").write_text("")


@pytest.mark.parametrize("harm", [_anybodys, _anybodys_code, _another_users, _link, _file])
def test_nothing_is_read_or_kept_where_others_may_write(
    archive: Path, place: Path, harm: t.Callable[[Path], None]
) -> None:
    call(archive, place)
    before = sorted((one.name, one.stat().st_mtime_ns) for one in (place / "code").iterdir())
    harm(place)
    told = call(archive, place)
    assert told["compiled"] == dict.fromkeys(told["sent"].keys() - OWN, 1)
    where = place / "other" if (place / "other").exists() else place / "code"
    assert sorted((one.name, one.stat().st_mtime_ns) for one in where.iterdir()) == before


def test_a_full_place_changes_nothing(archive: Path, place: Path) -> None:
    place.mkdir(0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", str(place)], check=True)
    try:
        for _each in range(2):
            told = call(archive, place)
            assert f"{NAME}._state.engine" in told["compiled"]
            assert not list((place / "code").glob("*.[0-9]*")), "nothing is left half-written"
    finally:
        subprocess.run(["umount", str(place)], check=True)
