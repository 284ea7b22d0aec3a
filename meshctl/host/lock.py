"""One run at a time: a lock on the hosts themselves, held by processes that live and die with this run's connections.

What it guarantees is in docs/operations/locking.md, how the hosts' part works in `lockscripts.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from meshctl.errors import CommandError, LockedError, LostLockError, RefusedError
from meshctl.host import lockscripts
from meshctl.host.base import Host
from meshctl.host.holder import Holder
from meshctl.host.hostlock import HostLock, Limits
from meshctl.host.ssh import SshHost
from meshctl.host.wait import until

RETAKE = 60.0
"""Seconds to lock a host again that went down on purpose, while other runs may be trying theirs."""

LIMITS = Limits()


def _ignore(_text: str) -> None:
    return


class locked:  # noqa: N801  (a context manager that reads like a word of the language)
    """`async with locked(hosts, holder) as lease`: this run alone changes these hosts, and if it loses that, nobody.

    The first host by name decides between runs that start together: only who has it asks the others, all at once.
    Raises LockedError when another run has a host, with nothing locked. When a lock is taken away inside, the body is
    cancelled and LostLockError raised; a body that turns the cancellation into a result finds the error in `lost`.
    When a host is merely out of reach its own changes are refused and the body goes on: as long as
    one host is locked nobody else can have them all.
    """

    def __init__(
        self,
        hosts: Mapping[str, SshHost],
        holder: Holder,
        *,
        limits: Limits = LIMITS,
        say: Callable[[str], None] = _ignore,
    ) -> None:
        self.lost: LostLockError | None = None
        """Why the body was cancelled."""
        self._make = partial(HostLock, holder=holder, limits=limits, on_lost=self._on_lost, again=self._again, say=say)
        self._locks = [self._make(hosts[name]) for name in sorted(hosts)]
        self._retaking = asyncio.Lock()
        self._task: asyncio.Task[object] | None = None
        self._inside = False
        self._cancelled = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        try:
            await self._locks[0].take()
            await _all_or_first_error([lock.take() for lock in self._locks[1:]])
        except BaseException:
            await self._release()
            raise
        self._inside = True
        if self.lost is not None:  # while the others were being locked
            await self.__aexit__(None, None, None)
            raise self.lost
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = False
        await self._release()
        if self._cancelled and self._task is not None:
            others = self._task.uncancel()  # as asyncio.timeout does: a Ctrl-C that came too goes on
            if kind is asyncio.CancelledError and not others and self.lost is not None:
                raise self.lost from None

    @asynccontextmanager
    async def absence(self, name: str) -> AsyncIterator[None]:
        """Inside, this host goes down on purpose; at the end it is back over a new connection, and is locked again.

        Until it goes down it takes changes as before. Nobody can have all hosts meanwhile, because another one is held
        all the time: RefusedError without one, LostLockError if not. A run that asks the returned host first has it for
        the moment until the others refuse; that is waited for. When the body raises, the host stays unlocked.
        """
        old = next(lock for lock in self._locks if lock.host.name == name)
        others = [lock for lock in self._locks if lock is not old and lock.held]
        if not others:
            raise RefusedError(name, "no other host keeps the cluster's lock while it is away")
        old.expect_end()
        yield
        await until(f"the lock of {name} after its absence", lambda: self._retake(old), timeout=RETAKE)
        if not any(lock.held for lock in others):
            raise old.error()

    async def _retake(self, old: HostLock) -> str:
        place = next(number for number, lock in enumerate(self._locks) if lock.host is old.host)
        self._locks[place] = new = self._make(old.host)  # now, so that it is released whatever happens
        try:
            await new.take(instead=old.epoch)
        except LockedError as error:
            await new.release()
            return error.message
        return ""

    async def _release(self) -> None:
        await asyncio.gather(*(lock.release() for lock in self._locks))

    async def _again(self, old: HostLock) -> HostLock:
        """The lock of a host that has a new connection, if one of another host was held all the time."""
        async with self._retaking:
            place = next(number for number, lock in enumerate(self._locks) if lock.host is old.host)
            others = [lock for lock in self._locks if lock.held]
            if self._locks[place] is not old:
                return self._locks[place]
            if not others:
                raise old.error()
            self._locks[place] = new = self._make(old.host)  # now, so that it is released whatever happens
            await new.take(instead=old.epoch)
            if not any(lock.held for lock in others):
                raise old.error()
            return new

    def _on_lost(self, error: LostLockError, taken_away: bool) -> None:  # noqa: FBT001  (a callback's argument)
        if not taken_away or self.lost is not None:
            return
        self.lost = error
        if self._inside and self._task is not None and self._task is not asyncio.current_task():
            self._cancelled = self._task.cancel()


async def _all_or_first_error(takers: Sequence[Coroutine[object, object, None]]) -> None:
    results = await asyncio.gather(*takers, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


@dataclass(frozen=True, slots=True)
class Shown:
    """A lock that a living run holds on a host."""

    epoch: str
    holder: Holder


async def look(host: Host, limits: Limits = LIMITS) -> Shown | None:
    """Who holds the host's lock; None when nobody does. A dead holder is nobody."""
    said = (await host.query(lockscripts.show(limits.folder))).stdout.splitlines()
    return Shown(said[0], Holder.decode("".join(said[1:]))) if said else None


async def break_lock(host: Host, shown: Shown, limits: Limits = LIMITS) -> bool:
    """Take the lock away from the run that was shown: it makes no further change.

    False when that run had it no more, whoever has it now. What it had already begun is waited for by whoever locks the
    host next. Raises CommandError when the lock isn't free afterwards.
    """
    argv = lockscripts.break_off(limits.folder, shown.epoch)
    result = await host.run(argv, reason=f"the operator breaks the lock of {shown.holder}", ok=None)
    if result.status not in {0, lockscripts.CHANGED}:
        raise CommandError(host.name, ("unlock",), result.status, result.stderr)
    return result.ok
