# Copyright (c) 2026, the dpdk.hotplug developers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the guests' disks: Debian bookworm (DPDK 22.11) and trixie (24.11), each with its kernel and initrd.

    python3 tests/fleet/images.py [RELEASE ...]      builds what is missing, prints "RELEASE PATH" for each

An image is kept in the cache under a name that changes with its recipe; guests write to an overlay of their own.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import chroots
import small_initrd
from machine import cache, key

SUITES = {"22.11": "bookworm", "24.11": "trixie"}
SIZE = "6G"  # sparse: an image takes about 1 GB of it

_PACKAGES = (
    "linux-image-amd64",
    "initramfs-tools",
    "systemd-sysv",
    "udev",
    "kmod",
    "openssh-server",
    "python3",
    "iproute2",
    "dpdk-dev",
    "pciutils",
    "driverctl",
    "grub2-common",
    "ca-certificates",
)
# What is written into an image. The management card is the one on virtio; no other is ever configured.
_FILES = {
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n",
    "etc/fstab": "/dev/vda / ext4 defaults,noatime 0 1\n",
    "etc/systemd/network/10-management.network": "[Match]\nDriver=virtio_net\n\n[Network]\nDHCP=no\n"
    "Address=10.0.2.15/24\nGateway=10.0.2.2\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
    "etc/ssh/sshd_config.d/fleet.conf": "PermitRootLogin prohibit-password\nUseDNS no\nMaxStartups 100\n"
    "MaxSessions 100\n",
    "etc/initramfs-tools/conf.d/fleet": "MODULES=list\nCOMPRESS=gzip\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
    "etc/default/grub.d/10-fleet.cfg": 'GRUB_CMDLINE_LINUX_DEFAULT=""\nGRUB_DISABLE_OS_PROBER=true\n'
    "GRUB_DISABLE_LINUX_UUID=true\n",
    "etc/systemd/journald.conf.d/fleet.conf": "[Journal]\nStorage=persistent\nSyncIntervalSec=1\n",
    # Nothing has come since the image was made: what a first boot would look for takes it half a minute.
    "etc/.updated": "",
    "var/.updated": "",
    # Of all that is in /sys only what tests, the disk and the network need is looked at again at boot.
    "etc/systemd/system/systemd-udev-trigger.service.d/fleet.conf": "[Service]\nExecStart=\n"
    "ExecStart=-udevadm trigger --type=devices --action=add --subsystem-match=block --subsystem-match=net "
    "--subsystem-match=pci --subsystem-match=virtio\n",
    "etc/modprobe.d/fleet.conf": "".join(
        f"blacklist {one}\n"
        for one in ("ahci", "cfg80211", "i2c_i801", "iTCO_wdt", "lpc_ich", "pcspkr", "psmouse", "serio_raw")
    ),
    # A guest has no entropy to wait for, no display, and nothing to do at fixed times.
    "etc/systemd/system.conf.d/fleet.conf": "[Manager]\nShowStatus=no\nDefaultTimeoutStopSec=10s\n",
}
_MASKED = (
    *(f"modprobe@{one}.service" for one in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop")),
    "dev-mqueue.mount",
    *(f"sys-{one}.mount" for one in ("fs-fuse-connections", "kernel-config", "kernel-debug", "kernel-tracing")),
    "getty-static.service",
    "ldconfig.service",
    "logrotate.timer",
    "proc-sys-fs-binfmt_misc.automount",
    "serial-getty@ttyS0.service",
    "systemd-binfmt.service",
    "systemd-hibernate-clear.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-networkd-persistent-storage.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-tpm2-setup-early.service",
    "systemd-tpm2-setup.service",
    "tmp.mount",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "systemd-networkd-wait-online.service",
    "systemd-timesyncd.service",
    "man-db.timer",
)
_RECIPE = 4  # counts changes of what is done below
_NOT_UNPACKED = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/lib/x86_64-linux-gnu/*.a",
    "/usr/lib/modules/*/kernel/drivers/gpu/*",
    "/usr/lib/modules/*/kernel/drivers/media/*",
    "/usr/lib/modules/*/kernel/sound/*",
    "/usr/lib/modules/*/kernel/drivers/net/wireless/*",
)


class Image(NamedTuple):
    """A disk, and what boots it. ``key``: what opens ssh to root."""

    disk: Path
    kernel: Path
    initrd: Path
    key: Path


def ssh_key() -> Path:
    """The fleet's own key, made once."""
    path = cache() / "fleet" / "key"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet", "-f", str(path)])
    return path


def _run(argv: list[str]) -> None:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"fleet: {' '.join(argv[:3])} ... failed:\n{done.stdout[-4000:]}")


def place(release: str) -> Path:
    public = ssh_key().with_suffix(".pub").read_text()
    recipe = (str(_RECIPE), SIZE, *_PACKAGES, *_NOT_UNPACKED, *_MASKED, *_FILES, *_FILES.values(), public)
    return cache() / "fleet" / f"{SUITES[release]}-{key(*recipe)}"


def ensure(release: str) -> Image:
    """The image of a release, built where it is missing."""
    target = place(release)
    with open(target.with_name(target.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _build(release, target)
        initrd = target / f"initrd-{key(Path(small_initrd.__file__).read_text())}"
        if not initrd.exists():
            partial = target / "initrd.partial"
            partial.write_bytes(small_initrd.small((target / "initrd").read_bytes()))
            partial.rename(initrd)
    return Image(target / "disk", target / "kernel", initrd, ssh_key())


def _build(release: str, target: Path) -> None:
    partial = target.with_name(target.name + ".partial")
    tree = partial / "tree"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    print(f"fleet: DPDK {release}: building a guest of Debian {SUITES[release]} (one to three minutes)", flush=True)
    _run(
        [
            "mmdebstrap",
            "--variant=minbase",
            "--format=directory",
            f"--include={','.join(_PACKAGES)}",
            *chroots.proxy_options(),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _NOT_UNPACKED),
            # Before the kernel makes its initrd.
            f"--essential-hook=copy-in {_written(partial / 'early', 'etc/initramfs-tools')} /etc",
            SUITES[release],
            str(tree),
            chroots.mirror(),
        ]
    )
    _finish(tree)
    for name, pattern in (("kernel", "vmlinuz-*"), ("initrd", "initrd.img-*")):
        shutil.copy(max(tree.glob(f"boot/{pattern}")), partial / name)
    _run(["mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", str(tree), str(partial / "disk"), SIZE])
    shutil.rmtree(tree)
    shutil.rmtree(partial / "early")
    partial.rename(target)


def _written(directory: Path, below: str) -> Path:
    """A folder with those of the files that are below a path."""
    for name, text in _FILES.items():
        if name.startswith(below):
            path = directory / Path(below).name / Path(name).relative_to(below)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return directory / Path(below).name


def _finish(tree: Path) -> None:
    for name, text in _FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    (tree / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (tree / "root/.ssh/authorized_keys").write_text(ssh_key().with_suffix(".pub").read_text())
    (tree / "boot/grub").mkdir(exist_ok=True)
    for unit in _MASKED:
        link = tree / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    wanted = tree / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    network = wanted / "systemd-networkd.service"
    if not network.is_symlink():
        network.symlink_to("/lib/systemd/system/systemd-networkd.service")
    # A machine of its own at every first boot; the keys of sshd are made here once, so that booting does not wait.
    (tree / "etc/machine-id").write_text("")
    _run(["ssh-keygen", "-q", "-A", "-f", str(tree)])


if __name__ == "__main__":
    for one in sys.argv[1:] or SUITES:
        print(one, ensure(one).disk.parent, flush=True)
