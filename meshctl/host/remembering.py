"""A host that is asked each question once: for a look at many layers, while nothing is changed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from meshctl.errors import CommandError
from meshctl.host.base import QUERY_TIMEOUT, File, Files, Host, Result
from meshctl.host.views import ReadOnlyHost


class RememberingHost(ReadOnlyHost):
    """Answers a repeated query with what the first one got. Close it, or questions under way go on."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._asked: dict[tuple[tuple[str, ...], bytes | None], asyncio.Task[Result]] = {}
        self._compared: dict[tuple[tuple[str, File], ...], asyncio.Task[frozenset[str]]] = {}

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

    async def differing(self, files: Files) -> frozenset[str]:
        """Look, or remember; see Host."""
        question = tuple(sorted(files.items(), key=lambda item: item[0]))
        if question not in self._compared:
            self._compared[question] = asyncio.ensure_future(self._host.differing(files))
        return await asyncio.shield(self._compared[question])

    async def close(self) -> None:
        """Give up what is still being asked."""
        under_way = [*self._asked.values(), *self._compared.values()]
        for asking in under_way:
            asking.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


@asynccontextmanager
async def remembering(hosts: Mapping[str, Host]) -> AsyncIterator[dict[str, Host]]:
    """These hosts, each asked every question once; what is still being asked at the end is given up."""
    once = {name: RememberingHost(host) for name, host in hosts.items()}
    try:
        yield {**once}
    finally:
        await asyncio.gather(*(host.close() for host in once.values()))
