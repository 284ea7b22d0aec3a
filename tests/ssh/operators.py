"""Two operators and their runs: holders, locks of several hosts that are one machine, and how a lock is seen."""

import asyncio
from dataclasses import replace
from pathlib import Path

from meshctl.errors import LockedError
from meshctl.host.holder import Holder
from meshctl.host.hostlock import HostLock, Limits
from meshctl.host.lock import locked, look
from meshctl.host.ssh import SshHost
from meshctl.host.wait import until

ANNA = Holder("anna", "laptop7", "2026-11-20 11:40:51 UTC", "20261120T114051Z-bootstrap", "4711")
BOB = replace(ANNA, who="bob", where="desk2")
NAMES = ("node1", "node2", "node3")

Operators = list[dict[str, SshHost]]

RESULTS = ["refused", "won"]


class Locked(locked):
    """Each host has a folder of its own, although all are this machine."""

    def __init__(self, hosts: dict[str, SshHost], holder: Holder, limits: Limits) -> None:
        super().__init__(hosts, holder, limits=limits)
        make = self._make
        self._make = lambda host: apart(make(host), limits)  # type: ignore[assignment]
        self._locks = [self._make(hosts[name]) for name in sorted(hosts)]


def apart(lock: HostLock, limits: Limits) -> HostLock:
    own = of_host(limits, lock.host.name)
    return HostLock(lock.host, lock._holder, own, on_lost=lock._on_lost, again=lock._again, say=lock._say)


def of_host(limits: Limits, name: str) -> Limits:
    return replace(limits, folder=f"{limits.folder}-{name}")


def pid_of_holder(limits: Limits) -> int:
    return int(Path(limits.folder, "holder").read_text().split()[1])


async def free(host: SshHost, limits: Limits) -> None:
    """Wait until nobody holds the lock."""

    async def held() -> str:
        return str(await look(host, limits) or "")

    await until("the lock to be free", held, timeout=10, every=0.02)


async def start_together(*leases: locked) -> list[str]:
    both = asyncio.Event()

    async def operator(lease: locked) -> str:
        try:
            async with lease:
                await both.wait()
                return "won"
        except LockedError:
            return "refused"

    tasks = [asyncio.create_task(operator(lease)) for lease in leases]
    async with asyncio.timeout(10):
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        both.set()
        return await asyncio.gather(*tasks)
