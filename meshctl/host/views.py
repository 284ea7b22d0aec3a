"""A host as one step of a run may use it: with every change recorded, or with no change allowed."""

from collections.abc import Collection, Sequence

from meshctl.errors import HostError
from meshctl.host.base import QUERY_TIMEOUT, RUN_TIMEOUT, Files, Host, Result
from meshctl.host.changes import HostChange, Record, kind_of


class ReadOnlyHost(Host):
    """For gates: a change is a defect of the role and is refused."""

    def __init__(self, host: Host) -> None:
        self.name = host.name
        self._host = host

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Pass on; see Host."""
        return await self._host.query(argv, stdin=stdin, timeout=timeout, ok=ok)

    async def run(
        self,
        argv: Sequence[str],
        *,
        reason: str,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Refuse: looking must not change anything."""
        raise HostError(self.name, f"`{' '.join(argv)}` was asked for while only looking was allowed")

    async def safeguard(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        fresh: float | None = None,
    ) -> Result | None:
        """Refuse: what doesn't change anything needs no safety net."""
        raise HostError(self.name, f"`{' '.join(argv)}` was asked for while only looking was allowed")

    async def put(self, files: Files) -> frozenset[str]:
        """Refuse: looking must not change anything."""
        raise HostError(self.name, f"writing {', '.join(files)} was asked for while only looking was allowed")

    async def differing(self, files: Files) -> frozenset[str]:
        """Pass on; see Host."""
        return await self._host.differing(files)


class RecordingHost(ReadOnlyHost):
    """For `apply`: passes everything on and tells `record` about every change."""

    def __init__(self, host: Host, record: Record) -> None:
        super().__init__(host)
        self._record = record

    async def run(
        self,
        argv: Sequence[str],
        *,
        reason: str,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Pass on and record; recorded first, because a command that fails may have changed something, too."""
        self._record(HostChange(self.name, kind_of(argv), " ".join(argv), reason))
        return await self._host.run(argv, reason=reason, stdin=stdin, timeout=timeout, ok=ok)

    async def safeguard(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        fresh: float | None = None,
    ) -> Result | None:
        """Pass on; no change."""
        return await self._host.safeguard(argv, stdin=stdin, timeout=timeout, fresh=fresh)

    async def put(self, files: Files) -> frozenset[str]:
        """Pass on and record what was written."""
        changed = await self._host.put(files)
        for path in sorted(changed):
            self._record(HostChange(self.name, "file", path, "content, mode or owner differed"))
        return changed
