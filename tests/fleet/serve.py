# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a guest, and does there what tests ask: a line of JSON in, a line out; agent.py has the other end.

    serve.py LIBRARY

Where a processor is emulated, to start Python and read the library takes longer than most of what is asked. This
program has all of it loaded, and forks a process for each order, which is then as one that has just started:

argv         a program
command      words of dpdk-hotplug
verb         of inside.py, with ``input`` as JSON
code         Python, with ``input`` as JSON by the name ``given``; what it leaves in ``answer`` is printed

Each order has ``input``, the text of its stdin. The answer has ``code``, ``out`` and ``err``.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import sys
import traceback
from typing import Any

import inside

PACKAGE = "ansible_collections.dpdk.hotplug.plugins.module_utils"


def load() -> None:
    """All of the library: where files of it are taken away later, nothing is missing."""
    above = importlib.import_module(PACKAGE)
    for one in pkgutil.walk_packages(above.__path__, f"{PACKAGE}."):
        importlib.import_module(one.name)


def do(order: dict[str, Any]) -> int:
    """In the new process: the order, on the descriptors 0, 1 and 2; its exit code."""
    if "argv" in order:
        # Python itself ignores it, and who is executed would, too.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvp(order["argv"][0], order["argv"])
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - as long as the process
    if "command" in order:
        sys.argv = ["dpdk-hotplug", *order["command"]]
        return int(importlib.import_module(f"{PACKAGE}._helper").main() or 0)
    given = json.loads(order["input"] or "{}")
    if "verb" in order:
        print(json.dumps(inside.VERBS[order["verb"]](**given)))
    else:
        names: dict[str, Any] = {"json": json, "sys": sys, "given": given, "answer": None}
        exec(compile(order["code"], "test", "exec"), names)
        print(json.dumps(names["answer"]))
    return 0


def child(order: dict[str, Any], files: list[int]) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.closerange(3, 256)
        code = do(order)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except OSError as error:
        traceback.print_exc()
        code = 127 if "argv" in order and isinstance(error, FileNotFoundError) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def answer(order: dict[str, Any]) -> dict[str, Any]:
    files = [os.memfd_create(name) for name in ("in", "out", "err")]
    os.write(files[0], order["input"].encode())
    os.lseek(files[0], 0, os.SEEK_SET)
    pid = os.fork()
    if pid == 0:
        child(order, files)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    said = []
    for file in files:
        os.lseek(file, 0, os.SEEK_SET)
        with open(file, errors="replace") as stream:
            said.append(stream.read())
    return {"code": code, "out": said[1], "err": said[2]}


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    load()
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    empty = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1):
        os.dup2(empty, number)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in orders:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
