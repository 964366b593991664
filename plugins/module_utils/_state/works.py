# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import typing as t

# What the engine works with: a host's work and each application's have these in common.


class AnyStep(t.Protocol):
    """One change, as a value. Its text says what it does; ``phase`` has its place among all changes on a host."""

    @property
    def phase(self) -> int:
        """Lower is earlier."""


class Acts(t.Protocol):
    """The acts of a work. Every method but take_back() and close() raises HotplugError."""

    def prepare(self, steps: t.Sequence[t.Any]) -> None:
        """The last refusals, and a note on disk of what is about to happen, before the first change."""

    def do(self, step: t.Any) -> None:
        """One step, done whole or not at all."""

    def take_back(self, step: t.Any) -> str | None:
        """Undo a step that was done; why it could not be, empty if it could, None where it is gone by itself."""

    def verify(self, steps: t.Sequence[t.Any]) -> None:
        """Observe again, and refuse to call done what is not."""

    def close(self) -> None:
        """Let go of what is held."""


class Gate(t.Protocol):
    """What must hold in the end, besides what was done. Both raise HotplugError."""

    def prepare(self) -> None:
        """Look how it is, and refuse what cannot be told, before the first change."""

    def check(self) -> None:
        """Wait until it holds."""


class Work(t.Protocol):
    """A part of a run: locked, observed, planned."""

    name: str

    def open(self) -> None:
        """Lock where something may be changed, then look."""

    def acts(self) -> Acts:
        """What does its steps."""

    def action(self, step: t.Any) -> dict[str, t.Any]:
        """A step as results list it."""

    def close(self) -> None:
        """Let go of what is held."""
