"""What is in an image. Everything here goes into the recipe's hash; a changed line makes a new image."""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field

from meshctl.lab.errors import LabError

RELEASE = "trixie"

# A host as the Debian installer leaves it, without kernel, boot loader and Python.
_HOST = ("dbus", "iproute2", "kmod", "libpam-systemd", "openssh-server", "sudo", "systemd", "systemd-sysv", "udev")

# All that any layer installs or calls, with the Recommends that matter (Incus' dnsmasq, Ceph's mgr modules).
STACK = (
    *("acl", "attr", "busybox-static", "ca-certificates", "chrony", "ethtool", "iperf3", "iputils-ping", "nftables"),
    *("openssl", "procps", "rsync", "squashfs-tools", "tcpdump", "uidmap", "xz-utils"),
    *("frr", "frr-pythontools"),
    *("openvswitch-switch", "ovn-central", "ovn-host"),
    *("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-mds", "ceph-volume", "ceph-common", "lvm2"),
    *("python3", "python3-bcrypt", "python3-cherrypy3", "python3-dateutil", "python3-openssl"),
    *("python3-prettytable", "python3-requests", "python3-yaml"),
    *("incus", "incus-client", "dnsmasq-base"),
)

# Units that in a container fail, wait for what can't come (a clock, a console, a udev), or keep an idle lab busy.
_MASKED = (
    *("systemd-networkd-wait-online.service", "systemd-resolved.service", "systemd-firstboot.service"),
    *("getty@tty1.service", "console-getty.service", "chrony-wait.service", "nvmf-autoconnect.service"),
    *("nvmefc-boot-connections.service", "smartmontools.service", "sshd-keygen.service", "e2scrub_reap.service"),
    *("apt-daily.service", "apt-daily.timer", "apt-daily-upgrade.service", "apt-daily-upgrade.timer"),
    *("dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "xfs_scrub_all.timer", "man-db.timer"),
)

# The kernel lets an instance mount /proc and /sys only where its host sees both whole (mount_too_revealing() in
# fs/namespace.c). nspawn hides parts of both, and Debian 13's keeps no whole one out of sight, as Debian 12's does.
# /dev/.lxc is where Incus itself mounts whole ones for nested containers.
_WHOLE_PROC = """[Service]
ExecStartPre=/bin/sh -c 'mountpoint -q /dev/.lxc/sys && exit; mkdir -p /dev/.lxc/proc /dev/.lxc/sys && \\
    mount -t proc -o nosuid,nodev,noexec proc /dev/.lxc/proc && mount -t sysfs sysfs /dev/.lxc/sys && \\
    mount -o remount,rw,nosuid,nodev,noexec /dev/.lxc/sys'
"""

# What only a lab's host must know: its disks are loop devices, and the machine's own disk may be rather full.
_FILES = {
    "etc/systemd/system/incus.service.d/50-lab.conf": _WHOLE_PROC,
    "etc/environment": "CEPH_VOLUME_ALLOW_LOOP_DEVICES=1\n",
    "etc/systemd/system.conf.d/50-lab.conf": "[Manager]\nDefaultEnvironment=CEPH_VOLUME_ALLOW_LOOP_DEVICES=1\n",
    "etc/systemd/system/ceph-mon@.service.d/50-lab.conf": "[Service]\nEnvironment=CEPH_ARGS=--mon_data_avail_warn=5\n",
    # Without CAP_SYS_TIME the unit would be skipped: chronyd runs all the same, and leaves the clock alone (-x).
    "etc/systemd/system/chrony.service.d/50-lab.conf": (
        "[Unit]\nConditionCapability=\n[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd -x $DAEMON_OPTS\n"
    ),
    "etc/sudoers.d/50-lab": 'Defaults env_keep += "CEPH_VOLUME_ALLOW_LOOP_DEVICES"\n',
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/apt/apt.conf.d/50-lab": 'Acquire::Languages "none";\n',
    "etc/dpkg/dpkg.cfg.d/50-lab": "force-unsafe-io\n",
    "etc/systemd/journald.conf.d/50-lab.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=200M\n",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image: installed packages, packages offered in a local repository, masked units, extra files."""

    name: str
    packages: tuple[str, ...]
    offered: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ("systemd-networkd.service", "ssh.service")
    masked: tuple[str, ...] = _MASKED
    files: dict[str, str] = field(default_factory=lambda: dict(_FILES))
    release: str = RELEASE
    machine: str = field(default_factory=platform.machine)
    format: int = 1

    @property
    def hash(self) -> str:
        """Names the image in the cache."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def recipe(name: str) -> Recipe:
    """`full`: the whole stack is installed. `bare`: nothing but sshd, and the stack in a repository of its own."""
    if name == "full":
        return Recipe("full", tuple(sorted({*_HOST, *STACK})))
    if name == "bare":
        return Recipe("bare", tuple(sorted(_HOST)), offered=STACK)
    raise LabError(f"there is no lab image called {name!r}", advice="Use --image full or --image bare.")
