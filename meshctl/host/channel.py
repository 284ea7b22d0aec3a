"""One command on one SSH channel, reduced to what meshctl needs: bytes in, bytes out, how it ended."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import asyncssh
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from meshctl.errors import ConnectionLost, HostError

OPEN_DEADLINE = 15.0
"""Seconds to keep asking for a channel. sshd frees the slot of a finished one late (MaxSessions, 10 by default)."""

_SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "SEGV": 11, "PIPE": 13, "TERM": 15}

LOST_ADVICE = (
    "Whether the command finished is unknown. See that the host is up, then run meshctl again: it looks first and "
    "goes on from what it finds."
)


def lost(host: str, what: str) -> ConnectionLost:
    """The error for a connection that ended while `what` was going on."""
    return ConnectionLost(host, f"the SSH connection was lost during {what}", advice=LOST_ADVICE)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a channel ended. A status above 128 may stand for a signal, as in a shell."""

    status: int
    stdout: bytes
    stderr: bytes


class _Session(asyncssh.SSHClientSession[bytes]):
    """Collects what arrives; stdout goes to `on_data` instead when there is one."""

    def __init__(self, on_data: Callable[[bytes], None] | None) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.status: int | None = None
        self.closed = asyncio.get_running_loop().create_future()
        self._on_data = on_data or self.stdout.extend

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            self.stderr += data
            return
        try:
            self._on_data(data)
        except ValueError as error:
            self._close(error)

    def exit_status_received(self, status: int) -> None:
        self.status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:  # noqa: FBT001
        del core_dumped, msg, lang
        self.status = 128 + _SIGNALS.get(signal, 0)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # whatever it was: without a status the command's end was not seen
        self._close(None)

    def _close(self, error: Exception | None) -> None:
        if self.closed.done():
            return
        if error:
            self.closed.set_exception(error)
        else:
            self.closed.set_result(None)


class Dialogue:
    """A command that goes on until its stdin ends or the connection does, on a channel of its own."""

    def __init__(self, channel: asyncssh.SSHClientChannel[bytes], session: _Session) -> None:
        self._channel = channel
        self._session = session

    @property
    def closed(self) -> "asyncio.Future[None]":
        """Done when it has ended."""
        return self._session.closed

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs, and when the connection ended before it did."""
        return self._session.status

    @property
    def stderr(self) -> str:
        """What it has complained about so far."""
        return self._session.stderr.decode(errors="replace")

    def write(self, data: bytes) -> None:
        """To its stdin; lost when it has ended, which `closed` says."""
        with suppress(OSError):  # BrokenPipeError, from asyncssh
            self._channel.write(data)

    async def end(self, seconds: float) -> None:
        """Close its stdin and give it some time to end by itself."""
        with suppress(OSError):
            self._channel.write_eof()
        await asyncio.wait({self.closed}, timeout=seconds)
        self._channel.abort()


class Channels:
    """Opens channels on one connection; counts them."""

    def __init__(self, host: str, connection: asyncssh.SSHClientConnection) -> None:
        self.host = host
        self.connection = connection
        self.opened = 0

    async def execute(
        self, command: str, stdin: bytes, what: str, *, on_data: Callable[[bytes], None] | None = None
    ) -> Ended:
        """Run `command` with `stdin` and then EOF; returns when the channel has closed.

        Raises ConnectionLost, naming `what`, when no status came; HostError when sshd gave no channel; ValueError when
        `on_data` raised it. When cancelled the channel closes; the command on the host
        ends by itself or at its own deadline.
        """
        channel, session = await self._open(command, what, on_data)
        try:
            channel.write(stdin)
            channel.write_eof()
            await session.closed
        except (BrokenPipeError, OSError):  # asyncssh says this for a write to a channel that has closed
            await session.closed
        finally:
            channel.abort()
        if session.status is None:
            raise lost(self.host, what)
        return Ended(session.status, bytes(session.stdout), bytes(session.stderr))

    async def talk(self, command: str, what: str, on_data: Callable[[bytes], None]) -> Dialogue:
        """Start a command that goes on; `on_data` gets what it prints. Raises as `execute` does for a start."""
        return Dialogue(*await self._open(command, what, on_data))

    async def _open(
        self, command: str, what: str, on_data: Callable[[bytes], None] | None
    ) -> tuple[asyncssh.SSHClientChannel[bytes], _Session]:
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._worth_another_try),
            stop=stop_after_delay(OPEN_DEADLINE),
            wait=wait_random_exponential(multiplier=0.02, max=1),
            reraise=True,
        )
        channel: asyncssh.SSHClientChannel[bytes]
        session: _Session
        try:
            channel, session = await retrying(
                self.connection.create_session, lambda: _Session(on_data), command, encoding=None
            )
        except (asyncssh.Error, OSError) as error:
            if not self.connection.is_closed() and isinstance(error, asyncssh.ChannelOpenError):
                raise HostError(
                    self.host,
                    f"sshd gave no channel for {what} within {OPEN_DEADLINE:g} s: {error.reason}",
                    advice="Its MaxSessions may be below 5; the command was not started.",
                ) from error
            raise lost(self.host, what) from error
        self.opened += 1
        return channel, session

    def _worth_another_try(self, error: BaseException) -> bool:
        """A channel that was not opened started nothing; on a closed connection asyncssh raises the same error."""
        return isinstance(error, asyncssh.ChannelOpenError) and not self.connection.is_closed()
