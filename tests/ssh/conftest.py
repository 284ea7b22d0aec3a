"""A real SSH server in the test's own process; commands really run, as the current user, through a login shell."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import asyncssh
import pytest

from meshctl.host.connect import connect
from meshctl.host.known_hosts import KnownHosts
from meshctl.host.ssh import SshHost
from meshctl.state import StateFolder
from meshctl.topology.document import Ssh
from meshctl.topology.model import Node


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

    refused: int = 0
    open: int = 0
    most: int = 0
    logins: int = 0
    commands: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    _acceptor: asyncssh.SSHAcceptor | None = None
    _processes: set[asyncio.subprocess.Process] = field(default_factory=set)

    async def start(self) -> None:
        self._acceptor = await asyncssh.create_server(
            lambda: _Login(self), "127.0.0.1", self.port, server_host_keys=[self.host_key], encoding=None
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
        for process in list(self._processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        self._acceptor = None

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
        try:
            await asyncio.gather(
                _feed(session, process), _drain(process.stdout, session.stdout), _drain(process.stderr, session.stderr)
            )
            status = await process.wait()
            if status < 0:
                session.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
            else:
                session.exit(status)
        finally:
            self._processes.discard(process)
            self.open -= 1


async def _feed(session: asyncssh.SSHServerProcess[bytes], process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    with suppress(asyncssh.Error, OSError):
        while data := await session.stdin.read(65536):
            process.stdin.write(data)
            await process.stdin.drain()
    process.stdin.close()
    with suppress(OSError):
        await process.stdin.wait_closed()


async def _drain(source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]) -> None:
    assert source is not None
    while data := await source.read(65536):
        with suppress(asyncssh.Error, OSError):
            target.write(data)
            await target.drain()


@pytest.fixture
def client_key(tmp_path: Path) -> Path:
    path = tmp_path / "id_ed25519"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
    return path


@pytest.fixture
async def server(tmp_path: Path, client_key: Path) -> AsyncIterator[Server]:
    folder = tmp_path / "host"
    folder.mkdir()
    running = Server(
        folder,
        asyncssh.generate_private_key("ssh-ed25519"),
        asyncssh.read_private_key(client_key).convert_to_public(),
    )
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def known_hosts(tmp_path: Path) -> KnownHosts:
    return KnownHosts(StateFolder(tmp_path / "state"), accept_new=True)


@pytest.fixture
def node() -> Node:
    return Node(
        name="node1",
        id=1,
        management="127.0.0.1",
        management_nic="eth0",
        loopback=IPv4Address("10.50.1.1"),
        ports=(),
        disks=(),
        uplink_nic=None,
        host_key=None,
    )


@pytest.fixture
def ssh(server: Server, client_key: Path) -> Ssh:
    return Ssh(user="root", port=server.port, identity=str(client_key), connect_timeout=5)


Connect = Callable[[], Awaitable[SshHost]]


@pytest.fixture
async def host(node: Node, ssh: Ssh, known_hosts: KnownHosts) -> AsyncIterator[SshHost]:
    async with await connect(node, ssh, known_hosts) as connected:
        yield connected
