"""Queries that travel together: those asked in one turn of the event loop, in one channel, each answered for itself."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from meshctl.errors import CommandError, CommandTimeout, ConnectionLost, HostError, shown
from meshctl.host import batch, quoting
from meshctl.host.channel import lost
from meshctl.host.commands import Commands


@dataclass(eq=False, slots=True)
class _Pending:
    """A query on its way."""

    argv: tuple[str, ...]
    question: batch.Question
    answer: asyncio.Future[batch.Answer]
    since: float = 0.0

    @property
    def seconds(self) -> float:
        return self.question.seconds

    @property
    def what(self) -> str:
        return f"`{shown(self.argv)}`"

    def settle(self, answer: batch.Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: HostError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Queries:
    """The queries of one host. Close it, or those under way wait for their answers."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._name = commands.channels.host
        self._pending: list[_Pending] = []
        self._gathering = False
        self._batches: set[asyncio.Task[None]] = set()

    async def ask(self, argv: Sequence[str], seconds: float, stdin: bytes | None = None) -> batch.Answer:
        """The answer, whatever its status; `stdin` as `batch.can_carry` has it. Raises as `Commands.execute` does."""
        future: asyncio.Future[batch.Answer] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(tuple(argv), batch.Question(quoting.join(argv), seconds, stdin), future))
        self._start_batch()
        return await future

    async def close(self) -> None:
        """Give up what is under way: it gets ConnectionLost."""
        for task in self._batches:
            task.cancel()
        await asyncio.gather(*self._batches, return_exceptions=True)

    def _start_batch(self) -> None:
        if self._gathering or not self._pending:
            return
        self._gathering = True
        task = asyncio.create_task(self._batch(), name=f"queries on {self._name}")
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _batch(self) -> None:
        taken: list[_Pending] = []
        try:
            await self._gather()
            async with self._commands.slots:
                taken = self._take()
                if taken:
                    await self._send(taken)
        except asyncio.CancelledError:  # by close()
            taken = taken or self._take()
            raise
        finally:
            for pending in taken:
                pending.fail(lost(self._name, pending.what))

    async def _gather(self) -> None:
        """Let every query that is about to be asked be asked: until a turn of the event loop brings no new one."""
        count = -1
        while len(self._pending) > count:
            count = len(self._pending)
            await asyncio.sleep(0)

    def _take(self) -> list[_Pending]:
        self._gathering = False
        taken, self._pending = self._pending[: batch.LIMIT], self._pending[batch.LIMIT :]
        self._start_batch()
        return [pending for pending in taken if not pending.answer.done()]

    async def _send(self, taken: Sequence[_Pending]) -> None:
        """Carry a batch to the host and its answers back."""
        if len(taken) == 1:  # half the price of a batch
            await self._send_one(taken[0])
        else:
            await self._send_batch(taken)

    async def _send_one(self, pending: _Pending) -> None:
        try:
            answer = await self._commands.execute(pending.argv, pending.question.stdin or b"", pending.seconds)
        except HostError as error:
            pending.fail(error)
        else:
            pending.settle(answer)

    async def _send_batch(self, taken: Sequence[_Pending]) -> None:
        loop, grace = asyncio.get_running_loop(), self._commands.grace
        since = time.monotonic()
        for pending in taken:
            pending.since = since
        timers = [loop.call_later(pending.seconds + grace, self._expire, pending) for pending in taken]
        try:
            async with asyncio.timeout(max(pending.seconds for pending in taken) + grace):
                await self._carry(taken)
        except TimeoutError:
            for pending in taken:
                self._expire(pending)
        finally:
            for timer in timers:
                timer.cancel()

    async def _carry(self, taken: Sequence[_Pending]) -> None:
        reader = batch.Reader(lambda number, answer: self._deliver(taken[number], answer))
        script = batch.script([pending.question for pending in taken])
        shell = quoting.shell(sudo=self._commands.sudo)
        try:
            ended = await self._commands.channels.execute(shell, script, "queries", on_data=reader.feed)
        except ConnectionLost:
            return  # what is unanswered gets this error from the caller, each with its own command
        except batch.FramingError as error:
            self._refuse(taken, str(error), "A login script on the host prints something where no terminal is.")
        except HostError as error:
            self._refuse(taken, error.message, error.advice)
        else:
            said = ended.stderr.decode(errors="replace") or "and gave no answer"
            for pending in taken:
                pending.fail(CommandError(self._name, pending.argv, ended.status, said))

    def _refuse(self, taken: Sequence[_Pending], message: str, advice: str) -> None:
        for pending in taken:
            pending.fail(HostError(self._name, f"{pending.what}: {message}", advice=advice))

    def _deliver(self, pending: _Pending, answer: batch.Answer) -> None:
        if answer.status in batch.TIMED_OUT and time.monotonic() - pending.since >= pending.seconds:
            self._expire(pending)
        else:
            pending.settle(answer)

    def _expire(self, pending: _Pending) -> None:
        pending.fail(CommandTimeout(self._name, pending.argv, pending.seconds))
