"""Locks between processes. The kernel drops them when the holder dies, so none is ever stale."""

import asyncio
import fcntl
import os
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from meshctl.lab.errors import LabTimeout

_FLOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, pid
_POLL = 0.05


@asynccontextmanager
async def locked(path: Path, what: str, seconds: float) -> AsyncIterator[None]:
    """Hold the lock; LabTimeout if somebody else keeps it longer than `seconds`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        async with asyncio.timeout(seconds):
            fd = await _acquire(path)
    except TimeoutError:
        raise LabTimeout(
            f"another meshctl to finish with {what}", seconds, advice="Only one may change it at a time."
        ) from None
    try:
        yield
    finally:
        os.close(fd)


async def _acquire(path: Path) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_there(path, fd):
                return fd
        except BlockingIOError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        await asyncio.sleep(_POLL)


def _still_there(path: Path, fd: int) -> bool:
    """A lock file that its last holder removed excludes nobody who comes later."""
    try:
        return path.stat().st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False


@contextmanager
def held_for_life(path: Path) -> Iterator[bool]:
    """Take the lock that tells others this process's id (`holder`); False if somebody has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def holder(path: Path) -> int | None:
    """The process that holds a `held_for_life` lock, asked from the kernel; None if nobody does."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(fd)
    kind, _, _, _, pid = _FLOCK.unpack(answer)
    return None if kind == fcntl.F_UNLCK else pid
