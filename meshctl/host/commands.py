"""Single commands on a host, as root, each on a channel of its own: how many at once, and for how long we wait."""

import asyncio
import time
from collections.abc import Sequence

from meshctl.errors import CommandTimeout, shown
from meshctl.host import batch, quoting
from meshctl.host.channel import Channels

CHANNELS = 4
"""At once, on one connection. sshd allows 10 (MaxSessions) but frees them late: 4 never met a refusal, 6 did."""

RUNNING = 3
"""Of these, for changes; the last one is kept for queries, so that a long installation doesn't blind us."""

GRACE = 10.0
"""Seconds after a command's own deadline until we stop believing that the host will end it."""


class Commands:
    """What one connection carries. Whoever wants a channel takes one of the `slots` first."""

    def __init__(self, channels: Channels, *, sudo: bool, grace: float = GRACE) -> None:
        self.channels = channels
        self.sudo = sudo
        self.grace = grace
        self.slots = asyncio.Semaphore(CHANNELS)
        self.change_slots = asyncio.Semaphore(RUNNING)

    async def execute(
        self, argv: Sequence[str], stdin: bytes, seconds: float, before: Sequence[str] = ()
    ) -> batch.Answer:
        """Run one command, started by the command `before` if there is one.

        Raises CommandTimeout after `seconds`, ConnectionLost, and HostError when sshd gives no channel.
        """
        line = quoting.one_line(argv, seconds, sudo=self.sudo, before=before)
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds + self.grace):
                ended = await self.channels.execute(quoting.ONE_COMMAND, line + stdin, f"`{shown(argv)}`")
        except TimeoutError:
            raise CommandTimeout(self.channels.host, argv, seconds) from None
        if ended.status in batch.TIMED_OUT and time.monotonic() - began >= seconds:
            raise CommandTimeout(self.channels.host, argv, seconds)
        return batch.Answer(ended.status, ended.stdout, ended.stderr)
