"""A host behind a real SSH server."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from meshctl.host.connect import connect
from meshctl.host.known_hosts import KnownHosts
from meshctl.host.ssh import SshHost
from meshctl.state import StateFolder
from meshctl.topology.document import Ssh
from meshctl.topology.model import Node
from tests.roles import golden
from tests.ssh.sshd import Server


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
    return replace(golden.topology("triangle").nodes[0], management="127.0.0.1", ports=(), disks=(), uplink_nic=None)


@pytest.fixture
def ssh(server: Server, client_key: Path) -> Ssh:
    return Ssh(user="root", port=server.port, identity=str(client_key), connect_timeout=5)


@pytest.fixture
async def host(node: Node, ssh: Ssh, known_hosts: KnownHosts) -> AsyncIterator[SshHost]:
    async with await connect(node, ssh, known_hosts) as connected:
        yield connected
