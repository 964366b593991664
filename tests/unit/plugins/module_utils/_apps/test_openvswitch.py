# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter openvswitch against a stateful fake of the database and of ovs-vswitchd."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils import _devices
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import openvswitch, ovsdb
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps import reach_others as reach
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.app import App, Means, Port
from ansible_collections.dpdk.hotplug.plugins.module_utils._apps.jsonrpc import JsonRpc
from ansible_collections.dpdk.hotplug.plugins.module_utils._binding.releases import Release
from ansible_collections.dpdk.hotplug.plugins.module_utils._devices import parse
from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System
from ansible_collections.dpdk.hotplug.tests.unit.plugins.module_utils._apps.fake_ovs import FakeOvs

NULL = parse("net_null0,size=64")


class Bed:
    def __init__(self, directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ovs = ovs = FakeOvs(directory, {"br0": "netdev", "br1": "netdev", "kernel": "system"})

        class Ports:
            def __init__(self, _app: App) -> None:
                pass

            def read(self) -> list[Port]:
                return [Port(n, name, False, "", -1, True, True) for n, name in enumerate(ovs.probed)]

        monkeypatch.setattr(openvswitch, "Ports", Ports)
        process = System().process(os.getpid())
        assert process is not None
        command = ("ovs-vswitchd", f"unix:{ovs.database}", f"--unixctl={ovs.control}")
        self.app = App(
            "rte",
            "/run/dpdk",
            pid=os.getpid(),
            uid=os.geteuid(),
            start_time=process.start_time,
            command=command,
            release=Release(22, 11),
            telemetry="x",
        )
        self.made: list[openvswitch.OpenVSwitch] = []

    def adapter(self, bridge: str = "br0", *, timeout: float = 5.0, **bridges: str) -> openvswitch.OpenVSwitch:
        means = Means(bridge=bridge, bridges=bridges)
        self.made.append(openvswitch.OpenVSwitch(self.app, means, System(), timeout=timeout))
        return self.made[-1]

    @property
    def ports(self) -> list[Port]:
        return openvswitch.OpenVSwitchPorts(self.app, System(), timeout=5).read()

    @property
    def interfaces(self) -> dict[str, ovsdb.Interface]:
        database = ovsdb.Database(self.ovs.database, uids={os.geteuid()}, timeout=5)
        found = {one.name: one for one in database.interfaces()}
        database.close()
        return found

    def close(self) -> None:
        for adapter in self.made:
            adapter.close()
        self.ovs.close()


@pytest.fixture
def bed(run: str, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Bed]:
    one = Bed(run, monkeypatch)
    yield one
    one.close()


def failure(call: t.Callable[[], t.Any]) -> HotplugError:
    with pytest.raises(HotplugError) as error:
        call()
    assert error.value.way_out or error.value.reason == "not_supported"
    return error.value


def test_a_device_is_attached_when_its_interface_works_and_detached_when_it_is_gone(bed: Bed) -> None:
    adapter = bed.adapter()
    adapter.precheck([NULL])
    adapter.attach(NULL)
    one = bed.interfaces["net_null0"]
    assert (one.devargs, one.bridge, one.works, bed.ovs.probed) == (NULL.text, "br0", True, {"net_null0": "size=64"})
    assert [(port.name, port.adopted, port.bridge, port.devargs) for port in bed.ports] == [
        ("net_null0", True, "br0", NULL.text)
    ]
    adapter.detach(NULL, [0])
    assert (bed.interfaces, bed.ovs.probed, bed.ports) == ({}, {}, [])


FAILED: list[tuple[str, str, str]] = [
    ("net_null0", "Error attaching device 'net_null0' to DPDK", "bad_devargs"),
    ("0000:ff:1f.7", "Error attaching device '0000:ff:1f.7' to DPDK", "no_such_device"),
    ("net_null0", "'x' is trying to use device 'net_null0' which is already in use by 'y'", "in_use"),
    ("net_null0", "could not add network device x to ofproto (Invalid argument)", "ovs_error"),
]


@pytest.mark.parametrize("device, says, reason", FAILED)
def test_what_open_vswitch_could_not_do_is_told_and_taken_back(bed: Bed, device: str, says: str, reason: str) -> None:
    bed.ovs.bad[device] = says
    error = failure(lambda: bed.adapter().attach(parse(device)))
    assert error.reason == reason
    assert says in str(error)
    assert bed.interfaces == {}


def test_an_interface_that_is_there_and_failed_is_tried_again(bed: Bed) -> None:
    bed.ovs.bad["net_null0"] = "Error attaching device"
    bed.ovs.add_interface("br1", "mine", NULL.text)
    assert [(port.port_id, port.adopted) for port in bed.ports] == [(-1, False)]
    assert failure(lambda: bed.adapter().attach(NULL)).reason == "bad_devargs"
    assert set(bed.interfaces) == {"mine"}, "what the operator asked for stays"
    bed.ovs.bad.clear()
    bed.adapter().attach(NULL)
    assert set(bed.interfaces) == {"mine"}
    assert bed.interfaces["mine"].works


BRIDGES: list[tuple[str, str]] = [("br7", "'br7'"), ("kernel", "'kernel'"), ("", "not exactly one")]


@pytest.mark.parametrize("bridge, text", BRIDGES)
def test_a_bridge_that_will_not_do_is_refused(bed: Bed, bridge: str, text: str) -> None:
    adapter = bed.adapter(bridge)
    adapter.precheck()
    error = failure(lambda: adapter.precheck([NULL]))
    assert error.reason == "no_bridge"
    assert text in str(error) and "br0, br1" in str(error)


def test_a_bridge_that_vanishes_between_is_refused(bed: Bed) -> None:
    database = ovsdb.Database(bed.ovs.database, uids={os.geteuid()}, timeout=5)
    assert failure(lambda: database.add("br7", {"name": "x"}, {"name": "x"})).reason == "no_bridge"
    database.close()


def test_settings_are_kept_when_a_port_is_put_back_and_when_it_moves(bed: Bed) -> None:
    bed.ovs.add_interface("br1", "uplink", "net_null0,size=1", tag=7)
    adapter = bed.adapter("br0")
    adapter.precheck([NULL])
    adapter.detach(parse("net_null0"), [0])
    adapter.attach(NULL)  # asked for: to the bridge that is asked for
    one = bed.interfaces["uplink"]
    assert (one.bridge, one.devargs) == ("br0", NULL.text)
    adapter.detach(NULL, [0])
    adapter.attach(parse("net_null0,size=1"))  # undone: to where it was
    one = bed.interfaces["uplink"]
    assert (one.bridge, one.devargs) == ("br1", "net_null0,size=1")
    assert next(iter(bed.ovs.tables["Port"].values()))["tag"] == 7


def test_what_dpdk_still_has_is_detached_by_the_control_socket(bed: Bed) -> None:
    bed.ovs.add_interface("br0", "x", NULL.text)
    bed.ovs.kept = ["net_null0"]
    bed.adapter().detach(NULL, [0])
    assert bed.ovs.probed == {}


def test_a_device_that_dpdk_had_before_stays_when_its_attach_is_undone(bed: Bed) -> None:
    bed.ovs.probed["net_null0"] = ""
    bed.ovs.kept = ["net_null0"]
    assert [port.adopted for port in bed.ports] == [False]
    adapter = bed.adapter()
    adapter.attach(NULL)
    adapter.detach(NULL, [0])
    assert (set(bed.ovs.probed), bed.interfaces) == ({"net_null0"}, {})


def test_a_device_in_use_is_refused_and_its_port_is_there_again(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvswitch, "_RELEASE", 0.1)
    bed.ovs.add_interface("br0", "x", NULL.text, tag=3)
    bed.ovs.kept = ["net_null0"]
    bed.ovs.busy = "second"
    error = failure(lambda: bed.adapter().detach(NULL, [0]))
    assert error.reason == "in_use"
    assert "second" in str(error)
    assert bed.interfaces["x"].works


def test_a_member_of_a_bond_is_left_to_it(bed: Bed) -> None:
    bed.ovs.add_interface("br0", "x", NULL.text)
    bed.ovs.add_interface("br0", "y", "net_null1")
    first, second = bed.ovs.tables["Port"].values()
    first["interfaces"] = ["set", [first["interfaces"], second["interfaces"]]]
    bed.ovs.tables["Port"].popitem()
    assert failure(lambda: bed.adapter().detach(NULL, [0])).reason == "owned"
    assert len(bed.interfaces) == 2


def test_no_answer_in_time_is_an_unknown_outcome_that_settles(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.ovs.stuck = True
    adapter = bed.adapter(timeout=0.3)
    assert failure(lambda: adapter.attach(NULL)).reason == "timeout"
    assert set(bed.interfaces) == {"net_null0"}, "it is not known, and so left"
    monkeypatch.setattr(openvswitch, "_SETTLE", 0.1)
    assert not adapter.settle()
    bed.ovs.stuck = False
    bed.ovs._transact([])
    assert adapter.settle()


def test_the_end_of_the_switch_is_seen_and_what_was_added_is_taken_out(bed: Bed) -> None:
    bed.ovs.add_interface("br0", "x", "net_null1")
    bed.ovs.stuck = True
    adapter = bed.adapter()
    adapter._app = bed.app._replace(start_time=1)  # another process has its pid
    assert failure(lambda: adapter.attach(NULL)).reason == "primary_gone"
    assert set(bed.interfaces) == {"x"}
    adapter._removed["net_null3"] = [ovsdb.Saved("br0", {"name": "z"}, {"name": "z", "type": "dpdk", "options": _NO})]
    assert adapter.revoke("detach", parse("net_null3")) == ""
    assert set(bed.interfaces) == {"x", "z"}
    assert adapter.revoke("attach", parse("net_null1")) == ""
    assert set(bed.interfaces) == {"z"}
    bed.ovs.refuse = True
    assert "constraint violation" in str(adapter.revoke("attach", parse("net_null1")))


_NO = ["map", [["dpdk-devargs", "net_null3"]]]


def test_it_neither_starts_nor_stops_by_itself(bed: Bed) -> None:
    adapter = bed.adapter()
    adapter.release([0])
    assert failure(lambda: adapter.start(0)).reason == failure(lambda: adapter.stop(0)).reason == "not_supported"


NAMES: list[tuple[str, set[str], str]] = [
    ("0000:01:00.0", set(), "0000:01:00.0"),
    ("net_null0", {"net_null0"}, "net_null0-0"),
    ("net_af_packet_a_long_name", {"net_af_packet_a"}, "net_af_pack-0"),
]


@pytest.mark.parametrize("device, taken, name", NAMES)
def test_names_fit_openflow_and_are_free(device: str, taken: set[str], name: str) -> None:
    assert openvswitch._name(_devices.parse(device), taken) == name
    assert len(name) <= 15


REACH: list[tuple[dict[str, t.Any], str]] = [
    ({}, ""),
    ({"pid": 0}, "not running"),
    ({"telemetry_error": "it hangs"}, "it hangs"),
    ({"root": "/proc/7/root"}, "mount namespace"),
    ({"distrust": "it is a link"}, "it is a link"),
    ({"command": ("ovs-vswitchd", "tcp:10.0.0.1:6640")}, "tcp:10.0.0.1:6640"),
    ({"command": ("ovs-vswitchd", "unix:/no/such")}, "database socket is not there: /no/such"),
]


@pytest.mark.parametrize("changes, why", REACH)
def test_reach(bed: Bed, changes: dict[str, t.Any], why: str) -> None:
    one = reach.openvswitch(bed.app._replace(**changes), System())
    assert (one.usable, bool(one.reason)) == (not why, bool(why))
    assert why in one.reason


def test_places_are_those_of_its_environment_and_its_pid(bed: Bed, tmp_path: t.Any) -> None:
    run = os.path.dirname(bed.ovs.database)
    for path in (f"{tmp_path}{run}", f"{tmp_path}/proc/{os.getpid()}"):
        os.makedirs(path)
    (tmp_path / "proc" / str(os.getpid()) / "environ").write_bytes(f"A=b\0OVS_RUNDIR={run}\0".encode())
    app = bed.app._replace(command=("ovs-vswitchd", "--pidfile"))
    system = System(str(tmp_path))
    assert "database" in failure_text(lambda: ovsdb.places(app, system))
    open(f"{tmp_path}{run}/db.sock", "w").close()
    assert "control" in failure_text(lambda: ovsdb.places(app, system))
    open(f"{tmp_path}{run}/ovs-vswitchd-dpdk.{os.getpid()}.ctl", "w").close()
    assert ovsdb.places(app, system).control.endswith(f"ovs-vswitchd-dpdk.{os.getpid()}.ctl")


def failure_text(call: t.Callable[[], t.Any]) -> str:
    with pytest.raises(HotplugError) as error:
        call()
    return str(error.value)


def test_a_socket_of_somebody_else_is_not_spoken_to(bed: Bed) -> None:
    assert failure(lambda: JsonRpc(bed.ovs.database, uids={4711}, timeout=1)).reason == "foreign"
    assert failure(lambda: JsonRpc(bed.ovs.database, uids={os.geteuid()}, timeout=1, pid=1)).reason == "foreign"
    assert failure(lambda: JsonRpc("/no/such", uids={0}, timeout=1)).reason == "ovs_lost"
