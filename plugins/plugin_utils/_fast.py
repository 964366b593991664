# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""The fast path: a task asks the command dpdk-hotplug on the host, where that is installed in the same version.

One request goes to its standard input, in one round trip; nothing is copied to the host, no module is unpacked there.
Everything else is left to the module of the same name, which is the reference: what it returns is returned here.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.validation import check_type_str
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as ModuleAction
from ansible.utils.display import Display

from ansible_collections.dpdk.hotplug.plugins.module_utils._helper import BEGUN, MAX_REQUEST, has_commands
from ansible_collections.dpdk.hotplug.plugins.module_utils._version import version

VARIABLE = "dpdk_hotplug_command"
DEFAULT = "/usr/local/bin/dpdk-hotplug"

Json = dict[str, t.Any]
C: t.Any = constants
_display = Display()


class _ForTheModule(Exception):
    """The module has to run; the text says why."""


class FastAction(ModuleAction):
    """Does what the module of its name does. ``spec``: that module's arguments for AnsibleModule."""

    module: str
    spec: t.Mapping[str, t.Any]

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        variables = task_vars or {}
        try:
            return self._fast(variables)
        except _ForTheModule as why:
            _display.vvv(f"{self.module} runs as a module: {why}", host=variables.get("inventory_hostname"))
        result: Json = ModuleAction.run(self, tmp, task_vars)
        return result

    def _fast(self, variables: Json) -> Json:
        """The result, by the command. Raises _ForTheModule as long as nothing has begun on the host."""
        command = self._command(variables)
        self._check_way()
        mark = self._mark(command, variables)
        if os.path.exists(mark):
            raise _ForTheModule(f"{command} was not there before")
        ActionBase.run(self, None, variables)
        options, wrong = self._options()
        if wrong:
            return self._shown({"failed": True, "msg": wrong}, options, variables)
        request = {"version": version(), "module": self.module, "options": options, "check": self._task.check_mode}
        data = json.dumps(request).encode()
        if has_commands(options) or len(data) > MAX_REQUEST:
            raise _ForTheModule("it has commands to run, or very many arguments")
        words = f"{self._compute_environment_string()} {command} request".strip()
        done = self._low_level_execute_command(words, in_data=data)
        before, begun, after = f"\n{done['stdout']}".partition(f"\n{BEGUN}\n")
        if not begun:
            with open(mark, "w"):
                pass
            raise _ForTheModule(f"{command} did not begin: {(before + done['stderr']).strip()[-500:]}")
        return self._shown(_answer(after, done), options, variables)

    def _command(self, variables: Json) -> str:
        """The path of the command on the host that the task runs on."""
        theirs = variables.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        path = self._templar.template(theirs.get(VARIABLE, variables.get(VARIABLE, DEFAULT)))
        if not path:
            raise _ForTheModule(f"{VARIABLE} is empty")
        if not isinstance(path, str) or not path.startswith("/") or not path.isprintable():
            raise AnsibleActionFail(f"{VARIABLE} must be the absolute path of the command dpdk-hotplug, not {path!r}")
        quoted: str = self._connection._shell.quote(path)
        return quoted

    def _check_way(self) -> None:
        """Raises _ForTheModule where standard input cannot reach a command on the host, or Ansible needs its files."""
        become = self._connection.become
        reasons = {
            "it is async": self._task.async_val,
            "files are to be kept on the host": C.DEFAULT_KEEP_REMOTE_FILES,
            "the connection has no pipelining": not self._connection.has_pipelining,
            "the shell is not one of Linux": self._connection._shell.SHELL_FAMILY == "powershell",
            # ansible-core 2.16 knows su by its name, later ones say it of every become plugin.
            "become has no pipelining": become and not getattr(become, "pipelining", become.name != "su"),
            "become needs a terminal": become and getattr(become, "require_tty", False),
        }
        for reason, holds in reasons.items():
            if holds:
                raise _ForTheModule(reason)

    def _mark(self, command: str, variables: Json) -> str:
        """A file that is there once the command was not, in this run, for this way to this host."""
        host = self._task.delegate_to or variables.get("inventory_hostname")
        users = (self._get_remote_user(), self._connection.become and self.get_become_option("become_user"))
        way = json.dumps([str(one) for one in (host, self._play_context.remote_addr, *users, command)])
        return os.path.join(C.DEFAULT_LOCAL_TMP, f"dpdk-hotplug-{hashlib.sha256(way.encode()).hexdigest()[:20]}")

    def _options(self) -> tuple[Json, str]:
        """The task's arguments as the module has them, and what it would say is wrong with them."""
        try:
            given = json.loads(json.dumps(self._task.args))
        except (TypeError, ValueError) as exc:
            raise _ForTheModule(f"JSON cannot hold the arguments: {exc}") from exc
        limits = {name: value for name, value in self.spec.items() if name != "supports_check_mode"}
        validator = ArgumentSpecValidator(**{**limits, "argument_spec": _paths_of_the_host(self.spec["argument_spec"])})
        found = validator.validate(given)
        wrong = ""
        if found.errors.errors:
            wrong = found.errors.msg
            if isinstance(found.errors[0], UnsupportedError):
                wrong = f"Unsupported parameters for ({self._task.action}) module: {wrong}"
        return {**given, **found.validated_parameters}, wrong

    def _shown(self, answer: Json, options: Json, variables: Json) -> Json:
        """With what Ansible itself adds to the results of modules."""
        result = {name: value for name, value in answer.items() if name != "warnings" or value}
        # Before ansible-core 2.21, which asks whether it is wanted, every result has it.
        asked = "INJECT_INVOCATION" in C.config.get_configuration_definitions()
        if not asked or C.config.get_config_value("INJECT_INVOCATION", variables=variables):
            result["invocation"] = {"module_args": options}
        return result


def _paths_of_the_host(spec: t.Mapping[str, t.Any]) -> Json:
    """An argument spec with which no path is expanded here, on the controller."""
    own: Json = {}
    for name, option in spec.items():
        own[name] = {**option, "type": path} if option.get("type") == "path" else dict(option)
        if "options" in option:
            own[name]["options"] = _paths_of_the_host(option["options"])
    return own


def path(value: t.Any) -> str:
    """Ansible's type of this name, which messages have. Raises _ForTheModule for what the host must expand."""
    text: str = check_type_str(value)
    if "$" in text or text.startswith("~"):
        raise _ForTheModule(f"{text!r} is expanded on the host")
    return text


def _answer(text: str, done: Json) -> Json:
    """What the command has answered; a failure where it ended before that."""
    try:
        answer = json.loads(text.strip().rpartition("\n")[2])
        answer.pop("exit_code", None)
    except (ValueError, AttributeError):
        message = f"dpdk-hotplug was cut off on the host, exit code {done['rc']}"
        way_out = "Run it again: it looks at what is there before it changes anything."
        error = {"reason": "cut_off", "message": message, "way_out": way_out}
        told = {"module_stdout": text, "module_stderr": done["stderr"]}
        return {"failed": True, "msg": f"{message}. {way_out}", "error": error, **told}
    return dict(answer)
