# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report in headless Chromium, as Debian has it."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fleets
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # it runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)
DESKTOP = (1280, 900)
PHONE = (390, 844)


class Page:
    """A report that is open."""

    def __init__(self, driver: webdriver.Chrome, directory: Path) -> None:
        self.driver = driver
        self.directory = directory
        self.expected_on_console = 0

    def open(self, hosts: dict[str, Any], title: str = "Edge routers") -> Page:
        self.path = fleets.write(hosts, self.directory, title)
        self.driver.get(self.path.as_uri())
        return self

    def size(self, width: int, height: int) -> Page:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        return self

    def media(self, medium: str = "", scheme: str = "light") -> Page:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})
        return self

    @contextlib.contextmanager
    def without_scripts(self) -> Iterator[None]:
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    def all(self, selector: str) -> list[WebElement]:
        found: list[WebElement] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def tell(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression}")

    def names(self) -> list[str]:
        """The hosts that are shown, in their order."""
        found: list[str] = self.tell(
            "[...document.querySelectorAll('.host:not([hidden]) .name')].map(e => e.textContent)"
        )
        return found

    def search(self, words: str) -> list[str]:
        """The hosts that are shown for these words."""
        field = self.one("#search")
        field.clear()
        field.send_keys(words)
        self.settle()
        return self.names()

    def settle(self) -> None:
        """Wait until what the page does after a pause in typing is done."""
        self.driver.set_script_timeout(30)
        self.driver.execute_async_script("setTimeout(arguments[0], 150)")

    def unfold(self, index: int) -> WebElement:
        """Opens a host by its summary."""
        host = self.all(".host")[index]
        host.find_element(By.CSS_SELECTOR, "summary").click()
        self.wait(f".host:nth-child({index + 1}) .in")
        return host

    def wait(self, selector: str) -> WebElement:
        """The element, when it is there."""
        return WebDriverWait(self.driver, 30, poll_frequency=0.02).until(lambda _driver: self.one(selector))

    def text(self, selector: str) -> str:
        found: str = self.driver.execute_script("return document.querySelector(arguments[0]).textContent", selector)
        return found

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        found: int = self.tell("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return found

    def console(self) -> list[str]:
        log: Any = self.driver
        return [one["message"] for one in log.get_log("browser")]

    def pdf(self) -> bytes:
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in _OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def shown(browser: webdriver.Chrome, tmp_path: Path) -> Iterator[Page]:
    """A page to open. Nothing but what the test expects may have been said on the console when it ends."""
    page = Page(browser, tmp_path).size(*DESKTOP).media()
    page.console()
    yield page
    if not page.expected_on_console:
        assert page.console() == []
    browser.get("about:blank")


def timed(work: Callable[[], Any]) -> float:
    """How many milliseconds it takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000
