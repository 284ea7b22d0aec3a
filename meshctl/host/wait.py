"""Waiting for a condition, always with a deadline and a name for what is awaited."""

from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_exponential

from meshctl.errors import WaitError


async def until(
    what: str,
    probe: Callable[[], Awaitable[str]],
    *,
    timeout: float,  # noqa: ASYNC109  (a deadline that the error names; asyncio.timeout would lose the last answer)
    every: float = 0.2,
) -> None:
    """Call `probe` until it returns ""; until then it returns what it saw, which the WaitError repeats.

    Polls start at `every` seconds apart and slow down to five times that.
    """
    retrying = AsyncRetrying(
        stop=stop_after_delay(timeout),
        wait=wait_exponential(multiplier=every, min=every, max=5 * every, exp_base=1.3),
        retry=retry_if_result(bool),
    )

    async def look() -> str:  # tenacity awaits only what it knows to be a coroutine function; a lambda is none
        return await probe()

    try:
        await retrying(look)
    except RetryError as error:
        raise WaitError(what, timeout, str(error.last_attempt.result())) from None
