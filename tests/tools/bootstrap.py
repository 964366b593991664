# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs what is missing: Debian packages, and virtual environments in the cache. Standard library only.

    python3 tests/tools/bootstrap.py packages [demo|test]
    python3 tests/tools/bootstrap.py tools NAME ...     NAME as in tests/requirements/NAME.txt; prints its bin folder

An environment is kept under a name that changes with its requirements and its Python. pip and apt go where this machine
has configured them to go.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import chroots
from machine import REPO, cache, key, pythons

REQUIREMENTS = REPO / "tests" / "requirements"
Version = tuple[int, int]
# The Pythons that a controller of each ansible-core runs on; the rest takes any that is new enough.
SUPPORTED: dict[str, tuple[Version, Version]] = {
    "ansible-2.16": ((3, 10), (3, 12)),
    "ansible-2.19": ((3, 11), (3, 13)),
    "ansible-2.21": ((3, 12), (3, 14)),
    "molecule": ((3, 11), (3, 13)),
    "test-oldest": ((3, 9), (3, 9)),
}
ANSIBLES = tuple(name for name in SUPPORTED if name.startswith("ansible-"))
NEWEST = ANSIBLES[-1]
LEAST_QEMU = 8
# The tree whose Python serves where the machine itself has none that is new enough.
SERVING = "24.11"


class NoPython(Exception):
    """No Python on this machine runs the tool set."""


class Tools(NamedTuple):
    """An environment: its bin folder, and the tree in which its Python is, if that is not the machine's own."""

    bin: Path
    tree: str = ""

    def program(self, name: str) -> str:
        return str(self.bin / name)


def run(argv: list[str], **environment: str) -> None:
    """Runs a command whose output is only of interest when it fails."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed with {done.returncode}:\n{done.stdout[-4000:]}")


def listed(group: str) -> list[str]:
    """The packages of a group: that of `make demo` is part of all, `test` is all of them."""
    parts = re.split(r"^# group (\w+)$", (REQUIREMENTS / "debian.txt").read_text(), flags=re.MULTILINE)
    groups = dict(zip(parts[1::2], parts[2::2]))
    wanted = "".join(groups.values()) if group == "test" else groups["demo"] + groups.get(group, "")
    return [line for line in wanted.splitlines() if line and not line.startswith("#")]


def _is_installed(package: str) -> bool:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True, check=False
    )
    return done.stdout == "installed"


def packages(group: str = "test") -> None:
    missing = [name for name in listed(group) if not _is_installed(name)]
    if not missing:
        print(f"packages: all there ({', '.join(listed(group))})", flush=True)
        return
    if os.geteuid():
        raise SystemExit(f"packages: needs root to install {' '.join(missing)}")
    print(f"packages: apt-get update, then install {' '.join(missing)}", flush=True)
    run(["apt-get", "-q", "update"])
    run(["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing], DEBIAN_FRONTEND="noninteractive")
    print(f"packages: installed {' '.join(missing)} (they stay)", flush=True)


def _qemu_version() -> int:
    try:
        done = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return 0
    found = re.search(r"version (\d+)", done.stdout)
    return int(found[1]) if found else 0


def qemu() -> None:
    """A QEMU that has igb (8 and newer): this Debian's own, else the one of its backports.

    The machine's own list of sources is left as it is.
    """
    if _qemu_version() >= LEAST_QEMU:
        return
    lists = cache() / "apt"
    shutil.rmtree(lists, ignore_errors=True)
    shutil.copytree("/etc/apt/sources.list.d", lists / "sources.list.d")
    (lists / "lists" / "partial").mkdir(parents=True)
    own = Path("/etc/apt/sources.list")
    (lists / "sources.list").write_text(own.read_text() if own.exists() else "")
    suite = f"{codename()}-backports"
    signed = "/usr/share/keyrings/debian-archive-keyring.gpg"
    line = f"deb [signed-by={signed}] {chroots.mirror()} {suite} main\n"
    (lists / "sources.list.d" / "backports.list").write_text(line)
    places = ("etc::sourcelist", "sources.list"), ("etc::sourceparts", "sources.list.d"), ("state::lists", "lists")
    options = [word for name, path in places for word in ("-o", f"dir::{name}={lists / path}")]
    print(f"packages: qemu-system-x86 of {suite}", flush=True)
    run(["apt-get", *options, "-q", "update"])
    install = ["apt-get", *options, "-q", "-y", "--no-install-recommends", "-t", suite, "install"]
    run([*install, "qemu-system-x86", "qemu-utils"], DEBIAN_FRONTEND="noninteractive")


def codename() -> str:
    text = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\w+)$", text, re.MULTILINE)
    return found[1] if found else "bookworm"


def python_for(name: str) -> str:
    """The system's own Python where it will do, else the newest that does."""
    low, high = SUPPORTED.get(name, ((3, 10), (3, 99)))
    fitting = {version: path for version, path in pythons().items() if low <= version <= high}
    if not fitting:
        raise NoPython(
            f"{name} needs Python {low[0]}.{low[1]} to {high[0]}.{high[1]}; this machine has "
            + ", ".join(f"{a}.{b}" for a, b in pythons())
        )
    system = [version for version, path in fitting.items() if path.startswith("/usr/bin/")]
    return fitting[max(system or fitting)]


def tools(name: str) -> Tools:
    """The environment of tests/requirements/NAME.txt, made when it is not there yet."""
    wanted = REQUIREMENTS / f"{name}.txt"
    try:
        python = python_for(name)
    except NoPython:
        if name != NEWEST:
            raise
        return _tools_in_tree(name, wanted)
    target = cache() / "tools" / f"{name}-{key(wanted.read_text(), python)}"
    with _locked(target) as new:
        if new:
            print(f"tools: {name} with {python}", flush=True)
            run([python, "-m", "venv", "--clear", str(target)])
            run([str(target / "bin" / "python"), "-m", "pip", "-q", "install", "-r", str(wanted)])
            (target / "complete").touch()
    return Tools(target / "bin")


def _tools_in_tree(name: str, wanted: Path) -> Tools:
    """The same with the Python of a tree. Its packages are fetched out here, where pip is configured."""
    import isolate

    tree = chroots.ensure(SERVING)
    python = max(p.name for p in tree.glob("usr/bin/python3.1[0-9]"))
    target = cache() / "tools" / f"{name}-{key(wanted.read_text(), str(tree))}"
    with _locked(target) as new:
        if new:
            print(f"tools: {name} with the {python} of {tree}", flush=True)
            wheels = cache() / "wheels" / target.name
            run(
                [
                    tools("test").program("python"),
                    "-m",
                    "pip",
                    "-q",
                    "download",
                    "-d",
                    str(wheels),
                    "-r",
                    str(wanted),
                    "--only-binary=:all:",
                    f"--python-version={python.removeprefix('python')}",
                ]
            )
            inside = isolate.command(["chroot", str(isolate.CHROOTS / SERVING)])
            run([*inside, f"/usr/bin/{python}", "-m", "venv", "--clear", str(target)])
            run(
                [
                    *inside,
                    str(target / "bin" / "python"),
                    "-m",
                    "pip",
                    "-q",
                    "install",
                    "--no-index",
                    f"--find-links={wheels}",
                    "-r",
                    str(wanted),
                ]
            )
            shutil.rmtree(wheels)
            (target / "complete").touch()
    return Tools(target / "bin", SERVING)


class _locked:
    """Holds the lock of an environment; tells whether it is still to be made."""

    def __init__(self, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self._target, self._file = target, open(f"{target}.lock", "w")  # noqa: SIM115 - see __exit__

    def __enter__(self) -> bool:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return not (self._target / "complete").exists()

    def __exit__(self, *_: object) -> None:
        self._file.close()


# ansible-test downloads get-pip for the environments that it makes; this does the same with what Python brings along.
# (ensurepip in a process of its own: it turns pip's configuration off where it runs)
_GET_PIP = """import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"])
wanted = [a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "-q", "--upgrade", *wanted]))
"""


def ansible_test_home(ansible: Tools) -> Path:
    """A HOME for this ansible-test, so that the user's own is left alone, and two do not build the same environment."""
    home = cache() / "ansible-test" / ansible.bin.parent.name
    scripts = home / ".ansible" / "test" / "cache"
    scripts.mkdir(parents=True, exist_ok=True)
    for source in ansible.bin.parent.glob("lib/python3*/site-packages/ansible_test/_internal/python_requirements.py"):
        for version in re.findall(r"pip='([0-9.]+)'", source.read_text()):
            (scripts / f"get_pip_{version.replace('.', '_')}.py").write_text(_GET_PIP)
    (home / ".config" / "pip").mkdir(parents=True, exist_ok=True)
    (home / ".config" / "pip" / "pip.conf").write_text(_pip_settings(ansible))
    return home


def _pip_settings(ansible: Tools) -> str:
    """All of pip's settings on this machine, those of the environment too, which ansible-test does not pass on."""
    listed = subprocess.run([ansible.program("pip"), "config", "list"], capture_output=True, text=True, check=True)
    settings: dict[str, str] = {}
    for name, value in re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE):
        settings[name] = value.replace("\\n", "\n    ")
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())


def main(argv: list[str]) -> int:
    if argv[:1] == ["packages"]:
        packages(*argv[1:2])
    elif argv[:1] == ["tools"]:
        for name in argv[1:]:
            print(name, tools(name).bin, flush=True)
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
