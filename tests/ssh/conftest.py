"""A host behind a real SSH server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from meshctl.host.connect import connect
from meshctl.host.hostlock import Limits
from meshctl.host.known_hosts import KnownHosts
from meshctl.host.ssh import SshHost
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from meshctl.topology.document import Ssh
from tests.roles import golden
from tests.ssh.operators import NAMES, Operators
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
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


@pytest.fixture
def known_hosts(state: StateFolder) -> KnownHosts:
    return KnownHosts(state, accept_new=True)


@pytest.fixture
def node() -> Node:
    return replace(golden.topology("triangle").nodes[0], management="127.0.0.1", ports=(), disks=(), uplink_nic=None)


@pytest.fixture
def ssh(server: Server, client_key: Path) -> Ssh:
    return Ssh(user="root", port=server.port, identity=str(client_key), connect_timeout=5)


@pytest.fixture
def topology(ssh: Ssh, node: Node) -> Topology:
    """Three hosts, all of them this machine."""
    nodes = tuple(replace(node, name=f"node{n}", id=n) for n in (1, 2, 3))
    return replace(golden.topology("triangle"), ssh=ssh, nodes=nodes)


@pytest.fixture
async def host(node: Node, ssh: Ssh, known_hosts: KnownHosts) -> AsyncIterator[SshHost]:
    async with await connect(node, ssh, known_hosts) as connected:
        yield connected


@pytest.fixture
def limits(tmp_path: Path) -> Limits:
    return Limits(folder=str(tmp_path / "lock"), beat=0.05, silence=20, host=30, settle=20)


@pytest.fixture
async def operators(node: Node, ssh: Ssh, known_hosts: KnownHosts) -> AsyncIterator[Operators]:
    """Three hosts as each of two operators reaches them."""
    async with AsyncExitStack() as stack:
        yield [
            {
                name: await stack.enter_async_context(await connect(replace(node, name=name), ssh, known_hosts))
                for name in NAMES
            }
            for _ in range(2)
        ]
