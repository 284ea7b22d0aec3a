"""Commands that wait for the test: they read a fifo. No threads, so a test that fails can't hang on one."""

import os
from pathlib import Path

from meshctl.host.wait import until


def make(path: Path) -> Path:
    os.mkfifo(path)
    return path


async def say(path: Path, text: str) -> None:
    """Write as soon as somebody reads, and end the stream."""
    opened: list[int] = []

    async def reader() -> str:
        try:
            opened.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:  # ENXIO: nobody reads
            return str(error)
        return ""

    await until(f"a reader of {path}", reader, timeout=5, every=0.01)
    with os.fdopen(opened[0], "w") as stream:
        stream.write(text)
