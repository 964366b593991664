# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t
import zipfile
import zipimport

from ._errors import HotplugError

_PACKAGE = "ansible_collections/dpdk/hotplug/plugins/module_utils"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-")
# -IS: neither the environment nor the host's own packages come between.
_COMMAND = """#!{python} -IS
# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Written by dpdk.hotplug.dpdk_command.

import sys

sys.path.insert(0, "{home}")

from ansible_collections.dpdk.hotplug.plugins.module_utils._helper import main

sys.exit(main())
"""


def run(*, state: str, prefix: str, python: str, version: str, check: bool) -> dict[str, t.Any]:
    """Have the command dpdk-hotplug under ``prefix``, of this library and no other, or not have it.

    Returns ``changed``, ``command`` (its path), ``files`` (how many of them are put right or removed) and ``diff``.
    """
    for name, path in (("prefix", prefix), ("python", python)):
        if not path.startswith("/") or not set(path) <= _PLAIN or ".." in path.split("/"):
            raise HotplugError(
                "bad_request", f"{name} is {path!r}", way_out="Give an absolute path of letters, digits and ._+-/."
            )
    place = _Place(prefix.rstrip("/"))
    wanted: dict[str, bytes] = {}
    command = b""
    if state == "present":
        _everything()
        wanted = {f"{_PACKAGE}/{name}": data for name, data in _own_files().items()}
        wanted["VERSION"] = f"{version}\n".encode()
        command = _COMMAND.format(python=python, home=place.home).encode()
    there, launcher = place.files(), place.launcher()
    wrong = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    changed = bool(wrong) or launcher != command
    if changed and not check:
        place.replace(wanted if wrong else None, command)
    told = [there.get("VERSION", b"").decode("ascii", "replace"), version + "\n" if state == "present" else ""]
    return {
        "changed": changed,
        "warnings": [],
        "command": place.command,
        "files": len(wrong) + int(launcher != command),
        "diff": [
            {"before_header": f"{place.home}/VERSION", "before": told[0], "after": told[1]},
            {"prepared": "".join(f"{name}\n" for name in wrong)},
        ],
    }


def _everything() -> None:
    """What Ansible sends with a module is what it finds imported; this is never called for its effect."""
    from . import _helper

    del _helper


def _own_files() -> dict[str, bytes]:
    """The library that this file is a part of, by path in it, from Ansible's archive or from files."""
    loader = globals()["__loader__"]
    if isinstance(loader, zipimport.zipimporter):
        with zipfile.ZipFile(loader.archive) as archive:
            names = [name for name in archive.namelist() if name.startswith(f"{_PACKAGE}/") and name.endswith(".py")]
            return {name[len(_PACKAGE) + 1 :]: archive.read(name) for name in names}
    return _files(os.path.dirname(os.path.abspath(__file__)))


def _files(top: str) -> dict[str, bytes]:
    found = {}
    for above, _below, names in os.walk(top):
        for name in names:
            path = os.path.join(above, name)
            if name.endswith((".py", "VERSION")) and not os.path.islink(path):
                with open(path, "rb") as stream:
                    found[os.path.relpath(path, top)] = stream.read()
    return found


class _Place:
    """Where the command is: its library below ``home``, its launcher at ``command``."""

    def __init__(self, prefix: str) -> None:
        self.home = f"{prefix}/lib/dpdk-hotplug"
        self.command = f"{prefix}/bin/dpdk-hotplug"

    def files(self) -> dict[str, bytes]:
        return _files(self.home)

    def launcher(self) -> bytes:
        try:
            with open(self.command, "rb") as stream:
                return stream.read() if os.stat(self.command).st_mode & 0o777 == 0o755 else b""
        except OSError:
            return b""

    def replace(self, files: t.Mapping[str, bytes] | None, command: bytes) -> None:
        """A whole new library takes the place of the one before; who runs one or the other runs all of it."""
        fresh, old = f"{self.home}.new", f"{self.home}.old"
        try:
            if files is not None:
                for path in (fresh, old):
                    _remove(path)
                if files:
                    os.makedirs(os.path.dirname(self.home), mode=0o755, exist_ok=True)
                    _write_all(fresh, files)
                with contextlib.suppress(FileNotFoundError):
                    os.rename(self.home, old)
                if files:
                    os.rename(fresh, self.home)
                _remove(old)
            if command:
                os.makedirs(os.path.dirname(self.command), mode=0o755, exist_ok=True)
                _write(f"{self.command}.new", command, 0o755)
                os.rename(f"{self.command}.new", self.command)
            else:
                _remove(self.command)
        except OSError as exc:
            # What was there before is there again.
            if not os.path.lexists(self.home) and os.path.lexists(old):
                os.rename(old, self.home)
            _remove(fresh)
            raise HotplugError(
                "write_failed",
                f"the command cannot be installed: {exc.filename}: {exc.strerror}",
                way_out="Become root, or give a prefix that is yours; make room there.",
            ) from exc


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _write_all(top: str, files: t.Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = f"{top}/{name}"
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        _write(path, data, 0o644)
    for above, _below, _names in os.walk(top):
        os.chmod(above, 0o755)


def _write(path: str, data: bytes, mode: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "wb") as stream:
        stream.write(data)
        os.fchmod(fd, mode)
