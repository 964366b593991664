# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules make of their options and of the library's answers. The targets run it all."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _app_modules, _modules
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError, failure
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import document, engine, info

REPO = Path(__file__).resolve().parents[4]
# As AnsibleModule hands them over: every option is there, None where it has no default and was not given.
DEFAULTS: dict[str, t.Any] = {
    "app": None,
    "ports": None,
    "device": None,
    "port_id": None,
    "state": "present",
    "exclusive": False,
    "started": None,
    "force": False,
    "atomic": True,
    "recreate": False,
    "adapter": "auto",
    "channel": "auto",
    "runtime_dir": None,
    "timeout": 30.0,
}
SAID = {
    "state": "present",
    "exclusive": False,
    "force": False,
    "atomic": True,
    "recreate": False,
    "adapter": "auto",
    "channel": "auto",
    "timeout": 30.0,
}
_PORT = {"device": "net_null1", "port_id": None, "state": None, "started": None}

DOCUMENTS: list[tuple[dict[str, t.Any], dict[str, t.Any]]] = [
    ({"device": "net_null1"}, {"ports": [{"device": "net_null1", "port_id": None}]}),
    ({"port_id": 0, "state": "absent"}, {"ports": [{"device": None, "port_id": 0}], "state": "absent"}),
    ({"ports": [], "exclusive": True}, {"ports": [], "exclusive": True}),
    ({"ports": [_PORT], "app": "web", "started": True}, {"ports": [_PORT], "app": "web", "started": True}),
    ({"ports": None, "exclusive": True}, {"ports": None, "exclusive": True}),
    (
        {"device": "01:00.0", "runtime_dir": "/run/unit/dpdk"},
        {"runtime_dir": "/run/unit/dpdk", "ports": [{"device": "01:00.0", "port_id": None}]},
    ),
]


@pytest.mark.parametrize("options, said", DOCUMENTS)
def test_port_says_its_options_in_a_document(
    options: dict[str, t.Any], said: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[t.Any] = []

    def converge(desired: t.Any, *, check: bool) -> dict[str, t.Any]:
        asked.append(desired)
        one = {"app": {"prefix": "web"}, "ports": [], "actions": [], "diff": {"before": {}, "after": {}}}
        return {"changed": check, "warnings": ["w"], "apps": [one]}

    monkeypatch.setattr(engine, "converge", converge)
    result = _modules.port({**DEFAULTS, **options}, check=True)
    assert asked == [{"apps": [{**SAID, **said}]}]
    assert result["changed"] is True
    assert result["warnings"] == ["w"]
    assert result["diff"]["before_header"] == result["diff"]["after_header"] == "ports of DPDK application web"


def test_unset_ports_beside_exclusive_are_not_an_empty_list() -> None:
    with pytest.raises(HotplugError) as error:
        _modules.port({**DEFAULTS, "exclusive": True}, check=True)
    assert error.value.reason == "bad_document"
    assert document.parse({"apps": [{"ports": [], "exclusive": True}]})[0][0].exclusive


def test_info_modules_ask_for_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "ports", lambda **asked: asked)
    monkeypatch.setattr(info, "apps", lambda **asked: [asked])
    nothing = {"app": None, "runtime_dir": None, "device": None}
    assert _app_modules.port_info(nothing) == {"app": "", "runtime_dir": "", "device": ""}
    assert _app_modules.app_info(nothing) == {"apps": [{"app": "", "runtime_dir": ""}]}
    given = {"app": "web", "runtime_dir": "/run/x/dpdk", "device": "net_null0"}
    assert _app_modules.port_info(given) == given


@pytest.mark.parametrize("left, changed", [({}, False), ({"not_undone": []}, False), ({"not_undone": ["x: y"]}, True)])
def test_a_failure_has_changed_what_could_not_be_undone(left: dict[str, t.Any], changed: bool) -> None:
    result = failure(HotplugError("failed", "it failed", **left))
    assert result["changed"] is changed
    assert result["error"]["reason"] == "failed"


def test_the_readme_has_every_reason() -> None:
    """Those that an operator can meet; a program's own ones are in the command's help or never leave the library."""
    inner = {"usage", "internal", "failed", "refused", "running", "bad_file", "bad_request", "exists", "missing_symbol"}
    inner |= {"no_mp_socket", "no_reply_socket", "log"}
    text = (REPO / "README.md").read_text()
    used: set[str] = set()
    for path in (REPO / "plugins" / "module_utils").rglob("*.py"):
        used |= set(re.findall(r'HotplugError\(\s*"([a-z_]+)"', path.read_text()))
    assert {reason for reason in used - inner if f"`{reason}`" not in text} == set()
