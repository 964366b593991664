# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command dpdk-hotplug: what it takes, what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _cli, _helper, _outcome, _tables, _version
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import broker, console
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import document, engine, info
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils.fake_app import Act, FakeApp

Start = t.Callable[..., FakeApp]
LIBRARY = Path(_cli.__file__).parent
HELPER = "ansible_collections.dpdk.hotplug.plugins.module_utils._helper"
# What no terminal may see of an application: escape sequence, line end, DEL, a C1 control, a right-to-left override.
HOSTILE = "a\x1b[2Jb\nc\x7fd\x9be\u202ef"


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


# ---- the command line becomes a document

PRESENT: dict[str, t.Any] = {"state": "present", "force": False, "recreate": False, "exclusive": False, "atomic": True}
ABSENT = {**PRESENT, "state": "absent"}
DOCUMENTS: list[tuple[list[str], dict[str, t.Any]]] = [
    (["attach", "net_null0"], {**PRESENT, "ports": [{"device": "net_null0"}]}),
    (
        ["attach", "0000:01:00.0", "net_pcap0,iface=eth0", "--app", "web"],
        {**PRESENT, "app": "web", "ports": [{"device": "0000:01:00.0"}, {"device": "net_pcap0,iface=eth0"}]},
    ),
    (["attach", "net_null0", "--started"], {**PRESENT, "started": True, "ports": [{"device": "net_null0"}]}),
    (["attach", "--stopped", "net_null0"], {**PRESENT, "started": False, "ports": [{"device": "net_null0"}]}),
    (
        ["attach", "d", "--force", "--recreate", "--exclusive", "--no-atomic"],
        {
            "state": "present",
            "force": True,
            "recreate": True,
            "exclusive": True,
            "atomic": False,
            "ports": [{"device": "d"}],
        },
    ),
    (
        [
            "attach",
            "d",
            "--runtime-dir",
            "/run/x/dpdk/",
            "--adapter",
            "multiprocess",
            "--channel",
            "ipc",
            "--timeout",
            "2.5",
        ],
        {
            **PRESENT,
            "runtime_dir": "/run/x/dpdk",
            "adapter": "multiprocess",
            "channel": "ipc",
            "timeout": 2.5,
            "ports": [{"device": "d"}],
        },
    ),
    (["detach", "3", "net_null0"], {**ABSENT, "ports": [{"port_id": 3}, {"device": "net_null0"}]}),
    (["detach", "0", "--force"], {**ABSENT, "force": True, "ports": [{"port_id": 0}]}),
    (["detach", "\u0663"], {**ABSENT, "ports": [{"device": "\u0663"}]}),
]


@pytest.mark.parametrize(("words", "entry"), DOCUMENTS, ids=lambda one: " ".join(one) if isinstance(one, list) else "")
def test_words_to_document(words: list[str], entry: dict[str, t.Any]) -> None:
    assert _cli.document(_cli.parse(words)) == {"version": 1, "apps": [entry]}


@pytest.mark.parametrize("words", [words for words, _entry in DOCUMENTS[:-1]], ids=" ".join)
def test_the_document_is_one(words: list[str]) -> None:
    (spec,) = document.parse(_cli.document(_cli.parse(words)))[0]
    assert spec.atomic is ("--no-atomic" not in words)


USAGE = [
    [],
    ["--nonsense"],
    ["nonsense"],
    ["att", "net_null0"],
    ["attach"],
    ["attach", "net_null0", "--starte"],
    ["attach", "net_null0", "--started", "--stopped"],
    ["attach", "net_null0", "--channel", "smoke"],
    ["attach", "net_null0", "--timeout", "soon"],
    ["attach", "net_null0", "--timeout", "-1"],
    ["attach", "net_null0", "--timeout", "nan"],
    ["attach", "net_null0", "--runtime-dir", "run"],
    ["attach", "net_null0", "--runtime-dir", "/run/../etc"],
    ["attach", "net_null0", "--runtime-dir", ""],
    ["attach", "3"],
    ["attach", "a b"],
    ["attach", "net_null0", "--app", "../../x"],
    ["attach", "net_null0", "--app", HOSTILE],
    ["detach"],
    ["detach", "net_null0", "--started"],
    ["detach", "net_null0", "--exclusive"],
    ["evacuate", "net_null0"],
    ["evacuate", "--device", "a b"],
    ["evacuate", "--replaced", "net_null0=net_null1"],
    ["evacuate", "--force"],
    ["restore", "--adapter", "testpmd"],
    ["restore", "--force"],
    ["restore", "--replaced", "net_null0"],
    ["restore", "--app", "../../x"],
    ["converge"],
    ["converge", "/nonexistent/document"],
    ["converge", "/dev/null"],
    ["converge", "x\0y"],
    ["ports", "web", "mail"],
    ["ports", "a/b"],
    ["watch", "--interval", "x"],
    ["watch", "--app", "a/b"],
    ["console", "--", "true"],
    ["console", "--prefix", "web"],
    ["console", "--prefix", "web", "--connect", "--", "true"],
    ["console", "--prefix", "..", "--connect"],
]


@pytest.mark.parametrize("words", USAGE, ids=lambda words: repr(" ".join(words)))
def test_bad_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli.main(words) == _outcome.BAD_INPUT == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dpdk-hotplug: error: ") and "\n  Way out: " in err
    assert err.count("\n") == 2 and err.replace("\n", "").isprintable()


def test_bad_usage_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli.main(["apps", "--json", "--nonsense"]) == 2
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert err == "" and answer["failed"] and answer["error"]["reason"] == "usage" and answer["exit_code"] == 2


@pytest.mark.parametrize(
    "command", ["apps", "ports", "attach", "detach", "evacuate", "restore", "converge", "watch", "console"]
)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli.main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: dpdk-hotplug {command} ") and f"\nexamples:\n  dpdk-hotplug {command}" in out


def test_help_has_the_table_of_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    for code, meaning in _outcome.EXIT_CODES.items():
        assert f"  {code:<4} {meaning}\n" in out


def test_a_program_keeps_its_own_dashes() -> None:
    given = _cli.parse(["console", "--prefix", "web", "--", "dpdk-testpmd", "--json", "--", "-i"])
    assert given.program == ["dpdk-testpmd", "--json", "--", "-i"] and not given.json


def test_console_runs_a_program_or_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[t.Any] = []

    def called(name: str, code: int) -> t.Callable[..., int]:
        def call(*words: t.Any, **options: t.Any) -> int:
            calls.append((name, words, options))
            return code

        return call

    monkeypatch.setattr(console, "serve", called("serve", 7))
    monkeypatch.setattr(console, "interact", called("interact", 0))
    monkeypatch.setattr(broker, "end_like", lambda code: code + 1)
    assert _cli.main(["console", "--prefix", "web", "--", "testpmd", "--", "-i"]) == 8
    assert _cli.main(["console", "--prefix", "web", "--connect", "--runtime-dir", "/run/x/dpdk"]) == 0
    assert calls == [
        ("serve", ("web", ["testpmd", "--", "-i"]), {"runtime_dir": ""}),
        ("interact", ("web",), {"runtime_dir": "/run/x/dpdk"}),
    ]


# ---- exit codes

CODES: list[tuple[str, dict[str, t.Any], int]] = [
    ("bad_devargs", {}, 2),
    ("bad_devargs", {"actions": [], "undone": [], "not_undone": []}, 1),
    ("bad_document", {}, 2),
    ("given_twice", {}, 2),
    ("port_started", {}, 3),
    ("port_started", {"actions": [{}], "undone": ["x"], "not_undone": []}, 1),
    ("unreachable", {}, 3),
    ("secondary_stuck", {}, 3),
    ("no_journal", {}, 3),
    ("other_version", {}, 3),
    ("timeout", {}, 3),
    ("timeout", {"actions": [], "undone": [], "not_undone": []}, 4),
    ("secondary_failed", {"actions": [], "undone": [], "not_undone": []}, 1),
    ("unknown_driver", {"actions": [{}], "undone": [], "not_undone": ["attach x: atomic is false"]}, 4),
    ("not_effective", {"actions": [{}], "undone": ["x"], "not_undone": []}, 4),
    ("primary_gone", {}, 5),
    ("primary_gone", {"actions": []}, 4),
    ("no_application", {}, 5),
    ("several_applications", {}, 5),
    ("locked", {}, 6),
    ("busy", {}, 6),
    ("busy", {"actions": []}, 1),
    ("internal", {}, 4),
]


@pytest.mark.parametrize(("reason", "fields", "code"), CODES)
def test_exit_code(reason: str, fields: dict[str, t.Any], code: int) -> None:
    assert _outcome.exit_code(HotplugError(reason, "x", **fields)) == code
    assert code in _outcome.EXIT_CODES


# ---- tables

TABLES: list[tuple[list[list[str]], int, list[str]]] = [
    ([["a", "b"]], 80, ["ONE  TWO", "a    b"]),
    ([["long name", ""], ["b", "c"]], 80, ["ONE        TWO", "long name", "b          c"]),
    ([["x" * 20, "y"]], 20, ["ONE              TWO", "xxxxxxxxxxxxxxx  y", "xxxxx"]),
    ([["abcdefgh,iface=eth0", "y"]], 20, ["ONE              TWO", "abcdefgh,        y", "iface=eth0"]),
    ([["one two three four", "y"]], 20, ["ONE              TWO", "one two three    y", "four"]),
    ([[HOSTILE, "y"]], 80, ["ONE" + " " * 28 + "TWO", "a\\x1b[2Jb\\nc\\x7fd\\x9be\\u202ef  y"]),
    ([["x" * 30, "y" * 30]], 10, ["ONE       TWO", *["xxxxxxxx  yyyyyyyy"] * 3, "xxxxxx    yyyyyy"]),
]


@pytest.mark.parametrize(("rows", "columns", "lines"), TABLES)
def test_table(rows: list[list[str]], columns: int, lines: list[str]) -> None:
    assert _tables.table(("ONE", "TWO"), rows, columns) == lines


WIDTHS = [("", 120), ("60", 80), ("100", 100), ("400", 120), ("x", 120), ("0", 120)]


@pytest.mark.parametrize(("columns", "width"), WIDTHS)
def test_width(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(os, "get_terminal_size", lambda _fd: os.terminal_size((0, 0)))
    assert _tables.width() == width


PORT = {
    "app": "web",
    "device": "net_null0",
    "devargs": "net_null0,copy=1",
    "port_id": 0,
    "mac": "02:00:00:00:00:01",
    "numa_node": 0,
    "configured": True,
    "started": False,
    "owned": False,
}
PORT_ROWS: list[tuple[dict[str, t.Any], str]] = [
    ({}, "web  0     net_null0  net_null0,copy=1  02:00:00:00:00:01  0     stopped"),
    ({"started": True}, "web  0     net_null0  net_null0,copy=1  02:00:00:00:00:01  0     started"),
    ({"configured": False}, "web  0     net_null0  net_null0,copy=1  02:00:00:00:00:01  0     attached"),
    ({"devargs": None}, "web  0     net_null0  ?        02:00:00:00:00:01  0     stopped"),
    ({"devargs": "net_null0"}, "web  0     net_null0  -        02:00:00:00:00:01  0     stopped"),
    (
        {"numa_node": -1, "owned": True},
        "web  0     net_null0  net_null0,copy=1  02:00:00:00:00:01  -     stopped, owned",
    ),
    ({"mac": "\x1b]0;x\x07"}, "web  0     net_null0  net_null0,copy=1  \\x1b]0;x\\x07  0     stopped"),
]


@pytest.mark.parametrize(("changes", "row"), PORT_ROWS)
def test_ports_table(changes: dict[str, t.Any], row: str) -> None:
    header, line = _cli.ports_text([{**PORT, **changes}], 80)
    assert header.split() == ["APP", "PORT", "DEVICE", "DEVARGS", "MAC", "NUMA", "STATE"]
    assert line == row


def test_a_table_of_long_names_fits() -> None:
    long = {**PORT, "app": "a" * 64, "device": "net_tap" + "d" * 56, "devargs": "net_tap" + "x" * 120, "mac": HOSTILE}
    for columns in (80, 120):
        lines = _cli.ports_text([long, PORT], columns)
        assert max(map(len, lines)) <= columns
        assert "".join(lines).count("a") > 64 and "".join(lines).count("x") > 120  # nothing is cut off


APP: dict[str, t.Any] = {
    "prefix": "web",
    "pid": 12,
    "uid": 0,
    "version": "DPDK 22.11.11",
    "release": "22.11.11",
    "ports": [PORT],
    "ports_error": "",
    "state": "running",
    "runtime_dir": "/var/run/dpdk",
    "adapters": [
        {"adapter": "testpmd", "channel": "", "usable": False, "reason": "no console"},
        {"adapter": "multiprocess", "channel": "ipc", "usable": True, "reason": ""},
        {"adapter": "multiprocess", "channel": "eal", "usable": False, "reason": "no hugepages"},
    ],
}
CLOSED = [{**way, "usable": False, "reason": "no shared files"} for way in APP["adapters"]]
APPS: list[tuple[dict[str, t.Any], list[str]]] = [
    (
        {},
        [
            "web  12   0    DPDK 22.11.11  1      running  /var/run/dpdk  ipc",
            "",
            "web (12) cannot be reached by",
            "  testpmd: no console",
            "  eal: no hugepages",
        ],
    ),
    (
        {"adapters": CLOSED, "ports": None, "ports_error": "it serves no telemetry"},
        [
            "web  12   0    DPDK 22.11.11  -      running  /var/run/dpdk  -",
            "",
            "web (12) cannot be reached by",
            "  ports: it serves no telemetry",
            "  testpmd, ipc, eal: no shared files",
        ],
    ),
    (
        {"state": "leftover", "pid": None, "uid": None, "version": "", "ports": None, "adapters": CLOSED},
        ["web  -    -    22.11.11  -      leftover  /var/run/dpdk  -"],
    ),
    (
        {"state": "distrusted", "prefix": "", "pid": None, "uid": None, "adapters": CLOSED[:1], "ports": None},
        [
            "-    -    -    DPDK 22.11.11  -      distrusted  /var/run/dpdk  -",
            "",
            "/var/run/dpdk (no process) cannot be reached by",
            "  testpmd: no shared files",
        ],
    ),
    (
        {"prefix": "w\x1b[1mb", "version": "DPDK \r22", "adapters": APP["adapters"][1:2]},
        ["w\\x1b[1mb  12   0    DPDK \\r22  1      running  /var/run/dpdk  ipc"],
    ),
]


@pytest.mark.parametrize(("changes", "lines"), APPS)
def test_apps_table(changes: dict[str, t.Any], lines: list[str]) -> None:
    text = _cli.apps_text([{**APP, **changes}], 120)
    assert text[0].split()[-2:] == ["REACHED", "BY"] and text[1:] == lines


def test_reasons_are_wrapped() -> None:
    adapters = [{**APP["adapters"][0], "reason": "why " * 60}]
    text = _cli.apps_text([{**APP, "adapters": adapters}], 80)
    assert max(map(len, text)) <= 80 and text[-1].startswith("    why")


def test_nothing_there(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli.main(["apps", "--runtime-dir", run]) == 0
    assert _cli.main(["ports", "--runtime-dir", run]) == 0
    assert capsys.readouterr().out == "No DPDK application was found.\nNo ports.\n"


# ---- the document of a file

FILES: list[tuple[bytes, str]] = [
    (b"", "is no JSON"),
    (b"{", "is no JSON"),
    (b"[" * 100000, "is no JSON"),
    (b'{"apps": [], "apps": []}', "the name 'apps' is given twice"),
    (b'{"apps": [{"timeout": NaN}]}', "NaN is no number"),
    (b"\xff\xfe\x00", "is no JSON"),
    (b" " * ((1 << 20) + 1), "has more than 1048576 bytes"),
]


@pytest.mark.parametrize(("data", "why"), FILES, ids=[why for _data, why in FILES])
def test_bad_document(data: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(data)
    stdin(monkeypatch, data)
    for name in (str(path), "-"):
        with pytest.raises(HotplugError, match=why) as caught:
            _cli.read_document(name)
        assert caught.value.reason == "bad_file" and _outcome.exit_code(caught.value) == 2


def test_good_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "document.json"
    path.write_text('{"apps": []}')
    stdin(monkeypatch, b'{"apps": []}')
    assert _cli.read_document(str(path)) == _cli.read_document("-") == {"apps": []}


def test_files_that_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "document").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "document")
    os.mkfifo(tmp_path / "fifo")
    for name, why in (("link", "is a symbolic link"), ("fifo", "not a regular file"), (".", "not a regular file")):
        with pytest.raises(HotplugError, match=why):
            _cli.read_document(f"{tmp_path}/{name}")


OWNERS = [
    (0, 0, 0o644, ""),
    (0, 5, 0o644, "belongs to user 5"),
    (0, 0, 0o666, "written by everybody"),
    (5, 7, 0o666, ""),
]


@pytest.mark.parametrize(("us", "owner", "mode", "why"), OWNERS)
def test_whose_document_root_reads(us: int, owner: int, mode: int, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: us)
    status = os.stat_result((0o100000 | mode, 1, 1, 1, owner, 0, 0, 0, 0, 0))
    found = _cli._distrust(status)
    assert why in found if why else found == ""


# ---- against an application


@pytest.fixture
def web(fake: Start, place: str, run: str) -> tuple[FakeApp, t.Callable[..., int]]:
    """An application with a port, and the command for it."""
    app = fake("web", vdevs=["net_null0"])

    def call(*words: str) -> int:
        return int(_cli.main([*words, "--runtime-dir", run]))

    return app, call


def test_attach_look_detach(web: tuple[FakeApp, t.Callable[..., int]], capsys: pytest.CaptureFixture[str]) -> None:
    app, call = web
    assert call("attach", "net_null1,copy=1", "net_ring0", "--check") == 0
    assert capsys.readouterr().out == "web: would attach net_null1,copy=1\nweb: would attach net_ring0\n"
    assert call("attach", "net_null1,copy=1", "net_ring0") == 0
    assert capsys.readouterr().out == "web: attached net_null1,copy=1 (port 1)\nweb: attached net_ring0 (port 2)\n"
    assert call("attach", "net_null1,copy=1", "--diff") == 0
    assert capsys.readouterr().out == (
        "web: nothing to do\n"
        "--- web before\n+++ web after\n net_null0 stopped\n net_null1,copy=1 stopped\n net_ring0 stopped\n"
    )
    assert call("ports", "web") == 0
    assert capsys.readouterr().out.splitlines()[2].split() == [
        *("web", "1", "net_null1", "net_null1,copy=1", "02:00:00:00:00:01", "0", "attached")
    ]
    assert call("detach", "2", "net_null1", "net_null9", "--diff") == 0
    assert capsys.readouterr().out == (
        "web: detached net_ring0 (port 2)\nweb: detached net_null1,copy=1 (port 1)\n"
        "--- web before\n+++ web after\n net_null0 stopped\n-net_null1,copy=1 stopped\n-net_ring0 stopped\n"
    )
    assert app.attached == {"net_null0": ""}


def test_evacuate_and_restore(
    web: tuple[FakeApp, t.Callable[..., int]], kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app, call = web
    call("attach", "net_null1,copy=1")
    capsys.readouterr()
    acts = "web: would detach net_null1,copy=1 (port 1)\nweb: would remember net_null1,copy=1\n"
    assert _cli.main(["evacuate", "--check"]) == 0
    assert capsys.readouterr().out == acts
    assert _cli.main(["evacuate", "--diff"]) == 0
    assert capsys.readouterr().out == (
        "web: detached net_null1,copy=1 (port 1)\n"
        "--- web before\n+++ web after\n net_null0 stopped\n-net_null1,copy=1 stopped\n"
        "web: remembered net_null1,copy=1\n"
    )
    assert _cli.main(["evacuate"]) == 0
    assert capsys.readouterr().out == "nothing to do\n"
    assert call("attach", "net_null1") == 3
    assert "is evacuated from application 'web' since 20" in capsys.readouterr().err
    assert call("restore", "--app", "web", "--check") == 0
    assert capsys.readouterr().out == "web: would attach net_null1,copy=1\nweb: would forget net_null1,copy=1\n"
    assert call("restore", "--app", "web", "--replaced", "net_null1=net_null2", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["changed"] and answer["evacuated"] == []
    assert app.attached == {"net_null0": "", "net_null2": "copy=1"}
    assert _cli.main(["evacuate", "--device", "net_null0"]) == 0
    app.end()
    capsys.readouterr()
    assert _cli.main(["restore"]) == 5
    assert _cli.main(["restore", "--forget"]) == 0
    assert capsys.readouterr().out == "web: forgot net_null0\n"


def test_json(web: tuple[FakeApp, t.Callable[..., int]], capsys: pytest.CaptureFixture[str]) -> None:
    app, call = web
    assert call("attach", "net_null1", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["changed"] and answer["apps"][0]["actions"][0]["port_ids"] == [1]
    assert call("apps", "--json") == 0
    (one,) = json.loads(capsys.readouterr().out)["apps"]
    assert one["prefix"] == "web" and one["pid"] == app.pid and len(one["ports"]) == 2
    assert call("ports", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [(port["app"], port["device"]) for port in answer["ports"]] == [("web", "net_null0"), ("web", "net_null1")]


ENDS: list[tuple[str, list[str], list[Act], int, str]] = [
    ("unknown driver", ["attach", "net_nosuch0"], [], 1, "has no driver or bus of that name"),
    ("undone", ["attach", "net_null1", "net_nosuch0"], [], 1, "Undone: attach net_null1."),
    (
        "kept",
        ["attach", "net_null1", "net_nosuch0", "--no-atomic"],
        [],
        4,
        "Not undone: attach net_null1: atomic is false",
    ),
    ("not undone", ["attach", "net_null1", "net_nosuch0"], [Act(), Act(), Act(-16)], 4, "Not undone: attach net_null1"),
    ("started", ["detach", "0"], [], 3, "has started ports: 0 (net_null0)"),
    ("application named though not given", ["detach", "0"], [], 3, "application 'web', device"),
    ("bad name", ["attach", "a b"], [], 2, "neither a PCI address nor"),
    ("twice", ["attach", "net_null1", "net_null1,copy=1"], [], 2, "is given twice"),
    ("no such application", ["attach", "net_null1", "--app", "mail"], [], 5, "no DPDK application 'mail' is running"),
    ("no such application's ports", ["ports", "mail"], [], 5, "no DPDK application 'mail' is running"),
    ("cannot", ["attach", "net_null1", "--started"], [], 3, "cannot start the ports"),
    ("other channel", ["attach", "net_null1", "--channel", "eal"], [], 3, "cannot be reached: multiprocess (eal): "),
    ("dies", ["attach", "net_null1"], [Act(dies="before")], 4, "way out"),
]


@pytest.mark.parametrize(("words", "acts", "code", "text"), [one[1:] for one in ENDS], ids=[one[0] for one in ENDS])
def test_how_it_ends(
    words: list[str],
    acts: list[Act],
    code: int,
    text: str,
    web: tuple[FakeApp, t.Callable[..., int]],
    capsys: pytest.CaptureFixture[str],
    patient: None,
) -> None:
    app, call = web
    app.start(0)
    app.script(*acts)
    assert call(*words) == code
    out, err = capsys.readouterr()
    assert out == "" and text.lower() in err.lower()
    assert err.startswith("dpdk-hotplug: error: ") and err.count("\n") == 2
    assert "\n  Way out: " in err
    if code in (2, 3, 5):
        assert app.requests == []


def test_several_applications(fake: Start, place: str, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    fake("web")
    fake("mail")
    assert _cli.main(["attach", "net_null1", "--runtime-dir", run, "--json"]) == 5
    answer = json.loads(capsys.readouterr().out)
    assert answer["error"]["reason"] == "several_applications" and answer["exit_code"] == 5


def test_locked(web: tuple[FakeApp, t.Callable[..., int]], capsys: pytest.CaptureFixture[str], patient: None) -> None:
    app, call = web
    app.script(Act(delay=1.0))
    other = threading.Thread(target=call, args=("attach", "net_null1"))
    other.start()
    while not app.requests:
        pass
    assert call("attach", "net_null2", "--timeout", "0.1") == 6
    other.join()
    assert f"another run works on application 'web' (pid {os.getpid()}, since " in capsys.readouterr().err


def test_warnings_go_to_stderr(web: tuple[FakeApp, t.Callable[..., int]], capsys: pytest.CaptureFixture[str]) -> None:
    app, call = web
    app.attach("vdev:net_null1,copy=1")
    assert call("attach", "net_null1,copy=1") == 0
    out, err = capsys.readouterr()
    assert out == "web: nothing to do\n" and err.startswith(
        "dpdk-hotplug: warning: Device 'net_null1' is attached, with"
    )


def test_converge(
    web: tuple[FakeApp, t.Callable[..., int]],
    run: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    app, _call = web
    text = json.dumps(
        {"apps": [{"app": "web", "runtime_dir": run, "exclusive": True, "ports": [{"device": "net_null7"}]}]}
    )
    for lines in ("web: detached net_null0 (port 0)\nweb: attached net_null7 (port 0)\n", "web: nothing to do\n"):
        stdin(monkeypatch, text.encode())
        assert _cli.main(["converge", "-"]) == 0
        assert capsys.readouterr().out == lines
    assert app.attached == {"net_null7": ""}
    stdin(monkeypatch, b"{}")
    assert _cli.main(["converge", "-"]) == 0
    assert capsys.readouterr().out == "nothing to do\n"


def test_ports_that_cannot_be_read(fake: Start, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    fake("web", telemetry=False)
    assert _cli.main(["ports", "--runtime-dir", run]) == 0
    assert _cli.main(["ports", "web", "--runtime-dir", run]) == 3
    assert "dpdk-hotplug: the ports of 'web'" in capsys.readouterr().err


def test_a_defect_of_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(**_options: t.Any) -> t.NoReturn:
        raise RuntimeError("oh\x1b[2J")

    monkeypatch.setattr(info, "apps", broken)
    assert _cli.main(["apps"]) == 4
    err = capsys.readouterr().err
    assert err.startswith("dpdk-hotplug: error: internal error: RuntimeError: oh\\x1b[2J") and "in broken" in err
    assert _cli.main(["apps", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["reason"] == "internal"


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(**_options: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "apps", interrupted)
    assert _cli.main(["apps"]) == 130
    assert capsys.readouterr().err == "dpdk-hotplug: interrupted\n"


def test_steps_are_shown_at_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli._progress() is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    tell = _cli._progress()
    assert tell is not None
    tell(f"web: attach {HOSTILE}")
    assert capsys.readouterr().err == "... web: attach a\\x1b[2Jb\\nc\\x7fd\\x9be\\u202ef\n"


# ---- the request of a program


def ask(monkeypatch: pytest.MonkeyPatch, request: t.Any) -> tuple[int, dict[str, t.Any]]:
    stdin(monkeypatch, request if isinstance(request, bytes) else json.dumps(request).encode())
    reading, writing = os.pipe()
    code = _helper.main(["request", "--answer-fd", str(writing)])
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        return code, json.loads(stream.read())


def test_requests(web: tuple[FakeApp, t.Callable[..., int]], run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app, _call = web
    desired = {"apps": [{"app": "web", "runtime_dir": run, "ports": [{"device": "net_null1"}]}]}
    code, answer = ask(monkeypatch, {"converge": desired, "check": True})
    assert code == 0 and answer["changed"] and app.requests == []
    code, answer = ask(monkeypatch, {"converge": desired, "version": _version.version()})
    assert code == 0 and answer["changed"] and list(app.attached) == ["net_null0", "net_null1"]


TASK = {
    **dict.fromkeys(("app", "device", "port_id", "ports", "runtime_dir", "started", "commands", "drain", "undrain")),
    **dict.fromkeys(("exclusive", "force", "recreate"), False),
    **dict.fromkeys(("adapter", "channel"), "auto"),
    "state": "present",
    "atomic": True,
    "timeout": 30.0,
}


def task(module: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **more: t.Any) -> t.Any:
    """Whether it had begun, and the answer."""
    stdin(monkeypatch, json.dumps({"module": module, "version": _version.version(), **more}).encode())
    _helper.main(["request"])
    *begun, answer = capfd.readouterr().out.splitlines()
    return begun == [_helper.BEGUN], json.loads(answer)


def test_a_task_gets_what_its_module_returns(
    web: tuple[FakeApp, t.Callable[..., int]],
    run: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, _call = web
    options = {**TASK, "app": "web", "device": "net_null1", "runtime_dir": run}
    begun, answer = task("dpdk_port", capfd, monkeypatch, options=options, check=True)
    assert begun and answer["changed"] and app.requests == []
    begun, answer = task("dpdk_port", capfd, monkeypatch, options=options)
    assert begun and answer["changed"] and list(app.attached) == ["net_null0", "net_null1"]
    assert answer["diff"]["before_header"] == "ports of DPDK application web" and answer["warnings"] == []
    begun, answer = task("dpdk_port", capfd, monkeypatch, options={**options, "app": "mail"})
    assert begun and answer["failed"] and answer["error"]["reason"] == "no_application" and not answer["changed"]
    begun, answer = task("dpdk_app_info", capfd, monkeypatch, options={"app": None, "runtime_dir": run})
    assert begun and [one["prefix"] for one in answer["apps"]] == ["web"]
    options = {"app": "web", "runtime_dir": run, "device": "net_null1"}
    begun, answer = task("dpdk_port_info", capfd, monkeypatch, options=options)
    assert begun and [port["port_id"] for port in answer["ports"]] == [1]


NOT_BEGUN: list[dict[str, t.Any]] = [
    {"module": "dpdk_kernel_args", "options": {}},
    {"module": ["dpdk_port"], "options": {}},
    {"module": "dpdk_failure", "options": {}},
    {"module": "dpdk_port", "options": []},
    {"module": "dpdk_port", "options": TASK, "check": "no"},
    {"module": "dpdk_port", "options": TASK, "version": "0.0.0"},
    {"module": "dpdk_port", "options": TASK, "converge": {}},
    {"module": "dpdk_port"},
    {"module": "dpdk_port", "options": {**TASK, "commands": {"attach": ["id"]}}},
    {"module": "dpdk_port", "options": {**TASK, "drain": ["id"]}},
    {"module": "dpdk_port", "options": {**TASK, "ports": [{"device": "net_null0", "undrain": ["id"]}]}},
    {"module": "dpdk_host", "options": {"apps": [{"app": "web", "commands": {"status": ["id"]}}]}},
]


@pytest.mark.parametrize("request_", NOT_BEGUN, ids=str)
def test_a_task_that_the_command_does_not_take_may_run_as_a_module(
    request_: dict[str, t.Any], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, answer = task(capfd=capfd, monkeypatch=monkeypatch, **request_)
    assert not begun and answer["failed"] and answer["error"]["reason"] in ("bad_request", "other_version")


REQUESTS: list[tuple[t.Any, str, int]] = [
    (b"", "bad_request", 2),
    (b"[", "bad_request", 2),
    (b"[]", "bad_request", 2),
    (b" " * ((1 << 20) + 1), "bad_request", 2),
    ({}, "bad_request", 2),
    ({"remove": {}}, "bad_request", 2),
    ({"apps": {}}, "bad_request", 2),
    ({"converge": {}, "options": {}}, "bad_request", 2),
    ({"converge": {}, "check": 1}, "bad_request", 2),
    ({"converge": {}, "version": "0.0.0"}, "other_version", 3),
    ({"converge": []}, "bad_document", 2),
    ({"converge": {"apps": [{"app": "web", "ports": [{"device": "net_null1", "drain": ["id"]}]}]}}, "bad_request", 2),
    ({"converge": {"apps": [{"app": "../x"}]}}, "bad_prefix", 2),
]


@pytest.mark.parametrize(("request_", "reason", "code"), REQUESTS, ids=[str(one[0])[:40] for one in REQUESTS])
def test_bad_requests(request_: t.Any, reason: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, answer = ask(monkeypatch, request_)
    assert (ended, answer["error"]["reason"], answer["exit_code"]) == (code, reason, code)
    assert answer["failed"] and answer["msg"]


def test_a_request_always_has_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "converge", lambda *_a, **_k: 1 / 0)
    code, answer = ask(monkeypatch, {"converge": {}})
    assert code == 4 and answer["error"]["reason"] == "internal"


def test_nobody_waits_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"{}")
    assert _helper.main(["request", "--answer-fd", "999"]) == 2


def test_usage_of_request(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["x"], ["--answer-fd"], ["--answer-fd", "x"], ["--answer-fd", "1", "x"]):
        assert _helper.main(["request", *words]) == 2
    assert capsys.readouterr().err.count("usage: dpdk-hotplug request") == 4


def test_linux_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd13")
    assert _helper.main(["apps"]) == 3
    assert "Linux only" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _helper.main(["--version"]) == 0
    assert capsys.readouterr().out == f"dpdk-hotplug {_version.version()}\n"
    inside = tmp_path / "ansible_collections/dpdk/hotplug"
    inside.mkdir(parents=True)
    monkeypatch.setattr(_version, "__file__", f"{inside}/plugins/module_utils/_version.py")
    assert _version.version() == ""
    (tmp_path / "VERSION").write_text("1.2.3+abc\n")
    assert _version.version() == "1.2.3+abc"
    (inside / "galaxy.yml").write_text("name: hotplug\nversion: 1.2.4\n")
    assert _version.version() == "1.2.4"
    (inside / "MANIFEST.json").write_text('{"collection_info": {"version": "1.2.5"}}')
    assert _version.version() == "1.2.5"


# ---- as a process of its own


def command(*words: str, **options: t.Any) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", HELPER, *words]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY.parents[4])}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options)


def test_each_way_imports_what_it_needs() -> None:
    code = f"import sys; from {HELPER} import main; main(['request']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="{}",
        env={"PYTHONPATH": str(LIBRARY.parents[4])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"bad_request"' in done.stdout
    assert not {"argparse", HELPER.replace("_helper", "_cli"), "ctypes"} & set(done.stdout.split())


def test_nobody_reads_the_output() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", HELPER, "--help"]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY.parents[4])}
    done = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def events(process: subprocess.Popen[str], count: int) -> list[dict[str, t.Any]]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _each in range(count)]


def test_watch(fake: Start, run: str) -> None:
    web = fake("web", vdevs=["net_null0"])
    with command("watch", "--interval", "0.05", "--runtime-dir", run) as process:
        first = events(process, 2)
        assert [one["event"] for one in first] == ["app_up", "port_attached"]
        assert first[1]["device"] == "net_null0" and first[1]["app"] == "web" and first[1]["pid"] == web.pid
        web.attach("vdev:net_null1")
        assert [(one["event"], one["port_id"]) for one in events(process, 1)] == [("port_attached", 1)]
        web.start(1)
        web_started = events(process, 1)[0]
        assert web_started["event"] == "port_started" and web_started["started"] and web_started["configured"]
        web.stop(1)
        assert events(process, 1)[0]["event"] == "port_stopped"
        web.detach("vdev:net_null1")
        assert [(one["event"], one["device"]) for one in events(process, 1)] == [("port_gone", "net_null1")]
        fake("mail")
        assert [(one["event"], one["app"]) for one in events(process, 1)] == [("app_up", "mail")]
        web.end()
        assert [(one["event"], one["app"]) for one in events(process, 2)] == [("port_gone", "web"), ("app_down", "web")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.communicate() == ("", "")


def test_watch_ends_with_its_reader(fake: Start, run: str) -> None:
    fake("web")
    with command("watch", "--interval", "0.05", "--runtime-dir", run, "--no-initial") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_watch_as_text(fake: Start, run: str) -> None:
    web = fake("web", vdevs=["net_null0"])
    with command("watch", "--interval", "0.05", "--runtime-dir", run, "--text", "--app", "web") as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(f"Z  web ({web.pid})  app up DPDK 22.11.11\n")
        assert process.stdout.readline().endswith("port attached 0 net_null0 02:00:00:00:00:00\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0


EVENTS: list[tuple[dict[str, t.Any], str]] = [
    ({"event": "app_down"}, "10:11:12.345Z  web (7)  app down"),
    ({"event": "app_unreadable", "reason": "a\x1bb"}, "10:11:12.345Z  web (7)  app unreadable: a\\x1bb"),
    (
        {"event": "port_gone", "port_id": 3, "devargs": None, "device": "d", "mac": "m"},
        "10:11:12.345Z  web (7)  port gone 3 d m",
    ),
]


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_event_text(event: dict[str, t.Any], line: str) -> None:
    assert _cli.event_text({"time": "2026-01-02T10:11:12.345Z", "app": "web", "pid": 7, **event}) == line
