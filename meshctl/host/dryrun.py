"""A host that answers queries and records the rest: what roles do on it is the plan.

No role asks whether a run is dry. What a role asks after a change that was only recorded gets the answer of the
unchanged host, or no answer; `Unknowable` and the errors that follow from it mean "not before the change is made".
"""

import difflib
from collections.abc import Awaitable, Callable, Collection, Sequence

from meshctl.errors import MeshctlError
from meshctl.host.base import QUERY_TIMEOUT, RUN_TIMEOUT, File, Files, Host, Result
from meshctl.host.changes import HostChange, Record, kind_of
from meshctl.host.lockstep import Lockstep


class Unknowable(MeshctlError):  # noqa: N818  (not a fault: the answer lies behind a change)
    """Something that can only be known once the recorded changes have been made."""


class DryRunHost(Host):
    """Reads from `host` in the waves of `lockstep`; tells `record` what would be changed."""

    def __init__(self, host: Host, lockstep: Lockstep, record: Record) -> None:
        self.name = host.name
        self._host = host
        self._lockstep = lockstep
        self._record = record

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Ask the real host; see Host."""
        return await self._lockstep.join(lambda: self._host.query(argv, stdin=stdin, timeout=timeout, ok=ok))

    async def run(
        self,
        argv: Sequence[str],
        *,
        reason: str,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Record the command and claim that it went well and printed nothing."""
        self._record(HostChange(self.name, kind_of(argv), " ".join(argv), reason))
        return Result(tuple(argv), 0, "", "")

    async def safeguard(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        fresh: float | None = None,
    ) -> Result | None:
        """Nothing: there is nothing to be safe from."""
        return None

    async def put(self, files: Files) -> frozenset[str]:
        """Record a diff for each file that would be written."""
        differing = await self.differing(files)
        for path in sorted(differing):
            diff = await self._diff(path, files[path])
            self._record(HostChange(self.name, "file", path, "content, mode or owner differs", diff))
        return differing

    async def differing(self, files: Files) -> frozenset[str]:
        """Ask the real host; see Host."""
        return await self._lockstep.join(lambda: self._host.differing(files))

    async def until(
        self,
        what: str,
        probe: Callable[[], Awaitable[str]],
        *,
        timeout: float,  # noqa: ASYNC109  (contract of Host)
        every: float = 0.2,
    ) -> None:
        """Look once: whether a change would make true what does not hold yet can't be known. Raises Unknowable."""
        seen = await probe()
        if seen:
            raise Unknowable(f"{what} on {self.name}: {seen}")

    async def _diff(self, path: str, file: File) -> str:
        if file.secret:
            return f"(secret: {len(file.content)} bytes, not shown)"
        old = await self.read(path)
        return unified(path, old, file.content.decode(errors="replace"))


def unified(path: str, old: str | None, new: str) -> str:
    """A unified diff as `git diff` shows it; a missing file is /dev/null."""
    lines = difflib.unified_diff(
        (old or "").splitlines(keepends=True),
        new.splitlines(keepends=True),
        "/dev/null" if old is None else f"a{path}",
        f"b{path}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
