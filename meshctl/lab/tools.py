"""What the lab needs from the machine, checked before anything is made."""

import os
import shutil
from pathlib import Path

from meshctl.lab.errors import LabError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# program → Debian package
NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "apt-ftparchive": "apt-utils",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nft": "nftables",
    "losetup": "mount",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}


def check() -> None:
    """LabError with the command that helps if this user or this machine can't run a lab."""
    if os.geteuid():
        raise LabError(
            "a lab needs root: it makes network namespaces, mounts and loop devices",
            advice="Run the same command with sudo.",
        )
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if not KEYRING.exists():
        missing.append("debian-archive-keyring")
    if missing:
        raise LabError(
            f"the lab needs programs that are not installed: {', '.join(missing)}",
            advice=f"apt-get install -y {' '.join(missing)}",
        )
