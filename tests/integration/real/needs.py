# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test needs and this machine has not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from releases import NotHere


@contextlib.contextmanager
def needed() -> Iterator[None]:
    """What is NotHere skips the test with the reason; with DPDK_HOTPLUG_REQUIRED it fails."""
    try:
        yield
    except NotHere as reason:
        import pytest  # the benchmark has none

        if os.environ.get("DPDK_HOTPLUG_REQUIRED"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
