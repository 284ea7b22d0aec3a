"""A host made of dictionaries, for tests of roles: fast, strict, and public, so that users can test their own."""

import fnmatch
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from meshctl.errors import CommandError
from meshctl.host.base import QUERY_TIMEOUT, RUN_TIMEOUT, File, Files, Host, Result


class UnknownCommandError(AssertionError):
    """A role ran a command that the test has no answer for."""


@dataclass
class Answer:
    """What a command prints; `then` runs afterwards and may change the host's other answers."""

    stdout: str = ""
    status: int = 0
    stderr: str = ""
    then: Callable[[], None] | None = None


@dataclass
class FakeHost(Host):
    """Answers commands from a list of patterns, keeps files in memory, and records all changes.

    `answers` maps a shell-style pattern over the joined argv to an Answer (or its stdout). The last
    matching pattern set wins; a command without a match raises UnknownCommandError. `cat PATH` is answered from
    `files`.
    """

    name: str = "node1"
    answers: dict[str, Answer] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    queried: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    stdins: list[bytes] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    safeguards: list[str] = field(default_factory=list)

    def on(
        self,
        pattern: str,
        stdout: str = "",
        *,
        status: int = 0,
        stderr: str = "",
        then: Callable[[], None] | None = None,
    ) -> "FakeHost":
        """Answer commands like `pattern` from now on; returns itself, so that calls chain."""
        self.answers.pop(pattern, None)
        self.answers[pattern] = Answer(stdout, status, stderr, then)
        return self

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Answer from the table; see Host."""
        del stdin, timeout
        self.queried.append(" ".join(argv))
        return self._answer(argv, ok)

    async def run(
        self,
        argv: Sequence[str],
        *,
        reason: str,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Answer from the table and record the change; see Host."""
        del timeout
        if not reason:
            raise AssertionError(f"`{' '.join(argv)}` was run without a reason")
        self.ran.append(" ".join(argv))
        self.stdins.append(stdin or b"")
        return self._answer(argv, ok)

    async def safeguard(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        fresh: float | None = None,
    ) -> Result | None:
        """Answer from the table, or go well without a word; see Host."""
        del stdin, timeout
        line = " ".join(argv)
        self.safeguards.append(line if fresh is None else f"fresh: {line}")
        known = any(fnmatch.fnmatchcase(line, pattern) for pattern in self.answers)
        return self._answer(argv, (0,)) if known else Result(tuple(argv), 0, "", "")

    async def put(self, files: Files) -> frozenset[str]:
        """Keep the files; see Host."""
        changed = await self.differing(files)
        self.files.update({path: files[path] for path in changed})
        self.written.extend(sorted(changed))
        return changed

    async def differing(self, files: Files) -> frozenset[str]:
        """Compare with the files kept; see Host."""
        return frozenset(path for path, file in files.items() if self.files.get(path) != file)

    def _answer(self, argv: Sequence[str], ok: Collection[int] | None) -> Result:
        answer = self._lookup(argv)
        if answer.then:
            answer.then()
        if ok is not None and answer.status not in ok:
            raise CommandError(self.name, argv, answer.status, answer.stderr, stdout=answer.stdout)
        return Result(tuple(argv), answer.status, answer.stdout, answer.stderr)

    def _lookup(self, argv: Sequence[str]) -> Answer:
        line = " ".join(argv)
        for pattern, answer in reversed(self.answers.items()):
            if fnmatch.fnmatchcase(line, pattern):
                return answer
        if argv[0] == "cat":
            file = self.files.get(argv[-1])
            return (
                Answer(file.content.decode()) if file else Answer("", 1, f"cat: {argv[-1]}: No such file or directory")
            )
        raise UnknownCommandError(f"{self.name} has no answer for: {line}")
