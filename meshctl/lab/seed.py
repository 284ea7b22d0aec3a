# ruff: noqa: ASYNC240  (looking at a few local paths takes microseconds; a thread for each would cost more)
"""What a host has on its disk before its first boot: its identity, its management address, the lab's SSH key.

Written into the upper layer of its root, before anything is mounted.
"""

import os
import uuid
from pathlib import Path

from meshctl.lab.plan import HostPlan, LabPlan
from meshctl.lab.proc import run
from meshctl.lab.rootfiles import RootFiles

_NETWORK = """\
# Made by the lab, as an installer would have left it: the management NIC, and nothing of the mesh.
[Match]
MACAddress={mac}
Name={nic}

[Network]
Address={address}
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
LLDP=no

[Link]
RequiredForOnline=no
"""

_HOST_KEY = "etc/ssh/ssh_host_ed25519_key"
_PRIVATE = 0o600
_UID = 1000


async def seed(lab: LabPlan, host: HostPlan, upper: Path, public_key: str) -> str:
    """Prepare the host's disk, and return its line for known_hosts."""
    upper.mkdir(parents=True, exist_ok=True)
    upper.chmod(0o755)
    root = RootFiles(upper, Path(lab.image, "rootfs"))
    nic = host.nic(host.management_nic)
    root.write("etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    network = _NETWORK.format(mac=nic.mac, nic=nic.name, address=host.management)
    root.write("etc/systemd/network/10-management.network", network)
    root.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    if lab.ssh_port != 22:  # noqa: PLR2004
        root.write("etc/ssh/sshd_config.d/50-lab.conf", f"Port {lab.ssh_port}\n")
    _login(root, lab.ssh_user, public_key)
    root.folder("etc/ssh", 0o755)
    await keygen(upper / _HOST_KEY, "host key")
    return known_host(lab, host, upper)


def known_host(lab: LabPlan, host: HostPlan, upper: Path) -> str:
    """The line for known_hosts of a host that was seeded."""
    kind, material, *_ = (upper / _HOST_KEY).with_suffix(".pub").read_text().split()
    address = host.management.split("/")[0]
    name = address if lab.ssh_port == 22 else f"[{address}]:{lab.ssh_port}"  # noqa: PLR2004
    return f"{name} {kind} {material}\n"


def _login(root: RootFiles, user: str, public_key: str) -> None:
    """The lab's key for the topology's user; others than root may use sudo without a password."""
    home, owner = ("root", 0) if user == "root" else (f"home/{user}", _UID)
    if owner:
        root.append("etc/passwd", f"{user}:x:{_UID}:{_UID}::/home/{user}:/bin/bash\n")
        root.append("etc/shadow", f"{user}:*:20000:0:99999:7:::\n")
        root.append("etc/group", f"{user}:x:{_UID}:\n")
        root.write("etc/sudoers.d/60-login", f"{user} ALL=(ALL) NOPASSWD:ALL\n", 0o440)
    root.folder(home, 0o700, owner)
    root.folder(f"{home}/.ssh", 0o700, owner)
    root.write(f"{home}/.ssh/authorized_keys", public_key, _PRIVATE)
    os.chown(root.top / home / ".ssh/authorized_keys", owner, owner)


async def keygen(path: Path, comment: str) -> None:
    """A new ed25519 key pair at `path` and `path`.pub; an old one is kept."""
    if not path.exists():
        await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
