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

_MAX_REQUEST = 1 << 20


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

    ``{"converge": DOCUMENT, "check": false}``, ``{"apps": {"app": "", "runtime_dir": ""}}`` or
    ``{"ports": {"app": "", "runtime_dir": "", "device": ""}}``; with ``"version"`` it is refused by another release.
    """
    import json
    import os

    from ._errors import HotplugError
    from ._outcome import BAD_INPUT, DONE, exit_code, failure, internal

    if words and (len(words) != 2 or words[0] != "--answer-fd" or not words[1].isdecimal()):
        sys.stderr.write("dpdk-hotplug: error: usage: dpdk-hotplug request [--answer-fd N]\n")
        return BAD_INPUT
    code = DONE
    try:
        answer = _answer(_read())
    except HotplugError as error:
        code, answer = exit_code(error), failure(error)
    except Exception as exc:
        defect = internal(exc)
        code, answer = exit_code(defect), failure(defect)
    data = json.dumps(answer).encode() + b"\n"
    try:
        while data:
            data = data[os.write(int(words[1]) if words else 1, data) :]
    except OSError:
        pass  # nobody listens any more; what was done is done
    return code


def _read() -> dict[str, t.Any]:
    import json

    data = sys.stdin.buffer.read(_MAX_REQUEST + 1)
    if len(data) > _MAX_REQUEST:
        raise _bad(f"has more than {_MAX_REQUEST} bytes")
    try:
        request = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise _bad(f"is no JSON: {exc}") from exc
    if not isinstance(request, dict):
        raise _bad("is no object")
    return request


def _answer(request: dict[str, t.Any]) -> dict[str, t.Any]:
    _same_version(request.pop("version", None))
    check = request.pop("check", False)
    if len(request) != 1 or not isinstance(check, bool):
        raise _bad("needs exactly one of converge, apps and ports, and check as true or false")
    ((verb, given),) = request.items()
    if verb == "converge":
        from ._state.engine import converge

        return converge(given, check=check)
    if verb == "apps":
        from ._state.info import apps

        return {"changed": False, "apps": apps(**_texts(given, "app", "runtime_dir"))}
    if verb == "ports":
        from ._state.info import ports

        return {"changed": False, **ports(**_texts(given, "app", "runtime_dir", "device"))}
    raise _bad(f"asks for {verb[:40]!r}")


def _same_version(asked: t.Any) -> None:
    if asked is None:
        return
    from ._version import version

    if asked != version():
        raise _bad(f"is for release {asked!r}, this is {version()!r}", "other_version")


def _texts(given: t.Any, *names: str) -> dict[str, t.Any]:
    """What is asked for, where it is nothing but texts of these names."""
    if isinstance(given, dict) and all(name in names and isinstance(text, str) for name, text in given.items()):
        return given
    raise _bad(f"takes texts for {', '.join(names)}")


def _bad(what: str, reason: str = "bad_request") -> HotplugError:
    from ._errors import HotplugError

    return HotplugError(reason, f"the request {what}", way_out="Use the command of the collection's own release.")


if __name__ == "__main__":
    raise SystemExit(main())
