# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

if "zipimport" in type(globals()["__loader__"]).__module__:
    # Every call imports this file first.
    from . import _archive

    _archive.serve()


class HotplugError(Exception):
    """A refusal or a failure that an operator can act on.

    ``reason`` is a stable word for programs, ``message`` says what is wrong and where, ``way_out`` what to do
    about it. ``app`` (file prefix), ``device`` and further fields name what it is about.
    """

    def __init__(
        self, reason: str, message: str, *, way_out: str = "", app: str = "", device: str = "", **fields: t.Any
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.way_out = way_out
        self.app = app
        self.device = _shown(device)
        self.fields = fields

    def __str__(self) -> str:
        text = self.message
        if self.device and self.device not in text:
            text = f"device '{self.device}': {text}"
        if self.app and f"'{self.app}'" not in text:
            text = f"application '{self.app}'{', ' if text.startswith('device ') else ': '}{text}"
        return text + (". " + self.way_out if self.way_out else "")

    def about(self, *, app: str = "", device: str = "") -> HotplugError:
        """The same error with the application and the device filled in where they were not known below."""
        self.app = self.app or app
        self.device = self.device or _shown(device)
        return self

    def result(self) -> dict[str, t.Any]:
        """The fields as a module's or the command's failure returns them."""
        known = {"app": self.app, "device": self.device, "way_out": self.way_out}
        error = {"reason": self.reason, "message": self.message}
        error.update({key: value for key, value in known.items() if value})
        error.update(self.fields)
        return {"msg": str(self), "error": error}


def failure(error: HotplugError) -> dict[str, t.Any]:
    """A failure as a module returns it: something has changed where not all could be taken back."""
    return {"changed": bool(error.fields.get("not_undone")), **error.result()}


def _shown(text: str) -> str:
    """A text from outside as it can stand in a message: unprintable characters are written out."""
    return text if text.isprintable() else repr(text)[1:-1]
