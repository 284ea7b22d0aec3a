"""A host that is asked each question once: for a look at many layers, while nothing is changed."""

import asyncio
from collections.abc import Collection, Sequence

from meshctl.errors import CommandError
from meshctl.host.base import QUERY_TIMEOUT, Host, Result
from meshctl.host.views import ReadOnlyHost


class RememberingHost(ReadOnlyHost):
    """Answers a repeated query with what the first one got. Close it, or questions under way go on."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._asked: dict[tuple[tuple[str, ...], bytes | None], asyncio.Task[Result]] = {}

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Ask, or remember; see Host."""
        question = tuple(argv), stdin
        if question not in self._asked:
            asking = self._host.query(argv, stdin=stdin, timeout=timeout, ok=None)
            self._asked[question] = asyncio.ensure_future(asking)
        # Shielded: who asked first may be cancelled while others wait for the same answer.
        result = await asyncio.shield(self._asked[question])
        if ok is not None and result.status not in ok:
            raise CommandError(self.name, argv, result.status, result.stderr, stdout=result.stdout)
        return result

    async def close(self) -> None:
        """Give up what is still being asked."""
        for asking in self._asked.values():
            asking.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
