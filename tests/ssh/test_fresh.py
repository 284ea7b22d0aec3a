"""Commands over a connection made for them: proof that a host can still be reached."""

import asyncio

import pytest

from meshctl.errors import CommandError, ConnectError
from meshctl.host.ssh import SshHost
from tests.ssh.sshd import Server


async def test_over_the_connection_that_is_there(host: SshHost) -> None:
    result = await host.safeguard(["cat"], stdin=b"script")
    assert result
    assert result.stdout == "script"


async def test_over_a_new_connection(host: SshHost, server: Server) -> None:
    before = host._channels.connection
    result = await host.safeguard(["cat"], stdin=b"script", fresh=5)
    assert result
    assert result.stdout == "script"
    assert host.round_trips == 0  # the old one carried nothing, and is kept
    assert host._channels.connection is before
    assert host.connected


async def test_failure_is_an_error(host: SshHost) -> None:
    with pytest.raises(CommandError):
        await host.safeguard(["false"], fresh=5)


async def test_host_that_does_not_answer(host: SshHost, server: Server) -> None:
    await server.stop()
    with pytest.raises(ConnectError):
        await asyncio.wait_for(host.safeguard(["true"], fresh=0.5), 5)


async def test_new_connection_takes_the_place_of_a_lost_one(host: SshHost) -> None:
    host._channels.connection.abort()
    await host._channels.connection.wait_closed()
    await host.safeguard(["true"], fresh=5)
    assert host.connected
    assert (await host.query(["echo", "back"])).stdout == "back\n"
