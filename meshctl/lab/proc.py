"""Programs on this machine: started by argv, waited for with a deadline, their failures translated once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from meshctl.lab.errors import LabError, LabTimeout, ToolError

_POLL = 0.05


async def run(argv: Sequence[str], *, stdin: str = "", timeout: float = 60, check: bool = True) -> str:
    """Standard output of the program; ToolError if it fails (unless `check` is false), LabTimeout after `timeout` s."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError as e:
        raise LabError(f"{argv[0]} is not installed on this machine") from e
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise LabTimeout(f"`{' '.join(argv)}`", timeout) from None
    if check and process.returncode:
        raise ToolError(argv, process.returncode, (err or out).decode(errors="replace"))
    return out.decode(errors="replace")


async def ip_batch(namespace: str, lines: Sequence[str]) -> None:
    """Run `ip` commands in a network namespace, in one process; the first that fails ends it."""
    if lines:
        await run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(lines) + "\n")


async def wait_until(
    what: str, seconds: float, ready: Callable[[], Awaitable[bool]], *, advice: str = ""
) -> None:
    """Look until `ready` says true; LabTimeout naming `what` after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await ready():
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise LabTimeout(what, seconds, advice=advice) from None
