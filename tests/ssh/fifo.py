"""Commands that wait for the test: they read a fifo. No threads, so a test that fails can't hang on one."""

import os
from pathlib import Path

from meshctl.host.wait import until


def make(path: Path) -> Path:
    os.mkfifo(path)
    return path


async def opened(path: Path) -> int:
    """The writing end, as soon as somebody reads."""
    found: list[int] = []

    async def reader() -> str:
        try:
            found.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:  # ENXIO: nobody reads
            return str(error)
        return ""

    await until(f"a reader of {path}", reader, timeout=5, every=0.01)
    return found[0]


async def say(path: Path, text: str) -> None:
    """Write as soon as somebody reads, and end the stream."""
    with os.fdopen(await opened(path), "w") as stream:
        stream.write(text)
