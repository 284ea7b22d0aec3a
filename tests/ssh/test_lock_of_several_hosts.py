"""Two operators, several hosts: one wins, all are freed, and one of them may be lost."""

import asyncio
import os
import signal

import pytest

from meshctl.errors import ConnectionLost, LockedError
from meshctl.host.hostlock import Limits
from tests.ssh.operators import ANNA, BOB, RESULTS, Locked, Operators, free, of_host, pid_of_holder, start_together


async def test_a_lock_on_one_of_several_hosts_frees_all(operators: Operators, limits: Limits) -> None:
    mine, theirs = operators
    async with Locked({"node3": theirs["node3"]}, BOB, limits):
        with pytest.raises(LockedError, match="node3: locked by bob"):
            async with Locked(mine, ANNA, limits):
                pass
        assert all(host.guard is None for host in mine.values())
        async with Locked({name: mine[name] for name in ("node1", "node2")}, ANNA, limits):
            pass


async def test_of_two_that_start_together_on_several_hosts_one_wins(operators: Operators, limits: Limits) -> None:
    for _ in range(20):
        assert sorted(await start_together(*(Locked(h, ANNA, limits) for h in operators))) == RESULTS


async def test_a_host_that_is_lost_does_not_stop_the_others(operators: Operators, limits: Limits) -> None:
    """Nobody else can have all hosts while one is locked; see docs/operations/locking.md."""
    mine, theirs = operators
    async with Locked(mine, ANNA, limits):
        mine["node1"]._channels.connection.abort()
        with pytest.raises(ConnectionLost):
            await mine["node1"].run(["true"], reason="test")
        assert (await mine["node2"].run(["echo", "on"], reason="test")).stdout == "on\n"
        await free(theirs["node1"], of_host(limits, "node1"))
        with pytest.raises(LockedError, match=r"node[23]: locked by anna"):
            async with Locked(theirs, BOB, limits):
                pass


@pytest.mark.parametrize("seen", [True, False])
async def test_a_new_connection_has_the_lock_again(
    operators: Operators,
    limits: Limits,
    seen: bool,  # noqa: FBT001
) -> None:
    """Whether the host has noticed the end of the old one or not."""
    mine, theirs = operators
    lease = Locked(mine, ANNA, limits)
    async with lease:
        old = lease._locks[0]
        assert old._dialogue
        if not seen:
            os.kill(pid_of_holder(old._limits), signal.SIGSTOP)  # so it can't see that its stdin ends
        await mine["node1"].reconnect()
        await asyncio.wait({old._dialogue.closed})
        assert (await mine["node1"].run(["echo", "on"], reason="test")).stdout == "on\n"
        assert lease._locks[0].epoch != old.epoch
        with pytest.raises(LockedError, match="node1: locked by anna"):
            async with Locked(theirs, BOB, limits):
                pass
