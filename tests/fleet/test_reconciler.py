# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""testpmd and the reconciler as services of systemd: restarts, kills, reboots, cards that come, tasks meanwhile."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import time
from pathlib import Path
from typing import Any

from bed import CARDS, COMMAND, HOME, INSIDE, Bed
from machine import REPO
from player import Player, listing
from test_faults_plugged import NEW, plug, pull

CARD, PF = CARDS.e1000e[0], CARDS.igb[0]
RECONCILER, SERVICE = "dpdk-hotplug-reconciler.service", "dpdk-testpmd-web.service"
UNITS, DOCUMENT = "/etc/systemd/system/", "/etc/dpdk-hotplug/host.json"
MEMORY = {"pages": [{"size": "2M", "count": 96, "node": node} for node in (0, 1)], "persistent": True}
SMALL = {"testpmd_app": "web", "testpmd_memory": 128, "testpmd_timeout": 120}
BUFFERS = "--total-num-mbufs=4096"


def roles(player: Player, *named: tuple[str, dict[str, Any]]) -> str:
    """A playbook of roles of the collection, each with its variables."""
    play = player.directory / "roles.yml"
    listed = [{"role": f"dpdk.hotplug.{name}", **variables} for name, variables in named]
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": listed}]))
    return str(play)


def service(player: Player, **variables: Any) -> None:
    """Both services as their roles have them, with a testpmd with hugepages that is called web.

    The roles themselves are tested below; what they write is much sooner written so.
    """
    guest = player.guest
    asked = {**SMALL, "testpmd_args": ["--auto-start", BUFFERS], **variables}
    guest.machine.write(UNITS + RECONCILER, player.rendered("reconciler", f"{RECONCILER}.j2"))
    guest.machine.write(UNITS + SERVICE, player.rendered("testpmd", "dpdk-testpmd.service.j2", **asked))
    guest.run("systemctl", "daemon-reload")
    guest.run("systemctl", "enable", "--now", RECONCILER, SERVICE)


def shown(guest: Bed, unit: str, *names: str) -> Any:
    """Properties of a unit."""
    lines = guest.run("systemctl", "show", *(f"--property={name}" for name in names), unit).stdout.splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    return found[names[0]] if len(names) == 1 else found


def started(guest: Bed, prefix: str = "web") -> set[str]:
    """The ports of an application that are started; of one that does not answer, none."""
    with contextlib.suppress(Exception):
        ports = guest.inside("ports", socket=f"/run/dpdk/{prefix}/dpdk_telemetry.v2")
        return {name for name, one in ports.items() if one["dev_started"]}
    return set()


def status(guest: Bed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(guest.run(COMMAND, "status", "--json", check=False).stdout)
    return found


def row(guest: Bed, name: str) -> dict[str, Any]:
    """What is told of one part."""
    (found,) = [one for one in status(guest)["parts"] if one["name"] == name]
    return dict(found)


def journal(guest: Bed, *options: str) -> list[dict[str, str]]:
    """What the reconciler that runs has written there."""
    mine = f"_SYSTEMD_INVOCATION_ID={shown(guest, RECONCILER, 'InvocationID')}"
    argv = ["journalctl", "-t", "dpdk-hotplug", "-o", "json", "--no-pager", *options, mine]
    return [json.loads(line) for line in guest.run(*argv).stdout.splitlines()]


def acts(guest: Bed) -> list[dict[str, str]]:
    return [one for one in journal(guest) if "DPDK_HOTPLUG_ACTION" in one]


def exposure(guest: Bed, unit: str) -> float:
    said = guest.run("systemd-analyze", "security", "--no-pager", unit, check=False).stdout
    found = re.search(rf"Overall exposure level for {re.escape(unit)}: ([0-9.]+) (\S+)", said)
    assert found, said
    print(f"{unit}: {found.group(1)} {found.group(2)}")
    return float(found.group(1))


# The role testpmd


ODD = ["--log-level=lib.eal:7", "--log-level", "pmd.100%:7"]
ODDER = ["--eth-peer=0,02:00:00:00:00:01", "--mbuf-size=2176"]
# It keeps what it was called with, and is testpmd with what that understands.
WRAPPER = """#!/bin/sh
printf '%s\\0' "$@" > /run/words
exec /usr/bin/dpdk-testpmd --file-prefix=odd --no-huge -m 160 -l 0,1 --allow=0000:ff:00.0 -- -i --total-num-mbufs=2048
"""
WORDS = ["a b", 'quo"ted', "it's", "back\\slash\\n", "100%n", "$HOME", "${PATH}", ";", "", "*", "~", "#", "\u00e4"]
REFUSED: dict[str, dict[str, Any]] = {
    "a path": {"testpmd_app": "../web"},
    "two lines": {"testpmd_app": "web\n"},
    "an option": {"testpmd_app": "-web"},
    "a relative program": {"testpmd_program": "dpdk-testpmd"},
    "no processors": {"testpmd_lcores": "all"},
    "another prefix": {"testpmd_eal_args": ["--file-prefix=x"]},
    "out of reach": {"testpmd_eal_args": ["--in-memory"]},
    "arguments of testpmd": {"testpmd_eal_args": ["--"]},
    "a line in an argument": {"testpmd_args": ["--auto-start\nExecStartPost=/bin/true"]},
    "a program that is not there": {"testpmd_program": "/usr/bin/nothing"},
}


def test_testpmd_as_a_service_from_bare_and_back(guest: Bed, player: Player) -> None:
    guest.run("rm", "-r", HOME, COMMAND)
    bare = listing(guest)
    units = guest.shell("systemctl list-unit-files --no-legend | sort")
    web = {**SMALL, "testpmd_hugepages": False, "testpmd_memory": 160, "testpmd_args": ["--auto-start", BUFFERS]}
    second = {**web, "testpmd_app": "web.2:b", "testpmd_vdevs": ["net_null0,size=64"], "testpmd_eal_args": ODD}
    second["testpmd_args"] = [*ODDER, BUFFERS]
    both = roles(player, ("reconciler", {}), ("testpmd", web), ("testpmd", second))

    looked = player.done(both, "--check", "--diff")
    assert looked.changed > 0 and "+Type=notify" in looked.text
    assert not listing(guest) ^ bare

    begin = time.monotonic()
    assert player.done(both).changed > 0
    print(f"two testpmds in {time.monotonic() - begin:.0f} s")
    apps = {one["prefix"]: one for one in json.loads(guest.run(COMMAND, "apps", "--json").stdout)["apps"]}
    assert set(apps) == {"web", "web.2:b"}
    for one in apps.values():
        assert {"adapter": "testpmd", "usable": True}.items() <= one["adapters"][0].items()
    words = guest.read(f"/proc/{apps['web.2:b']['pid']}/cmdline").split("\0")[:-1]
    at = words.index("--")
    assert (words[at - len(ODD) : at], words[at + 1 :]) == (ODD, ["-i", *ODDER, BUFFERS])
    # It forwards, so what is attached and started does.
    guest.converge({"apps": [{"app": "web", "ports": [{"device": "net_null7", "started": True}]}]})
    ports = guest.until(lambda: _moving(guest), "packets of a port that was attached")
    assert set(ports) == {"net_null7"}
    again = player.done(both)
    assert again.changed == 0, again.text
    for unit in (SERVICE, RECONCILER):
        on = {"ActiveState": "active", "UnitFileState": "enabled", "NRestarts": "0"}
        assert shown(guest, unit, *on) == on
        assert guest.run("systemd-analyze", "verify", unit).stderr == ""
        assert exposure(guest, unit) < 5
    assert status(guest) == {**status(guest), "running": True, "holds": True, "parts": []}

    other = player.done(roles(player, ("testpmd", {**web, "testpmd_started": False, "testpmd_enabled": False})))
    assert other.changed == 1, other.text
    off = {"ActiveState": "inactive", "UnitFileState": "disabled"}
    assert shown(guest, SERVICE, *off) == off

    gone = [("testpmd", {**one, "testpmd_state": "absent"}) for one in (web, second)]
    gone.append(("reconciler", {"reconciler_state": "absent"}))
    assert player.done(roles(player, *gone), "--check").changed > 0
    assert player.done(roles(player, *gone, ("helper", {"helper_state": "absent"}))).changed > 0
    assert not listing(guest) ^ bare
    assert guest.shell("systemctl list-unit-files --no-legend | sort") == units
    assert guest.shell("ls /run/dpdk /dev/hugepages").split() == ["/dev/hugepages:", "/run/dpdk:"]
    assert "reconciler.json" not in guest.shell("ls /run/dpdk-hotplug")
    assert player.done(roles(player, *gone)).changed == 0


def _moving(guest: Bed) -> dict[str, Any] | None:
    found: dict[str, Any] = guest.inside("ports", socket="/run/dpdk/web/dpdk_telemetry.v2")
    return found if all(one["stats"]["opackets"] for one in found.values()) else None


def test_arguments_arrive_as_they_are_written_and_what_cannot_be_is_refused(guest: Bed, player: Player) -> None:
    guest.machine.write("/usr/local/bin/odd", WRAPPER)
    guest.run("chmod", "755", "/usr/local/bin/odd")
    odd = {**SMALL, "testpmd_app": "odd", "testpmd_program": "/usr/local/bin/odd", "testpmd_args": WORDS}
    player.done(roles(player, ("testpmd", odd)))
    words = guest.run("cat", "/run/words").stdout.split("\0")[:-1]
    assert words[words.index("--") + 1 :] == ["-i", *WORDS]

    play = player.directory / "refused.yml"
    tasks = []
    for name, variables in REFUSED.items():
        role = {"ansible.builtin.include_role": {"name": "dpdk.hotplug.testpmd"}, "vars": {**SMALL, **variables}}
        taken = {"ansible.builtin.fail": {"msg": f"TAKEN: {name}"}}
        said = {"ansible.builtin.debug": {"msg": f"CAUGHT {name}: {{{{ ansible_failed_result.msg }}}}"}}
        tasks.append({"block": [role, taken], "rescue": [said]})
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    before = listing(guest)
    text = " ".join(player.done(str(play)).text.split())
    assert "CAUGHT a path: testpmd_app must be a name" in text
    assert "There is no program /usr/bin/nothing" in text
    assert "TAKEN" not in text
    assert len(set(re.findall(r"CAUGHT ([a-z ]+):", text))) == len(REFUSED)
    assert not listing(guest) ^ before

    # What testpmd does not take is told in its own words.
    wrong = {**SMALL, "testpmd_hugepages": False, "testpmd_memory": 160, "testpmd_args": ["--no-such-option"]}
    failed = player.run(roles(player, ("testpmd", wrong)))
    assert failed.failed == 1 and "no-such-option" in failed.text.partition("It said last")[2], failed.text
    player.done(roles(player, *(("testpmd", {**one, "testpmd_state": "absent"}) for one in (SMALL, odd))))
    off = {"LoadState": "not-found", "ActiveState": "inactive"}
    assert shown(guest, SERVICE, *off) == off
    guest.run("rm", "/usr/local/bin/odd")


# The reconciler


# Until a restarted application answers, and has its ports: watched inside, where the time is.
_WATCH = """
import subprocess, time
sys.path.insert(0, given["inside"])
import releases
place = "/run/dpdk/web/dpdk_telemetry.v2"

def ports():
    import socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.settimeout(5)
        link.connect(place)
        pid = json.loads(link.recv(1024))["pid"]
    found = [releases.query(place, f"/ethdev/info,{n}") for n in releases.query(place, "/ethdev/list")]
    return pid, {one["name"]: one["dev_started"] for one in found if one}

old = ports()[0]
subprocess.Popen([str(old) if word == "PID" else word for word in given["act"]], start_new_session=True)
answered, end = 0.0, time.monotonic() + 150
while time.monotonic() < end:
    try:
        pid, now = ports()
    except (OSError, ValueError, KeyError):
        time.sleep(0.01)
        continue
    if pid == old:
        continue
    answered = answered or time.monotonic()
    if all(now.get(name) for name in given["ports"]):
        answer = time.monotonic() - answered
        break
"""


def test_ports_come_back_with_their_application_and_with_the_host(guest: Bed, player: Player) -> None:
    vf = {"select": {"pf": PF, "vf": 0}}
    guest.converge(
        {
            "hugepages": MEMORY,
            "devices": [
                {"device": CARD, "driver": "vfio-pci", "persistent": True},
                {"device": PF, "vfs": {"count": 2, "driver": "vfio-pci"}, "persistent": True},
            ],
        }
    )
    service(player)
    wanted = [{"device": CARD}, {"device": "net_ring3"}, vf]
    entry = {"app": "web", "started": True, "exclusive": True, "persistent": True, "ports": wanted}
    guest.converge({"apps": [entry]})
    before = guest.until(lambda: started(guest), "the ports")
    assert len(before) == 3 and {CARD, "net_ring3"} < before

    ends = {
        "restart": ["systemctl", "restart", SERVICE],
        "SIGKILL of testpmd": ["kill", "-KILL", "PID"],
        "SIGKILL of its console": ["systemctl", "kill", "-s", "KILL", "--kill-whom=main", SERVICE],
    }
    for times, (name, act) in enumerate(ends.items(), 1):
        took = guest.python(_WATCH, {"act": act, "ports": sorted(before), "inside": INSIDE})
        assert took is not None, f"{name}: not there"
        print(f"{name}: ports attached and started {took:.2f} s after telemetry answers")
        assert started(guest) == before
        # It writes of a run when that is over; the ports are there before.
        _one_line_an_act(guest, before, times)

    told = row(guest, "web")
    assert (told["holds"], told["todo"], told["message"]) == (True, [], "") and told["acted"] > 0
    text = guest.run(COMMAND, "status", check=False).stdout
    assert re.search(r"^web +app +holds +20\d\d-", text, re.MULTILINE), text

    guest.machine.reboot()
    begin = time.monotonic()
    guest.until(lambda: started(guest) == before, "the ports after a reboot", 240)
    print(f"after a reboot: ports {time.monotonic() - begin:.0f} s after ssh answers")
    assert guest.driver(CARD) == "vfio-pci"
    assert status(guest)["holds"], status(guest)
    assert {one["DPDK_HOTPLUG_KIND"] for one in acts(guest)} == {"app"}, "devices and memory are the boot's"


def _one_line_an_act(guest: Bed, devices: set[str], times: int) -> None:
    for verb in ("attach", "start"):
        mine = guest.until(functools.partial(_of, guest, verb, times * len(devices)), f"what it says of each {verb}")
        assert {one["DPDK_HOTPLUG_DEVICE"].partition(",")[0] for one in mine} == devices
    for one in acts(guest):
        assert (one["DPDK_HOTPLUG_PART"], one["DPDK_HOTPLUG_KIND"]) == ("web", "app")
        assert (one["PRIORITY"], one["_SYSTEMD_UNIT"]) == ("6", RECONCILER)
        assert one["MESSAGE"].startswith(f"web: {one['DPDK_HOTPLUG_ACTION']} ")


def _of(guest: Bed, verb: str, least: int) -> list[dict[str, str]] | None:
    """The acts of a kind, when there are as many."""
    found = [one for one in acts(guest) if one["DPDK_HOTPLUG_ACTION"] == verb]
    assert len(found) <= least, found
    return found if len(found) == least else None


def test_a_card_that_is_plugged_in_is_bound_and_attached(guest: Bed, player: Player) -> None:
    guest.converge({"hugepages": MEMORY})
    service(player)
    plug(guest)
    # Through the multi-process socket: testpmd's console is not asked.
    entry = {"app": "web", "adapter": "multiprocess", "persistent": True, "ports": [{"device": NEW}]}
    guest.converge({"devices": [{"device": NEW, "driver": "vfio-pci", "persistent": True}], "apps": [entry]})
    # A card that an application has is let go of first.
    guest.converge({"apps": [{"app": "web", "adapter": "multiprocess", "ports": [{"device": NEW, "state": "absent"}]}]})
    pull(guest)
    guest.run("systemctl", "reload", RECONCILER)
    told = guest.until(lambda: [one for one in [row(guest, NEW)] if one["state"] == "failed"], "what is missing")[0]
    assert told["reason"] == "no_device" and NEW in told["message"]
    assert guest.run(COMMAND, "status", check=False).returncode == 1
    begin = time.monotonic()
    with contextlib.closing(guest.machine.qmp()) as qmp:
        qmp.call("device_add", driver="e1000e", id="new", bus=CARDS.ports[0], mac="52:54:00:99:00:01", romfile="")
    guest.until(lambda: guest.driver(NEW) == "vfio-pci", "the card to be bound")
    guest.until(lambda: row(guest, "web")["holds"], "its port")
    print(f"a plugged card: bound and attached after {time.monotonic() - begin:.1f} s")
    assert status(guest)["holds"]
    assert ("bind", NEW) in {(one["DPDK_HOTPLUG_ACTION"], one["DPDK_HOTPLUG_DEVICE"]) for one in acts(guest)}


def test_what_cannot_hold_is_reported_and_costs_nothing(guest: Bed, player: Player) -> None:
    guest.converge({"hugepages": MEMORY})
    service(player)
    bad = {"device": "net_pcap0,iface=none"}
    entry = {"app": "web", "adapter": "multiprocess", "ports": [bad, {"device": "net_ring5"}]}
    _note(guest, apps=[entry], devices=[{"device": "0000:1f:00.0", "driver": "vfio-pci"}])
    guest.until(lambda: row(guest, "web")["tries"] > 6, "tries")
    used = int(shown(guest, RECONCILER, "CPUUsageNSec"))
    time.sleep(20)
    used = int(shown(guest, RECONCILER, "CPUUsageNSec")) - used
    print(f"with two parts that cannot hold: {used / 1e9 / 20:.2%} of a processor, on TCG")
    assert used < 20e9 * 0.1
    found = status(guest)
    assert not found["holds"] and found["running"]
    told = row(guest, "web")
    assert (told["state"], told["reason"]) == ("differs", "bad_devargs") and told["tries"] < 14
    assert row(guest, "0000:1f:00.0")["reason"] == "no_device"
    text = guest.run(COMMAND, "status", check=False).stdout
    assert re.search(r"web: .*its driver refuses it", text) and "to do: attach net_ring5" in text, text
    reasons = [one["DPDK_HOTPLUG_REASON"] for one in journal(guest, "-p", "err")]
    assert sorted(reasons) == ["bad_devargs", "no_device"], "each once, not with every try"
    assert "failing: " in shown(guest, RECONCILER, "StatusText")
    _note(guest, apps=[{**entry, "ports": [{"device": "net_ring5"}]}])
    guest.until(lambda: status(guest)["holds"], "what can hold")


def _note(guest: Bed, **document: Any) -> None:
    """Have it in the document as a task would, which cannot be had from a task, since that would do it."""
    guest.run("mkdir", "-p", str(Path(DOCUMENT).parent))
    guest.machine.write(f"{DOCUMENT}.new", json.dumps({"version": 1, **document}))
    guest.run("mv", f"{DOCUMENT}.new", DOCUMENT)


def test_all_that_it_does_it_can_do_confined(guest: Bed, player: Player) -> None:
    """Bind and make VFs, attach by ipc, by the console and by commands of the operator; each by the service alone."""
    tool = f"{INSIDE}/act.py"
    guest.machine.write(tool, (REPO / "tests/integration/real/act.py").read_text())
    own = guest.testpmd("own", memory=64)
    guest.converge({"hugepages": MEMORY})
    service(player)
    act = ["/usr/bin/python3", tool, own._facts["stdin"], own._facts["socket"]]
    commands = {"attach": [*act, "attach", "{devargs}"], "detach": [*act, "detach", "{device}"]}
    card, pf = CARDS.e1000e[1], CARDS.igb[1]
    settings = [{"index": 0, "mac": "02:00:00:00:00:05"}]
    _note(
        guest,
        devices=[
            {"device": card, "driver": "vfio-pci"},
            {"device": pf, "vfs": {"count": 2, "driver": "vfio-pci", "settings": settings}},
        ],
        apps=[
            {"app": "web", "ports": [{"device": card, "started": True}, {"device": "net_ring1"}]},
            {"app": "own", "commands": commands, "ports": [{"device": "net_ring2"}]},
        ],
    )
    guest.until(lambda: status(guest)["holds"], "all of it", 180)
    assert card in started(guest)
    assert guest.driver(card) == "vfio-pci"
    vfs = {one["address"]: one["driver"] for one in guest.devices().values() if one["pf"] == pf}
    assert list(vfs.values()) == ["vfio-pci"] * 2
    assert set(own.ports()) == {"net_ring2"}
    # The same testpmd, another way: detached by a task, attached by the reconciler through its multi-process socket.
    ports = [{"device": "net_ring2"}, {"device": sorted(vfs)[0]}]
    _note(guest, apps=[{"app": "own", "adapter": "multiprocess", "channel": "ipc", "ports": ports}])
    guest.until(lambda: status(guest)["holds"], "what ipc attaches")
    assert set(own.ports()) == {"net_ring2", sorted(vfs)[0]}
    kinds = {(one["DPDK_HOTPLUG_PART"], one["DPDK_HOTPLUG_ACTION"]) for one in acts(guest)}
    assert {(card, "bind"), ("web", "attach"), ("web", "start"), ("own", "attach")} <= kinds, kinds
    assert shown(guest, RECONCILER, "NRestarts") == "0"


RESTARTS = f"""
while true; do
    sleep 20; systemctl restart {SERVICE}
    sleep 30; systemctl kill -s KILL --kill-whom=main {SERVICE}
    sleep 40; systemctl kill -s KILL {SERVICE}
done
"""


def test_a_playbook_and_the_reconciler_never_fight(guest: Bed, player: Player) -> None:
    """The role ports, again and again, while testpmd is restarted and killed; what the last one asks for is so."""
    guest.converge({"hugepages": MEMORY})
    service(player)
    guest.run("systemd-run", "--unit=restarts", "sh", "-c", RESTARTS)

    def asked(*names: str) -> str:
        app = {"app": "web", "exclusive": True, "started": True, "ports": [{"device": one} for one in names]}
        return roles(player, ("ports", {"ports_apps": [[app]], "ports_persistent": True}))

    again = 0
    try:
        for names in (("net_ring0", "net_ring1"), ("net_ring1", "net_ring2"), (), ("net_ring0",)):
            for _try in range(20):
                played = player.run(asked(*names))
                if played.failed == 0:
                    break
                again += 1
            assert played.failed == 0, played.text
    finally:
        guest.run("systemctl", "stop", "restarts.service")
    print(f"{again} playbooks had to be run again")
    guest.until(lambda: started(guest) == {"net_ring0"}, "what the last playbook asked for")
    time.sleep(12)  # so long an application that starts is looked at
    ports = guest.inside("ports", socket="/run/dpdk/web/dpdk_telemetry.v2")
    assert set(ports) == {"net_ring0"}
    settled = player.done(asked("net_ring0"))
    assert settled.changed == 0, settled.text
