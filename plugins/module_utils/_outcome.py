# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

from ._errors import HotplugError

DONE, FAILED, BAD_INPUT, REFUSED, IN_DOUBT, NO_APPLICATION, LOCKED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

# The one table of exit codes: the command's help prints it.
EXIT_CODES = {
    DONE: "done, or there was nothing to do",
    FAILED: "failed, and what had been done before was undone",
    BAD_INPUT: "bad usage, device, or document; nothing was changed",
    REFUSED: "refused: the application or the host, or the state it is in, does not allow it; nothing was changed",
    IN_DOUBT: "failed, and not all was undone or the outcome is not known: look at the ports",
    NO_APPLICATION: "no such application, or several; nothing was changed",
    LOCKED: "another run, or a person at the console, works on the application or the host; nothing was changed",
    INTERRUPTED: "interrupted (Ctrl-C) before anything was changed",
}

# What is wrong with the request itself, whatever the host looks like.
_BAD_INPUT = (
    "usage",
    "bad_devargs",
    "bad_document",
    "bad_file",
    "bad_prefix",
    "bad_request",
    "bad_runtime_dir",
    "given_twice",
)
_NO_APPLICATION = ("no_application", "several_applications", "primary_gone")
_LOCKED = ("locked", "busy")
# A step that ended so may have taken effect, or take it yet.
_IN_DOUBT = ("timeout", "primary_gone", "eal_wedged", "eal_failed", "console_lost", "not_effective", "kernel_stuck")


def exit_code(error: HotplugError) -> int:
    """What a failure is as an exit code. The field ``actions`` is there once the first change was tried."""
    if error.reason == "internal":
        return IN_DOUBT
    if "actions" in error.fields:
        return IN_DOUBT if error.fields.get("not_undone") or error.reason in _IN_DOUBT else FAILED
    for code, reasons in ((BAD_INPUT, _BAD_INPUT), (NO_APPLICATION, _NO_APPLICATION), (LOCKED, _LOCKED)):
        if error.reason in reasons:
            return code
    return REFUSED


def internal(exc: Exception) -> HotplugError:
    """A defect of ours, as an error like any other."""
    import traceback

    return HotplugError(
        "internal",
        f"internal error: {type(exc).__name__}: {exc}",
        way_out="This is a defect: report it. Look at the ports before anything else.",
        traceback="".join(traceback.format_exception(type(exc), exc, exc.__traceback__)),
    )


def failure(error: HotplugError) -> dict[str, object]:
    """A failure as JSON tells it: something has changed where not all could be taken back."""
    changed = bool(error.fields.get("not_undone"))
    return {"failed": True, "changed": changed, **error.result(), "exit_code": exit_code(error)}
