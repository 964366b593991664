# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import contextlib
import time
import typing as t

from .. import _devices
from .._apps.discovery import find
from .._apps.options import has_option, option_values
from .._devices import Devargs
from .._errors import HotplugError
from .._host import persistence
from .._system import System
from . import app_document, checks, engine, evacuated
from .at_start import arguments_at_start
from .evacuated import Away, Evacuated
from .evacuation_notes import Note, Notes
from .info import observer
from .looks import look
from .model import AppState, DeviceState, PortSpec
from .observe import assemble
from .record import Record
from .refusals import together
from .steps import Step

if t.TYPE_CHECKING:
    from .._apps.app import App
    from .work import AppWork
    from .works import AnyStep, Work

Json = dict[str, t.Any]
# What is said of one run alone, and what would contradict what is asked.
_PASSING = ("app", "runtime_dir", "timeout", "force", "required")
_NOT_HERE = ("ports", "state", "started", "exclusive", "recreate", "atomic", "persistent")
# What may be meant by a device that cannot come back.
_FORGET = " What is remembered stays so: give it up with forget, or name what is in its place in replaced."


class Asked(t.NamedTuple):
    """What is asked, checked. ``apps``: None for all. ``devices``: by name, with its arguments where they are given."""

    apps: list[Json] | None
    devices: t.Mapping[str, Devargs | None]
    replaced: t.Mapping[str, Devargs]
    timeout: float

    def of(self, app: str, runtime_dir: str) -> list[Json]:
        """What is said of an application: the entries that mean it."""
        if self.apps is None:
            return [{}]
        return [one for one in self.apps if one.get("app") in (None, "", app) and _below(one, runtime_dir)]


def _below(entry: Json, runtime_dir: str) -> bool:
    """Whether an entry's runtime directory is this one, or is not said."""
    given = entry.get("runtime_dir")
    return not given or Evacuated("", given, ()).key == Evacuated("", runtime_dir, ()).key


def run(
    apps: t.Any = None,
    *,
    devices: t.Any = None,
    present: bool = True,
    replaced: t.Any = None,
    forget: bool = False,
    timeout: t.Any = None,
    check: bool = False,
    system: System | None = None,
    progress: t.Callable[[str], None] | None = None,
) -> Json:
    """Take what was attached to running applications away, and remember it; or without ``present`` bring it back.

    ``apps``: entries as a document has them, without ports; ``devices``: only these; ``replaced``: what comes in the
    place of a device; ``forget``: it does not come back. Returns ``changed``, ``warnings``, ``apps`` as converge()
    does, ``evacuated`` (all that is remembered, as evacuated.rows() has it), ``actions`` and ``memory`` (what is
    remembered before and after, for a difference). Raises HotplugError; what was done before is undone.
    """
    asked = _asked(apps, devices, replaced, timeout)
    _agree(asked, present=present, forget=forget)
    system = system or System()
    with contextlib.ExitStack() as stack:
        notes = Notes(system, timeout=asked.timeout, change=not check)
        stack.callback(notes.close)
        notes.open()
        errand = _Evacuation if present else _Oblivion if forget else _Restoration
        one = errand(asked, notes, system, stack, change=not check)
        one.plan()
        steps = sorted(one.steps, key=lambda step: step[0].phase)
        if steps and not check:
            from .apply import apply, gates

            try:
                apply(steps, progress, gates(one.works, system))
            except HotplugError as error:
                raise one.told(error) from error
        return {
            "changed": bool(steps),
            "warnings": one.warnings,
            "apps": [work.result(one.own(work), predicted=check) for work in one.works],
            "evacuated": evacuated.rows(notes.before if check else notes.after),
            "actions": [_action(step, work) for step, work in steps],
            "memory": _memory(notes.before, notes.after),
        }


def _asked(apps: t.Any, devices: t.Any, replaced: t.Any, timeout: t.Any) -> Asked:
    entries = None if apps is None else checks.listing(apps, "apps")
    app_document.parse(entries)
    for index, one in enumerate(entries or ()):
        wrong = sorted(name for name in one if name in _NOT_HERE and one[name] is not None)
        if wrong:
            raise checks.bad(f"apps[{index}]", f"has {', '.join(wrong)}", "What is attached tells it; see devices.")
    named = dict(_named(one, f"devices[{i}]") for i, one in enumerate(checks.listing(devices, "devices")))
    return Asked(
        apps=entries if entries is None else [{k: v for k, v in one.items() if v is not None} for one in entries],
        devices=named,
        replaced=_replacements(replaced or {}),
        timeout=checks.seconds(timeout, "timeout"),
    )


def _agree(asked: Asked, *, present: bool, forget: bool) -> None:
    """Refuse what is for the way back on the way out, and for what comes back where it does not."""
    for name, given in (("replaced", asked.replaced), ("forget", forget)):
        if given and present:
            raise checks.bad(name, "is given", "It is for what is brought back: state absent.")
    if forget and asked.replaced:
        raise checks.bad("replaced", "is given beside forget", "What is forgotten does not come back.")


def _named(value: t.Any, where: str) -> tuple[str, Devargs | None]:
    """A device, and its arguments where they are given; a comma alone says that it has none."""
    text = checks.text(value, where)
    name, comma, args = text.partition(",")
    device = _devices.parse(text if args else name)
    return device.name, device if comma else None


def _replacements(value: t.Any) -> dict[str, Devargs]:
    if not isinstance(value, dict):
        raise checks.bad("replaced", "is not an object", "It has the new device for each old one.")
    found = {_devices.parse(old).name: _devices.parse(new) for old, new in value.items()}
    names = [one.name for one in found.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise HotplugError(
            "given_twice", f"device '{twice[0]}' is to replace several", way_out="Name one for each.", device=twice[0]
        )
    return found


class _Errand:
    """What the three have in common: applications that are opened, and steps."""

    def __init__(
        self, asked: Asked, notes: Notes, system: System, stack: contextlib.ExitStack, *, change: bool
    ) -> None:
        self.asked = asked
        self.notes = notes
        self.system = system
        self.warnings: list[str] = []
        self.works: list[AppWork] = []
        self.entries: dict[int, t.Mapping[str, t.Any]] = {}  # of each work
        self.steps: list[tuple[AnyStep, Work]] = []
        self._stack = stack
        self._change = change

    def plan(self) -> None:
        """Find the steps; nothing is changed yet."""
        raise NotImplementedError

    def told(self, error: HotplugError) -> HotplugError:
        """A failure, with what else there is to say of it."""
        return error

    def own(self, work: AppWork) -> list[Step]:
        return [t.cast(Step, step) for step, its in self.steps if its is work]

    def _open(self, entries: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        specs = app_document.parse([{"timeout": self.asked.timeout, **one} for one in entries])
        self.works = engine.opened(specs, self.system, self._stack, self.warnings, change=self._change)
        self.entries = {id(work): one for work in self.works for spec, one in zip(specs, entries) if spec is work.asked}
        self.notes.works = self.works

    def _plan(self, work: AppWork, ports: t.Sequence[PortSpec]) -> None:
        work.spec = work.spec._replace(ports=tuple(ports))
        plan = work.plan()
        self.steps += [(step, work) for step in plan.steps]
        self.warnings += plan.warnings

    @staticmethod
    def _know(work: AppWork, seen: DeviceState, device: Devargs) -> None:
        """The arguments of a device are known from here on: a failure attaches it with them again."""
        known = DeviceState(device, True, seen.ports)
        work.before = work.after = AppState({**work.before.devices, device.name: known})

    def _remember(self, verb: str, after: t.Sequence[Evacuated]) -> None:
        self.notes.after = tuple(one for one in after if one.devices)
        if self.notes.after != self.notes.before:
            self.steps.append((Note(verb, self.notes.before, self.notes.after), self.notes))


class _Evacuation(_Errand):
    """What was attached while applications ran goes, and is remembered before it does."""

    def plan(self) -> None:
        kept = {one.key: one for one in self.notes.before}
        self._open(self._running() if self.asked.apps is None else [self._whole(one) for one in self.asked.apps])
        met: set[str] = set()
        for work in self.works:
            before = evacuated.of(work.app, self.notes.before)
            leaving = self._leaving(work, before)
            met |= {one.device.name for one in leaving}
            self._plan(work, [PortSpec(one.device.bare, present=False) for one in leaving])
            kept[before.key] = _added(before, leaving, self.entries[id(work)])
        self._remember("remember", list(kept.values()))
        known = met | {one.device.name for app in self.notes.before for one in app.devices}
        for name in sorted(set(self.asked.devices) - known):
            self.warnings.append(f"Device '{name}' is attached to none of the applications, and is not evacuated.")

    def _whole(self, entry: Json) -> Json:
        """An entry with how its application was reached before, where it says nothing of that."""
        kept = [one for one in self.notes.before if one.app == entry.get("app") and _below(entry, one.runtime_dir)]
        return {**(_means(entry) or (kept[0].entry if len(kept) == 1 else {})), **entry}

    def _running(self) -> list[Json]:
        """For every running application that has something to give, how it is reached."""
        entries = []
        for app in find(self.system):
            if not app.running or not app.prefix:
                continue
            kept = evacuated.of(app, self.notes.before)
            if self._has(app, kept):
                means = kept.entry or self._persisting(app)
                entries.append({**means, "app": app.prefix, "runtime_dir": app.runtime_dir})
        return entries

    def _persisting(self, app: App) -> Json:
        """How an application is reached by what is to persist of it, hooks too."""
        for one in persistence.read(self.system).get("apps", ()):
            if one.get("app") == app.prefix and _below(one, app.runtime_dir):
                return {name: value for name, value in _means(one).items() if name not in _NOT_HERE}
        return {}

    def _has(self, app: App, kept: Evacuated) -> bool:
        """Whether it has something that is to go; what is not known of one that has nothing is told."""
        record, at_start = look(app), arguments_at_start(app)
        try:
            there = assemble(observer(app, self.system).read(), record, app).devices
        except HotplugError as error:
            if any(_is_hot(name, record, at_start) for name in record.devices):
                return True
            self.warnings.append(f"The ports of application '{app.prefix}' cannot be read: {error.message}.")
            return False
        if self.asked.devices:
            return any(name in self.asked.devices for name in there)
        if any(kept.get(name) or _is_hot(name, record, at_start) for name in there):
            return True
        self._left_alone(app.prefix, [name for name in there if name not in at_start])
        return False

    def _leaving(self, work: AppWork, kept: Evacuated) -> list[Away]:
        """What of an application is to go."""
        names, unknown = [], []
        at_start = arguments_at_start(work.app)
        for name in work.before.devices:
            if self.asked.devices:
                names += [name] if name in self.asked.devices else []
            elif kept.get(name) or _is_hot(name, work.record, at_start):
                names.append(name)
            elif name not in at_start:
                unknown.append(name)
        self._left_alone(work.app.prefix, unknown)
        found: list[Away] = []
        refused: list[HotplugError] = []
        for name in names:
            seen = work.before.devices[name]
            try:
                found.append(self._away(work, seen, kept.get(name)))
            except HotplugError as error:
                refused.append(error.about(app=work.app.prefix, device=name))
        if refused:
            raise together(refused, work.app.prefix)
        return found

    def _left_alone(self, app: str, names: t.Sequence[str]) -> None:
        if names:
            self.warnings.append(
                f"Left alone in application '{app}' is what it was not started with and what was not attached by "
                f"dpdk.hotplug: {', '.join(sorted(names))}. Name it in devices where it shall go too."
            )

    def _away(self, work: AppWork, seen: DeviceState, kept: Away | None) -> Away:
        """How a device comes back: as it is, or as it was when it was remembered first."""
        if kept is not None:
            if not seen.args_known:
                self._know(work, seen, kept.device)
            return kept if kept.started else kept._replace(started=seen.started, ports=_some(seen))
        given = self.asked.devices.get(seen.device.name)
        if seen.args_known:
            if given is not None and not given.same_args(seen.device.args):
                raise _other_arguments(given, seen)
            device = seen.device
        elif given is not None:
            device = given
        elif _is_probed(work.app, seen.device):
            device = seen.device.bare
            self.warnings.append(
                f"Device '{device.name}' is taken to have no arguments: application '{work.app.prefix}' probes all."
            )
        else:
            raise _unknown_arguments(seen)
        self._know(work, seen, device)
        return Away(device, seen.started, int(time.time()), seen.bridge, _some(seen))


class _Restoration(_Errand):
    """What is remembered comes back, and is forgotten after it has."""

    def plan(self) -> None:
        self._persist()
        chosen = _chosen(self.notes.before, self.asked)
        try:
            self._open([one.entry for one in chosen])
        except HotplugError as error:
            raise self.told(error) from error
        kept = {one.key: one for one in self.notes.before}
        for work in self.works:
            coming = next(one for one in chosen if one.entry is self.entries[id(work)])
            self._come(work, coming)
            before = kept[coming.key]
            kept[coming.key] = before._replace(
                devices=tuple(one for one in before.devices if one not in coming.devices)
            )
        self._remember("forget", list(kept.values()))

    def _come(self, work: AppWork, coming: Evacuated) -> None:
        ports, gone = [], []
        undraining: list[Devargs] = []
        for away in coming.devices:
            device = self._target(away.device)
            seen = work.before.devices.get(device.name)
            if seen is None and evacuated.is_gone(device, self.system):
                gone.append(_gone(device, work.app.prefix))
                continue
            if seen is not None and seen.args_known and not device.same_args(seen.device.args):
                self.warnings.append(
                    f"Device '{device.name}' is there already, with the arguments '{seen.device.args}'; it was taken "
                    f"away with '{device.args}'."
                )
                device = device.bare
            elif seen is not None and not seen.args_known and device.name in work.record.devices:
                # A run that was killed meant to detach it, and forgot its arguments for that; or somebody else was
                # faster.
                self.warnings.append(
                    f"Device '{device.name}' is there already, and is taken to have the arguments that are remembered: "
                    f"'{device.args}'."
                )
                self._know(work, seen, device)
                self.notes.known.append((work, device))
            if away.ports:
                work.starting[device.name] = list(away.ports)
            ports.append(PortSpec(device, started=self._started(work, away, seen) or None, bridge=away.bridge))
            if away.started and work.spec.undrain:
                undraining.append(device)
        if gone:
            raise together(gone, work.app.prefix)
        self._plan(work, ports)
        self.steps += [(Step("undrain", device), work) for device in undraining]

    def _target(self, device: Devargs) -> Devargs:
        new = self.asked.replaced.get(device.name)
        if new is None:
            return device
        return new if new.args else _devices.parse(new._replace(args=device.args).wire)

    def _started(self, work: AppWork, away: Away, seen: DeviceState | None) -> bool:
        """Whether its ports are to be started; what was started and cannot be is told."""
        if not away.started or work.can("start"):
            return away.started
        if not (work.can("attach_started") or work.spec.undrain or (seen and seen.started)):
            self.warnings.append(
                f"The ports of device '{away.device.name}' were started, which the adapter {work.reach.adapter} cannot "
                f"do: application '{work.app.prefix}' has to."
            )
        return False

    def _persist(self) -> None:
        """The boot document names the new devices. Its lock comes before those of applications, here as elsewhere."""
        if not self.asked.replaced:
            return
        change = self.notes.renamed(self.asked.replaced)
        if change is not None:
            self.steps.append((change, self.notes))

    def told(self, error: HotplugError) -> HotplugError:
        known = ("no_application", "no_such_device", "no_device", "bad_devargs", "unknown_driver")
        if error.reason in known and _FORGET not in error.way_out:
            error.way_out += _FORGET
        return error


class _Oblivion(_Errand):
    """What is remembered is forgotten, and does not come back."""

    def plan(self) -> None:
        kept = {one.key: one for one in self.notes.before}
        for going in _chosen(self.notes.before, self.asked):
            before = kept[going.key]
            kept[going.key] = before._replace(devices=tuple(one for one in before.devices if one not in going.devices))
        self._remember("forget", list(kept.values()))


def _chosen(kept: t.Sequence[Evacuated], asked: Asked) -> list[Evacuated]:
    """What of all that is remembered is meant, each with the entry by which its application is reached."""
    found = []
    for one in kept:
        said = asked.of(one.app, one.runtime_dir)
        devices = tuple(away for away in one.devices if not asked.devices or away.device.name in asked.devices)
        if said and devices:
            means = _means(said[0]) or one.entry
            entry = {**means, **said[0], "app": one.app, "runtime_dir": one.runtime_dir}
            found.append(one._replace(devices=devices, entry=entry))
    return found


def _added(kept: Evacuated, leaving: t.Sequence[Away], entry: t.Mapping[str, t.Any]) -> Evacuated:
    """What was remembered of an application before, and what goes now."""
    fresh = {one.device.name: one for one in leaving}
    devices = [fresh.pop(one.device.name, one) for one in kept.devices]
    return kept._replace(devices=(*devices, *fresh.values()), entry=_means(entry) or kept.entry)


def _means(entry: t.Mapping[str, t.Any]) -> Json:
    """What an entry says of how its application is reached, and of its hooks."""
    return {name: one for name, one in entry.items() if name not in _PASSING}


def _some(seen: DeviceState) -> tuple[str, ...]:
    """The names of a device's ports that are started, where that is not true of all."""
    names = tuple(port.name for port in seen.ports if port.started)
    return () if len(names) == len(seen.ports) else names


def _is_hot(name: str, record: Record, at_start: t.Mapping[str, str]) -> bool:
    """Whether we have attached it while the application ran."""
    return name not in at_start and name in record.devices and record.args(name) is not None


def _is_probed(app: App, device: Devargs) -> bool:
    """Whether EAL takes every card of the host at its start, this one too. Source: EAL options -a, -b, --no-pci."""
    if device.bus != "pci" or has_option(app, "--no-pci") or option_values(app, "--allow", "-a", "-w"):
        return False
    blocked = [_devices.pci_address(one) for one in option_values(app, "--block", "-b")]
    return device.name not in blocked


def _other_arguments(given: Devargs, seen: DeviceState) -> HotplugError:
    return HotplugError(
        "other_arguments",
        f"device '{given.name}' is attached with the arguments '{seen.device.args}', given is '{given.args}'",
        way_out="Leave them out: they are known.",
        device=given.name,
    )


def _unknown_arguments(seen: DeviceState) -> HotplugError:
    name = seen.device.name
    return HotplugError(
        "unknown_arguments",
        f"the arguments of device '{name}' are not known, so it could not come back: somebody else attached it",
        way_out=f"Name it in devices with its arguments, as '{name},key=value'; as '{name},' where it has none.",
        device=name,
    )


def _gone(device: Devargs, app: str) -> HotplugError:
    return HotplugError(
        "no_device",
        f"device '{device.name}', which is evacuated from application '{app}', is not there any more",
        way_out="Plug it in, name the one that is in its place in replaced, or give it up with forget.",
        device=device.name,
    )


def _action(step: AnyStep, work: Work) -> Json:
    return {**work.action(step), **({"app": work.name} if isinstance(step, Step) else {})}


def _memory(before: t.Sequence[Evacuated], after: t.Sequence[Evacuated]) -> Json:
    """What is remembered, as a difference shows it."""
    keys = {one.key for one in (*before, *after)}
    prefixes = [prefix for prefix, _place in keys]

    def name(one: Evacuated) -> str:
        return f"{one.app} in {one.runtime_dir}" if prefixes.count(one.app) > 1 else one.app

    def view(kept: t.Sequence[Evacuated]) -> Json:
        return {
            name(one): {
                away.device.name: {"args": away.device.args, "started": away.started}
                for away in sorted(one.devices, key=lambda away: away.device.name)
            }
            for one in sorted(kept, key=lambda one: one.key)
        }

    return {"before": view(before), "after": view(after)}
