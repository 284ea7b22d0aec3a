"""A real SSH server in the test's own process; commands really run, as the current user, through a login shell."""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh


def public(key: asyncssh.SSHKey) -> str:
    """The key as a line of known_hosts or of a topology has it."""
    return key.export_public_key().decode().strip()


class _Login(asyncssh.SSHServer):
    def __init__(self, server: "Server") -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.append(conn)
        self._server.logins += 1

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username in self._server.users and key == self._server.authorized

    def session_requested(self) -> asyncssh.SSHServerProcess[bytes] | bool:
        server = self._server
        if server.refusals or server.open >= server.max_sessions:
            server.refusals = max(0, server.refusals - 1)
            server.refused += 1
            return False
        server.open += 1
        server.most = max(server.most, server.open)
        return asyncssh.SSHServerProcess(server.execute, None, 3, False)


@dataclass
class Server:
    """sshd's stand-in: its users, its MaxSessions, and what it saw."""

    folder: Path
    host_key: asyncssh.SSHKey
    authorized: asyncssh.SSHKey
    users: set[str] = field(default_factory=lambda: {"root"})
    login_shell: tuple[str, ...] = ("/bin/sh", "-c")
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    max_sessions: int = 10
    refusals: int = 0
    port: int = 0
    more_host_keys: list[asyncssh.SSHKey] = field(default_factory=list)

    hold_after: int | None = None
    """Stop passing stdin on to commands after so many bytes, until `release` is set."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    refused: int = 0
    open: int = 0
    most: int = 0
    logins: int = 0
    commands: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    _acceptor: asyncssh.SSHAcceptor | None = None
    _processes: set[asyncio.subprocess.Process] = field(default_factory=set)
    _started: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> None:
        self._acceptor = await asyncssh.create_server(
            lambda: _Login(self),
            "127.0.0.1",
            self.port,
            server_host_keys=[self.host_key, *self.more_host_keys],
            gss_host=None,  # else it asks DNS for this machine's own name at each login, for seconds where none answers
            encoding=None,
        )
        self.port = self._acceptor.get_port()

    async def stop(self) -> None:
        if self._acceptor is None:
            return
        self._acceptor.close()
        self.drop()
        await self._acceptor.wait_closed()
        for connection in self.connections:
            await connection.wait_closed()
        self.connections.clear()
        await self._ended(0.3)
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        await self._ended(0.5)
        for process in self._started:  # grandchildren that go on may hold the pipes of a process that has ended
            process._transport.close()  # type: ignore[attr-defined]
        await asyncio.sleep(0)  # pipes close in the loop's next turn
        self._processes.clear()
        self._started.clear()
        self._acceptor = None

    async def _ended(self, seconds: float) -> None:
        """Wait until commands have ended by themselves, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for process in list(self._processes):
                    await process.wait()
                    self._processes.discard(process)

    def drop(self) -> None:
        """Cut all connections, as a power loss would."""
        for connection in self.connections:
            connection.abort()

    async def execute(self, session: asyncssh.SSHServerProcess[bytes]) -> None:
        self.commands.append(session.command or "")
        process = await asyncio.create_subprocess_exec(
            *self.login_shell,
            session.command or "",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
        )
        self._processes.add(process)
        self._started.append(process)
        try:
            await asyncio.gather(
                self._feed(session, process),
                _drain(process.stdout, session.stdout),
                _drain(process.stderr, session.stderr),
            )
            status = await process.wait()
            self._processes.discard(process)
            if status < 0:
                session.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
            else:
                session.exit(status)
        finally:
            self.open -= 1

    async def _feed(self, session: asyncssh.SSHServerProcess[bytes], process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        with suppress(asyncssh.Error, OSError):
            passed = 0
            while data := await session.stdin.read(4096):
                process.stdin.write(data)
                await process.stdin.drain()
                passed += len(data)
                if self.hold_after is not None and passed > self.hold_after:
                    self.held.set()
                    await self.release.wait()
        process.stdin.close()
        with suppress(OSError):
            await process.stdin.wait_closed()


async def _drain(source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]) -> None:
    assert source is not None
    while data := await source.read(65536):
        with suppress(asyncssh.Error, OSError):
            target.write(data)
            await target.drain()
