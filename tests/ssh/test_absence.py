"""A host goes down on purpose while its run holds the lock: nobody else can have it, and it is retaken."""

import asyncio
import os
import shutil
import signal

import pytest

from meshctl.errors import LockedError, LostLockError, RefusedError
from meshctl.host.hostlock import HostLock, Limits
from meshctl.host.lock import locked, look
from meshctl.host.wait import until
from tests.ssh.operators import ANNA, BOB, Locked, Operators, apart, of_host, pid_of_holder


def go_down(limits: Limits, name: str) -> None:
    """The holder is killed, as every process is, and /run is empty afterwards."""
    own = of_host(limits, name)
    os.kill(pid_of_holder(own), signal.SIGKILL)
    shutil.rmtree(own.folder)


async def test_the_run_goes_on_and_the_host_is_locked_again(operators: Operators, limits: Limits) -> None:
    mine, others = operators
    async with Locked(mine, ANNA, limits) as lease:
        async with lease.absence("node1"):
            assert (await mine["node1"].run(["echo", "reboot"], reason="test")).ok  # until it goes down
            go_down(limits, "node1")
            await mine["node1"].reconnect(seconds=5)
        assert lease.lost is None
        assert (await mine["node1"].run(["echo", "on"], reason="test")).stdout == "on\n"
        shown = await look(others["node1"], of_host(limits, "node1"))
        assert shown
        assert shown.holder == ANNA
    assert await look(others["node1"], of_host(limits, "node1")) is None


async def test_nobody_else_gets_the_lock_meanwhile(operators: Operators, limits: Limits) -> None:
    """Also when the first host, which decides between runs, is the one that is away and is back before we are."""
    mine, others = operators
    async with Locked(mine, ANNA, limits) as lease:
        async with lease.absence("node1"):
            go_down(limits, "node1")
            await mine["node1"].reconnect(seconds=5)
            with pytest.raises(LockedError, match="anna on laptop7"):
                async with Locked(others, BOB, limits):
                    pytest.fail("two have the lock")
        assert (await mine["node1"].run(["echo", "on"], reason="test")).stdout == "on\n"


async def test_another_run_that_is_about_to_be_refused_is_waited_for(operators: Operators, limits: Limits) -> None:
    mine, others = operators
    theirs = apart(HostLock(others["node1"], BOB, limits, on_lost=_ignore, again=_never, say=_ignore), limits)
    async with Locked(mine, ANNA, limits) as lease:
        async with lease.absence("node1"):
            go_down(limits, "node1")
            await mine["node1"].reconnect(seconds=5)
            await theirs.take()
            leaving = asyncio.create_task(_later(theirs, lease))
        await leaving
        assert (await mine["node1"].run(["echo", "on"], reason="test")).stdout == "on\n"


async def _later(theirs: HostLock, lease: locked) -> None:
    """Let go once our first attempt was refused."""
    first = lease._locks[0]

    async def tried() -> str:
        return "" if lease._locks[0] is not first else "not yet"

    await until("an attempt", tried, timeout=5, every=0.01)
    await theirs.release()


async def test_without_another_host_nobody_goes(operators: Operators, limits: Limits) -> None:
    async with Locked({"node1": operators[0]["node1"]}, ANNA, limits) as lease:
        with pytest.raises(RefusedError, match="no other host keeps"):
            async with lease.absence("node1"):
                pytest.fail("it went")


async def test_when_all_others_were_lost_meanwhile_the_run_is_over(operators: Operators, limits: Limits) -> None:
    mine = operators[0]
    async with Locked(mine, ANNA, limits) as lease:
        absence = lease.absence("node1")
        await absence.__aenter__()
        go_down(limits, "node1")
        for name in ("node2", "node3"):
            await mine[name].close()
        await mine["node1"].reconnect(seconds=5)
        with pytest.raises(LostLockError):
            await absence.__aexit__(None, None, None)


def _ignore(*_: object) -> None:
    return


async def _never(_: HostLock) -> HostLock:
    raise AssertionError
