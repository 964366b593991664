# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a guest: kills runs of the engine at every step that they take, and says what the next runs make of it.

    killer.py < ORDER

ORDER is a line of JSON: ``start`` brings the guest to where each round begins, ``document`` is killed at its k-th step,
``then`` is run twice after it (left out: ``document`` again). ``look``: addresses whose state is told. ``twice``: the
first run of ``then`` is killed at each of its steps too. A line of JSON for each round; the last round is not killed.

With ``endless``, a list of documents, these are run one after the other, again and again; somebody else ends that. Each
run begins at a line of input; before it there is a line of JSON with its number, and what the one before has said.

Each run is a process of its own, forked from this one, which has all of the library loaded: a round costs what the
kernel takes.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from inside import kernels

LIBRARY = "ansible_collections.dpdk.hotplug.plugins.module_utils."
# The functions by which a run leaves something behind: a step is a call of one of them.
STEPS = (
    "_host.writes:Writer.write",
    "_host.vf_netlink:VfNetlink.set_vf",
    "_host.mounts:change",
    "_host.memory:remember",
    "_host.drivers:load",
    "_host.kernel_args:change",
    "_host.persistence:change",
    "_state.host_journal:Journal.begin",
    "_state.host_journal:Journal.end",
    "_state.app_acts:AppActs.do",
)
_LIMIT = 120  # seconds that a run may take


def _owner(place: str) -> tuple[Any, str]:
    module, _colon, path = place.partition(":")
    holder: Any = importlib.import_module(LIBRARY + module)
    *classes, name = path.split(".")
    for one in classes:
        holder = getattr(holder, one)
    return holder, name


class Killer:
    """Ends its own process before or after the k-th step, having said which one that is."""

    def __init__(self, when: str, number: int, answer: int) -> None:
        self.when, self.number, self.answer = when, number, answer
        self.calls = 0
        for place in STEPS:
            self._arm(place)

    def _arm(self, place: str) -> None:
        holder, name = _owner(place)
        real = getattr(holder, name)

        @functools.wraps(real)
        def failing(*positional: Any, **named: Any) -> Any:
            self.calls += 1
            mine = self.calls == self.number
            if mine:
                said = " ".join(str(one) for one in positional if isinstance(one, (str, tuple)))[:120]
                os.write(self.answer, json.dumps({"killed": f"{self.when} {place.partition(':')[2]} {said}"}).encode())
            if mine and self.when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            value = real(*positional, **named)
            if mine and self.when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return value

        setattr(holder, name, failing)


def run(document: dict[str, Any], kill: tuple[str, int] | None = None) -> dict[str, Any]:
    """What a run says: ``changed`` and ``actions``, ``error``, or ``killed``."""
    there, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(there)
        signal.alarm(_LIMIT)
        try:
            _converge(document, kill, answer)
        finally:
            os._exit(0)
    os.close(answer)
    with open(there, "rb") as file:
        said = file.read()
    os.waitpid(pid, 0)
    found: dict[str, Any] = json.loads(said or b'{"error": {"reason": "ended", "message": "it said nothing"}}')
    return found


def _converge(document: dict[str, Any], kill: tuple[str, int] | None, answer: int) -> None:
    from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
    from ansible_collections.dpdk.hotplug.plugins.module_utils._state.engine import converge

    if kill:
        Killer(*kill, answer)
    try:
        result = converge(document)
        actions = [one for part in (result.get("host"), *result["apps"]) if part for one in part["actions"]]
        said: dict[str, Any] = {"changed": result["changed"], "actions": actions}
    except HotplugError as error:
        said = {"error": error.result()["error"]}
    except BaseException as exc:
        said = {"error": {"reason": "defect", "message": repr(exc)}}
    os.write(answer, json.dumps(said).encode())


def rounds(order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for number in range(1, 1000):
        for when in order.get("whens", ("before", "after")):
            kill = (when, number)
            if order.get("twice"):
                yield from _twice(order, kill)
            begun = _begun(order)
            hit = run(order["document"], kill)
            yield _ended(order, begun, hit)
            if "killed" not in hit:
                return


def _twice(order: dict[str, Any], kill: tuple[str, int]) -> Iterator[dict[str, Any]]:
    """The run that repairs is killed as well, at each of its steps."""
    for number in range(1, 1000):
        begun = _begun(order)
        if "killed" not in run(order["document"], kill):
            return
        hit = run(_then(order), ("after", number))
        if "killed" not in hit:
            return
        yield _ended(order, begun, hit)


def _then(order: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = order.get("then") or order["document"]
    return found


def _begun(order: dict[str, Any]) -> dict[str, Any]:
    return {"start": run(order["start"]), "at_first": kernels(order["look"])}


def _ended(order: dict[str, Any], begun: dict[str, Any], hit: dict[str, Any]) -> dict[str, Any]:
    left = kernels(order["look"])
    first = run(_then(order))
    state = kernels(order["look"])
    return {**begun, "hit": hit, "left": left, "first": first, "state": state, "second": run(_then(order))}


def endless(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    said: dict[str, Any] = {}
    for number, document in enumerate(itertools.cycle(documents)):
        yield {"begins": number, "said": said}
        if not sys.stdin.readline():
            return
        said = run(document)


def main() -> int:
    order = json.loads(sys.stdin.readline())
    for place in STEPS:
        _owner(place)
    for name in ("_state.engine", "_state.apply", "_state.host_acts", "_state.host_document", "_state.objections"):
        importlib.import_module(LIBRARY + name)
    for one in endless(order["endless"]) if "endless" in order else rounds(order):
        sys.stdout.write(json.dumps(one) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
