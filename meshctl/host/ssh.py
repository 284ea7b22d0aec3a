"""A host reached over SSH: one connection, few channels, queries that share them."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import asyncssh

from meshctl.errors import CommandError, CommandTimeout, ConnectionLost, HostError, shown
from meshctl.host import batch, filing, quoting
from meshctl.host.base import QUERY_TIMEOUT, RUN_TIMEOUT, Files, Host, Result
from meshctl.host.channel import Channels, Dialogue, lost

CHANNELS = 4
"""At once, on one connection. sshd allows 10 (MaxSessions) but frees them late: 4 never met a refusal, 6 did."""

RUNNING = 3
"""Of these, for `run` and `put`; the last one is kept for queries, so that a long installation doesn't blind us."""

GRACE = 10.0
"""Seconds after a command's own deadline until we stop believing that the host will end it."""

SLOWEST_LINK = 200_000.0
"""Bytes per second that the way to a host is trusted to carry; gives large files more time."""

Dial = Callable[[float | None], Awaitable[asyncssh.SSHClientConnection]]
"""Connects anew; the argument is how many seconds to keep trying, None for the topology's `connect_timeout`."""


class Guard(Protocol):
    """Stands before every change; the lock's (`lock.py`)."""

    async def admit(self) -> tuple[str, ...]:
        """The command that starts the change on the host, or doesn't. Raises if it must not be made."""

    def judge(self, answer: batch.Answer) -> None:
        """Raise if what came back means that the change was not made."""


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


class SshHost(Host):
    """See Host. Made by `meshctl.host.connect`; close it, or use it as an async context manager."""

    def __init__(
        self, name: str, connection: asyncssh.SSHClientConnection, dial: Dial, *, sudo: bool, grace: float = GRACE
    ) -> None:
        self.name = name
        self.guard: Guard | None = None
        self._grace = grace
        self._dial = dial
        self._sudo = sudo
        self._channels = Channels(name, connection)
        self._slots = asyncio.Semaphore(CHANNELS)
        self._run_slots = asyncio.Semaphore(RUNNING)
        self._putting = asyncio.Lock()  # the staging folders have fixed names
        self._reconnecting = asyncio.Lock()
        self._pending: list[_Pending] = []
        self._gathering = False
        self._batches: set[asyncio.Task[None]] = set()

    @property
    def round_trips(self) -> int:
        """Channels used so far, over all connections."""
        return self._channels.opened

    @property
    def connected(self) -> bool:
        """Whether the connection has not been seen to end. A dead peer is noticed within 8 seconds."""
        return not self._channels.connection.is_closed()

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """See Host. A query whose `stdin` no batch can carry takes a channel of its own."""
        if batch.can_carry(stdin):
            return self._judge(argv, await self._ask(argv, timeout, stdin), ok)
        async with self._slots:
            return self._judge(argv, await self._execute(argv, stdin or b"", timeout), ok)

    async def safeguard(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        fresh: float | None = None,
    ) -> Result | None:
        """See Host. A fresh connection takes the place of the old one if that is lost, and is left otherwise."""
        if fresh is None:
            return await self.run(argv, reason="safety net", stdin=stdin, timeout=timeout)
        connection = await self._dial(fresh)
        other = SshHost(self.name, connection, self._dial, sudo=self._sudo, grace=self._grace)
        try:
            return await other.run(argv, reason="safety net", stdin=stdin, timeout=timeout)
        finally:
            if self.connected:
                await other.close()
            else:
                self._channels.connection = connection

    async def run(
        self,
        argv: Sequence[str],
        *,
        reason: str,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """See Host. When cancelled, the command on the host goes on until it ends or reaches its deadline."""
        del reason  # for those who watch
        return self._judge(argv, await self._change(argv, stdin or b"", timeout), ok)

    async def put(self, files: Files) -> frozenset[str]:
        """See Host. Written files are looked at again: HostError when one is still not as it should be.

        CommandError when the host could not take them, as when an owner doesn't exist there (yet).
        """
        async with self._putting:
            differing = await self.differing(files)
            if differing:
                await self._store({path: files[path] for path in differing})
        return differing

    async def differing(self, files: Files) -> frozenset[str]:
        """See Host."""
        for path in files:
            filing.check_path(path)
        if not files:
            return frozenset()
        seen = filing.parse_look((await self._ask(filing.look(files), QUERY_TIMEOUT)).stdout)
        return frozenset(filing.differing(files, seen))

    async def talk(self, argv: Sequence[str], what: str, on_data: Callable[[bytes], None]) -> Dialogue:
        """Start a command that goes on, in a channel beside those of the others; see Dialogue."""
        dialogue = await self._channels.talk(quoting.ONE_COMMAND, what, on_data)
        dialogue.write(quoting.one_line(argv, None, sudo=self._sudo))
        return dialogue

    async def reconnect(self, *, seconds: float | None = None) -> None:
        """Leave the connection and make a new one, trying for `seconds` (default: the topology's connect_timeout).

        For hosts that rebooted. Raises as `connect` does; can be repeated. Concurrent calls make one connection.
        """
        before = self._channels.connection
        async with self._reconnecting:
            if self._channels.connection is not before:
                return
            await self.close()
            self._channels.connection = await self._dial(seconds)

    async def close(self) -> None:
        """End the connection; what is still under way gets ConnectionLost."""
        for task in self._batches:
            task.cancel()
        await asyncio.gather(*self._batches, return_exceptions=True)
        connection = self._channels.connection
        connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await connection.wait_closed()
                return
        connection.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # One command on a channel of its own

    async def _change(self, argv: Sequence[str], stdin: bytes, seconds: float) -> batch.Answer:
        async with self._run_slots, self._slots:
            guard = self.guard
            if guard is None:
                return await self._execute(argv, stdin, seconds)
            answer = await self._execute(argv, stdin, seconds, await guard.admit())
            guard.judge(answer)
            return answer

    async def _execute(
        self, argv: Sequence[str], stdin: bytes, seconds: float, before: Sequence[str] = ()
    ) -> batch.Answer:
        line = quoting.one_line(argv, seconds, sudo=self._sudo, before=before)
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds + self._grace):
                ended = await self._channels.execute(quoting.ONE_COMMAND, line + stdin, f"`{shown(argv)}`")
        except TimeoutError:
            raise CommandTimeout(self.name, argv, seconds) from None
        if ended.status in batch.TIMED_OUT and time.monotonic() - began >= seconds:
            raise CommandTimeout(self.name, argv, seconds)
        return batch.Answer(ended.status, ended.stdout, ended.stderr)

    async def _store(self, files: Files) -> None:
        token = secrets.token_hex(4)
        stream = filing.archive(files, token)
        seconds = RUN_TIMEOUT + len(stream) / SLOWEST_LINK
        answer = await self._change(filing.store(files, token), stream, seconds)
        said = answer.stderr.decode(errors="replace")
        if answer.status != 0:
            raise CommandError(self.name, ("put", *files), answer.status, said, advice=filing.advice(said))
        seen = filing.parse_look(answer.stdout)
        wrong = filing.differing(files, seen)
        if wrong:
            raise HostError(
                self.name,
                filing.still_different(files, seen, wrong),
                advice="Something on the host changes these files right after they were written; find out what it is.",
            )

    def _judge(self, argv: Sequence[str], answer: batch.Answer, ok: Collection[int] | None) -> Result:
        out, err = answer.stdout.decode(errors="replace"), answer.stderr.decode(errors="replace")
        if ok is not None and answer.status not in ok:
            raise CommandError(self.name, argv, answer.status, err, stdout=out)
        return Result(tuple(argv), answer.status, out, err)

    # Queries that travel together

    async def _ask(self, argv: Sequence[str], seconds: float, stdin: bytes | None = None) -> batch.Answer:
        future: asyncio.Future[batch.Answer] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(tuple(argv), batch.Question(quoting.join(argv), seconds, stdin), future))
        self._start_batch()
        return await future

    def _start_batch(self) -> None:
        if self._gathering or not self._pending:
            return
        self._gathering = True
        task = asyncio.create_task(self._batch(), name=f"queries on {self.name}")
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _batch(self) -> None:
        taken: list[_Pending] = []
        try:
            await self._gather()
            async with self._slots:
                taken = self._take()
                if taken:
                    await self._send(taken)
        except asyncio.CancelledError:  # by close()
            taken = taken or self._take()
            raise
        finally:
            for pending in taken:
                pending.fail(lost(self.name, pending.what))

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
            answer = await self._execute(pending.argv, pending.question.stdin or b"", pending.seconds)
        except HostError as error:
            pending.fail(error)
        else:
            pending.settle(answer)

    async def _send_batch(self, taken: Sequence[_Pending]) -> None:
        loop = asyncio.get_running_loop()
        since = time.monotonic()
        for pending in taken:
            pending.since = since
        timers = [loop.call_later(pending.seconds + self._grace, self._expire, pending) for pending in taken]
        reader = batch.Reader(lambda number, answer: self._deliver(taken[number], answer))
        script = batch.script([pending.question for pending in taken])
        try:
            async with asyncio.timeout(max(pending.seconds for pending in taken) + self._grace):
                ended = await self._channels.execute(
                    quoting.shell(sudo=self._sudo), script, "queries", on_data=reader.feed
                )
        except TimeoutError:
            ended = None
        except ConnectionLost:
            return  # what is unanswered gets this error from the caller, each with its own command
        except batch.FramingError as error:
            self._refuse(taken, str(error), "A login script on the host prints something where no terminal is.")
            return
        except HostError as error:
            self._refuse(taken, error.message, error.advice)
            return
        finally:
            for timer in timers:
                timer.cancel()
        for pending in taken:
            if ended is None:
                self._expire(pending)
            else:
                said = ended.stderr.decode(errors="replace")
                pending.fail(CommandError(self.name, pending.argv, ended.status, said or "and gave no answer"))

    def _refuse(self, taken: Sequence[_Pending], message: str, advice: str) -> None:
        for pending in taken:
            pending.fail(HostError(self.name, f"{pending.what}: {message}", advice=advice))

    def _deliver(self, pending: _Pending, answer: batch.Answer) -> None:
        if answer.status in batch.TIMED_OUT and time.monotonic() - pending.since >= pending.seconds:
            self._expire(pending)
        else:
            pending.settle(answer)

    def _expire(self, pending: _Pending) -> None:
        pending.fail(CommandTimeout(self.name, pending.argv, pending.seconds))
