# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""The command ``dpdk-hotplug`` for people. Modules import nothing of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import stat
import sys
import typing as t

from ._errors import HotplugError
from ._outcome import DONE, EXIT_CODES, FAILED, INTERRUPTED, REFUSED, exit_code, failure, internal
from ._state.app_document import ADAPTERS, CHANNELS
from ._tables import paragraph, printable, table, width

Json = dict[str, t.Any]
_PROGRAM = "dpdk-hotplug"
_MAX_SECONDS = 3600


def main(argv: t.Sequence[str] | None = None) -> int:
    """Run the command; its exit code is one of ``_outcome.EXIT_CODES``."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words[: words.index("--") if "--" in words else None]
    try:
        given = parse(words)
        return int(given.run(given))
    except SystemExit:  # --help and --version
        return DONE
    except HotplugError as error:
        return _fail(error, as_json)
    except KeyboardInterrupt:
        sys.stderr.write(f"{_PROGRAM}: interrupted\n")
        return INTERRUPTED
    except Exception as exc:
        return _fail(internal(exc), as_json)
    finally:
        _flush()


# ---- the command line


def parse(words: t.Sequence[str]) -> argparse.Namespace:
    """The command line. Raises HotplugError where it is wrong, SystemExit where it asks for help."""
    program: list[str] = []
    if words[:1] == ["console"] and "--" in words:
        # A program has a -- of its own, which argparse takes for its own in one version and not in another.
        cut = words.index("--")
        words, program = words[:cut], list(words[cut + 1 :])
    given = _parser().parse_args(words)
    given.program = program
    return given


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="See and change the ports of the DPDK applications that run on this host, and its devices.",
        epilog="exit codes:\n"
        + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())
        + "\n\n'dpdk-hotplug COMMAND --help' shows the options and examples of a command.",
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    _add_apps(commands)
    _add_ports(commands)
    _add_devices(commands)
    _add_attach(commands)
    _add_detach(commands)
    _add_evacuate(commands)
    _add_restore(commands)
    _add_converge(commands)
    _add_boot(commands)
    _add_status(commands)
    _add_reconcile(commands)
    _add_watch(commands)
    _add_console(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: t.Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def _print_message(self, message: str, file: t.Any = None) -> None:
        # Python 3.9 lets a closed pipe end the process with a traceback.
        with contextlib.suppress(OSError):
            (file or sys.stdout).write(message)
            sys.stdout.flush()

    def error(self, message: str) -> t.NoReturn:
        raise HotplugError("usage", message, way_out=f"See {self.prog} --help.")


class _Version(argparse.Action):
    def __init__(self, **options: t.Any) -> None:
        super().__init__(nargs=0, help="print the version and exit", **options)

    def __call__(self, parser: argparse.ArgumentParser, *_rest: t.Any) -> t.NoReturn:
        from ._version import version

        _print([f"{_PROGRAM} {version() or '(unknown version)'}"])
        parser.exit()


def _command(
    commands: t.Any, name: str, run: t.Callable[[argparse.Namespace], int], text: str, *examples: str
) -> t.Any:
    shown = "".join(f"\n  {_PROGRAM} {name}{example}" for example in examples)
    parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=f"examples:{shown}"
    )
    parser.set_defaults(run=run, json=False)
    return parser


def _add_json(parser: t.Any) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, errors too, on standard output")


def _add_runtime_dir(parser: t.Any) -> None:
    parser.add_argument(
        "--runtime-dir",
        metavar="DIR",
        type=_directory,
        help="the directory that holds the applications' own, such as /var/run/dpdk; by default all are searched",
    )


def _directory(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/") or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path without '..'")
    return text.rstrip("/") or "/"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to {_MAX_SECONDS}")
    return seconds


def _interval(text: str) -> float:
    return max(0.05, _seconds(text))


def _add_apps(commands: t.Any) -> None:
    text = "list the DPDK applications on this host, and how each is reached"
    parser = _command(commands, "apps", _apps, text, "", " --json", " --runtime-dir /run/user/1000/dpdk")
    _add_runtime_dir(parser)
    _add_json(parser)


def _add_ports(commands: t.Any) -> None:
    parser = _command(commands, "ports", _ports, "list the ports of one or all applications", "", " web", " web --json")
    parser.add_argument("app", metavar="APP", nargs="?", default="", help="file prefix; by default all applications")
    _add_runtime_dir(parser)
    _add_json(parser)


def _add_devices(commands: t.Any) -> None:
    text = "list the PCI devices of this host, who uses them, and whether they can be given to DPDK"
    parser = _command(commands, "devices", _devices, text, "", " 0000:01:00.0 --json", " --all")
    parser.add_argument("devices", metavar="ADDRESS", nargs="*", help="PCI address; by default all that DPDK may drive")
    parser.add_argument("--all", dest="every", action="store_true", help="every device, whatever it is for")
    _add_json(parser)


def _add_change(parser: t.Any) -> None:
    """The options of attach and detach, which are those of the module dpdk_port."""
    parser.add_argument("--app", metavar="APP", help="file prefix; may be left out where one application runs")
    _add_runtime_dir(parser)
    parser.add_argument("--adapter", choices=ADAPTERS, help="how to reach the application (default: what is possible)")
    parser.add_argument("--channel", choices=CHANNELS, help="of the adapter multiprocess (default: what is possible)")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="seconds to wait for another run (default: 30)")
    parser.add_argument(
        "--force", action="store_true", help="go past a started or owned port; it may crash the application"
    )
    parser.add_argument(
        "--no-atomic", dest="atomic", action="store_false", help="do not undo what was done before a failure"
    )
    _add_check(parser)


def _add_check(parser: t.Any) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing, say what would be done")
    parser.add_argument("--diff", action="store_true", help="show the state before and after")
    _add_json(parser)


def _add_attach(commands: t.Any) -> None:
    parser = _command(
        commands,
        "attach",
        _change,
        "attach devices to a running application",
        " 0000:01:00.0",
        " net_pcap0,iface=eth0 net_null1 --app web --started",
        " net_null1 --app web --exclusive --check --diff",
    )
    parser.add_argument(
        "devices", metavar="DEVICE", nargs="+", help="PCI address, or virtual device as --vdev takes it"
    )
    started = parser.add_mutually_exclusive_group()
    started.add_argument("--started", dest="started", action="store_true", default=None, help="start their ports")
    started.add_argument("--stopped", dest="started", action="store_false", default=None, help="stop their ports")
    parser.add_argument("--recreate", action="store_true", help="detach and attach anew what has other arguments")
    parser.add_argument("--exclusive", action="store_true", help="detach every other device of the application")
    _add_change(parser)
    parser.set_defaults(state="present")


def _add_detach(commands: t.Any) -> None:
    parser = _command(
        commands,
        "detach",
        _change,
        "detach devices from a running application",
        " 0000:01:00.0",
        " 3 --app web",
        " net_null1 net_null2 --app web --check",
    )
    parser.add_argument("devices", metavar="DEVICE|PORT_ID", nargs="+", help="PCI address, virtual device, or port id")
    _add_change(parser)
    parser.set_defaults(state="absent", started=None, recreate=False, exclusive=False)


def _add_evacuate(commands: t.Any) -> None:
    parser = _command(
        commands,
        "evacuate",
        _evacuate,
        "take what was attached to running applications away, and remember it for 'restore'",
        "",
        " --app web --check --diff",
        " --device 0000:01:00.0",
    )
    _add_evacuation(parser)
    parser.add_argument("--force", action="store_true", default=None, help="go past a started or owned port")
    parser.set_defaults(present=True, replaced=[], forget=False)


def _add_restore(commands: t.Any) -> None:
    parser = _command(
        commands,
        "restore",
        _evacuate,
        "bring back what 'evacuate' took away",
        "",
        " --app web --check --diff",
        " --replaced 0000:01:00.0=0000:05:00.0",
        " --device net_tap0 --forget",
    )
    _add_evacuation(parser)
    parser.add_argument(
        "--replaced",
        metavar="OLD=NEW",
        action="append",
        default=[],
        help="attach the device NEW in the place of OLD; may be given again",
    )
    parser.add_argument("--forget", action="store_true", help="do not bring it back, only forget it")
    parser.set_defaults(present=False, force=None)


def _add_evacuation(parser: t.Any) -> None:
    parser.add_argument(
        "--app", metavar="APP", dest="apps", action="append", help="file prefix; may be given again (default: all)"
    )
    parser.add_argument(
        "--device", metavar="DEVICE", dest="devices", action="append", help="only this one; may be given again"
    )
    _add_runtime_dir(parser)
    parser.add_argument("--adapter", choices=ADAPTERS, help="how to reach the applications (default: what is possible)")
    parser.add_argument("--channel", choices=CHANNELS, help="of the adapter multiprocess (default: what is possible)")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="seconds to wait for another run (default: 30)")
    _add_check(parser)


def _add_converge(commands: t.Any) -> None:
    parser = _command(
        commands,
        "converge",
        _converge,
        "bring the host and its applications into the state of a document",
        " /etc/dpdk/ports.json --check --diff",
        " - < ports.json",
        """ - <<< '{"apps": [{"app": "web", "ports": [{"device": "net_null1"}]}]}'""",
    )
    parser.add_argument("file", metavar="FILE", help="the document, JSON; - is standard input")
    _add_check(parser)


def _add_boot(commands: t.Any) -> None:
    text = "apply what is to persist, as the unit dpdk-hotplug-host.service does at boot"
    _command(commands, "boot", _boot, text, "")


def _add_status(commands: t.Any) -> None:
    text = "tell what of the persistent state holds, what does not and why, and what was last done about it"
    _add_json(_command(commands, "status", _status, text, "", " --json"))


def _add_reconcile(commands: t.Any) -> None:
    text = "keep the host in its persistent state, as the unit dpdk-hotplug-reconciler.service does"
    _command(commands, "reconcile", _reconcile, text, "")


def _add_watch(commands: t.Any) -> None:
    parser = _command(
        commands,
        "watch",
        _watch,
        "tell what becomes of applications and ports, a line an event, until interrupted",
        "",
        " --app web --no-initial --json",
        " --interval 0.2 | grep port_gone",
    )
    parser.add_argument("--app", metavar="APP", default="", help="file prefix; by default all applications")
    _add_runtime_dir(parser)
    parser.add_argument(
        "--interval", type=_interval, default=1.0, metavar="S", help="seconds between two looks (default: 1)"
    )
    parser.add_argument(
        "--initial",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="begin with what is there already",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", default=None, help="a line of JSON an event; the default, but for terminals"
    )
    form.add_argument(
        "--text", dest="json", action="store_false", help="a line of text an event; the default for terminals"
    )
    parser.set_defaults(json=None)


def _add_console(commands: t.Any) -> None:
    parser = _command(
        commands,
        "console",
        _console,
        "run testpmd so that its console can be reached, or go to the console of one that runs so",
        " --prefix web -- dpdk-testpmd --file-prefix=web -l 0,1 -- -i",
        " --prefix web --connect",
    )
    parser.add_argument("--prefix", required=True, metavar="APP", help="the file prefix of the application")
    parser.add_argument(
        "--connect", action="store_true", help="type at the console of the running application; Ctrl-D ends"
    )
    _add_runtime_dir(parser)
    parser.usage = f"{_PROGRAM} console [-h] --prefix APP [--runtime-dir DIR] (--connect | -- PROGRAM [ARGUMENT ...])"


# ---- what the commands do


def _apps(given: argparse.Namespace) -> int:
    from ._state.info import apps

    found = apps(runtime_dir=given.runtime_dir or "")
    if given.json:
        return _print_json({"apps": found})
    return _print(apps_text(found, width()))


def apps_text(apps: t.Sequence[Json], columns: int) -> list[str]:
    """The applications as a table, and below it why some ways do not lead to them."""
    if not apps:
        return ["No DPDK application was found."]
    header = ("APP", "PID", "UID", "VERSION", "PORTS", "STATE", "DIRECTORY", "REACHED BY")
    lines = table(header, [_app_row(one) for one in apps], columns)
    for one in apps:
        lines += _obstacles(one, columns)
    return lines


def _app_row(one: Json) -> tuple[str, ...]:
    usable = [_way(way) for way in one["adapters"] if way["usable"]]
    return (
        one["prefix"] or "-",
        str(one["pid"] or "-"),
        "-" if one["uid"] is None else str(one["uid"]),
        one["version"] or one["release"] or "-",
        "-" if one["ports"] is None else str(len(one["ports"])),
        one["state"],
        one["runtime_dir"] or "-",
        ", ".join(usable) or "-",
    )


def _way(way: Json) -> str:
    return str(way["channel"] or way["adapter"])


def _obstacles(one: Json, columns: int) -> list[str]:
    """For each reason, the ways that it closes."""
    if one["state"] == "leftover":
        return []
    closed: dict[str, list[str]] = {}
    if one["ports"] is None and one["state"] == "running":
        closed[one["ports_error"]] = ["ports"]
    for way in one["adapters"]:
        if not way["usable"]:
            closed.setdefault(way["reason"], []).append(_way(way))
    title = f"{one['prefix'] or one['runtime_dir']} ({one['pid'] or 'no process'}) cannot be reached by"
    lines = ["", *paragraph(title, columns)] if closed else []
    for reason, ways in closed.items():
        lines += paragraph(f"{', '.join(ways)}: {reason}", columns, "  ")
    return lines


def _ports(given: argparse.Namespace) -> int:
    from ._state.info import ports

    found = ports(runtime_dir=given.runtime_dir or "", app=given.app, required=bool(given.app))
    if given.json:
        _print_json(t.cast(Json, found))
    else:
        if found["ports"] or not found["unread"]:
            _print(ports_text(found["ports"], width()))
        for one in found["unread"]:
            text = f"{_PROGRAM}: the ports of '{one['app']}' (pid {one['pid']}) cannot be read: {one['reason']}"
            _complain([text])
    return REFUSED if given.app and found["unread"] and not found["ports"] else DONE


def ports_text(ports: t.Sequence[Json], columns: int) -> list[str]:
    if not ports:
        return ["No ports."]
    header = ("APP", "PORT", "DEVICE", "DEVARGS", "MAC", "NUMA", "STATE")
    return table(header, [_port_row(one) for one in ports], columns)


def _devices(given: argparse.Namespace) -> int:
    from ._host_text import devices_text
    from ._state.device_info import devices

    found = devices(device=given.devices, every=given.every)
    there = {one["address"] for one in found["devices"]}
    missing = [one for one in given.devices if one.lower() not in there and f"0000:{one.lower()}" not in there]
    if missing:
        from ._state.host_refusals import no_device

        raise no_device(missing[0])
    if given.json:
        return _print_json(found)
    if found["iommu_hint"]:
        _complain(paragraph(f"{_PROGRAM}: {found['iommu_hint']}", width()))
    return _print(devices_text(found["devices"], width()))


def _port_row(one: Json) -> tuple[str, ...]:
    """Arguments that are not known are a question mark, those that are none a dash."""
    devargs = "?" if one["devargs"] is None else "-" if one["devargs"] == one["device"] else one["devargs"]
    state = "started" if one["started"] else "stopped" if one["configured"] else "attached"
    return (
        one["app"],
        str(one["port_id"]),
        one["device"],
        devargs,
        one["mac"],
        "-" if one["numa_node"] < 0 else str(one["numa_node"]),
        state + (", owned" if one["owned"] else ""),
    )


def document(given: argparse.Namespace) -> Json:
    """The state document that says what ``attach`` or ``detach`` was asked for."""
    names = (
        "app",
        "runtime_dir",
        "adapter",
        "channel",
        "timeout",
        "started",
        "state",
        "force",
        "recreate",
        "exclusive",
        "atomic",
    )
    entry = {name: value for name in names if (value := getattr(given, name)) is not None}
    entry["ports"] = [_named(text, given.state) for text in given.devices]
    return {"version": 1, "apps": [entry]}


def _named(text: str, state: str) -> Json:
    if text.isascii() and text.isdecimal() and len(text) <= 5:
        if state == "present":
            raise HotplugError(
                "bad_devargs",
                f"'{text}' is a port id, not a device",
                way_out="Name the device: DPDK gives the port ids.",
            )
        return {"port_id": int(text)}
    return {"device": text}


def _change(given: argparse.Namespace) -> int:
    return _apply(document(given), given)


def _converge(given: argparse.Namespace) -> int:
    return _apply(read_document(given.file), given)


def _evacuate(given: argparse.Namespace) -> int:
    from ._state.evacuation import run

    said = {name: getattr(given, name) for name in ("runtime_dir", "adapter", "channel", "force")}
    said = {name: value for name, value in said.items() if value is not None}
    if said and not given.apps:
        raise HotplugError("usage", f"--{'/'.join(said)} needs --app", way_out="Say which application it is about.")
    result = run(
        given.apps and [{"app": one, **said} for one in given.apps],
        devices=given.devices,
        present=given.present,
        replaced=dict(map(_replacement, given.replaced)),
        forget=given.forget,
        timeout=given.timeout,
        check=given.check,
        progress=None if given.json else _progress(),
    )
    _warn(result)
    if given.json:
        return _print_json(result)
    from ._host_text import memory_text

    lines = result_text(result, check=given.check, diff=given.diff) if result["apps"] else []
    return _print([*lines, *memory_text(result, check=given.check)] or ["nothing to do"])


def _replacement(text: str) -> tuple[str, str]:
    old, _equals, new = text.partition("=")
    return old, new


def _boot(_given: argparse.Namespace) -> int:
    from ._host.boot import boot
    from ._state.engine import converge
    from ._system import System

    return boot(System(), converge, lambda line: _complain([f"{_PROGRAM}: {line}"]))


def _status(given: argparse.Namespace) -> int:
    import functools

    from ._host_text import status_text
    from ._state.engine import converge
    from ._state.status import status

    found = status(functools.partial(converge, leave_evacuated=True))
    if given.json:
        _print_json(found)
    else:
        _print(status_text(found, width()))
    return DONE if found["holds"] else FAILED


def _reconcile(_given: argparse.Namespace) -> int:
    from ._state.reconciler import serve

    return serve()


def _apply(desired: t.Any, given: argparse.Namespace) -> int:
    from ._state.engine import converge

    result = converge(desired, check=given.check, progress=None if given.json else _progress())
    _warn(result)
    if given.json:
        return _print_json(result)
    return _print(result_text(result, check=given.check, diff=given.diff))


def _warn(result: Json) -> None:
    for warning in result["warnings"]:
        _complain(paragraph(f"{_PROGRAM}: warning: {warning}", width()))


def _progress() -> t.Callable[[str], None] | None:
    """At a terminal each step is shown when it begins: one that hangs may take 20 s and more."""
    if not sys.stderr.isatty():
        return None
    return lambda text: _complain([f"... {text}"])


_DID = {
    "attach": "attached",
    "detach": "detached",
    "start": "started",
    "stop": "stopped",
    "drain": "drained",
    "undrain": "undrained",
}


def result_text(result: Json, *, check: bool, diff: bool) -> list[str]:
    """What was done to the host and to each application, a line an act, and the difference where it is asked for."""
    lines: list[str] = []
    if "host" in result:
        from ._host_text import result_text as host_text

        lines += host_text(result["host"], check=check, diff=diff)
    for one in result["apps"]:
        prefix = printable(one["app"]["prefix"])
        lines += [f"{prefix}: {_act_text(act, check)}" for act in one["actions"]] or [f"{prefix}: nothing to do"]
        if diff:
            lines += _diff_text(prefix, one["diff"])
    return lines or ["nothing to do"]


def _act_text(act: Json, check: bool) -> str:
    what = f"would {act['action']}" if check else _DID[act["action"]]
    ids = ", ".join(map(str, act["port_ids"]))
    return printable(f"{what} {act['devargs']}" + (f" (port {ids})" if ids else ""))


def _diff_text(prefix: str, diff: Json) -> list[str]:
    before, after = diff["before"]["ports"], diff["after"]["ports"]
    lines = [f"--- {prefix} before", f"+++ {prefix} after"]
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            lines.append(f" {_state_text(name, old)}")
            continue
        lines += [f"-{_state_text(name, old)}"] if old else []
        lines += [f"+{_state_text(name, new)}"] if new else []
    return lines


def _state_text(name: str, state: Json) -> str:
    args = " (arguments not known)" if state["args"] is None else f",{state['args']}" if state["args"] else ""
    return printable(f"{name}{args} {'started' if state['started'] else 'stopped'}")


def _console(given: argparse.Namespace) -> int:
    from ._apps import broker, console
    from ._apps.discovery import check_prefix

    check_prefix(given.prefix)
    if given.connect == bool(given.program):
        raise HotplugError(
            "bad_request",
            "console takes either --connect, or a program after --",
            way_out=f"See {_PROGRAM} console --help.",
        )
    if given.connect:
        return console.interact(given.prefix, runtime_dir=given.runtime_dir or "")
    return broker.end_like(console.serve(given.prefix, given.program, runtime_dir=given.runtime_dir or ""))


# ---- watch


def _watch(given: argparse.Namespace) -> int:
    """Events until a signal, or until nobody reads them any more."""
    import queue
    import signal
    import threading

    from ._apps.discovery import check_prefix
    from ._state.watch import Watch

    events: queue.SimpleQueue[t.Any] = queue.SimpleQueue()
    watch = Watch(
        events.put,
        interval=given.interval,
        prefix=check_prefix(given.app) if given.app else "",
        runtime_dir=given.runtime_dir or "",
        initial=given.initial,
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: events.put(None))

    def look() -> None:
        try:
            watch.run()
        except Exception as exc:
            events.put(exc)

    threading.Thread(target=look, daemon=True).start()
    as_json = given.json if given.json is not None else not sys.stdout.isatty()
    try:
        _tell(events, json.dumps if as_json else event_text)
    finally:
        watch.stop()
    return DONE


def _tell(events: t.Any, form: t.Callable[[Json], str]) -> None:
    """Print what comes. Now and then see whether somebody still reads: without events no write would say so."""
    import queue

    while _heard(sys.stdout):
        with contextlib.suppress(queue.Empty):
            event = events.get(timeout=1.0)
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            try:
                sys.stdout.write(_safe(form(event)) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                return


def _heard(stream: t.TextIO) -> bool:
    import select

    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):
        return True
    return not any(flags & (select.POLLERR | select.POLLHUP) for _fd, flags in poll.poll(0))


def event_text(event: Json) -> str:
    """An event for a person: time of day in UTC, application, what happened to what."""
    what = event["event"].replace("_", " ")
    about = ""
    if "port_id" in event:
        about = f" {event['port_id']} {event['devargs'] or event['device']} {event['mac']}"
    elif event.get("reason"):
        about = f": {event['reason']}"
    elif event["event"] == "app_up":
        about = f" {event['version']}"
    return printable(f"{event['time'][11:]}  {event['app']} ({event['pid']})  {what}{about}")


# ---- input and output


def read_document(name: str) -> t.Any:
    """The document of a file, or of standard input; HotplugError where it is not to be trusted or no JSON."""
    from ._state.document import MAX_BYTES

    data = sys.stdin.buffer.read(MAX_BYTES + 1) if name == "-" else _file(name, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _bad_file(name, f"has more than {MAX_BYTES} bytes", "Split it.")
    try:
        return json.loads(data, object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise _bad_file(name, f"is no JSON document: {exc}", "Correct it there.") from exc


def _file(name: str, limit: int) -> bytes:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as exc:
        link = os.path.islink(name) if "\0" not in name else False
        why = "is a symbolic link" if link else f"cannot be opened: {getattr(exc, 'strerror', exc)}"
        raise _bad_file(name, why, "Give the path of the file itself.") from exc
    try:
        status = os.fstat(fd)
        why = "is not a regular file" if not stat.S_ISREG(status.st_mode) else _distrust(status)
        if why:
            raise _bad_file(
                name, why, "Give a file that root owns and nobody else may write to, or - for standard input."
            )
        with os.fdopen(fd, "rb", closefd=False) as stream:
            return stream.read(limit)
    finally:
        os.close(fd)


def _distrust(status: os.stat_result) -> str:
    """Why root should not act on a file; anybody else acts for himself."""
    if os.geteuid() != 0:
        return ""
    if status.st_uid != 0:
        return f"belongs to user {status.st_uid}"
    return "may be written by everybody" if status.st_mode & stat.S_IWOTH else ""


def _bad_file(name: str, why: str, way_out: str) -> HotplugError:
    what = "standard input" if name == "-" else f"file {name!r}"
    return HotplugError("bad_file", f"{what} {why}", way_out=way_out)


def _object(pairs: list[tuple[str, t.Any]]) -> Json:
    """An object; of a name that is given twice, JSON's readers would silently take the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} is given twice")
    return found


def _no_number(text: str) -> t.NoReturn:
    raise ValueError(f"{text} is no number")


def _fail(error: HotplugError, as_json: bool) -> int:
    if as_json:
        _print_json(failure(error))
    else:
        _complain(error_text(error))
    return exit_code(error)


def error_text(error: HotplugError) -> list[str]:
    """What is wrong in one line, the way out in the next."""
    text, way_out = str(error), error.way_out
    if way_out and text.endswith(way_out):
        text = text[: -len(way_out)].rstrip()
    lines = [f"{_PROGRAM}: error: {text}", *([f"  Way out: {way_out}"] if way_out else [])]
    return lines + str(error.fields.get("traceback", "")).splitlines()


def _print(lines: t.Sequence[str]) -> int:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write("".join(_safe(line) + "\n" for line in lines))
        sys.stdout.flush()
    return DONE


def _print_json(value: Json) -> int:
    return _print([json.dumps(value, indent=2 if sys.stdout.isatty() else None)])


def _safe(line: str) -> str:
    """JSON has all control characters written out but this one."""
    return line.replace("\x7f", "\\u007f")


def _complain(lines: t.Sequence[str]) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write("".join(printable(line) + "\n" for line in lines))


def _flush() -> None:
    """Nothing is left for the interpreter to write at its end, where a closed pipe would become a complaint."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
