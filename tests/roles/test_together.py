"""Changes at the same time: all of them end before the step does."""

import asyncio

import pytest

from meshctl.errors import WaitError
from meshctl.roles.together import together


async def test_none_outlives_the_first_error() -> None:
    ended: list[str] = []
    slow = asyncio.Event()

    async def fails() -> None:
        asyncio.get_running_loop().call_later(0.01, slow.set)
        raise WaitError("a quorum", 1)

    async def lasts() -> None:
        await slow.wait()
        ended.append("the other change")

    with pytest.raises(WaitError, match="a quorum"):
        await together(fails(), lasts())
    assert ended == ["the other change"]


async def test_a_cancelled_step_cancels_them() -> None:
    began = asyncio.Event()

    async def endless() -> None:
        began.set()
        await asyncio.Event().wait()

    step = asyncio.create_task(together(endless()))
    await began.wait()
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
