# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import importlib.util
import marshal
import os
import stat
import sys
import typing as t
import zipimport

# For where the library is in an archive, as Ansible sends it. Python compiles a file of one in each call, and twice,
# first to find its name (zipimport.get_filename()): most of what a call costs. So the names are made here, and what
# root compiles is kept until the next boot.

PLACES = ("/run/dpdk-hotplug", "/run/dpdk-hotplug/code")
_PACKAGE = __name__.rpartition(".")[0] + "."
_SPEC: t.Any = type(__spec__)


class _Archive(zipimport.zipimporter):
    def create_module(self, _spec: object) -> None:
        pass

    def exec_module(self, module: t.Any) -> None:
        source = self.get_data(module.__file__)
        name = f"{module.__name__[len(_PACKAGE) :]}.{sys.implementation.cache_tag}-{sys.flags.optimize}"
        head = importlib.util.MAGIC_NUMBER + importlib.util.source_hash(source)
        code = kept = _read(name, head)
        if not kept:
            code = compile(source, module.__file__[len(self.archive) + 1 :], "exec", dont_inherit=True)
        exec(code, module.__dict__)
        if not kept and not sys.dont_write_bytecode:
            from . import _keeping

            _keeping.keep(name, head + marshal.dumps(code))


def _read(name: str, head: bytes) -> t.Any:
    try:
        if all(map(is_roots, PLACES)):
            with open(f"{PLACES[-1]}/{name}", "rb") as file:
                return marshal.loads(file.read()) if file.read(len(head)) == head else None
    except (OSError, EOFError, ValueError, TypeError):
        pass
    return None


def is_roots(path: str) -> bool:
    """Whether it is a directory that nobody else can write. Raises OSError where it is not there."""
    status = os.lstat(path)
    return stat.S_ISDIR(status.st_mode) and not status.st_uid and not status.st_mode & 0o022


_archives: dict[str, _Archive] = {}


def find_spec(name: str, path: t.Sequence[str] | None = None, _target: object = None) -> t.Any:
    """As an entry of sys.meta_path has it."""
    if not path or not name.startswith(_PACKAGE):
        return None
    try:
        loader = _archives.get(path[0]) or _archives.setdefault(path[0], _Archive(path[0]))
        package = loader.is_package(name)
    except zipimport.ZipImportError:
        return None
    place = f"{path[0]}/{name.rpartition('.')[2]}"
    spec = _SPEC(name, loader, origin=place + ("/__init__.py" if package else ".py"), is_package=package)
    spec.has_location = True
    if package:
        spec.submodule_search_locations = [place]
    return spec


def serve() -> None:
    """From here on this finds what is in the archive."""
    sys.meta_path.insert(0, t.cast(t.Any, sys.modules[__name__]))
