"""A host reached over SSH: one connection, whose channels queries share, and changes take for themselves."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import asyncssh

from meshctl.errors import CommandError, HostError
from meshctl.host import batch, filing, quoting
from meshctl.host.base import QUERY_TIMEOUT, RUN_TIMEOUT, Files, Host, Result
from meshctl.host.channel import Channels, Dialogue
from meshctl.host.commands import GRACE, Commands
from meshctl.host.queries import Queries

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


class SshHost(Host):
    """See Host. Made by `meshctl.host.connect`; close it, or use it as an async context manager.

    `usual`: seconds for a change whose caller leaves its deadline at RUN_TIMEOUT.
    """

    def __init__(
        self,
        name: str,
        connection: asyncssh.SSHClientConnection,
        dial: Dial,
        *,
        sudo: bool,
        grace: float = GRACE,
        usual: float = RUN_TIMEOUT,
    ) -> None:
        self.name = name
        self.guard: Guard | None = None
        self._usual = usual
        self._again = partial(SshHost, name, dial=dial, sudo=sudo, grace=grace, usual=usual)
        self._dial = dial
        self._channels = Channels(name, connection)
        self._commands = Commands(self._channels, sudo=sudo, grace=grace)
        self._queries = Queries(self._commands)
        self._putting = asyncio.Lock()  # each `put` begins with removing the staging folders that others have left
        self._reconnecting = asyncio.Lock()

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
            return self._judge(argv, await self._queries.ask(argv, timeout, stdin), ok)
        async with self._commands.slots:
            return self._judge(argv, await self._commands.execute(argv, stdin or b"", timeout), ok)

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
        other = self._again(connection)
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
        seconds = self._usual if timeout == RUN_TIMEOUT else timeout
        return self._judge(argv, await self._change(argv, stdin or b"", seconds), ok)

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
        seen = filing.parse_look((await self._queries.ask(filing.look(files), QUERY_TIMEOUT)).stdout)
        return frozenset(filing.differing(files, seen))

    async def talk(self, argv: Sequence[str], what: str, on_data: Callable[[bytes], None]) -> Dialogue:
        """Start a command that goes on, in a channel beside those of the others; see Dialogue."""
        dialogue = await self._channels.talk(quoting.ONE_COMMAND, what, on_data)
        dialogue.write(quoting.one_line(argv, None, sudo=self._commands.sudo))
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
        await self._queries.close()
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

    # Changes

    async def _change(self, argv: Sequence[str], stdin: bytes, seconds: float) -> batch.Answer:
        async with self._commands.change_slots, self._commands.slots:
            guard = self.guard
            if guard is None:
                return await self._commands.execute(argv, stdin, seconds)
            answer = await self._commands.execute(argv, stdin, seconds, await guard.admit())
            guard.judge(answer)
            return answer

    async def _store(self, files: Files) -> None:
        token = secrets.token_hex(4)
        stream = filing.archive(files, token)
        seconds = self._usual + len(stream) / SLOWEST_LINK
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
