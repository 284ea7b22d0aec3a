"""Changes that are made at the same time."""

import asyncio
from collections.abc import Awaitable


async def together(*changes: Awaitable[object]) -> None:
    """Run all to their end, then raise the first error: no change outlives the step that it belongs to.

    `asyncio.gather` would raise at once and let the others go on, after the step was reported as failed.
    """
    for outcome in await asyncio.gather(*changes, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
