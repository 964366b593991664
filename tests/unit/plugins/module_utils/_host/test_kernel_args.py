# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel arguments in the boot loader's configuration, of Debian's and of RedHat's family."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.dpdk.hotplug.plugins.module_utils._errors import HotplugError
from ansible_collections.dpdk.hotplug.plugins.module_utils._host import kernel_args, programs
from ansible_collections.dpdk.hotplug.plugins.module_utils._state import arguments
from ansible_collections.dpdk.hotplug.plugins.module_utils._system import System

DROP_IN = "/etc/default/grub.d/90-dpdk-hotplug-vfio.cfg"
SIZES = ["hugepagesz=2M", "hugepages=64", "hugepagesz=1G", "hugepages=4"]


class Machine:
    """A boot loader's program that writes down how it was called, and fails when told to."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.system = System(str(directory / "root"))
        (directory / "root/proc").mkdir(parents=True)
        (directory / "root/proc/cmdline").write_text("BOOT_IMAGE=/vmlinuz ro quiet\n")
        (directory / "bin").mkdir()
        monkeypatch.setattr(programs, "PATH", (str(directory / "bin"),))

    def program(self, name: str) -> Machine:
        path = self.directory / "bin" / name
        path.write_text(
            f'#!/bin/sh\nfor one in "$@"; do printf \'%s|\' "$one"; done >> {self.directory}/calls\n'
            f"echo >> {self.directory}/calls\n"
            f"[ ! -e {self.directory}/broken ] || {{ /bin/echo 'disk is full' >&2; exit 1; }}\n"
        )
        path.chmod(0o755)
        return self

    def calls(self) -> list[str]:
        path = self.directory / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def breaks(self) -> None:
        (self.directory / "broken").touch()

    def run(self, *words: str, **more: t.Any) -> dict[str, t.Any]:
        return arguments.run("vfio", words, system=self.system, **more)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def fails(call: t.Callable[[], object], reason: str) -> HotplugError:
    with pytest.raises(HotplugError) as caught:
        call()
    assert caught.value.reason == reason and caught.value.way_out
    return caught.value


def test_debian_has_a_file_of_ours_and_update_grub_is_run_once(machine: Machine) -> None:
    machine.program("update-grub")
    checked = machine.run("iommu=pt", "intel_iommu=on", check=True)
    assert machine.calls() == [] and checked["changed"]
    done = machine.run("iommu=pt", "intel_iommu=on")
    assert done == checked
    assert (done["arguments"], done["reboot_required"]) == (["iommu=pt", "intel_iommu=on"], True)
    assert machine.calls() == [""]
    text = machine.system.read(DROP_IN).decode()
    assert text.splitlines()[1] == 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX iommu=pt intel_iommu=on"'
    assert os.stat(machine.system.path(DROP_IN)).st_mode & 0o777 == 0o644
    assert not machine.run("iommu=pt", "intel_iommu=on")["changed"]
    assert len(machine.calls()) == 1


def test_debian_s_file_goes_with_its_arguments(machine: Machine) -> None:
    machine.program("update-grub").run("iommu=pt")
    result = machine.run()
    assert (result["changed"], result["arguments"], result["reboot_required"]) == (True, [], False)
    assert machine.system.names("/etc/default/grub.d") == []
    assert not machine.run()["changed"]


def test_what_update_grub_cannot_do_leaves_the_file_as_it_was(machine: Machine) -> None:
    machine.program("update-grub").run("iommu=pt")
    before = machine.system.read(DROP_IN)
    machine.breaks()
    error = fails(lambda: machine.run("iommu=pt", "intel_iommu=on"), "boot_loader")
    assert "update-grub failed: disk is full" in error.message
    assert machine.system.read(DROP_IN) == before


GRUBBY = """#!{python}
# As grubby of RedHat's releases has been seen to do it, on a list of entries.
import json, sys
place, older = {place!r}, {older!r}
entries = json.load(open(place))
given = dict(word[2:].split("=", 1) for word in sys.argv[1:])
if given.get("info") == "ALL":
    for at, words in enumerate(entries):
        print(f'index={{at}}\\nargs="{{" ".join(words)}}"\\ntitle=Linux')
    sys.exit()
assert given.pop("update-kernel") == "ALL" and len(given) == 1
(what, text), = given.items()
for words in entries:
    for one in text.split():
        name, equals, value = one.partition("=")
        if what == "remove-args":
            words[:] = [word for word in words if word != one]
        elif older and any(word.partition("=")[0].endswith(name) for word in words):
            at = [word.partition("=")[0].endswith(name) for word in words].index(True)
            words[at] = words[at].partition("=")[0] + equals + value
        else:
            words.append(one)
json.dump(entries, open(place, "w"))
"""


@pytest.fixture
def entries(machine: Machine) -> t.Callable[..., list[list[str]]]:
    """entries(): the arguments of RedHat's boot entries; entries(older=True): as an older release makes them."""
    place = machine.directory / "entries"
    place.write_text(json.dumps([["root=/dev/vda1", "ro"], ["root=/dev/vda1", "ro", "rescue"]]))

    def read(*, older: bool = False) -> list[list[str]]:
        program = machine.directory / "bin/grubby"
        program.write_text(GRUBBY.format(python=sys.executable, place=str(place), older=older))
        program.chmod(0o755)
        found: list[list[str]] = json.loads(place.read_text())
        return found

    read()
    return read


def test_redhat_s_entries_lose_the_old_and_gain_the_new(
    machine: Machine, entries: t.Callable[..., list[list[str]]]
) -> None:
    before = entries()
    for words in (["iommu=pt"], ["iommu=pt", "intel_iommu=on"], SIZES, []):
        assert machine.run(*words)["changed"]
        assert entries() == [[*own, *words] for own in before]
        assert kernel_args.configured(machine.system, "vfio") == tuple(words)
        assert not machine.run(*words)["changed"]
    assert machine.system.names("/etc/dpdk-hotplug") == []


@pytest.mark.parametrize("words", [SIZES, ["intel_iommu=on", "iommu=pt"]])
def test_what_grubby_does_not_write_as_it_is_is_an_error_and_taken_back(
    machine: Machine, entries: t.Callable[..., list[list[str]]], words: list[str]
) -> None:
    machine.run("quiet")
    before = entries(older=True)
    error = fails(lambda: machine.run(*words), "boot_loader")
    assert "did not write the arguments as they are" in error.message and words[0] in error.message
    assert [sorted(one) for one in entries()] == [sorted(one) for one in before]
    assert kernel_args.configured(machine.system, "vfio") == ("quiet",)


def test_an_argument_of_others_is_not_replaced(machine: Machine, entries: t.Callable[..., list[list[str]]]) -> None:
    before = entries()
    error = fails(lambda: machine.run("iommu=pt", "root=/dev/sda1"), "boot_loader")
    assert "have root=/dev/vda1, which is not ours" in error.message
    assert entries() == before


def test_entries_that_cannot_be_seen_are_an_error_but_for_what_only_takes_away(
    machine: Machine, entries: t.Callable[..., object]
) -> None:
    machine.run("quiet")
    (machine.directory / "entries").write_text("[]")
    assert "shows no boot entry" in fails(lambda: machine.run("iommu=pt"), "boot_loader").message
    assert machine.run()["changed"] and kernel_args.configured(machine.system, "vfio") == ()


def test_what_grubby_cannot_do_is_taken_back_and_what_cannot_be_is_said(
    machine: Machine, entries: t.Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.run("iommu=pt")
    run = programs.run

    def broken(program: str, *words: str, limit: int) -> subprocess.CompletedProcess[str]:
        if "--info=ALL" in words:
            return run(program, *words, limit=limit)
        return subprocess.CompletedProcess([program], 1, "", "disk is full")

    monkeypatch.setattr(programs, "run", broken)
    error = fails(lambda: machine.run("intel_iommu=on"), "boot_loader")
    assert "grubby failed: disk is full" in error.message
    assert "kernel arguments of vfio" in error.fields["not_undone"][0]
    assert kernel_args.configured(machine.system, "vfio") == ("iommu=pt",)


def test_another_boot_loader_is_an_error_that_says_what_to_write(machine: Machine) -> None:
    assert machine.run("iommu=pt", check=True)["changed"]
    error = fails(lambda: machine.run("iommu=pt"), "no_boot_loader")
    assert "iommu=pt" in error.way_out


def test_a_program_that_cannot_be_run_is_an_error(machine: Machine) -> None:
    machine.program("update-grub")
    (machine.directory / "bin/update-grub").write_text("#!/nowhere\n")
    fails(lambda: machine.run("iommu=pt"), "boot_loader")
    assert machine.system.names("/etc/default/grub.d") == []


@pytest.mark.parametrize("word", ["", "a b", "$(reboot)", 'x"', "a;b", "`x`", "a\nb", "a\\b"])
def test_what_a_boot_loader_s_shell_would_act_on_is_refused(machine: Machine, word: str) -> None:
    fails(lambda: machine.program("update-grub").run(word), "bad_document")
    assert machine.calls() == []


@pytest.mark.parametrize("owner", ["", "../x", "a b", "a-b", "\u00e4"])
def test_an_owner_is_a_word(machine: Machine, owner: str) -> None:
    fails(lambda: arguments.run(owner, ["x"], system=machine.system), "bad_document")


@pytest.mark.parametrize(
    ("running", "required"),
    [
        ("ro hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=5", False),
        ("ro hugepagesz=2M hugepages=5 hugepagesz=1G hugepages=2", True),
        ("ro hugepagesz=1G hugepages=2", True),
    ],
)
def test_a_reboot_is_required_until_the_kernel_runs_with_them_in_order(
    machine: Machine, running: str, required: bool
) -> None:
    (machine.directory / "root/proc/cmdline").write_text(running + "\n")
    words = ["hugepagesz=1G", "hugepages=2", "hugepagesz=2M", "hugepages=5"]
    assert machine.program("update-grub").run(*words)["reboot_required"] is required


def test_those_with_which_this_machine_has_an_iommu_are_added(machine: Machine) -> None:
    (machine.directory / "root/proc/cpuinfo").write_text("vendor_id : GenuineIntel\n")
    result = machine.run("quiet", iommu=True, check=True)
    assert result["arguments"] == ["iommu=pt", "intel_iommu=on", "quiet"]
    assert (result["iommu"], "VT-d" in result["iommu_hint"]) == (False, True)
