# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""What the command ``dpdk-hotplug`` runs. Each way through it imports what it needs and nothing else."""

from __future__ import annotations

import sys
import typing as t

if t.TYPE_CHECKING:
    from ._errors import HotplugError

MAX_REQUEST = 1 << 20
# Written before the answer to a task: from here on something may be changed. Without it the task may run as a module.
BEGUN = "dpdk-hotplug: begun"


def main(argv: t.Sequence[str] | None = None) -> int:
    """``eal`` and ``request`` are for programs of this collection; everything else is for people. An exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.platform != "linux":
        sys.stderr.write(f"dpdk-hotplug: error: it works on Linux only, this is {sys.platform}\n")
        return 3
    if words[:1] == ["eal"]:
        from ._binding import _child

        _child.main()
    if words[:1] == ["request"]:
        return _request(words[1:])
    from . import _cli

    return _cli.main(words)


def _request(words: t.Sequence[str]) -> int:
    """One JSON request on stdin, one JSON answer on the descriptor of ``--answer-fd`` (by default stdout).

    ``{"converge": DOCUMENT, "check": false}`` brings the host into that state; with ``"version"`` it is refused by
    another release.

    ``{"module": NAME, "options": {...}, "check": false}`` does and returns what the module of that name does; the
    options are those that it has after its argument spec. A line ``BEGUN`` goes before that answer.
    """
    import json

    from ._errors import HotplugError
    from ._outcome import BAD_INPUT, DONE, exit_code, failure, internal

    if words and (len(words) != 2 or words[0] != "--answer-fd" or not words[1].isdecimal()):
        sys.stderr.write("dpdk-hotplug: error: usage: dpdk-hotplug request [--answer-fd N]\n")
        return BAD_INPUT
    fd = int(words[1]) if words else 1
    code = DONE
    try:
        answer = _answer(_read(), lambda: _write(fd, BEGUN))
    except HotplugError as error:
        code, answer = exit_code(error), failure(error)
    except Exception as exc:
        defect = internal(exc)
        code, answer = exit_code(defect), failure(defect)
    _write(fd, json.dumps(answer))
    return code


def _write(fd: int, line: str) -> None:
    import os

    data = line.encode() + b"\n"
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass  # nobody listens any more; what was done is done


def _read() -> dict[str, t.Any]:
    import json

    data = sys.stdin.buffer.read(MAX_REQUEST + 1)
    if len(data) > MAX_REQUEST:
        raise _bad(f"has more than {MAX_REQUEST} bytes")
    try:
        request = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise _bad(f"is no JSON: {exc}") from exc
    if not isinstance(request, dict):
        raise _bad("is no object")
    return request


def _answer(request: dict[str, t.Any], begin: t.Callable[[], None] = lambda: None) -> dict[str, t.Any]:
    _same_version(request.pop("version", None))
    if has_commands(request):
        raise _bad("has commands to run, which are for modules: who may send requests may not run anything as root")
    check = request.pop("check", False)
    if set(request) == {"module", "options"} and isinstance(check, bool):
        return _as_module(request["module"], request["options"], begin, check=check)
    if set(request) != {"converge"} or not isinstance(check, bool):
        raise _bad("needs either converge, or module and options; and check as true or false")
    from ._state.engine import converge

    return converge(request["converge"], check=check)


def has_commands(value: t.Any) -> bool:
    """Whether a document or options would have commands of the operator's run. sudo may grant requests, not these."""
    if isinstance(value, dict):
        return any(value.get(name) for name in _COMMANDS) or any(map(has_commands, value.values()))
    return isinstance(value, list) and any(map(has_commands, value))


_COMMANDS = ("commands", "drain", "undrain")
_OF_A_PORT = ("dpdk_port",)
_OF_APPS = ("dpdk_port_info", "dpdk_app_info", "dpdk_evacuation")
_OF_THE_HOST = ("dpdk_device", "dpdk_sriov", "dpdk_hugepages", "dpdk_slot", "dpdk_host")
_LOOKS_AT_THE_HOST = ("dpdk_device_info", "dpdk_hugepages_info", "dpdk_host_info")


def _as_module(name: t.Any, options: t.Any, begin: t.Callable[[], None], *, check: bool) -> dict[str, t.Any]:
    """What a task gets from the module of that name; the very functions that the module calls."""
    place: t.Any
    if name in _OF_A_PORT:
        from . import _modules as place
    elif name in _OF_APPS:
        from . import _app_modules as place
    elif name in _OF_THE_HOST:
        from . import _host_modules as place
    elif name in _LOOKS_AT_THE_HOST:
        from . import _host_info_modules as place
    else:
        raise _bad(f"asks for the module {name!r:.40}")
    if not isinstance(options, dict):
        raise _bad("has options that are no object")
    work = getattr(place, name[len("dpdk_") :])
    begin()
    result: dict[str, t.Any] = work(options) if name.endswith("_info") else work(options, check=check)
    return result


def _same_version(asked: t.Any) -> None:
    if asked is None:
        return
    from ._version import version

    if asked != version():
        raise _bad(f"is for release {asked!r}, this is {version()!r}", "other_version")


def _bad(what: str, reason: str = "bad_request") -> HotplugError:
    from ._errors import HotplugError

    return HotplugError(reason, f"the request {what}", way_out="Use the command of the collection's own release.")


if __name__ == "__main__":
    raise SystemExit(main())
