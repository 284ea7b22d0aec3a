"""Emptying a disk, for every role that may."""

import base64
import hashlib
from pathlib import Path

from meshctl.host.base import Host
from meshctl.roles.disks import DiskFacts

WIPE = Path(__file__).with_name("emptying.sh").read_text()

SECONDS = 120.0
"""For a slow disk; some MiB are written."""


async def empty(host: Host, disk: DiskFacts, reason: str) -> None:
    """Empty a disk that still is what was looked at. Raises CommandError when anything uses it, or it has changed."""
    seen = hashlib.sha256(base64.b64decode(disk.head)).hexdigest()
    await host.run(["sh", "-c", WIPE, "wipe", disk.path, seen], reason=reason, timeout=SECONDS)
