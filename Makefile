# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.PHONY: demo test soak bench lint unit integration fleet fleet-down fleet-test clean

PYTHON ?= /usr/bin/python3
RUN = $(PYTHON) -u tests/tools/run.py

demo:
	$(PYTHON) -u tests/tools/demo.py

test lint unit integration soak:
	$(RUN) $@

fleet:
	$(PYTHON) -u tests/fleet/fleet.py up

fleet-down:
	$(PYTHON) -u tests/fleet/fleet.py down

fleet-test:
	$(RUN) fleet

bench:
	$(PYTHON) -u tests/tools/bootstrap.py packages demo
	$$($(PYTHON) tests/tools/bootstrap.py tools ansible-2.19 | sed -n 's/^ansible-2.19 //p')/python -u bench/bench.py $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf tests/output .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible dpdk-hotplug-*.tar.gz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
