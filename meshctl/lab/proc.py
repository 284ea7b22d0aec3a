"""Programs on this machine: started by argv, waited for with a deadline, their failures translated once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from meshctl.lab.errors import LabError, LabTimeout, ToolError

_POLL = 0.05
_FAREWELL_SECONDS = 10


async def run(argv: Sequence[str], *, stdin: str = "", seconds: float = 60, check: bool = True) -> str:
    """Standard output of the program; ToolError if it fails (unless `check` is false), LabTimeout after `seconds`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError as e:
        raise LabError(f"{argv[0]} is not installed on this machine") from e
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        raise LabTimeout(f"`{' '.join(argv)}`", seconds) from None
    finally:
        await _end(process)
    if check and process.returncode:
        raise ToolError(argv, process.returncode, (err or out).decode(errors="replace"))
    return out.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave nothing running behind a deadline or Ctrl-C: ask first, so that the program can clean up."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_FAREWELL_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def ip_batch(namespace: str, lines: Sequence[str]) -> None:
    """Run `ip` commands in a network namespace, in one process; the first that fails ends it."""
    if lines:
        await run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(lines) + "\n")


async def wait_until(what: str, seconds: float, ready: Callable[[], Awaitable[bool]], *, advice: str = "") -> None:
    """Look until `ready` says true; LabTimeout naming `what` after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await ready():  # noqa: ASYNC110  (other processes and the kernel set no events)
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise LabTimeout(what, seconds, advice=advice) from None
