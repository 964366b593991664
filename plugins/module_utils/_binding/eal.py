# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""librte_eal through ctypes, for DPDK 20.11 to 25.11, in a primary or in a secondary process.

Nothing is loaded at import. EAL can be initialised once in a process, prints on descriptors 1 and 2, starts threads,
and may abort; so this is for a process that is made for it (``_child.py``), or for one that embeds DPDK.
"""

from __future__ import annotations

import ctypes
import errno as errnos
import os
import typing as t

from .._errors import HotplugError
from . import outcome

# What a C function returns and takes.
Signature = tuple[t.Any, tuple[t.Any, ...]]
# Looks at what a C function of a library returned: (library, function's name, returned value) -> value, or raises.
Checker = t.Callable[["Library", str, t.Any], t.Any]
Opener = t.Callable[[str], t.Any]

# enum rte_proc_type_t (lib/eal/include/rte_eal.h), the same from 20.11 to 25.11.
_PROCESS_TYPES = {0: "primary", 1: "secondary"}
# enum rte_iova_mode (lib/eal/include/rte_eal.h).
_IOVA_MODES = {1: "pa", 2: "va"}
# No PCI device has this address, so that an allow-list of it alone keeps EAL off every PCI device.
NO_PCI_DEVICE = "ffff:ff:1f.7"


class EalError(HotplugError):
    """A call into DPDK failed: ``call`` is the C function's name, ``code`` the negative errno that it gave."""

    def __init__(self, reason: str, message: str, *, call: str, code: int, **fields: t.Any) -> None:
        super().__init__(reason, message, call=call, code=code, **fields)
        self.call = call
        self.code = code


def soname(name: str, abi: int) -> str:
    """The SONAME of a DPDK library: ``soname("eal", 23)`` is ``librte_eal.so.23``.

    The ABI is 21 for 20.11 and changes with each November release. Source: ABI_VERSION, lib/meson.build.
    """
    return f"librte_{name}.so.{abi}"


class Shared(ctypes.CDLL):
    """A library that dlopen(3) has loaded."""

    def variable(self, symbol: str) -> int:
        """The value of an ``int`` of the library; of a thread-local one, the calling thread's.

        dlsym(3) gives the address of the calling thread's own copy, so it is looked up each time. Raises ValueError
        where there is none.
        """
        return ctypes.c_int.in_dll(self, symbol).value


def open_library(name: str) -> t.Any:
    """dlopen(name) with RTLD_NOW and RTLD_GLOBAL, as the linker does it for a program: drivers may rely on that."""
    return Shared(name, mode=os.RTLD_NOW | os.RTLD_GLOBAL)


class Library:
    """The functions of one shared library, by their C names, with signatures and error checkers applied.

    A symbol that this release does not have is an error on use, not on load.
    Raises HotplugError ``no_library`` where the library cannot be loaded, ``missing_symbol`` for such a symbol.
    """

    def __init__(
        self,
        name: str,
        signatures: t.Mapping[str, Signature],
        checkers: t.Mapping[str, Checker],
        *,
        opener: Opener = open_library,
    ) -> None:
        self.name = name
        try:
            self.handle = opener(name)
        except OSError as exc:
            raise HotplugError(
                "no_library",
                f"the shared library {name} cannot be loaded: {exc}",
                way_out="Install DPDK's runtime libraries of the application's release, or use channel 'ipc'.",
                library=name,
            ) from exc
        for symbol, signature in signatures.items():
            self._bind(symbol, signature, checkers.get(symbol))

    def _bind(self, symbol: str, signature: Signature, checker: Checker | None) -> None:
        try:
            function = getattr(self.handle, symbol)
        except AttributeError:
            return
        function.restype, function.argtypes = signature
        if checker is not None:
            function.errcheck = lambda value, _function, _arguments, check=checker: check(self, symbol, value)
        setattr(self, symbol, function)

    def __getattr__(self, symbol: str) -> t.Any:
        raise HotplugError(
            "missing_symbol",
            f"{self.name} has no {symbol}()",
            way_out="This needs another release of DPDK.",
            library=self.name,
            call=symbol,
        )

    def has(self, symbol: str) -> bool:
        """Whether the library has that function, and this table its signature."""
        return symbol in self.__dict__


# errno -> (reason, what it says), for every call.
_EVERY: dict[int, tuple[str, str]] = {
    errnos.ENODEV: ("no_such_device", "no such device"),
    errnos.ENOMEM: ("no_memory", "no memory is left"),
    errnos.EACCES: ("not_permitted", "not permitted"),
    errnos.ENOTSUP: ("not_supported", "its driver or bus cannot do that"),
    # eal_dev_hotplug_request_to_primary(): no answer within 5 s, whatever the primary does later
    errnos.ENOMSG: ("timeout", "the application, or one of its other secondary processes, did not answer within 5 s"),
}
_ATTACH = {**_EVERY, **{code: (one.reason, one.what) for code, one in outcome.ATTACH.items()}}
_DETACH = {**_EVERY, **{code: (one.reason, one.what) for code, one in outcome.DETACH.items()}}
_REASONS = {"rte_eal_hotplug_add": _ATTACH, "rte_dev_probe": _ATTACH, "rte_eal_hotplug_remove": _DETACH}


def error(call: str, code: int, reasons: t.Mapping[int, tuple[str, str]] | None = None) -> EalError:
    """The domain error of a C call that returned the negative errno ``code``."""
    known = _REASONS.get(call, _EVERY) if reasons is None else reasons
    reason, meaning = known.get(-code, ("failed", os.strerror(-code)))
    return EalError(reason, f"{meaning} ({call}() returned {code})", call=call, code=code)


def check_result(library: Library, call: str, value: int) -> int:
    """A checker: a negative value is a negative errno and raises EalError; others are passed on."""
    if value < 0:
        raise error(call, value)
    return value


def _check_status(library: Library, call: str, value: int) -> int:
    """A checker: only 0 is success; a driver's positive value counts as -ENOTSUP, as EAL itself takes it."""
    return check_result(library, call, -errnos.ENOTSUP if value > 0 else value)


def _check_init(library: Library, call: str, value: int) -> int:
    """rte_eal_init() returns -1 and leaves the errno in rte_errno (lib/eal/linux/eal.c)."""
    if value >= 0:
        return value
    number = read_errno(library)
    raise EalError(
        "eal_failed",
        f"EAL did not start: {os.strerror(number) if number else 'no reason given'} (rte_errno {number})",
        call=call,
        code=-number,
    )


def read_errno(library: Library) -> int:
    """``rte_errno`` of the calling thread, a positive errno or 0; 0 as well where the library does not show it.

    It is the thread-local variable ``per_lcore__rte_errno`` (lib/eal/include/rte_errno.h).
    """
    try:
        return int(library.handle.variable("per_lcore__rte_errno"))
    except ValueError:
        return 0


_TEXT = ctypes.c_char_p
_INT = ctypes.c_int

SIGNATURES: dict[str, Signature] = {
    "rte_eal_init": (_INT, (_INT, ctypes.POINTER(_TEXT))),
    "rte_eal_cleanup": (_INT, ()),
    "rte_service_finalize": (None, ()),
    "rte_eal_process_type": (_INT, ()),
    "rte_eal_primary_proc_alive": (_INT, (_TEXT,)),
    "rte_eal_get_runtime_dir": (_TEXT, ()),
    "rte_eal_has_hugepages": (_INT, ()),
    "rte_eal_has_pci": (_INT, ()),
    "rte_eal_iova_mode": (_INT, ()),
    "rte_eal_hotplug_add": (_INT, (_TEXT, _TEXT, _TEXT)),
    "rte_eal_hotplug_remove": (_INT, (_TEXT, _TEXT)),
    "rte_dev_probe": (_INT, (_TEXT,)),
    "rte_strerror": (_TEXT, (_INT,)),
    # a function of the library from 21.05 on, inline before
    "rte_version": (_TEXT, ()),
}

CHECKERS: dict[str, Checker] = {
    "rte_eal_init": _check_init,
    "rte_eal_cleanup": check_result,
    "rte_eal_hotplug_add": _check_status,
    "rte_eal_hotplug_remove": _check_status,
    "rte_dev_probe": _check_status,
}


def arguments(
    *,
    prefix: str,
    role: str = "secondary",
    allow: t.Sequence[str] | None = None,
    vdevs: t.Sequence[str] = (),
    lcores: str = "",
    telemetry: bool = False,
    hugepages: bool = True,
    shared: bool = True,
    pci: bool = True,
    memory_mb: int = 0,
    iova_mode: str = "",
    vf_token: str = "",
    log_level: str = "",
) -> list[str]:
    """The arguments of rte_eal_init() without argv[0].

    ``role``: 'primary' or 'secondary'. ``allow``: the PCI devices that EAL may use: none where it is empty, all where
    it is None. ``shared``: False keeps everything in memory, so that no secondary can join. Raises ValueError for an
    empty word or one with a NUL. Source: lib/eal/common/eal_common_options.c.
    """
    words = ["--proc-type=" + role, "--file-prefix", prefix]
    words += ["--lcores", lcores] if lcores else []
    words += [] if telemetry else ["--no-telemetry"]
    words += _memory_arguments(hugepages, shared, memory_mb)
    words += _device_arguments(allow, vdevs, pci)
    for option, value in (("--iova-mode", iova_mode), ("--vfio-vf-token", vf_token), ("--log-level", log_level)):
        words += [option, value] if value else []
    for word in words:
        if not word or "\0" in word:
            raise ValueError(f"{word!r} is no EAL argument")
    return words


def _memory_arguments(hugepages: bool, shared: bool, memory_mb: int) -> list[str]:
    words = [] if hugepages else ["--no-huge"]
    if not shared:
        # --no-huge implies --legacy-mem, with which --in-memory is refused
        words.append("--in-memory" if hugepages else "--no-shconf")
    return words + (["-m", str(memory_mb)] if memory_mb else [])


def _device_arguments(allow: t.Sequence[str] | None, vdevs: t.Sequence[str], pci: bool) -> list[str]:
    words = [] if pci else ["--no-pci"]
    if pci and allow is not None:
        for device in allow or (NO_PCI_DEVICE,):
            words += ["-a", device]
    for vdev in vdevs:
        words += ["--vdev", vdev]
    return words


def _decode(text: bytes | None) -> str:
    return (text or b"").decode("utf-8", "replace")


class Eal:
    """DPDK's environment abstraction layer in this process. ``library``: a path, or ``soname("eal", 23)``.

    Loads the library and nothing else; raises HotplugError ``no_library``.
    """

    def __init__(self, library: str, *, opener: Opener = open_library) -> None:
        self.library = Library(library, SIGNATURES, CHECKERS, opener=opener)
        self._argv: t.Any = None

    def version(self) -> str:
        """rte_version(): ``DPDK 22.11.11``. HotplugError ``missing_symbol`` before 21.05.

        lib/eal/common/eal_common_config.c
        """
        return _decode(self.library.rte_version())

    def init(self, words: t.Sequence[str], *, program: str = "dpdk-hotplug") -> int:
        """rte_eal_init(argc, argv): the number of arguments that EAL took.

        ``words``: see arguments(). Raises EalError ``eal_failed`` with ``code`` = -rte_errno. It can be called again
        only after a failure with code -EINVAL for wrong arguments. lib/eal/linux/eal.c
        """
        argv = [os.fsencode(word) for word in (program, *words)]
        # EAL keeps pointers into argv and reorders it
        self._argv = (_TEXT * (len(argv) + 1))(*argv, None)
        return int(self.library.rte_eal_init(len(argv), self._argv))

    def cleanup(self) -> None:
        """rte_eal_cleanup(), for a primary only: in a secondary it can take the primary's devices down.

        Raises EalError. lib/eal/linux/eal.c
        """
        self.library.rte_eal_cleanup()

    def finalize_services(self) -> None:
        """rte_service_finalize(): give back the 150 KiB of the shared heap that EAL takes in each process for services.

        For a secondary that leaves without rte_eal_cleanup(): they would be gone until the primary ends.
        lib/eal/common/rte_service.c
        """
        self.library.rte_service_finalize()

    def process_type(self) -> str:
        """rte_eal_process_type(): 'primary' or 'secondary', 'invalid' for what EAL does not know. lib/eal/common/"""
        return _PROCESS_TYPES.get(self.library.rte_eal_process_type(), "invalid")

    def primary_alive(self, config: str = "") -> bool:
        """rte_eal_primary_proc_alive(config or NULL): whether a living primary holds that config file's lock.

        The default is the file of this process's own prefix. lib/eal/common/eal_common_proc.c
        """
        return bool(self.library.rte_eal_primary_proc_alive(os.fsencode(config) if config else None))

    def runtime_dir(self) -> str:
        """rte_eal_get_runtime_dir(): ``/var/run/dpdk/<prefix>`` after init. lib/eal/common/eal_common_config.c"""
        return _decode(self.library.rte_eal_get_runtime_dir())

    def has_hugepages(self) -> bool:
        """rte_eal_has_hugepages(): False under --no-huge. lib/eal/common/eal_common_config.c"""
        return bool(self.library.rte_eal_has_hugepages())

    def has_pci(self) -> bool:
        """rte_eal_has_pci(): False under --no-pci. lib/eal/common/eal_common_config.c"""
        return bool(self.library.rte_eal_has_pci())

    def iova_mode(self) -> str:
        """rte_eal_iova_mode(): 'pa' or 'va', '' before init. lib/eal/common/eal_common_config.c"""
        return _IOVA_MODES.get(self.library.rte_eal_iova_mode(), "")

    def errno(self) -> int:
        """rte_errno of the calling thread: positive, 0 for none. lib/eal/include/rte_errno.h"""
        return read_errno(self.library)

    def strerror(self, number: int) -> str:
        """rte_strerror(number) of a positive errno or of one of DPDK's own (from 1001 on).

        lib/eal/common/eal_common_errno.c
        """
        return _decode(self.library.rte_strerror(number))

    def hotplug_add(self, bus: str, name: str, args: str = "") -> None:
        """rte_eal_hotplug_add(bus, name, args): attach a device in every process of the application.

        From a secondary the primary is asked, 5 s at most a step. Raises EalError: bad_devargs, unknown_driver,
        no_such_device, no_memory (which a full port table is as well), exists, not_supported, timeout (the outcome is
        unknown), failed. lib/eal/common/eal_common_dev.c
        """
        self.library.rte_eal_hotplug_add(os.fsencode(bus), os.fsencode(name), os.fsencode(args))

    def hotplug_remove(self, bus: str, name: str) -> None:
        """rte_eal_hotplug_remove(bus, name): detach a device in every process of the application.

        A started port is not spared. Raises EalError: no_such_device, not_supported, busy, timeout (the outcome is
        unknown), failed. lib/eal/common/eal_common_dev.c
        """
        self.library.rte_eal_hotplug_remove(os.fsencode(bus), os.fsencode(name))

    def probe(self, devargs: str) -> None:
        """rte_dev_probe(devargs), ``vdev:net_pcap0,iface=eth0``. Raises EalError as hotplug_add() does.

        lib/eal/common/eal_common_dev.c
        """
        self.library.rte_dev_probe(os.fsencode(devargs))
