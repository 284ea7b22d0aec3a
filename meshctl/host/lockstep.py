"""Reads in waves: while one wave is on its way, later reads wait and then travel together as the next.

Many steps that look at many hosts at the same time cost each host as many round trips as the longest of their chains
of questions, not as many as there are steps. One lockstep for all hosts: a chain often goes on only when all of them
have answered (every `prepare` does), and on hosts that had gone ahead its next question would be a wave of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Lockstep:
    """The waves of one look."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] = []
        self._sailing: asyncio.Task[None] | None = None

    async def join(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask in the next wave; returns or raises what `ask` does."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, future))
        if self._sailing is None:
            self._sailing = asyncio.create_task(self._sail())
        return await future

    async def _sail(self) -> None:
        while self._waiting:
            await self._settle()
            wave, self._waiting = self._waiting, []
            answers = await asyncio.gather(*(ask() for ask, _ in wave), return_exceptions=True)
            for (_, future), answer in zip(wave, answers, strict=True):
                _resolve(future, answer)
            await self._settle()
        self._sailing = None

    async def _settle(self) -> None:
        """Let everyone who was just answered ask on: until a few turns of the event loop bring no new question."""
        quiet, count = 0, len(self._waiting)
        while quiet < _TURNS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == count else 0
            count = len(self._waiting)


class AtOnce(Lockstep):
    """No waves: every question is asked the moment it arises."""

    async def join(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask."""
        return await ask()


_TURNS = 20
"""From an answer to the next question: gather, a wrapper or two, and the role's own coroutines, one turn each."""


def _resolve(future: asyncio.Future[Any], answer: object) -> None:
    if future.done():  # whoever asked was cancelled
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
