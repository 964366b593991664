# Copyright (c) 2026, the dpdk.hotplug developers
# SPDX-License-Identifier: GPL-3.0-or-later

# This is private to the collection dpdk.hotplug: do not use it from outside.
# It may change without notice.

from __future__ import annotations

import os
import select
import socket
import struct
import time

from .._errors import HotplugError
from .._system import Directory
from . import releases

# lib/eal/common/hotplug_mp.h: enum eal_dev_req_type.
ATTACH, DETACH = 0, 1
# No type of that enumeration: primaries answer -ENOTSUP, secondaries -EINVAL, and neither does anything else.
PING = 0x7FFFFFFF

# lib/eal/common/eal_common_proc.c: enum mp_type.
_REQUEST, _REPLY, _IGNORE = 1, 2, 3
_ACTION = b"eal_dev_mp_request"
# struct eal_dev_mp_req: int t; char devargs[128]; int result (lib/eal/common/hotplug_mp.h).
_PARAM = struct.Struct("=i128si")
_HEAD = struct.Struct("=i64sii")
# The mp_socket of the primary is <prefix dir>/mp_socket, those of secondaries mp_socket_<pid>_<tsc>
# (eal_mp_socket_path(), lib/eal/common/eal_filesystem.h). Ours must not look like one: the primary sends
# its own requests to every mp_socket_*.
_PRIMARY = "mp_socket"
OURS = "hotplug_"


def pack(size: int, kind: int, devargs: str) -> bytes:
    """One datagram as a release whose datagrams have ``size`` bytes expects it.

    Source: struct mp_msg_internal and rte_mp_msg. In 332 bytes the parameters follow the head; in 340 bytes
    the structure is aligned to 8, so that the name starts at 8 and 4 bytes trail.
    """
    text = devargs.encode("ascii")
    if len(text) > 127:
        raise ValueError(f"devargs have {len(text)} bytes, the message holds 127")
    body = _PARAM.pack(kind, text, 0)
    head = _HEAD.pack(_REQUEST, _ACTION, len(body), 0)
    if size == 340:
        head = head[:4] + b"\0" * 4 + head[4:]
    return (head + body).ljust(size, b"\0")


def unpack(size: int, data: bytes) -> tuple[int, int] | None:
    """(type, result) of a datagram that answers one of ours; None for anything else."""
    if len(data) != size:
        return None
    if size == 340:
        data = data[:4] + data[8:]
    kind, name, length, _fds = _HEAD.unpack_from(data)
    if name.partition(b"\0")[0] != _ACTION or kind not in (_REPLY, _IGNORE):
        return None
    if kind == _REPLY and length != _PARAM.size:
        return None
    return kind, _PARAM.unpack_from(data, _HEAD.size)[2]


class Primary:
    """The multi-process socket of one primary, spoken to without any EAL of our own.

    ``directory``: ``<runtime>/<prefix>``, held open. ``pid``: the living primary's, watched while we wait.
    ``uid``: its user; the reply socket is made as that user, so that a directory of his can gain nothing by us.
    """

    def __init__(self, directory: Directory, release: releases.Release, *, pid: int, uid: int) -> None:
        facts = releases.facts(release)
        if facts is None:
            from .release_notes import known

            raise HotplugError(
                "unknown_release",
                f"the message layout of DPDK {release} is not known",
                way_out="Known are {}; a wrong length would end the application's multi-process thread. "
                "Use channel 'eal', or a newer version of this collection.".format(", ".join(known())),
            )
        self._size = facts.message_size
        self._directory = directory
        self._pid = pid
        self._uid = uid

    def attach(self, devargs: str, *, timeout: float) -> int:
        """``rte_dev_probe(devargs)`` in the primary: 0, or a negative errno. ``devargs`` names its bus. Seconds."""
        return self._request(_PRIMARY, ATTACH, devargs, timeout)

    def detach(self, devargs: str, *, timeout: float) -> int:
        """``rte_dev_remove()`` of the device in the primary: 0, or a negative errno. Seconds."""
        return self._request(_PRIMARY, DETACH, devargs, timeout)

    def ping(self, name: str = _PRIMARY, *, timeout: float) -> bool:
        """Whether the process behind ``name`` works through its requests: it answered one that asks for nothing.

        The primary handles requests one after the other, so that its answer also says that all before are done.
        """
        try:
            self._request(name, PING, "", timeout)
        except HotplugError as exc:
            if exc.reason == "timeout":
                return False
            raise
        return True

    def secondaries(self) -> list[str]:
        """The socket names of the secondaries, dead ones' leftovers included."""
        return [name for name in self._directory.names() if name.startswith(_PRIMARY + "_")]

    def listens(self, name: str) -> bool:
        """Whether a process holds the socket ``name``; False for the leftover of a dead one. Nothing is sent to it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            try:
                connection.connect(self._directory.child(name))
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            except OSError as exc:
                raise self._cannot_send(name, exc) from exc
        return True

    def sweep(self) -> None:
        """Remove the reply sockets that killed runs of ours left."""
        for name in self._directory.names():
            if name.startswith(OURS) and self._directory.is_socket(name) and not self.listens(name):
                self._unlink(name)

    def _request(self, name: str, kind: int, devargs: str, timeout: float) -> int:
        if not self._directory.is_socket(name):
            raise HotplugError(
                "no_mp_socket",
                f"{self._directory.path}/{name} is not a socket",
                way_out="The application was started without shared files, or is gone.",
            )
        ours = f"{OURS}{os.getpid()}_{os.urandom(4).hex()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            self._bind(connection, ours)
            try:
                self._send(connection, name, pack(self._size, kind, devargs), timeout)
                return self._await(connection, timeout)
            finally:
                self._unlink(ours)

    def _bind(self, connection: socket.socket, ours: str) -> None:
        # The primary answers to the very text of this address, so that it has to hold in its view of the file system.
        path = f"{self._directory.path}/{ours}"
        other = os.geteuid() == 0 != self._uid
        if other:
            _create_as(self._uid)
        try:
            connection.bind(path)
        except OSError as exc:
            raise HotplugError(
                "no_reply_socket",
                f"no reply socket can be made in {self._directory.path}: {exc.strerror or exc}",
                way_out="Run as the application's user or as root; the path may have 107 characters at most.",
            ) from exc
        finally:
            if other:
                _create_as(0)

    def _unlink(self, ours: str) -> None:
        try:
            os.unlink(ours, dir_fd=self._directory.fd)
        except FileNotFoundError:
            pass

    def _send(self, connection: socket.socket, name: str, data: bytes, timeout: float) -> None:
        connection.settimeout(timeout)
        try:
            connection.sendto(data, self._directory.child(name))
        except (socket.timeout, BlockingIOError):
            raise self._timeout(timeout) from None
        except (ConnectionRefusedError, FileNotFoundError) as exc:
            raise self._gone() from exc
        except OSError as exc:
            raise self._cannot_send(name, exc) from exc

    def _await(self, connection: socket.socket, timeout: float) -> int:
        end = time.monotonic() + timeout
        watch = _pidfd(self._pid)
        try:
            while True:
                ready = select.select([connection.fileno(), *watch], [], [], max(0.0, end - time.monotonic()))[0]
                if connection.fileno() in ready:
                    answer = unpack(self._size, connection.recv(self._size + 1))
                    if answer is not None and answer[0] == _REPLY:
                        return answer[1]
                    if answer is not None:
                        raise HotplugError(
                            "not_ready", "the application is still starting", way_out="Try again when it is up."
                        )
                elif ready:
                    raise self._gone()
                else:
                    raise self._timeout(timeout)
        finally:
            for fd in watch:
                os.close(fd)

    def _cannot_send(self, name: str, exc: OSError) -> HotplugError:
        return HotplugError(
            "no_mp_socket",
            f"{self._directory.path}/{name} takes no requests: {exc.strerror}",
            way_out="Run as the application's user or as root.",
        )

    def _timeout(self, timeout: float) -> HotplugError:
        return HotplugError(
            "timeout",
            f"no answer from the application within {timeout:.0f} s",
            way_out="Whether it acted is not known from this, and it may act when it continues. Run again when it "
            "answers: what is there then decides.",
        )

    def _gone(self) -> HotplugError:
        return HotplugError(
            "primary_gone",
            f"the application ended while it was asked (pid {self._pid})",
            way_out="Start it again and repeat: what is attached already is left alone.",
        )


def _create_as(uid: int) -> None:
    """Whose files this thread creates from now on, with no more rights than that user's; seteuid() is for all threads.

    Source: setfsuid(2), which has no other way to tell whether it succeeded.
    """
    import ctypes

    setfsuid = ctypes.CDLL(None).setfsuid
    setfsuid.argtypes, setfsuid.restype = [ctypes.c_uint32], ctypes.c_uint32
    setfsuid(uid)
    if setfsuid(uid) != uid:
        raise HotplugError("no_reply_socket", f"files cannot be made as user {uid}", way_out="It takes CAP_SETUID.")


def _pidfd(pid: int) -> list[int]:
    """A descriptor that becomes readable when the process ends; none where the kernel or the pid gives none."""
    try:
        return [os.pidfd_open(pid)]
    except OSError:
        return []
