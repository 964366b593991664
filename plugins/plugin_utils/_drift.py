# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""What a host has otherwise than its document asks for, from what dpdk_host answers in check mode."""

from __future__ import annotations

import json
import re
import typing as t

Json = t.Mapping[str, t.Any]

AREAS = ("document", "boot", "drivers", "hugepages", "applications")
_REASONS: dict[str, tuple[str, ...]] = {
    "document": ("bad_document", "given_twice", "not_root"),
    "boot": ("persistence_conflict", "bad_file", "no_boot_loader", "boot_loader", "other_device"),
    "hugepages": ("hugepages_size", "no_node", "hugepages_short", "hugepages_in_use", "mount_failed"),
}
# What ansible-core 2.19 and newer put before a message.
_PREFIX = re.compile(r"\A(?:(?:Task|Module|Action) failed: )+")


class Item(t.NamedTuple):
    """One difference: what it is of, what that is and what it should be; or a refusal, with what stands in the way."""

    area: str
    subject: str
    before: str = ""
    after: str = ""
    message: str = ""
    way_out: str = ""


class Answers(t.NamedTuple):
    """What the modules answered for a host, as registered; None where a task was not run.

    ``check``: dpdk_host with the whole document; ``parts``: the same part by part, where the whole was refused;
    ``iommu``: dpdk_kernel_args; ``boot``: what is applied at boot; ``reboot_required`` and ``arguments``: of the
    kernel arguments for hugepages; ``devices``: the devices of the document.
    """

    check: Json | None
    parts: t.Sequence[Json] = ()
    iommu: Json | None = None
    boot: Json | None = None
    reboot_required: bool = False
    arguments: t.Sequence[str] = ()
    devices: t.Sequence[Json] | None = None


def drift(answers: Answers) -> tuple[list[Item], list[str]]:
    """Every difference, in the order of AREAS, and what was warned of."""
    if answers.check is None:
        return [], []
    items: list[Item] = []
    notes: list[str] = []
    for answer in (answers.check, *answers.parts):
        items += _of_answer(answer)
        notes += [str(one) for one in answer.get("warnings") or ()]
    items += _of_boot(answers)
    once = dict.fromkeys(items)
    return sorted(once, key=lambda one: AREAS.index(one.area)), list(dict.fromkeys(notes))


def _of_answer(answer: Json) -> list[Item]:
    if answer.get("failed") or answer.get("error"):
        return [_refusal(answer)]
    items = [one for action in answer.get("actions") or () for one in _of_host(action)]
    for app in answer.get("apps") or ():
        name = str((app.get("app") or {}).get("prefix") or "")
        items += [_of_app(name, action) for action in app.get("actions") or ()]
    return items


def _refusal(answer: Json) -> Item:
    """Why a document, or a part of one, cannot be had on the host."""
    error = answer.get("error") or {}
    message = str(error.get("message") or told(answer) or "the check failed without a message")
    app, device = str(error.get("app") or ""), str(error.get("device") or "")
    area = next((area for area, reasons in _REASONS.items() if error.get("reason") in reasons), "")
    area = area or ("applications" if app else "drivers" if error else "document")
    return Item(area, app or device, message=message, way_out=str(error.get("way_out") or ""))


def told(answer: Json) -> str:
    """The message of a task that failed."""
    return _PREFIX.sub("", str(answer.get("msg") or "")).strip()


def _of_host(action: Json) -> list[Item]:
    name, before, after = action["action"], action.get("before"), action.get("after")
    what = str(action.get("device") or action.get("path") or action.get("target") or "")
    if name in ("bind", "unbind"):
        return [Item("drivers", f"{what} driver", text(before), text(after))]
    if name == "resize":
        return [Item("drivers", f"{what} VFs", text(before), text(after))]
    if name == "set_vf":
        had = before or {}
        return [
            Item("drivers", f"{what} VF {action['vf']} {key}", text(had.get(key)), text(value))
            for key, value in (after or {}).items()
            if value is not None
        ]
    if name == "reserve":
        subject = f"{action['size']} pages on node {action['node']}"
        return [Item("hugepages", subject, text(before), text(after))]
    if name in ("mount", "unmount"):
        return [Item("hugepages", f"mount {what}", _mount(before), _mount(after))]
    if name == "kernel_arguments":
        return [Item("boot", f"kernel arguments ({what})", text(before), text(after))]
    if name == "persist":
        return _of_document(before or {}, after or {})
    return [Item("drivers", f"{name.replace('_', ' ')} {what}".strip(), text(before), text(after))]


def _of_app(app: str, action: Json) -> Item:
    device = str(action.get("devargs") or action.get("device") or "")
    before, after = {
        "attach": ("not attached", "attached"),
        "detach": ("attached", "not attached"),
        "start": ("stopped", "started"),
        "stop": ("started", "stopped"),
    }.get(action["action"], ("", str(action["action"])))
    return Item("applications", f"{app} {device}", before, after)


def _of_document(before: Json, after: Json) -> list[Item]:
    """What is applied at boot, entry by entry."""
    had, has = entries(before), entries(after)
    return [
        Item("boot", f"at boot {name}", _entry(had.get(name)), _entry(has.get(name)))
        for name in sorted({*had, *has})
        if had.get(name) != has.get(name)
    ]


def _of_boot(answers: Answers) -> list[Item]:
    """What the check does not tell of: stale entries, reboots that are due, arguments for an IOMMU."""
    items = []
    if answers.devices is not None:
        asked = {key(one) for one in answers.devices}
        for name, entry in entries({"devices": (answers.boot or {}).get("devices") or ()}).items():
            if name not in asked:
                items.append(Item("boot", f"at boot {name}", _entry(entry), "not in the inventory"))
    if answers.reboot_required:
        items.append(Item("boot", "running kernel", "without them", text(answers.arguments) + " (reboot)"))
    iommu = answers.iommu
    if iommu is not None and iommu.get("failed"):
        items.append(_refusal(iommu)._replace(area="boot"))
    elif iommu is not None and _is_new(iommu):
        items.append(Item("boot", "kernel arguments (vfio)", "not set", text(iommu.get("arguments"))))
    elif iommu is not None and iommu.get("reboot_required"):
        items.append(Item("boot", "running kernel", "without them", text(iommu.get("arguments")) + " (reboot)"))
    return items


def _is_new(answer: Json) -> bool:
    diff = answer.get("diff") or {}
    return bool(diff.get("before") != diff.get("after"))


def entries(boot: Json) -> dict[str, t.Any]:
    """The entries of a boot document by the name of what they are about."""
    found = {key(one): one for one in boot.get("devices") or ()}
    pages = boot.get("hugepages")
    return {**found, **({"hugepages": pages} if pages else {})}


def key(entry: Json) -> str:
    """The name of a device's entry: its address, or how it is selected."""
    return str(entry.get("device") or json.dumps(entry.get("select"), sort_keys=True))


def _entry(entry: Json | None) -> str:
    if entry is None:
        return "nothing"
    told = {name: value for name, value in entry.items() if name not in ("device", "select", "expect")}
    return ", ".join(f"{name} {text(value)}" for name, value in told.items()) or "as it is"


def _mount(mount: Json | None) -> str:
    return "not mounted" if not mount else f"{mount['size']} {mount['mode']} {mount['uid']}:{mount['gid']}"


def text(value: t.Any) -> str:
    """A value as people read it."""
    if value is None or value == "" or value == [] or value == ():
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (list, tuple)):
        return " ".join(text(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {text(one)}" for name, one in value.items() if one is not None)
    return str(value)
