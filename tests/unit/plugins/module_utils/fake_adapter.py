# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import multiprocess
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import FakeApp


class SwitchingAdapter(multiprocess.Multiprocess):
    """An adapter that starts and stops ports as well, as the application's own console would."""

    name = "testpmd"
    verbs = frozenset(("attach", "detach", "start", "stop"))
    apps: t.ClassVar[dict[int, FakeApp]] = {}
    failing: t.ClassVar[dict[str, Exception]] = {}

    def start(self, port_id: int) -> None:
        self._switch("start", port_id)

    def stop(self, port_id: int) -> None:
        self._switch("stop", port_id)

    def _switch(self, verb: str, port_id: int) -> None:
        if verb in self.failing:
            raise self.failing[verb]
        app = self.apps[self._app.pid]
        app._say("requests_add", verb, str(port_id))
        getattr(app, verb)(port_id)
