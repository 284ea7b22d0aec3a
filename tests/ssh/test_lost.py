"""A connection that ends in the middle, and the way back."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from meshctl.errors import ConnectError, ConnectionLost
from meshctl.host.dial import Dialer
from meshctl.host.known_hosts import KnownHosts
from meshctl.host.ssh import SshHost
from meshctl.host.wait import until
from meshctl.topology import Node
from meshctl.topology.document import Ssh
from tests.ssh import fifo as fifos
from tests.ssh.sshd import Server


async def started(*marks: Path) -> None:
    async def missing() -> str:
        return " ".join(str(mark) for mark in marks if not mark.exists())

    await until("the commands", missing, timeout=5, every=0.01)


def hanging(mark: Path) -> list[str]:
    return ["sh", "-c", 'touch "$1"; exec sleep 5', "sh", str(mark)]


async def test_everything_under_way_is_lost(host: SshHost, server: Server, tmp_path: Path) -> None:
    marks = [tmp_path / f"started{n}" for n in range(4)]
    tasks = [
        asyncio.create_task(host.query(hanging(marks[0]))),
        asyncio.create_task(host.query(hanging(marks[1]))),
        asyncio.create_task(host.run(hanging(marks[2]), reason="test")),
        asyncio.create_task(host.query(hanging(marks[3]), stdin=b"x")),
    ]
    await started(*marks)
    server.drop()
    async with asyncio.timeout(3):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionLost] * 4
    assert f"sh {marks[0]}" in str(results[0])
    assert not host.connected


async def test_answers_that_came_before_the_loss_count(host: SshHost, server: Server, tmp_path: Path) -> None:
    mark = tmp_path / "started"
    slow = asyncio.create_task(host.query(hanging(mark)))
    fast = await host.query(["echo", "fast"])
    await started(mark)
    server.drop()
    assert fast.stdout == "fast\n"
    with pytest.raises(ConnectionLost):
        await slow


async def test_what_a_lost_batch_left_is_removed_when_its_commands_have_ended(
    host: SshHost, server: Server, tmp_path: Path
) -> None:
    fifo = fifos.make(tmp_path / "fifo")
    slow = asyncio.create_task(host.query(["cat", str(fifo)]))
    folder = Path((await host.query(["readlink", "/proc/self/fd/1"])).stdout.strip()).parent

    async def there(wanted: object) -> str:
        return "" if folder.exists() is wanted else str(folder)

    await until("the folder", partial(there, True), timeout=1)
    server.drop()
    with pytest.raises(ConnectionLost):
        await slow
    await fifos.say(fifo, "x")
    await until("its removal", partial(there, False), timeout=5, every=0.01)


async def test_after_the_loss_commands_fail_at_once(host: SshHost, server: Server) -> None:
    await host.query(["true"])
    server.drop()
    async with asyncio.timeout(3):
        results = await asyncio.gather(
            host.query(["true"]),
            host.query(["true"]),
            host.run(["true"], reason="test"),
            host.put({}),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [ConnectionLost] * 3 + [frozenset]


async def test_reconnecting_makes_the_host_usable_again(host: SshHost, server: Server) -> None:
    await host.query(["true"])
    server.drop()
    await asyncio.gather(*(host.reconnect() for _ in range(5)))
    assert server.logins == 2
    assert host.connected
    assert (await host.query(["echo", "back"])).stdout == "back\n"
    assert host.round_trips == 2


async def test_reconnecting_waits_for_a_booting_host(host: SshHost, server: Server) -> None:
    await server.stop()
    with pytest.raises(ConnectError, match=r"tried for 0\.5 s"):
        await host.reconnect(seconds=0.5)
    assert not host.connected
    back = asyncio.create_task(host.reconnect(seconds=10))
    await server.start()
    await back
    assert (await host.query(["true"])).ok


async def test_closing_fails_what_is_under_way(host: SshHost, tmp_path: Path) -> None:
    marks = [tmp_path / "one", tmp_path / "two"]
    queries = [asyncio.create_task(host.query(hanging(mark))) for mark in marks]
    late = [asyncio.create_task(host.query(["true"])) for _ in range(100)]
    await started(*marks)
    await host.close()
    async with asyncio.timeout(3):
        results = await asyncio.gather(*queries, *late, return_exceptions=True)
    assert [type(result) for result in results[:2]] == [ConnectionLost] * 2
    await host.close()


class Blackhole:
    """Passes bytes on until it swallows them without a word, as a dead peer behind a switch does."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._alive = asyncio.Event()
        self._alive.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def swallow(self) -> None:
        self._alive.clear()

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, far_writer]
        for source, target in ((reader, far_writer), (far_reader, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(source, target)))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._alive.wait()
            target.write(data)


@pytest.fixture
async def blackhole(server: Server) -> AsyncIterator[Blackhole]:
    hole = Blackhole(server.port)
    yield hole
    await hole.stop()


async def test_a_peer_that_dies_silently_is_noticed(
    blackhole: Blackhole, node: Node, ssh: Ssh, known_hosts: KnownHosts, tmp_path: Path
) -> None:
    through = ssh.model_copy(update={"port": await blackhole.start()})
    dialer = Dialer(through, known_hosts, keepalive=0.1)
    async with SshHost("node1", await dialer.dial(node), partial(dialer.dial, node), sudo=False) as host:
        mark = tmp_path / "started"
        query = asyncio.create_task(host.query(hanging(mark)))
        await started(mark)
        blackhole.swallow()
        async with asyncio.timeout(3):
            with pytest.raises(ConnectionLost):
                await query
