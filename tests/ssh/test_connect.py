"""Whether a host is there, and what to tell the operator when it isn't; all hosts at once."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from meshctl.errors import ConnectError, HostKeyError
from meshctl.host.connect import HostsUnreachableError, connect, connect_all
from meshctl.host.dial import open_socket
from meshctl.host.known_hosts import KnownHosts
from meshctl.topology import Node, Topology
from meshctl.topology.document import Ssh
from tests.ssh.sshd import Server, public

# Whether it is there


async def test_a_closed_port(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts) -> None:
    await server.stop()
    with pytest.raises(ConnectError, match=r"port \d+ of 127.0.0.1 is closed .*; tried for 1 s") as caught:
        await connect(node, ssh.model_copy(update={"connect_timeout": 1}), known_hosts)
    assert "booting" in caught.value.advice


async def test_a_host_that_comes_up_while_we_try(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts) -> None:
    await server.stop()
    tried = asyncio.Event()

    async def observed(address: str, port: int, seconds: float) -> socket.socket:
        tried.set()
        return await open_socket(address, port, seconds)

    connecting = asyncio.create_task(connect(node, ssh, known_hosts, open_socket=observed))
    await tried.wait()
    await server.start()
    await (await connecting).close()


def failing(error: Exception) -> Callable[[str, int, float], Awaitable[socket.socket]]:
    async def fail(address: str, port: int, seconds: float) -> socket.socket:
        del address, port, seconds
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(113, "No route to host"), "there is no way to 127.0.0.1: No route to host"),
        (OSError(101, "Network is unreachable"), "there is no way to 127.0.0.1: Network is unreachable"),
        (TimeoutError(), "does not answer"),
    ],
)
async def test_no_way_there(node: Node, ssh: Ssh, known_hosts: KnownHosts, error: Exception, message: str) -> None:
    with pytest.raises(ConnectError, match=message):
        await connect(node, ssh.model_copy(update={"connect_timeout": 1}), known_hosts, open_socket=failing(error))


@pytest.mark.parametrize(
    ("banner", "message"),
    [
        (b"", "did not finish the login"),
        (b"220 mail.example.net ESMTP\r\n" * 2000, "did not finish|speaks no SSH"),
        (b"Not allowed at this time\r\n", "did not finish the login"),
        (b"SSH-1.5-ancient\r\n", "speaks no SSH"),
    ],
)
async def test_something_else_answers(
    node: Node, ssh: Ssh, known_hosts: KnownHosts, banner: bytes, message: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        await reader.read(1)
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other:
        with pytest.raises(ConnectError, match=message):
            await connect(node, ssh.model_copy(update={"connect_timeout": 1, "port": port}), known_hosts)


async def test_a_server_that_says_nothing(node: Node, ssh: Ssh, known_hosts: KnownHosts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = ssh.model_copy(update={"connect_timeout": 1, "port": silent.getsockname()[1]})
        async with asyncio.timeout(5):
            with pytest.raises(ConnectError, match="did not finish the login"):
                await connect(node, mute, known_hosts)


# All at once


async def test_all_hosts_by_name(topology: Topology, known_hosts: KnownHosts) -> None:
    hosts = await connect_all(topology, known_hosts)
    assert list(hosts) == ["node1", "node2", "node3"]
    for host in hosts.values():
        await host.close()


async def test_all_problems_at_once_and_nothing_left_open(
    topology: Topology, known_hosts: KnownHosts, server: Server
) -> None:
    wrong = replace(topology.nodes[1], host_key="nonsense")
    absent = replace(topology.nodes[2], management="127.0.0.2", host_key=public(server.host_key))

    async def only_the_first(address: str, port: int, seconds: float) -> socket.socket:
        if address != "127.0.0.1":
            raise OSError(113, "No route to host")
        return await open_socket(address, port, seconds)

    broken = replace(
        topology, ssh=topology.ssh.model_copy(update={"connect_timeout": 1}), nodes=(topology.nodes[0], wrong, absent)
    )
    with pytest.raises(HostsUnreachableError) as caught:
        await connect_all(broken, known_hosts, open_socket=only_the_first)
    assert [(error.host, type(error)) for error in caught.value.errors] == [
        ("node2", HostKeyError),
        ("node3", ConnectError),
    ]
    assert "2 of 3 hosts" in caught.value.message
    assert "No route to host" in caught.value.message
    for connection in server.connections:
        async with asyncio.timeout(5):
            await connection.wait_closed()


async def test_a_defect_is_not_dressed_up_as_an_unreachable_host(topology: Topology, known_hosts: KnownHosts) -> None:
    with pytest.raises(ZeroDivisionError):
        await connect_all(topology, known_hosts, open_socket=failing(ZeroDivisionError()))


async def test_giving_up_while_connecting_closes_all(
    topology: Topology, known_hosts: KnownHosts, server: Server
) -> None:
    reached = asyncio.Event()

    async def last_one_hangs(address: str, port: int, seconds: float) -> socket.socket:
        if server.logins >= 2:
            reached.set()
            await asyncio.Event().wait()
        return await open_socket(address, port, seconds)

    connecting = asyncio.create_task(connect_all(topology, known_hosts, open_socket=last_one_hangs))
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    for connection in server.connections:
        async with asyncio.timeout(5):
            await connection.wait_closed()
