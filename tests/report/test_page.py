# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person gets of a report, in a real browser."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import fleets
import pytest
from browsing import DESKTOP, PHONE, Page, timed
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ansible_collections.dpdk.hotplug.plugins.plugin_utils import _fleet, _page

FLEET = fleets.hosts(14)
MANY = 1000
HOSTILE = (
    "<script>window.hacked=1</script>",
    "\"><img src=x onerror='window.hacked=1'>",
    "' onmouseover='window.hacked=1",
    "</noscript><script>window.hacked=1</script>",
    "</details></template></style></script><svg onload=window.hacked=1>",
    "<!--<script>",
    "&lt;b&gt;&#39;",
    "{{ 7 * 7 }}{% raw %}",
)


def keys(page: Page) -> list[list[int]]:
    found: list[list[int]] = page.tell(
        "[...document.querySelectorAll('.host')].map(e => e.dataset.k.split(',').map(Number))"
    )
    return found


def test_every_host_is_there_with_what_is_said_of_it(shown: Page) -> None:
    shown.open(FLEET)
    assert shown.driver.title == "Edge routers"
    assert shown.names() == sorted(FLEET, key=_fleet.natural)
    assert shown.all(".host.drift") and shown.all(".host.unreachable") and shown.all(".host.unmanaged")
    assert "No route to host" in shown.text(".host.unreachable .why")


def test_a_host_opens_on_a_click_and_shows_all_of_it(shown: Page) -> None:
    shown.open(FLEET)
    host = shown.unfold(0)
    assert [one.text for one in host.find_elements(By.CSS_SELECTOR, ".node h3")] == ["NUMA node 0", "NUMA node 1"]
    rows = host.find_elements(By.CSS_SELECTOR, ".devices tbody tr")
    assert len(rows) == 37
    assert len(host.find_elements(By.CSS_SELECTOR, ".devices tr.vf")) == 32
    text = host.text
    for what in ("0000:3b:00.0", "slot 3", "vfio-pci", "ens3f0", "router", "net_tap0", "pages of 1G", "8 of 64 VFs"):
        assert what in text, what
    assert "keeps the host reachable" in text


def test_a_host_opens_with_the_keyboard(shown: Page) -> None:
    shown.open(FLEET)
    shown.one(".host summary").send_keys(Keys.ENTER)
    assert shown.wait(".host:first-child .devices").is_displayed()


def test_drift_is_marked_on_the_host_the_device_and_the_port(shown: Page) -> None:
    shown.open(FLEET)
    host = shown.unfold(2)
    assert "6 to change" in host.find_element(By.CSS_SELECTOR, "summary").text
    told = host.find_element(By.CSS_SELECTOR, "section.drift").text
    for what in ("iavf → vfio-pci", "2048 → 4096", "0000:af:00.1 VFs 8 → 16", "not attached → attached", "Boot"):
        assert what in told, what
    marked = [one.text.split()[0] for one in host.find_elements(By.CSS_SELECTOR, ".devices tr.differs")]
    assert marked == ["0000:3b:02.7", "0000:af:00.1"]
    ports = [one.text for one in host.find_elements(By.CSS_SELECTOR, ".ports tr.differs")]
    assert [("0000:3b:0a.1" in one, "not attached" in one) for one in ports] == [(True, False), (False, True)]


def test_few_hosts_are_open_from_the_start(shown: Page) -> None:
    shown.open(fleets.hosts(2))
    assert len(shown.all(".host[open] .devices")) == 4


def test_an_empty_fleet_is_a_page_too(shown: Page) -> None:
    shown.open({})
    assert "0 hosts" in shown.text("header")


@pytest.mark.parametrize(("by", "key"), [(3, 2), (4, 3), (5, 4), (6, 5), (7, 6)])
def test_columns_sort_the_most_first_and_the_least_first_on_a_second_click(shown: Page, by: int, key: int) -> None:
    hosts = {f"h{index}": fleets.router(index, vfs=2 + index % 5) for index in range(9)} | {"bare": fleets.bare()}
    shown.open(hosts)
    for turned in (True, False):
        shown.one(f".head [data-sort='{by}']").click()
        column = [row[key] for row in keys(shown)]
        assert column == sorted(column, reverse=turned)
        assert len(set(column)) > 1
    assert shown.one(f".head [data-sort='{by}']").get_attribute("aria-pressed") == "true"


def test_sorting_by_state_has_what_needs_a_person_first(shown: Page) -> None:
    shown.open(FLEET)
    shown.one(".head [data-sort='1']").click()
    states = shown.tell("[...document.querySelectorAll('.host')].map(e => e.dataset.s)")
    assert states == sorted(states, key=_fleet.STATES.index)
    shown.one(".head [data-sort='0']").click()
    assert shown.names() == sorted(FLEET, key=_fleet.natural)
    shown.one(".head [data-sort='0']").click()
    assert shown.names() == sorted(FLEET, key=_fleet.natural, reverse=True)


def test_a_click_on_a_state_shows_only_its_hosts_and_another_one_all(shown: Page) -> None:
    shown.open(FLEET)
    shown.one("[data-state=drift]").click()
    assert shown.names() == [name for name, row in FLEET.items() if fleets.document({name: row})["hosts"][0]["drift"]]
    assert shown.text("#shown") == f"3 of {len(FLEET)} hosts"
    shown.one("[data-state=drift]").click()
    assert len(shown.names()) == len(FLEET)


def test_search_finds_what_closed_hosts_have_inside(shown: Page) -> None:
    shown.open(FLEET)
    assert shown.search("40:a6:b7:05:01:00") == ["edge5.par3.example.net"]
    assert shown.search("PROBE edge4") == ["edge4.par2.example.net"]
    assert shown.search("e1000e") == ["edge8.par3.example.net"]
    assert shown.search("tbody") == []  # the words of the page, not its markup
    assert shown.one("#nothing").is_displayed()
    shown.one("#all").click()
    assert len(shown.names()) == len(FLEET)
    shown.unfold(4)
    assert shown.search("40:a6:b7:05:01:00") == ["edge5.par3.example.net"]


def test_all_that_are_shown_open_at_once_and_close(shown: Page) -> None:
    shown.open(FLEET)
    shown.one("#open").click()
    assert len(shown.all(".host[open] .in")) == len(FLEET)
    shown.one("#open").click()
    assert not shown.all(".host[open]")


@pytest.mark.parametrize("width", [320, PHONE[0], 768, 1024, DESKTOP[0]])
def test_nothing_is_wider_than_the_window(shown: Page, width: int) -> None:
    hosts = copy.deepcopy(FLEET)
    name = "a-very-long-name-" * 8
    hosts[name] = copy.deepcopy(FLEET["edge3.par1.example.net"])
    hosts[name][_fleet.INFO]["apps"][0]["prefix"] = "p" * 200
    hosts[name][_fleet.INFO]["devices"][0]["netdevs"] = ["n" * 15] * 5
    hosts[name][_fleet.INFO]["hugepages"]["kernel_arguments"] = ["default_hugepagesz=1G", "x" * 300]
    shown.size(width, 844).open(hosts, title="t" * 120)
    shown.one("#open").click()
    assert len(shown.all(".host[open] .in")) == len(hosts)
    assert shown.overflow() <= 0


def test_a_phone_has_a_list_to_sort_by_in_place_of_the_columns(shown: Page) -> None:
    shown.size(*PHONE).open(FLEET)
    assert not shown.one(".head").is_displayed()
    shown.one("#sort option[value='1']").click()
    states = shown.tell("[...document.querySelectorAll('.host')].map(e => e.dataset.s)")
    assert states == sorted(states, key=_fleet.STATES.index)


def test_on_paper_there_is_the_list_and_what_is_open_without_the_controls(shown: Page) -> None:
    shown.open(FLEET)
    shown.unfold(2)
    closed = len(re.findall(rb"/Type\s*/Page\b", shown.pdf()))
    shown.media("print", scheme="dark")
    assert not shown.one(".tools").is_displayed() and not shown.one("#theme").is_displayed()
    assert shown.one(".host:nth-child(3) .devices").is_displayed()
    assert shown.tell("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    shown.media()
    shown.one("#open").click()
    assert 0 < closed < len(re.findall(rb"/Type\s*/Page\b", shown.pdf()))


_CONTRAST = """
const parts = (text) => text.match(/[\\d.]+/g).map(Number);
const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const light = (colour) => {
  const [r, g, b] = colour.slice(0, 3).map((v) => linear(v / 255));
  return .2126 * r + .7152 * g + .0722 * b;
};
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const colour = parts(getComputedStyle(e).backgroundColor);
    if (colour.length < 4 || colour[3]) return colour;
  }
  return [255, 255, 255];
};
const found = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
  if (!own || !e.checkVisibility() || e.disabled || e.matches("script, noscript, i")) continue;
  const [a, b] = [light(parts(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
  found.push([(a + .05) / (b + .05), e.tagName + "." + e.className + " " + e.textContent.slice(0, 30)]);
}
return found.sort((x, y) => x[0] - y[0])[0];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_in_light_and_dark(shown: Page, scheme: str) -> None:
    """At least 4.5 to 1, which is AA of WCAG 2.2 (1.4.3)."""
    shown.media(scheme=scheme).open(FLEET)
    shown.one("#open").click()
    ratio, where = shown.driver.execute_script(_CONTRAST)
    assert ratio >= 4.5, where


def test_the_theme_follows_the_system_until_the_button_says_otherwise(shown: Page) -> None:
    def ground() -> Any:
        return shown.tell("getComputedStyle(document.body).backgroundColor")

    shown.media(scheme="dark").open(FLEET)
    dark = ground()
    shown.one("#theme").click()
    light = ground()
    shown.media(scheme="light")
    assert dark != light == ground()
    shown.one("#theme").click()
    assert ground() == dark


def hostile() -> dict[str, Any]:
    """A fleet in which every text that a host can choose is hostile."""

    def spoiled(value: Any, text: str) -> Any:
        if isinstance(value, dict):
            kept = ("state", "class", "action", "reason", "pf")
            return {name: one if name in kept else spoiled(one, text) for name, one in value.items()}
        if isinstance(value, list):
            return [spoiled(one, text) for one in value]
        return f"{text}{value}" if isinstance(value, str) else value

    found: dict[str, Any] = {}
    for number, text in enumerate(HOSTILE):
        row = spoiled(copy.deepcopy(fleets.router(number)), text)
        row[_fleet.CHECK] = spoiled(fleets.drifting(), text)
        found[f"{text}-{number}"] = row
        found[f"{text}-refused"] = {**copy.deepcopy(fleets.router(9)), _fleet.CHECK: spoiled(fleets.refused(), text)}
        found[f"{text}-gone"] = {_fleet.INFO: {"unreachable": True, "msg": text}}
    return found


def test_hostile_texts_are_shown_and_do_nothing(shown: Page) -> None:
    fleet = hostile()
    shown.open(fleet, title=HOSTILE[0])
    shown.one("#open").click()
    assert len(shown.all(".host[open] .in")) == len(fleet)
    assert shown.tell("window.hacked") is None
    assert (
        shown.tell("document.querySelectorAll('img, #hosts script, #hosts svg:not(.bar), [onmouseover]').length") == 0
    )
    assert shown.driver.title == HOSTILE[0]
    assert set(shown.names()) == set(fleet)
    text = shown.text("#hosts")
    for one in HOSTILE:
        assert text.count(one) > 100, one
    assert shown.search(HOSTILE[1]) == [name for name in shown.names() if HOSTILE[1] in name]


def test_hostile_texts_do_nothing_without_scripts_either(shown: Page) -> None:
    with shown.without_scripts():
        shown.open(hostile(), title=HOSTILE[0])
        assert not shown.all("img") and not shown.all("#hosts script") and not shown.all("[onmouseover]")
        assert len(shown.all(".node")) == 2 * 2 * len(HOSTILE)


def test_without_scripts_all_hosts_can_be_opened(shown: Page) -> None:
    with shown.without_scripts():
        shown.open(FLEET)
        assert not shown.one("#search").is_displayed()
        host = shown.unfold(0)
        assert "0000:3b:00.0" in host.text


def test_no_script_runs_but_the_pages_own_even_where_escaping_were_to_fail(shown: Page) -> None:
    shown.expected_on_console = 1
    shown.open(FLEET)
    shown.tell("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked=1\"><b id=end></b>')")
    shown.driver.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.hacked=1'; document.body.append(s);"
    )
    shown.settle()
    assert shown.all("#end") and shown.tell("window.hacked") is None
    assert any("Content Security Policy" in one for one in shown.console())


def test_it_needs_nothing_from_elsewhere(shown: Page) -> None:
    shown.open(FLEET)
    shown.one("#open").click()
    assert shown.tell("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    assert set(re.findall(r"(?:https?:)?//[\w.-]+", shown.path.read_text())) <= {"http://www.w3.org"}


def test_the_json_is_the_same_fleet_and_neither_file_has_a_secret(shown: Page) -> None:
    shown.open(FLEET)
    text = shown.path.with_suffix(".json").read_text()
    document = json.loads(text)
    assert [one["name"] for one in document["hosts"]] == shown.names()
    states = {state: len(shown.all(f".host.{state}")) for state in document["summary"]["states"]}
    assert states == document["summary"]["states"]
    for secret in ("in-a-command-line", "in-a-parameter"):
        assert secret in str(FLEET) and secret not in text and secret not in shown.path.read_text()


def test_a_thousand_hosts_stay_usable(shown: Page, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = fleets.hosts(MANY)
    figures = {"render": timed(lambda: _page.page(fleets.document(hosts)))}
    shown.open(hosts)
    figures["open"] = timed(shown.driver.refresh)
    assert len(shown.names()) == MANY
    # Details are text until a host is opened: so many hosts cost what their lines cost.
    assert shown.tell("document.querySelectorAll('*').length") < 25 * MANY
    assert shown.one("#open").get_attribute("disabled")
    sort = """
        const start = performance.now();
        document.querySelector(`.head [data-sort="${arguments[0]}"]`).click();
        document.body.offsetHeight;
        return performance.now() - start;
    """
    for name, by in (("sort by state", 1), ("sort by ports", 7), ("sort by host", 0)):
        figures[name] = shown.driver.execute_script(sort, by)
    assert shown.names() == sorted(hosts, key=_fleet.natural)
    shown.one(".head [data-sort='5']").click()
    column = [row[4] for row in keys(shown)]
    assert column == sorted(column, reverse=True)
    figures["search"] = timed(lambda: shown.search("40:a6:b7:05:01:00 edge773."))
    assert shown.names() == ["edge773.par3.example.net"]
    figures["search again"] = timed(lambda: shown.search("edge77"))
    assert len(shown.names()) == 11
    host = shown.one(".host:not([hidden])")
    host.find_element(By.CSS_SELECTOR, "summary").click()
    shown.wait(".host:not([hidden]) .devices")
    assert len(host.find_elements(By.CSS_SELECTOR, ".devices tbody tr")) == 37
    assert len(shown.all(".devices")) == 2
    size = shown.path.stat().st_size / 1e6
    with capsys.disabled():
        told = ", ".join(f"{name} {value:.0f} ms" for name, value in figures.items())
        print(f"\n{MANY} hosts, 37,000 devices: page of {size:.1f} MB, {told}")
    assert size < 20
