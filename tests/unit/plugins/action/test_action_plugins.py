# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugins fit the modules and the command. What they do is in the integration target fast_path."""

from __future__ import annotations

from pathlib import Path

import ansible_collections.dpdk.hotplug.plugins.module_utils._errors as of_library
from ansible_collections.dpdk.hotplug.plugins.module_utils import (
    _app_modules,
    _helper,
    _host_info_modules,
    _host_modules,
    _modules,
)

PLUGINS = Path(of_library.__file__).parents[1]
# Any kernel argument and another library are as good as all of root: not for what sudo grants with one command.
NOT_ASKED = {"dpdk_kernel_args", "dpdk_command"}


def _names(folder: str) -> set[str]:
    return {path.stem for path in (PLUGINS / folder).glob("dpdk_*.py")}


def test_every_module_can_be_asked_of_the_command() -> None:
    assert _names("action") == _names("modules") - NOT_ASKED
    places = {
        _modules: _helper._OF_A_PORT,
        _app_modules: _helper._OF_APPS,
        _host_modules: _helper._OF_THE_HOST,
        _host_info_modules: _helper._LOOKS_AT_THE_HOST,
    }
    assert {name for names in places.values() for name in names} == _names("action")
    for place, names in places.items():
        assert all(callable(getattr(place, name[len("dpdk_") :])) for name in names)


def test_every_plugin_is_of_its_module() -> None:
    for name in _names("action"):
        text = (PLUGINS / "action" / f"{name}.py").read_text()
        assert f"plugins.modules.{name} import SPEC" in text and f'    module = "{name}"' in text
        assert "module = AnsibleModule(**SPEC)" in (PLUGINS / "modules" / f"{name}.py").read_text()
