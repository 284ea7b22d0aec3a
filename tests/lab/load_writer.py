"""Runs on a host: `writer.py HOST` writes through librbd for ever, `writer.py HOST verify` reads everything back.

Block after block of an image of its own gets a number; a number that was acknowledged is put into a local file. The
log has a line per second (`TIME acked NUMBER`), and one for each write that took longer than 0.3 s or failed.
"""

import json
import os
import struct
import sys
import time
from pathlib import Path
from typing import TextIO

import rados  # type: ignore[import-not-found]  # of the hosts' python3-rados
import rbd  # type: ignore[import-not-found]

BLOCK, BLOCKS = 4096, 4096
FOLDER = Path("/var/lib/load")
SLOW = 0.3
PAUSE = 0.05
"""Seconds between two writes: a witness, not a benchmark."""


def opened(name: str) -> "rbd.Image":
    cluster = rados.Rados(conffile="/etc/ceph/ceph.conf", rados_id="admin")
    cluster.connect(timeout=60)
    pool = cluster.open_ioctx("incus")
    if name not in rbd.RBD().list(pool):
        rbd.RBD().create(pool, name, BLOCK * BLOCKS)
    return rbd.Image(pool, name)


def write(image: "rbd.Image", log: "TextIO") -> None:
    slots = os.open(FOLDER / "acked", os.O_RDWR)
    number = max(struct.unpack(f"<{BLOCKS}Q", os.pread(slots, 8 * BLOCKS, 0)))
    told = 0.0
    while True:
        number += 1
        began = time.time()
        try:
            image.write(struct.pack("<Q", number) * (BLOCK // 8), number % BLOCKS * BLOCK)
        except rbd.Error:
            log.write(f"{time.time():.3f} failed {number}\n")
            raise
        ended = time.time()
        os.pwrite(slots, struct.pack("<Q", number), number % BLOCKS * 8)
        if ended - began > SLOW:
            log.write(f"{ended:.3f} slow {ended - began:.3f}\n")
        if ended - told > 1:
            log.write(f"{ended:.3f} acked {number}\n")
            told = ended
        time.sleep(PAUSE)


def lost(image: "rbd.Image") -> list[int]:
    """Blocks that hold an older number than the last acknowledged one, or a torn one."""
    slots = struct.unpack(f"<{BLOCKS}Q", (FOLDER / "acked").read_bytes())
    found = []
    for slot, acked in enumerate(slots):
        numbers = set(struct.unpack(f"<{BLOCK // 8}Q", image.read(slot * BLOCK, BLOCK)))
        if acked and (len(numbers) != 1 or min(numbers) < acked):
            found.append(acked)
    return found


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    slots = FOLDER / "acked"
    if not slots.exists():
        slots.write_bytes(bytes(8 * BLOCKS))
    image = opened(f"load-{sys.argv[1]}")
    if sys.argv[2:] == ["verify"]:
        print(json.dumps(lost(image)))
        return
    with (FOLDER / "writer.log").open("a", buffering=1) as log:
        write(image, log)


if __name__ == "__main__":
    main()
