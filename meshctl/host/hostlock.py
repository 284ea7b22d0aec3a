"""The lock of one host, from the controller's side: a holder process there, kept alive by a heartbeat."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from meshctl.errors import HostError, LockedError, LostLockError
from meshctl.host import batch, lockscripts
from meshctl.host.channel import Dialogue, lost
from meshctl.host.holder import Holder
from meshctl.host.ssh import SshHost


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the lock is, and its times in seconds.

    `silence` is less than `host`: a host doesn't free the lock before we stop changing it.
    """

    folder: str = lockscripts.FOLDER
    beat: float = 2.0
    """From one heartbeat to the next."""
    silence: float = 8.0
    """Without an answer, counted from the sending of the last answered one, until we change nothing more there."""
    host: float = 10.0
    """Without a heartbeat, until the host frees the lock."""
    settle: float = 60.0
    """For the script's first word, and for the last commands of an earlier holder to end."""


class HostLock:
    """One host's lock; its `guard` from `take` to `release`.

    `on_lost` hears of a loss, with True when the lock was taken away while the host could be reached. `again` takes it
    anew for a host that has a new connection, or raises. `say` tells the operator what is waited for.
    """

    def __init__(
        self,
        host: SshHost,
        holder: Holder,
        limits: Limits,
        *,
        on_lost: Callable[[LostLockError, bool], None],
        again: Callable[["HostLock"], Awaitable["HostLock"]],
        say: Callable[[str], None],
    ) -> None:
        self.host = host
        self._holder = holder
        self._limits = limits
        self._on_lost = on_lost
        self._again = again
        self._say = say
        self.epoch = secrets.token_hex(8)
        self.before = lockscripts.guard(limits.folder, self.epoch)
        self._buffer = b""
        self._held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waits_for = ""
        self._sent: dict[int, float] = {}
        self._answered = 0.0
        self._lost: str | None = None
        self._taken_away = False
        self._dialogue: Dialogue | None = None
        self._pulse: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether it was taken and is not known to be lost."""
        return self._lost is None and self.host.guard is self

    async def take(self, instead: str = "") -> None:
        """Take it, also from our own holder with the epoch `instead`.

        Raises LockedError with the holder's words when another run has it, else as `run` does.
        """
        script = lockscripts.hold(self._limits.folder, self.epoch, self._limits.host, self._holder, instead)
        self._dialogue = await self.host.talk(script, "the taking of its lock", self._hear)
        self._pulse = asyncio.create_task(self._beat(self._dialogue), name=f"heartbeat of {self.host.name}")
        try:
            async with asyncio.timeout(self._limits.settle):
                await self._held
        except TimeoutError:
            raise self._late() from None
        self.host.guard = self

    def expect_end(self) -> None:
        """The host is about to go down on purpose: nobody has to hear of the loss. Until then it takes changes."""
        self._on_lost = lambda *_: None

    async def release(self) -> None:
        """Give it back. After a loss the guard stays: nothing that is still under way may change this host."""
        self.expect_end()
        if self._lost is None:
            self.host.guard = None
        if self._pulse:
            self._pulse.cancel()
            await asyncio.wait({self._pulse})
        if self._dialogue:
            await self._dialogue.end(2)
        if self._held.done() and not self._held.cancelled():
            self._held.exception()  # seen: a refusal may come when nobody waits any more

    async def admit(self) -> tuple[str, ...]:
        """See Guard. Raises LostLockError."""
        if self._lost is None:
            return self.before
        if self._taken_away or not self.host.connected or not (self._dialogue and self._dialogue.closed.done()):
            raise self.error()
        return await (await self._again(self)).admit()

    def judge(self, answer: batch.Answer) -> None:
        """See Guard. Raises LostLockError."""
        now = lockscripts.lost(answer.status, answer.stderr)
        if now is None:
            return
        if now or self._lost is None:
            self._lose(f"{now} has it now" if now else _BROKEN, taken_away=True)
        raise self.error()

    # What the host says

    def _hear(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            words = line.decode(errors="replace")
            if words.startswith(lockscripts.SAYS):
                self._understand(*words.removeprefix(lockscripts.SAYS).partition(" ")[::2])

    def _understand(self, word: str, rest: str) -> None:
        if word == "beat":
            self._answer(int(rest.rsplit(maxsplit=1)[-1]))
        elif word == "over":
            self._lose(_REASONS.get(rest, rest), taken_away=True)
        elif word == "waits":
            self._waits_for = rest.strip() or "a command"
            self._say(f"{self.host.name}: a command of an earlier run has not ended yet: {self._waits_for}")
        elif self._held.done():
            return
        elif word == "held":
            self._answered = time.monotonic()
            self._held.set_result(None)
        elif word == "busy":
            self._held.set_exception(LockedError(self.host.name, f"locked by {Holder.decode(rest)}", advice=_ADVICE))
        elif word == "failed":
            self._held.set_exception(HostError(self.host.name, f"the host can't be locked: {rest}"))

    def _answer(self, number: int) -> None:
        """The host took several at once if it was slow."""
        self._answered = self._sent.get(number, self._answered)
        self._sent = {later: at for later, at in self._sent.items() if later > number}

    async def _beat(self, dialogue: Dialogue) -> None:
        number = 0
        while not dialogue.closed.done():
            number += 1
            self._sent[number] = time.monotonic()
            dialogue.write(b"%d " % number)
            await asyncio.wait({dialogue.closed}, timeout=self._limits.beat if self._held.done() else _IMPATIENT)
            silent = time.monotonic() - self._answered
            if self._held.done() and silent > self._limits.silence and not dialogue.closed.done():
                self._lose(f"the host has not answered for {silent:.0f} s", taken_away=False)
        self._ended(dialogue)

    def _ended(self, dialogue: Dialogue) -> None:
        if not self._held.done():
            if dialogue.status is None:
                self._held.set_exception(lost(self.host.name, "the taking of its lock"))
            else:
                said = dialogue.stderr.strip()[-300:] or "and said nothing"
                text = f"the host can't be locked: the script ended with {dialogue.status}: {said}"
                self._held.set_exception(HostError(self.host.name, text))
        elif dialogue.status is None:
            self._lose("the SSH connection has ended", taken_away=False)
        else:
            self._lose(_BROKEN, taken_away=True)

    def _lose(self, why: str, *, taken_away: bool) -> None:
        """Once for each of the two kinds: a host that was silent may still tell that the lock was taken away."""
        if self._lost is None or (taken_away and not self._taken_away):
            self._lost = why
            self._taken_away = taken_away
            self._on_lost(self.error(), taken_away)

    def error(self) -> LostLockError:
        """Why it is lost."""
        return LostLockError(self.host.name, f"this run has lost its lock: {self._lost}", advice=_LOST_ADVICE)

    def _late(self) -> HostError:
        limit = self._limits.settle
        if not self._waits_for:
            return HostError(self.host.name, f"the host can't be locked: its script said nothing within {limit:g} s")
        text = f"a command of an earlier run has not ended within {limit:g} s: {self._waits_for}"
        return LockedError(self.host.name, text, advice="See on the host what it waits for, or wait, and run again.")


_IMPATIENT = 0.1
"""Seconds between heartbeats while the host waits for an earlier run's command: each makes it look again."""

_ADVICE = (
    "Wait until that run has ended; `meshctl plan` and `meshctl verify` work meanwhile. If it must not go on, "
    "`meshctl unlock TOPOLOGY` shows it again, asks, and stops it before its next change."
)

_LOST_ADVICE = (
    "It stopped before its next change; what had begun on the hosts ends by itself. Find out who works on the cluster "
    "(`meshctl unlock TOPOLOGY` shows who holds the lock), then run the same command again: it goes on from there."
)

_BROKEN = "its holder process there was ended (by `meshctl unlock`, or because the host goes down)"

_REASONS = {
    "expired": "the host has not heard from this run for too long and has freed the lock",
    "broken": "its place on the host was taken or emptied",
}
