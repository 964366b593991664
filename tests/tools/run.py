# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of this collection. `make test` runs them all; each can be run alone by its name.

    python3 tests/tools/run.py test | lint | unit | integration | fleet | soak | PART ...     or --list

Logs go to tests/output/. Needs root for all but lint and unit.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import bootstrap
import chroots
import isolate
from bootstrap import ANSIBLES, Tools, tools
from machine import REPO, cache, collections, key, pythons
from parts import Counts, Failed, Log, Part, carry_out

OUTPUT = REPO / "tests" / "output"
COVERAGE = OUTPUT / "coverage"
LEAST_COVERAGE = 90
NAME = Path("ansible_collections", "dpdk", "hotplug")
OK = Counts(passed=1)

# Of all that runs under a test: the checkout, a copy of it, what Ansible packed, what the role installed.
_COVERAGE_RC = """[run]
branch = true
parallel = true
sigterm = true
data_file = {directory}/data
"""
# Forked children too, each of which writes a file of its own as it ends: unit tests have thousands of them.
_WHAT_RUNS = """patch = _exit
include =
    {repo}/plugins/*
    */ansible_collections/dpdk/hotplug/plugins/*
"""
# The unit tests also tell of the files that nothing imports.
_ALL_THERE_IS = "source = {repo}/plugins\n"


def _git(*argv: str, cwd: Path = REPO) -> str:
    return subprocess.run(
        ["git", "-c", "safe.directory=*", "-c", "user.name=tests", "-c", "user.email=tests@localhost", *argv],
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def snapshot(directory: str) -> Path:
    """A copy of the checkout as it stands, as a collection in a git repository of its own; ansible-test wants both."""
    target = Path(directory) / NAME
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (REPO / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, target / name, follow_symlinks=False)
    _git("init", "-q", "-b", "main", cwd=target)
    _git("add", "-A", cwd=target)
    _git("commit", "-q", "-m", "snapshot", cwd=target)
    return target


def _path(ansible: Tools) -> str:
    """PATH with the tools and every real Python first, and without pyenv's shims."""
    folders = [str(ansible.bin), *(str(Path(p).parent) for p in pythons().values())]
    folders += [p for p in os.environ.get("PATH", "").split(os.pathsep) if "/.pyenv/shims" not in p]
    return os.pathsep.join(dict.fromkeys(folders))


def _coverage(name: str, what: str = _WHAT_RUNS) -> dict[str, str]:
    COVERAGE.mkdir(parents=True, exist_ok=True)
    settings = COVERAGE / f"{name}.rc"
    settings.write_text((_COVERAGE_RC + what).format(directory=COVERAGE, repo=REPO))
    return {"COVERAGE_PROCESS_START": str(settings)}


# lint


def _ruff(log: Log) -> Counts:
    log.check([tools("lint").program("ruff"), "check", "--no-cache", "."], REPO)
    return OK


def _mypy(log: Log) -> Counts:
    """All at once, from where the checkout has the name that it is imported by."""
    paths = [p for p in ("plugins", "tests", "bench") if list((REPO / p).rglob("*.py"))]
    settings = ["--config-file", str(REPO / "pyproject.toml"), "--cache-dir", str(REPO / ".mypy_cache")]
    scripts = [
        str(collections() / NAME / p)
        for p in ("tests/tools", "tests/fleet", "tests/rolling", "tests/integration/real", "tests/report", "bench")
    ]
    log.check(
        [tools("lint").program("mypy"), *settings, *(str(NAME / p) for p in paths)],
        collections(),
        {"MYPYPATH": os.pathsep.join(scripts)},
    )
    return OK


def _changelog(log: Log) -> Counts:
    with tempfile.TemporaryDirectory() as directory:
        log.check([tools("lint").program("antsibull-changelog"), "lint"], snapshot(directory))
    return OK


def _docs(log: Log) -> Counts:
    with tempfile.TemporaryDirectory() as directory:
        lint = tools("lint")
        log.check(
            [
                lint.program("antsibull-docs"),
                "lint-collection-docs",
                "--plugin-docs",
                "--validate-collection-refs",
                "all",
                ".",
            ],
            snapshot(directory),
            {"PATH": _path(lint)},
        )
    return OK


def _ansible_lint(log: Log) -> Counts:
    with tempfile.TemporaryDirectory() as directory:
        lint = tools("lint")
        log.check(
            [lint.program("ansible-lint"), "--offline", "--profile", "production", "--nocolor"],
            snapshot(directory),
            {"PATH": _path(lint), "HOME": directory, "ANSIBLE_COLLECTIONS_PATH": directory},
        )
    return OK


def _built(log: Log, ansible: Tools, directory: str) -> Path:
    log.check(
        [ansible.program("ansible-galaxy"), "collection", "build", "--output-path", directory],
        snapshot(f"{directory}/source"),
    )
    return next(Path(directory).glob("dpdk-hotplug-*.tar.gz"))


def _build(log: Log) -> Counts:
    """The built collection installs, and every module in it has documentation that reads."""
    with tempfile.TemporaryDirectory() as directory:
        ansible = tools("ansible-2.19")
        place = {"ANSIBLE_COLLECTIONS_PATH": f"{directory}/installed", "HOME": directory}
        archive = _built(log, ansible, directory)
        log.check(
            [
                ansible.program("ansible-galaxy"),
                "collection",
                "install",
                "--offline",
                "-p",
                f"{directory}/installed",
                str(archive),
            ],
            Path(directory),
            place,
        )
        installed = Path(directory, "installed", NAME)
        for unwanted in ("tests", "bench", ".ci"):
            if (installed / unwanted).exists():
                raise Failed(f"the built collection has {unwanted}")
        modules = sorted(p.stem for p in (installed / "plugins" / "modules").glob("[!_]*.py"))
        if not modules:
            raise Failed("the built collection has no modules")
        for name in modules:
            log.check([ansible.program("ansible-doc"), f"dpdk.hotplug.{name}"], Path(directory), place, quiet=True)
    return OK


def _importer(log: Log) -> Counts:
    with tempfile.TemporaryDirectory() as directory:
        importer = tools("importer")
        archive = _built(log, importer, directory)
        settings = Path(directory, "importer.cfg")
        settings.write_text(
            "[galaxy-importer]\nRUN_ANSIBLE_DOC = True\nRUN_ANSIBLE_LINT = False\nCHECK_CHANGELOG = True\n"
        )
        # galaxy-importer runs ansible-lint by itself too; that is a part of its own here
        code, lines = log.output(
            [importer.program("python"), "-m", "galaxy_importer.main", str(archive)],
            Path(directory),
            {"GALAXY_IMPORTER_CONFIG": str(settings), "PATH": _path(importer), "HOME": directory},
        )
        faults = [line for line in lines if line.startswith(("ERROR", "WARNING"))]
        if code or faults:
            raise Failed(faults[0] if faults else f"galaxy-importer ended with {code}")
    return OK


# sanity


def _sanity(version: str, log: Log) -> Counts:
    ansible = tools(version)
    if ansible.tree:
        return Counts(skipped=(f"ansible-test sanity of {version}: no Python 3.12 or newer on this machine",))
    home = bootstrap.ansible_test_home(ansible)
    with tempfile.TemporaryDirectory() as directory, open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # it is not made for two at once in one HOME
        code, lines = log.output(
            [ansible.program("ansible-test"), "sanity", "--color", "no", "--truncate", "0"],
            snapshot(directory),
            {"HOME": str(home), "PATH": _path(ansible), "LC_ALL": "C.UTF-8"},
        )
    if code:
        raise Failed(next((line for line in lines if line.startswith(("ERROR", "FATAL"))), f"ended with {code}"))
    return OK


# tests


def _pytest(log: Log, name: str, argv: Sequence[str], environment: dict[str, str]) -> Counts:
    report = OUTPUT / f"{name}.xml"
    report.unlink(missing_ok=True)
    code = log.run([*argv, "-p", "no:cacheprovider", f"--junitxml={report}"], REPO, environment)
    if not report.exists():
        raise Failed(f"pytest ended with {code}")
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = tuple(_told(cases, "failure", "error"))
    skipped = tuple(_told(cases, "skipped"))
    if code and not failed:
        raise Failed("no test was there" if code == 5 else f"pytest ended with {code}")
    return Counts(len(cases) - len(failed) - len(skipped), failed, skipped)


def _told(cases: Iterable[ElementTree.Element], *kinds: str) -> Iterator[str]:
    """Of the cases that have an element of a kind: which, and how why begins."""
    for case in cases:
        why = next((found for kind in kinds if (found := case.find(kind)) is not None), None)
        if why is not None:
            yield f"{case.get('name')}: {' / '.join(why.get('message', '').splitlines()[:3])[:400]}"


def _unit(log: Log) -> Counts:
    return _pytest(
        log, "unit", [tools("test").program("python"), "-m", "pytest", "tests/unit"], _coverage("unit", _ALL_THERE_IS)
    )


def _unit_oldest(log: Log) -> Counts:
    try:
        oldest = tools("test-oldest")
    except bootstrap.NoPython as reason:
        return Counts(skipped=(f"unit tests on Python 3.9: {reason}",))
    return _pytest(log, "unit-oldest", [oldest.program("python"), "-m", "pytest", "tests/unit"], {})


def _trees(release: str, log: Log) -> Counts:
    log.check([sys.executable, "-u", str(REPO / "tests" / "tools" / "chroots.py"), release])
    return OK


def _real(log: Log, environment: dict[str, str] | None = None) -> Counts:
    argv = isolate.command([tools("test").program("python"), "-m", "pytest", "tests/integration/real"])
    return _pytest(log, "real", argv, {"DPDK_HOTPLUG_REQUIRED": "1", **_coverage("real"), **(environment or {})})


_installing = threading.Lock()


# What every run has time for; the group `fleet` has all of it.
# Its last test leaves a guest that must start anew, which takes a minute where another test follows.
_FLEET_SHORT = ("attach", "groups", "hugepages", "sriov", "lockout", "faults_runs_host", "binding")


# What repeats in `make soak`.
_FLEET_SOAK = ("faults_plugged", "faults_power")


def _fleet(
    release: str, log: Log, *, only: Sequence[str] = _FLEET_SHORT, environment: dict[str, str] | None = None
) -> Counts:
    """In a virtual machine with this release of DPDK."""
    places = [f"tests/fleet/test_{name}.py" for name in only] or ["tests/fleet"]
    return _machines(log, "fleet", release, places, environment or {})


def _rolling(release: str, log: Log) -> Counts:
    """Playbooks that go through a fleet of three."""
    return _machines(log, "rolling", release, ["tests/rolling"], {})


def _machines(log: Log, kind: str, release: str, places: Sequence[str], environment: dict[str, str]) -> Counts:
    """In virtual machines that end with the tests, and they with us, however we end."""
    with _installing:
        bootstrap.packages("fleet")
        bootstrap.qemu()
    log.check([sys.executable, "-u", str(REPO / "tests" / "fleet" / "images.py"), release])
    tools("ansible-2.19")  # for tests that run playbooks: inside there is no network to install it from
    tests = [tools("test").program("python"), "-m", "pytest", *places, f"--release={release}", "--durations=20"]
    argv = ["setpriv", "--pdeathsig", "KILL", *isolate.command(tests)]
    name = {"DPDK_HOTPLUG_FLEET": f"{kind}-{release}-{key(str(REPO))}"}
    return _pytest(log, f"{kind}-{release}", argv, {**name, **environment})


def _browser(log: Log) -> Counts:
    """The report, in a headless Chromium."""
    with _installing:
        bootstrap.packages("report")
    return _pytest(log, "report", [tools("report").program("python"), "-m", "pytest", "tests/report"], {})


def _targets(version: str, log: Log) -> Counts:
    """Every folder of tests/integration/targets but setup_*, as a play of its own against this machine."""
    ansible = tools(version)
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        collection = snapshot(f"{directory}/collections")
        targets = collection / "tests" / "integration" / "targets"
        for target in sorted(p.name for p in targets.glob("*/") if not p.name.startswith("setup_")):
            home = Path(directory, target)
            home.mkdir()
            code = log.run(_play(ansible, target, home), home, _play_environment(ansible, collection, home))
            results[target] = code == 0
            log.say(f"target {target} on {version}: {'ok' if code == 0 else 'FAILED'}")
    if not results:
        raise Failed("no target was there")
    failed = tuple(target for target, passed in results.items() if not passed)
    return Counts(len(results) - len(failed), failed)


def _molecule(log: Log) -> Counts:
    """Every scenario of extensions/molecule, against this machine."""
    molecule = tools("molecule")
    failed = []
    with tempfile.TemporaryDirectory() as directory:
        collection = snapshot(directory)
        scenarios = sorted(p.parent.name for p in collection.glob("extensions/molecule/*/molecule.yml"))
        place = {"ANSIBLE_COLLECTIONS_PATH": directory, "HOME": directory, "LC_ALL": "C.UTF-8", "PATH": _path(molecule)}
        for scenario in scenarios:
            argv = isolate.command([molecule.program("molecule"), "test", "--scenario-name", scenario])
            code = log.run(argv, collection, {**place, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"})
            failed += [scenario] if code else []
            log.say(f"scenario {scenario}: {'FAILED' if code else 'ok'}")
    if not scenarios:
        raise Failed("no scenario was there")
    return Counts(len(scenarios) - len(failed), tuple(failed))


def _play(ansible: Tools, target: str, home: Path) -> list[str]:
    play = home / "play.yml"
    play.write_text(f"- hosts: localhost\n  gather_facts: false\n  roles:\n    - {target}\n")
    facts = {
        "ansible_python_interpreter": ansible.program("python"),
        "output_dir": str(home),
        "testpmd_python": "/usr/bin/python3",
        "releases_py": str(REPO / "tests" / "integration" / "real" / "releases.py"),
    }
    inside = ["chroot", str(isolate.CHROOTS / ansible.tree), "/usr/bin/env", f"--chdir={home}"] if ansible.tree else []
    argv = [ansible.program("ansible-playbook"), "-i", "localhost,", "-c", "local", "-e", json.dumps(facts), str(play)]
    return isolate.command([*inside, *argv])


def _play_environment(ansible: Tools, collection: Path, home: Path) -> dict[str, str]:
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(collection.parents[2]),
        "ANSIBLE_ROLES_PATH": str(collection / "tests" / "integration" / "targets"),
        "HOME": str(home),
        "ANSIBLE_LOCAL_TEMP": str(home / "local"),
        "ANSIBLE_REMOTE_TEMP": str(home / "remote"),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "PATH": _path(ansible),
        **_coverage("targets"),
    }


def _report(log: Log) -> Counts:
    """Of plugins/, in all the tests above together."""
    coverage = [tools("test").program("python"), "-m", "coverage"]
    settings = ["--rcfile", str(REPO / "pyproject.toml"), "--data-file", str(COVERAGE / "all")]
    log.check([*coverage, "combine", "-q", "--keep", *settings, *map(str, COVERAGE.glob("data.*"))], REPO)
    log.check([*coverage, "report", *settings, f"--fail-under={LEAST_COVERAGE}"], REPO)
    return OK


def _demo(log: Log) -> Counts:
    log.check([sys.executable, "-u", str(REPO / "tests" / "tools" / "demo.py")])
    return OK


def _named(
    prefix: str, names: Sequence[str], work: Callable[[str, Log], Counts], after: tuple[str, ...] = ()
) -> list[Part]:
    return [Part(f"{prefix}-{name.removeprefix('ansible-')}", partial(work, name), after) for name in names]


TREES = _named("tree", list(chroots.SUITES), _trees)
LINT = [
    Part("ruff", _ruff),
    Part("mypy", _mypy),
    Part("changelog", _changelog),
    Part("docs", _docs),
    Part("ansible-lint", _ansible_lint),
    Part("build", _build),
    Part("importer", _importer),
]
SANITY = _named("sanity", ANSIBLES, _sanity)
UNIT = [Part("unit", _unit), Part("unit-oldest", _unit_oldest)]
_BUILT = tuple(part.name for part in TREES)
FLEET = _named("fleet", ["22.11", "24.11"], _fleet)
FLEET_WHOLE = _named("fleet", ["22.11", "24.11"], partial(_fleet, only=()))
ROLLING = _named("rolling", ["24.11"], _rolling)
REAL = [Part("real", _real, _BUILT)]
PLAYS = _named("targets", ANSIBLES, _targets, _BUILT)
MOLECULE = [Part("molecule", _molecule)]
BROWSER = [Part("report", _browser)]
DEMO = [Part("demo", _demo, _BUILT)]
REPORT = [Part("coverage", _report, tuple(part.name for part in [*UNIT, *REAL, *PLAYS]))]
_IN_FULL = {"DPDK_HOTPLUG_SOAK": "1"}
SOAK = [
    Part("real", partial(_real, environment=_IN_FULL), _BUILT),
    *_named("fleet", ["22.11", "24.11"], partial(_fleet, only=_FLEET_SOAK, environment=_IN_FULL)),
]
GROUPS = {
    "test": [*TREES, *UNIT, *FLEET[:1], *REAL, *FLEET[1:], *PLAYS, *MOLECULE, *BROWSER, *LINT, *SANITY, *DEMO, *REPORT],
    "lint": [*LINT, *SANITY],
    "unit": UNIT,
    "integration": [*TREES, *FLEET[:1], *REAL, *FLEET[1:], *PLAYS, *MOLECULE, *BROWSER],
    "fleet": [*FLEET_WHOLE, *ROLLING],
    "soak": [*TREES, *SOAK],
}


def main(argv: Sequence[str]) -> int:
    known = {part.name: [part] for part in [*ROLLING, *GROUPS["test"]]} | GROUPS
    if not argv or argv[0] == "--list" or not set(argv) <= set(known):
        print(f"{__doc__}\nGroups: {' '.join(GROUPS)}\nParts: {' '.join(p.name for p in [*GROUPS['test'], *ROLLING])}")
        return 0 if argv == ["--list"] else 2
    cache()  # remembers where it is
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    bootstrap.packages("test")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    return carry_out([part for name in argv for part in known[name]], OUTPUT / "logs")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
