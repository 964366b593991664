# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import sys
import typing as t
import zipimport

# For where the library is in an archive, as Ansible sends it. Python compiles a file of one twice, first to find
# its name (zipimport.get_filename()), and compiling is most of what a call costs. So the names are made here.

_PACKAGE = __name__.rpartition(".")[0] + "."
_SPEC: t.Any = type(__spec__)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: t.Sequence[str] | None = None, _target: object = None) -> t.Any:
        if not path or not name.startswith(_PACKAGE):
            return None
        try:
            loader = zipimport.zipimporter(path[0])
            package = loader.is_package(name)
        except zipimport.ZipImportError:
            return None
        place = f"{path[0]}/{name.rpartition('.')[2]}"
        origin = f"{place}/__init__.py" if package else f"{place}.py"
        spec = _SPEC(name, loader, origin=origin, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [place]
        return spec


def serve() -> None:
    """From here on this finds what is in the archive."""
    sys.meta_path.insert(0, t.cast(t.Any, _Finder))
