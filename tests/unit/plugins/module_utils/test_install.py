# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _install
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError

LIBRARY = "lib/dpdk-hotplug/ansible_collections/dpdk/hotplug/plugins/module_utils"


def install(where: Path, *, check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
    options = {"state": "present", "prefix": str(where), "python": sys.executable, "version": "1.2.3", **changes}
    return _install.run(check=check, **options)


def tree(top: Path) -> dict[str, tuple[int, bytes]]:
    paths = [path for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(top)): (path.stat().st_mode, path.read_bytes()) for path in paths}


def test_the_command_runs_from_where_it_is(tmp_path: Path) -> None:
    result = install(tmp_path)
    assert result["changed"] and result["command"] == f"{tmp_path}/bin/dpdk-hotplug"
    done = subprocess.run([result["command"], "--version"], capture_output=True, text=True, check=True, env={})
    assert done.stdout == "dpdk-hotplug 1.2.3\n"


def test_every_file_of_the_library_and_no_other(tmp_path: Path) -> None:
    install(tmp_path)
    own = Path(_install.__file__).parent
    wanted = {str(path.relative_to(own)) for path in own.rglob("*.py")}
    assert {str(path.relative_to(tmp_path / LIBRARY)) for path in (tmp_path / LIBRARY).rglob("*.py")} == wanted


def test_what_is_right_is_left_and_what_is_not_is_put_right(tmp_path: Path) -> None:
    install(tmp_path)
    before = tree(tmp_path)
    assert install(tmp_path)["changed"] is False
    (tmp_path / LIBRARY / "_errors.py").write_text("raise SystemExit('altered')\n")
    (tmp_path / LIBRARY / "_of_an_earlier_version.py").write_text("")
    assert install(tmp_path, check=True)["files"] == 2
    assert tree(tmp_path) != before
    assert install(tmp_path)["changed"]
    assert tree(tmp_path) == before
    (tmp_path / "bin/dpdk-hotplug").chmod(0o644)
    assert install(tmp_path)["files"] == 1
    assert tree(tmp_path) == before


def test_another_version_is_told_and_written(tmp_path: Path) -> None:
    install(tmp_path)
    result = install(tmp_path, version="1.2.4")
    assert (result["diff"][0]["before"], result["diff"][0]["after"]) == ("1.2.3\n", "1.2.4\n")
    assert (tmp_path / "lib/dpdk-hotplug/VERSION").read_text() == "1.2.4\n"


def test_removed_without_a_trace(tmp_path: Path) -> None:
    install(tmp_path)
    assert install(tmp_path, state="absent", check=True)["changed"]
    assert tree(tmp_path)
    assert install(tmp_path, state="absent")["changed"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bin", "lib"]
    assert install(tmp_path, state="absent")["changed"] is False


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    assert install(tmp_path, check=True)["changed"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "lib/dpdk-hotplug.new/x").mkdir(parents=True)
    (tmp_path / "lib/dpdk-hotplug.old").symlink_to("/etc")
    install(tmp_path)
    assert sorted(os.listdir(tmp_path / "lib")) == ["dpdk-hotplug"] and os.path.exists("/etc/passwd")


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    before = tree(tmp_path)

    def full(*_given: t.Any) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(_install, "_write", full)
    with pytest.raises(HotplugError) as caught:
        install(tmp_path, version="1.2.4")
    assert caught.value.reason == "write_failed" and "No space left" in caught.value.message
    assert tree(tmp_path) == before


@pytest.mark.parametrize("path", ["usr/local", "/usr/../x", "/a b", "/x;y", '/x"y', "/x\ny", ""])
def test_paths_that_are_not_plain_are_refused(path: str, tmp_path: Path) -> None:
    for option in ("prefix", "python"):
        options: dict[str, t.Any] = {option: path}
        with pytest.raises(HotplugError) as caught:
            install(tmp_path, **options)
        assert caught.value.reason == "bad_request" and option in caught.value.message
