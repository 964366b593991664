# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import json
import os
import re


def version() -> str:
    """The release of the collection that this file is part of; empty where nothing tells it.

    The role ``helper`` writes a file VERSION beside its copy of the library; else the collection's own files say it.
    """
    above, _found, inside = os.path.abspath(__file__).rpartition("/ansible_collections/")
    collection = f"{above}/ansible_collections/{'/'.join(inside.split('/')[:2])}"
    manifest = _text(f"{collection}/MANIFEST.json")
    if manifest:
        return str(json.loads(manifest)["collection_info"]["version"])
    galaxy = re.search(r"^version:\s*[\"']?([^\s\"']+)", _text(f"{collection}/galaxy.yml"), re.MULTILINE)
    return galaxy.group(1) if galaxy else _text(f"{above}/VERSION").strip()


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(1 << 16)
    except OSError:
        return ""
