# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

"""The process that joins an application as a DPDK secondary, does what one request says, and leaves.

One JSON request on descriptor 0; on descriptor 1 lines of JSON, ``{"stage": ...}`` as it gets on and the answer as the
last; descriptor 2 is for what EAL prints. ``eal_channel.py`` is the other end and says what a request holds.

Killed while EAL starts, it would leave a lock in the application's shared memory held for good. So it ignores the
signals that others send, and nobody sends it SIGKILL.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import time
import typing as t

from .._errors import HotplugError
from .._outcome import internal
from . import eal, ethdev, releases

MAX_REQUEST = 1 << 20

_IGNORED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGPIPE,
    signal.SIGALRM,
    signal.SIGUSR1,
)

Json = dict[str, t.Any]


class Libraries(t.NamedTuple):
    """How the two libraries are had; tests put fakes here."""

    open_eal: t.Callable[[str], eal.Eal] = eal.Eal
    open_ethdev: t.Callable[[str], ethdev.EthDev] = ethdev.EthDev
    preload: eal.Opener = eal.open_library


def main(request_fd: int = 0, answer_fd: int = 1, log_fd: int = 2) -> t.NoReturn:
    """The process, from start to os._exit(): rte_eal_cleanup() in a secondary could take the primary's NIC down."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    answer = os.dup(answer_fd)
    os.dup2(log_fd, 1)
    try:
        _say(answer, serve(_read(request_fd), lambda stage: _say(answer, {"stage": stage})))
    finally:
        os._exit(0)


def serve(request: Json, tell: t.Callable[[str], None], libraries: Libraries | None = None) -> Json:
    """The answer to a request. ``tell`` is called with 'init' before EAL starts and with 'ready' when it has."""
    try:
        session = _Session(request, libraries or Libraries())
        session.check()
        tell("init")
        session.start()
        tell("ready")
        try:
            return session.work()
        finally:
            session.leave()
    except Exception as exc:
        error = exc if isinstance(exc, HotplugError) else internal(exc)
        return {"error": error.result()["error"]}


def _read(fd: int) -> Json:
    with os.fdopen(fd, "rb", closefd=False) as stream:
        data = stream.read(MAX_REQUEST + 1)
    try:
        request = json.loads(data) if len(data) <= MAX_REQUEST else None
    except ValueError:
        request = None
    return request if isinstance(request, dict) else {}


def _say(fd: int, line: Json) -> None:
    data = json.dumps(line).encode() + b"\n"
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass  # nobody listens any more


class _Session:
    def __init__(self, request: Json, libraries: Libraries) -> None:
        try:
            self.request = request
            self.prefix: str = request["prefix"]
            self.runtime_dir: str = request["runtime_dir"]
            self.pid: int = request["pid"]
            self.release = releases.Release(*request["release"])
            self.operations: list[Json] = request["operations"]
        except (KeyError, TypeError) as exc:
            raise HotplugError("bad_request", f"the request to the helper is incomplete: {exc!r}") from exc
        self.libraries = libraries
        self.init_ms = 0.0

    def check(self) -> None:
        """Become the application's user, load its libraries, and refuse another release before EAL starts."""
        self._become(self.request.get("user"))
        _preload(self.request.get("preload", []), self.libraries.preload)
        self.eal = self.libraries.open_eal(self.request["eal"])
        self.ethdev = self.libraries.open_ethdev(self.request["ethdev"])
        self._same_release()
        self._primary_is_up()

    def _become(self, user: Json | None) -> None:
        # What the primary's user could do to his own process he may do to this one; root stays out of it. It is
        # done here, since the module's files in root's home would be out of reach for a Python started as the user.
        if user is None:
            return
        os.setgroups(user["groups"])
        os.setgid(user["gid"])
        os.setuid(user["uid"])

    def _same_release(self) -> None:
        # Before 21.05 rte_version() is inline, and EAL's own check (eal_mcfg_check_version()) is all there is.
        if not self.eal.library.has("rte_version"):
            return
        text = self.eal.version()
        if releases.parse(text) != self.release:
            raise HotplugError(
                "other_release",
                f"the library {self.request['eal']} is {text}, the application runs DPDK {self.release}",
                way_out="Use channel 'ipc', or restart the application on the installed release.",
                app=self.prefix,
                library=text,
                application=str(self.release),
            )

    def _primary_is_up(self) -> None:
        # A secondary waits for ever for the magic word of a primary that has not come up (eal_mcfg_wait_complete()).
        path = os.path.join(self.runtime_dir, self.prefix, "config")
        try:
            with open(path, "rb") as stream:
                release = releases.of_config(stream.read(8))
        except OSError as exc:
            raise HotplugError("unreadable", f"{path} cannot be read: {exc.strerror}", app=self.prefix) from exc
        if release != self.release:
            what = f"is of DPDK {release}" if release else "is not complete: the application is still starting"
            raise HotplugError("other_release" if release else "not_ready", f"{path} {what}", app=self.prefix)

    def start(self) -> None:
        begin = time.monotonic()
        lcores = list(self.request.get("lcores", ())) or [""]
        for lcore in lcores:
            try:
                self.eal.init(eal.arguments(prefix=self.prefix, lcores=lcore, **self.request.get("options", {})))
                break
            except eal.EalError as exc:
                # an lcore id above what EAL was built for (RTE_MAX_LCORE): refused before anything is touched
                if exc.code != -errno.EINVAL or lcore == lcores[-1]:
                    raise exc.about(app=self.prefix)  # noqa: B904 - it is the same error
        self.init_ms = _since(begin)

    def work(self) -> Json:
        results: list[Json] = []
        for operation in self.operations:
            begin = time.monotonic()
            try:
                result: Json = {"value": self._do(operation)}
            except HotplugError as exc:
                result = {"error": exc.about(app=self.prefix, device=operation.get("name", "")).result()["error"]}
            result["ms"] = _since(begin)
            results.append(result)
            if "error" in result:
                break
        return {"version": str(self.release), "init_ms": self.init_ms, "results": results}

    def _do(self, operation: Json) -> t.Any:
        act = {"attach": self._attach, "detach": self._detach, "ports": self._ports}.get(operation["op"])
        if act is None:
            raise HotplugError("bad_request", f"the helper has no operation {operation['op']!r}")
        return act(operation)

    def _attach(self, operation: Json) -> None:
        try:
            self.eal.hotplug_add(operation["bus"], operation["name"], operation.get("args", ""))
        except eal.EalError as exc:
            raise self._explained(exc) from exc

    def _detach(self, operation: Json) -> None:
        try:
            self.eal.hotplug_remove(operation["bus"], operation["name"])
        except eal.EalError as exc:
            raise self._explained(exc) from exc

    def _explained(self, exc: eal.EalError) -> HotplugError:
        if exc.code == -errno.ENOMSG and not _alive(self.pid):
            return HotplugError(
                "primary_gone", f"the application ended while it was asked (pid {self.pid})", code=exc.code
            )
        # both a full port table and exhausted memory are -ENOMEM
        if exc.code == -errno.ENOMEM and self.ethdev.count_total() >= self.ethdev.slots():
            return HotplugError(
                "no_slot",
                f"all {self.ethdev.slots()} port slots of the application are taken",
                way_out="Detach a port, or build the application with a larger RTE_MAX_ETHPORTS.",
                code=exc.code,
            )
        return exc

    def _ports(self, _operation: Json) -> list[Json]:
        return [port for port in map(self._port, self.ethdev.ports()) if port]

    def _port(self, port: int) -> Json:
        """What is known of a port; nothing of one that has just gone."""
        try:
            owner = self.ethdev.owner(port)
            return {
                "port_id": port,
                "name": self.ethdev.name(port),
                "mac": self.ethdev.mac(port),
                "mtu": self.ethdev.mtu(port),
                "numa_node": self.ethdev.numa_node(port),
                "owner": owner.name,
                "owner_id": owner.id,
            }
        except eal.EalError:
            return {}

    def leave(self) -> None:
        """Give back what EAL took for this process: memory in the shared heap, files in the application's directory.

        rte_eal_cleanup() would do that. Left alone, the memory is gone until the primary ends, and the files stay until
        the next secondary starts. The directory's lock keeps the primary from sending to our socket meanwhile
        (mp_send(), lib/eal/common/eal_common_proc.c).
        """
        self.eal.finalize_services()
        directory = os.path.join(self.runtime_dir, self.prefix)
        # mp_socket_<pid>_<tsc>, and fbarray_<list>_<pid> of secondary_msl_create_walk() (eal_memalloc.c)
        ours = re.compile(rf"mp_socket_{os.getpid()}_[0-9a-f]+|fbarray_.*_{os.getpid()}(?:_[0-9a-f]+)?")
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            if _locked(fd):
                for name in filter(ours.fullmatch, os.listdir(fd)):
                    os.unlink(name, dir_fd=fd)
        except OSError:
            pass  # the next secondary removes what is left
        finally:
            os.close(fd)


def _preload(paths: list[str], opener: eal.Opener) -> None:
    """Load libraries from a place where the linker does not look, in whatever order their needs allow."""
    while paths:
        failed = {path: problem for path in paths for problem in (_problem(opener, path),) if problem}
        if len(failed) == len(paths):
            problem = failed[paths[0]]
            raise HotplugError("no_library", f"a library of the application cannot be loaded: {problem}")
        paths = list(failed)


def _problem(opener: eal.Opener, path: str) -> str:
    try:
        opener(path)
    except OSError as exc:
        return str(exc)
    return ""


def _locked(fd: int, seconds: float = 1.0) -> bool:
    """Whether the directory's lock could be had in that time."""
    end = time.monotonic() + seconds
    while not _try_lock(fd):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def _since(begin: float) -> float:
    return round((time.monotonic() - begin) * 1000, 3)


if __name__ == "__main__":
    main()
