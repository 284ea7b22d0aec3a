"""The only way to touch a machine.

`query` reads, `run` may change, `put` writes files. Commands are argv lists, quoted in one place (`quoting.py`). What
counts as a change is decided here and nowhere else: every `run`, and every file that `put` had to write.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from meshctl.errors import CommandError
from meshctl.host.wait import until

QUERY_TIMEOUT = 20.0
"""Seconds for a command that only reads; anything slower names its own deadline."""

RUN_TIMEOUT = 60.0
"""Seconds for a command that changes something and names no other deadline; SshHost takes the topology's."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind. Output is decoded as UTF-8, undecodable bytes replaced."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.status == 0


@dataclass(frozen=True, slots=True)
class File:
    """A file as it should be. `secret` content is never shown: not in plans, logs or errors."""

    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False


Files = Mapping[str, File]
"""Absolute path -> file."""


class Host(ABC):
    """One machine, reached somehow. Implementations: ssh, dry run, fake, and the executor's wrappers."""

    name: str

    @abstractmethod
    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (it is also enforced on the host, by coreutils' timeout)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Run a command that changes nothing.

        Raises CommandError when the status is not in `ok` (None accepts any; 127 is "no such command"),
        CommandTimeout after `timeout` seconds, ConnectionLost when the host went away.
        Queries awaited together travel together, so gather what is independent.
        """

    @abstractmethod
    async def run(
        self,
        argv: Sequence[str],
        *,
        reason: str,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (same)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Run a command that may change the host; `reason` tells the operator why ("OSPF hello differs").

        Secrets go through `stdin`, never through `argv`. Raises as `query` does.
        """

    @abstractmethod
    async def safeguard(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (same)
        fresh: float | None = None,
    ) -> Result | None:
        """Run a command of a safety net around a change. What it leaves goes with the net, so it counts as no change.

        `fresh`: over a connection made for it, trying to connect for so many seconds; that it was made proves that the
        host can be reached. None when nothing is changed anyway (a dry run). Raises as `run` and `connect` do.
        """

    @abstractmethod
    async def put(self, files: Files) -> frozenset[str]:
        """Make files have this content, mode and owner; returns the paths that differed and were written.

        Each file is replaced atomically; missing folders are made. All files travel in one stream.
        """

    @abstractmethod
    async def differing(self, files: Files) -> frozenset[str]:
        """The paths that `put` would write; only looks."""

    async def read(self, path: str) -> str | None:
        """A file's text; None when there is no such file."""
        result = await self.query(["cat", "--", path], ok=(0, 1))
        if result.status == 0:
            return result.stdout
        if "No such file" in result.stderr:
            return None
        raise CommandError(self.name, result.argv, result.status, result.stderr)

    async def until(
        self,
        what: str,
        probe: Callable[[], Awaitable[str]],
        *,
        timeout: float,  # noqa: ASYNC109  (a deadline that the error names)
        every: float = 0.2,
    ) -> None:
        """Wait until `probe` returns "" (before that it says what it still sees). Raises WaitError at the deadline."""
        await until(f"{what} on {self.name}", probe, timeout=timeout, every=every)


def text(content: str, *, mode: int = 0o644, owner: str = "root", group: str = "root", secret: bool = False) -> File:
    """A text file, encoded as UTF-8."""
    return File(content.encode(), mode, owner, group, secret)
