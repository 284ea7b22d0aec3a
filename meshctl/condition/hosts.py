"""Hosts as a look at the whole may use them: nobody waits past its end, and who is away says so."""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import NoReturn

from meshctl.errors import CommandTimeout, ConnectionLost, HostError
from meshctl.host.base import QUERY_TIMEOUT, Files, Host, Result
from meshctl.host.views import ReadOnlyHost

MARGIN = 0.15
"""Seconds that a host gets to end a command by itself and say so, before we stop listening."""


class ImpatientHost(ReadOnlyHost):
    """Every query ends with the look, whatever its own deadline: CommandTimeout then."""

    def __init__(self, host: Host, deadline: float) -> None:
        super().__init__(host)
        self._deadline = deadline
        self.lost: ConnectionLost | None = None
        """Why it can't be reached any more, if it could be at first."""

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Ask for as long as there is time left; see Host."""
        left = self._deadline - time.monotonic()
        if left <= MARGIN:
            raise CommandTimeout(self.name, argv, 0)
        limit = min(timeout, left - MARGIN)
        try:
            async with asyncio.timeout(left):
                return await super().query(argv, stdin=stdin, timeout=limit, ok=ok)
        except TimeoutError:
            raise CommandTimeout(self.name, argv, limit) from None
        except ConnectionLost as error:
            self.lost = error
            raise


class AbsentHost(ReadOnlyHost):
    """A host that can't be reached: every question has the same answer, why not."""

    def __init__(self, name: str, error: HostError) -> None:
        self.name = name
        self._error = error

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Raise why it can't be reached."""
        self._raise()

    async def differing(self, files: Files) -> frozenset[str]:
        """Raise why it can't be reached."""
        self._raise()

    def _raise(self) -> NoReturn:
        raise self._error
