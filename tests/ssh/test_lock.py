"""Two operators, one host: the lock's scripts really run, behind a real SSH server."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.errors import HostError, LockedError, LostLockError
from meshctl.host.base import text
from meshctl.host.connect import connect
from meshctl.host.hostlock import Limits
from meshctl.host.known_hosts import KnownHosts
from meshctl.host.lock import break_lock, locked, look
from meshctl.host.lockscripts import LOST
from meshctl.host.ssh import SshHost
from meshctl.host.wait import until
from meshctl.topology import Node
from meshctl.topology.document import Ssh
from tests.ssh import fifo as fifos
from tests.ssh.operators import ANNA, BOB, RESULTS, free, pid_of_holder, start_together
from tests.ssh.sshd import Server


@pytest.fixture
async def other(node: Node, ssh: Ssh, known_hosts: KnownHosts, host: SshHost) -> AsyncIterator[SshHost]:
    """The same host, reached by the other operator."""
    async with await connect(node, ssh, known_hosts) as connected:
        yield connected


async def test_the_second_is_refused_with_the_words_of_the_first(host: SshHost, other: SshHost, limits: Limits) -> None:
    async with locked({"node1": host}, ANNA, limits=limits):
        with pytest.raises(LockedError) as caught:
            async with locked({"node1": other}, BOB, limits=limits):
                pytest.fail("two have the lock")
        assert (await host.run(["echo", "on"], reason="test")).stdout == "on\n"
    for words in ("anna", "laptop7", "2026-11-20 11:40:51 UTC", "20261120T114051Z-bootstrap", "4711"):
        assert words in str(caught.value)
    assert caught.value.exit_code == 5
    assert "meshctl unlock" in caught.value.advice
    async with locked({"node1": other}, BOB, limits=limits):
        assert await look(host, limits) is not None
    assert await look(host, limits) is None


async def test_changes_are_made_as_without_a_lock(host: SshHost, limits: Limits, tmp_path: Path) -> None:
    target = tmp_path / "a b"
    async with locked({"node1": host}, ANNA, limits=limits):
        assert (await host.run(["cat"], reason="test", stdin=b"in\n")).stdout == "in\n"
        failed = await host.run(["sh", "-c", "echo 'o\nut' >&2; exit 75"], reason="test", ok=(75,))
        assert (failed.status, failed.stderr) == (75, "o\nut\n")
        file = text("x\n", owner=str(os.getuid()), group=str(os.getgid()))
        assert await host.put({str(target): file}) == {str(target)}
    assert target.read_text() == "x\n"


async def test_a_lock_whose_connection_has_ended_is_free_at_once(
    host: SshHost, other: SshHost, server: Server, limits: Limits
) -> None:
    async with locked({"node1": host}, ANNA, limits=limits):
        server.connections[0].abort()
        await free(other, limits)  # long before `limits.host`
        async with locked({"node1": other}, BOB, limits=limits):
            pass


async def at_work(lease: locked, inside: asyncio.Event) -> None:
    """A run that goes on until it loses the lock."""
    async with lease:
        inside.set()
        await asyncio.sleep(20)


@asynccontextmanager
async def losing(lease: locked, because: str) -> AsyncIterator[None]:
    """A run that has the lock, and must have lost it soon after the end of the body."""
    inside = asyncio.Event()
    task = asyncio.create_task(at_work(lease, inside))
    await inside.wait()
    yield
    with pytest.raises(LostLockError, match=because):
        await asyncio.wait_for(task, 10)


async def test_a_killed_holder_frees_the_lock_and_ends_the_run(host: SshHost, other: SshHost, limits: Limits) -> None:
    async with losing(locked({"node1": host}, ANNA, limits=limits), "its holder process there was ended"):
        os.kill(pid_of_holder(limits), signal.SIGKILL)
    async with locked({"node1": other}, BOB, limits=limits):
        pass


async def test_a_host_without_heartbeat_frees_the_lock(host: SshHost, other: SshHost, limits: Limits) -> None:
    """The connection stays: as when the controller was stopped, or a partition swallows what it sends."""
    silent = replace(limits, beat=60, host=0.3)
    async with losing(locked({"node1": host}, ANNA, limits=silent), "has not heard from this run"):
        await free(other, limits)
        async with locked({"node1": other}, BOB, limits=limits):
            pass


async def test_after_a_silence_nothing_is_changed_but_the_run_goes_on(
    host: SshHost, limits: Limits, tmp_path: Path
) -> None:
    """A stopped holder still has the lock, so nobody else can have it either."""
    mark = tmp_path / "mark"
    async with locked({"node1": host}, ANNA, limits=replace(limits, silence=0.2)) as lease:
        holder = pid_of_holder(limits)
        os.kill(holder, signal.SIGSTOP)
        try:

            async def refused() -> str:
                try:
                    await host.run(["true"], reason="test")
                except LostLockError as error:
                    return "" if "has not answered" in str(error) else str(error)
                return "not refused"

            await until("the silence", refused, timeout=5, every=0.02)
            with pytest.raises(LostLockError):
                await host.run(["touch", str(mark)], reason="test")
            assert (await host.query(["echo", "looking"])).ok
        finally:
            os.kill(holder, signal.SIGCONT)
        assert lease.lost is None
    assert not mark.exists()


async def take_over(host: SshHost, limits: Limits, stack: AsyncExitStack) -> None:
    """As it looks to a controller that was stopped and doesn't know yet: its holder is gone, another one is there."""
    shown = await look(host, limits)
    assert shown
    assert await break_lock(host, shown, limits)
    await stack.enter_async_context(locked({"node1": host}, BOB, limits=limits))


async def test_a_stale_controller_changes_nothing(
    host: SshHost, other: SshHost, limits: Limits, tmp_path: Path
) -> None:
    ran, wrote = tmp_path / "ran", tmp_path / "wrote"
    lease = locked({"node1": host}, ANNA, limits=limits)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lease)
        lock = lease._locks[0]
        assert lock._pulse
        lock._pulse.cancel()  # it hears nothing of its loss
        lock._lose = lambda *_, **__: None  # type: ignore[method-assign]
        await take_over(other, limits, stack)
        answer = await host._commands.execute(["touch", str(ran)], b"", 5, lock.before)
        assert answer.status == LOST
        del lock._lose
        lease._inside = False  # its body is this test, which goes on
        for change in (host.run(["touch", str(ran)], reason="test"), host.put({str(wrote): text("x")})):
            with pytest.raises(LostLockError, match="bob on desk2"):
                await change
        assert (await other.run(["echo", "on"], reason="test")).stdout == "on\n"
    assert not ran.exists()
    assert not wrote.exists()


async def test_a_change_that_had_begun_is_waited_for(
    host: SshHost, other: SshHost, limits: Limits, tmp_path: Path
) -> None:
    fifo, said = fifos.make(tmp_path / "fifo"), list[str]()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(locked({"node1": host}, ANNA, limits=limits))
        change = asyncio.create_task(host.run(["cat", str(fifo)], reason="test"))
        descriptor = await fifos.opened(fifo)
        await host.close()
        await asyncio.gather(change, return_exceptions=True)
        await free(other, limits)
        second = locked({"node1": other}, BOB, limits=limits, say=said.append)
        taking = asyncio.create_task(stack.enter_async_context(second))

        async def told() -> str:
            return "" if said else "nothing said"

        await until("the words about it", told, timeout=5, every=0.01)
        assert said == [f"node1: a command of an earlier run has not ended yet: cat {fifo}"]
        shown = await look(other, limits)
        assert shown
        assert shown.holder.who == "bob"
        assert not taking.done()
        os.close(descriptor)
        await taking
        assert (await other.run(["echo", "on"], reason="test")).stdout == "on\n"


async def test_a_change_that_does_not_end_is_named(
    host: SshHost, other: SshHost, limits: Limits, tmp_path: Path
) -> None:
    fifo = fifos.make(tmp_path / "fifo")
    async with locked({"node1": host}, ANNA, limits=limits):
        change = asyncio.create_task(host.run(["cat", str(fifo)], reason="test"))
        descriptor = await fifos.opened(fifo)
        await host.close()
        await asyncio.gather(change, return_exceptions=True)
        await free(other, limits)
        with pytest.raises(LockedError, match=rf"has not ended within 0\.5 s: cat {fifo}"):
            async with locked({"node1": other}, BOB, limits=replace(limits, settle=0.5)):
                pass
        os.close(descriptor)
        await free(other, limits)


async def test_of_two_that_start_together_one_wins(host: SshHost, other: SshHost, limits: Limits) -> None:
    for _ in range(20):
        leases = (locked({"node1": one}, holder, limits=limits) for one, holder in ((host, ANNA), (other, BOB)))
        assert sorted(await start_together(*leases)) == RESULTS


async def test_unlocking_ends_the_run_before_its_next_change(
    host: SshHost, other: SshHost, limits: Limits, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    async with losing(locked({"node1": host}, ANNA, limits=limits), "meshctl unlock"):
        shown = await look(other, limits)
        assert shown
        assert shown.holder == ANNA
        assert await break_lock(other, shown, limits)
        assert not await break_lock(other, shown, limits)
        assert await look(other, limits) is None
        with pytest.raises(LostLockError) as caught:
            await host.run(["touch", str(mark)], reason="test")
    assert caught.value.exit_code == 5
    assert not mark.exists()


async def test_unlocking_spares_a_run_that_was_not_shown(host: SshHost, other: SshHost, limits: Limits) -> None:
    async with locked({"node1": host}, ANNA, limits=limits):
        shown = await look(other, limits)
    assert shown
    async with locked({"node1": host}, ANNA, limits=limits):
        assert not await break_lock(other, shown, limits)
        assert await look(other, limits)


async def test_an_emptied_folder_is_a_lost_lock(host: SshHost, other: SshHost, limits: Limits, tmp_path: Path) -> None:
    """As after a reboot: whoever comes next begins anew there, and the old epoch is nobody's."""
    mark = tmp_path / "mark"
    lease = locked({"node1": host}, ANNA, limits=replace(limits, beat=60))
    async with losing(lease, "has lost its lock"):
        shutil.rmtree(limits.folder)
        with pytest.raises(LostLockError):
            await host.run(["touch", str(mark)], reason="test")
    async with locked({"node1": other}, BOB, limits=limits):
        assert (await host._commands.execute(["touch", str(mark)], b"", 5, lease._locks[0].before)).status == LOST
        with pytest.raises(LostLockError):
            await host.run(["touch", str(mark)], reason="test")
    assert not mark.exists()


async def test_a_holder_that_was_replaced_ends_by_itself(host: SshHost, limits: Limits) -> None:
    async with losing(locked({"node1": host}, ANNA, limits=limits), "taken or emptied"):
        shutil.rmtree(limits.folder)


async def test_looking_needs_no_lock(host: SshHost, other: SshHost, limits: Limits) -> None:
    async with locked({"node1": host}, ANNA, limits=limits):
        assert (await other.query(["echo", "seen"])).stdout == "seen\n"
        assert await other.differing({"/etc/hostname": text("x")})


async def test_a_host_that_cannot_be_locked_says_why(host: SshHost, limits: Limits, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=r"the host can't be locked: .*file/lock can't be made"):
        async with locked({"node1": host}, ANNA, limits=replace(limits, folder=str(tmp_path / "file/lock"))):
            pass
    assert host.guard is None


async def test_the_only_host_stays_lost_after_a_new_connection(host: SshHost, limits: Limits) -> None:
    """Somebody may have had it in between."""
    async with locked({"node1": host}, ANNA, limits=limits):
        await host.reconnect()
        await asyncio.sleep(0)

        async def refused() -> str:
            try:
                await host.run(["true"], reason="test")
            except LostLockError as error:
                return "" if "connection" in str(error) else str(error)
            return "not refused"

        await until("the loss", refused, timeout=5, every=0.02)
