# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

from .app import App


def parameters(app: App) -> tuple[str, ...]:
    """Its EAL parameters, or its whole command line where telemetry does not tell them."""
    return app.command if app.eal_params is None else app.eal_params


def has_option(app: App, *options: str) -> bool:
    """Whether it was started with one of these EAL options."""
    return any(word.partition("=")[0] in options for word in parameters(app))


def option_values(app: App, *options: str) -> list[str]:
    """The values of an EAL option, written as ``--vdev X``, ``--vdev=X``, ``-a X`` or ``-aX``."""
    values: list[str] = []
    words = iter(parameters(app))
    for word in words:
        if word in options:
            values.extend(value for value in (next(words, None),) if value is not None)
        for option in options:
            joined = option + "=" if option.startswith("--") else option
            if word.startswith(joined) and word != option:
                values.append(word[len(joined) :])
    return values
