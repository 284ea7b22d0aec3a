"""Every error meshctl raises on purpose, as one tree.

::

    MeshctlError                 message, advice, exit code (see docs/cli.md)
    ├── UsageError           1   the command line is wrong
    ├── TopologyError        3   the topology file is wrong; carries every finding with its place
    ├── HostError            1   something on one host; carries the host's name
    │   ├── ConnectError         the host does not answer, or is not who it should be
    │   │   ├── HostKeyError     unknown or changed host key
    │   │   └── AuthError        no key or password accepted, or no sudo
    │   ├── ConnectionLost       the connection went away in the middle of a command
    │   ├── CommandError         a command failed; carries argv, status and stderr
    │   ├── CommandTimeout       a command ran longer than its deadline
    │   ├── ParseError           a daemon printed what no parser here understands
    │   ├── RefusedError     6   going on would destroy something meshctl did not make
    │   ├── RolledBackError  4   a change of the network was taken back; carries what
    │   ├── LockedError      5   another run holds the host's lock
    │   └── LostLockError    5   this run's lock is gone; nothing more is changed
    ├── WaitError            4   a condition did not come true before its deadline
    ├── SecretsError         1   the state folder or a key in it can't be used
    └── LabError             1   the rehearsal lab (meshctl/lab/errors.py)

Foreign exceptions are translated once, where they arise: asyncssh's in `host/dial.py` and `host/channel.py`,
pydantic's and PyYAML's in `topology/loader.py`, those of the operator's own disk in `state.py`. An error that only one
module raises stands there and is a branch of this tree (`PlanError`, `HostsUnreachableError`).
"""

from collections.abc import Sequence
from typing import ClassVar


class MeshctlError(Exception):
    """Something the operator should read.

    `message` says what is wrong, what was expected and what was seen; `advice` says what to do next, and may be
    empty when the message already says it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class UsageError(MeshctlError):
    """The command line is wrong."""


class HostError(MeshctlError):
    """Something went wrong on one host."""

    def __init__(self, host: str, message: str, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.host = host

    def __str__(self) -> str:
        return f"{self.host}: {self.message}"


class ConnectError(HostError):
    """The host does not answer on its management address."""


class HostKeyError(ConnectError):
    """The host's key is unknown, or is not the one on record. Never retried."""


class AuthError(ConnectError):
    """The host is there but does not let this user in, or sudo wants a password. Never retried."""


class ConnectionLost(HostError):  # noqa: N818  (the field's word; "ConnectionLostError" says nothing more)
    """The connection went away while a command was running; whether the command finished is unknown."""


def shown(argv: Sequence[str]) -> str:
    r"""A command in a sentence, on one line: of an argument with several (a script) the first.

    >>> shown(["sh", "-c", "set -eu\nrm $1", "sh", "a"])
    'sh -c set -eu … sh a'
    """
    lines = [word.strip().splitlines() for word in argv]
    return " ".join(f"{line[0]} …" if len(line) > 1 else word for word, line in zip(argv, lines, strict=True))


class CommandError(HostError):
    """A command on a host ended with a status nobody expected."""

    def __init__(
        self, host: str, argv: Sequence[str], status: int, stderr: str, *, stdout: str = "", advice: str = ""
    ) -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr
        self.stdout = stdout
        said = (stderr.strip() or stdout.strip() or "and printed nothing").splitlines()
        super().__init__(host, f"`{shown(argv)}` exited with {status}: {' / '.join(said[-3:])}", advice=advice)


class CommandTimeout(HostError):  # noqa: N818  (same as above)
    """A command ran longer than its deadline and was ended."""

    def __init__(self, host: str, argv: Sequence[str], seconds: float, *, advice: str = "") -> None:
        self.argv = tuple(argv)
        self.seconds = seconds
        hangs = "Run it on that host: what should answer it hangs, or the host is too busy."
        super().__init__(host, f"`{shown(argv)}` did not finish within {seconds:g} s", advice=advice or hangs)


class ParseError(HostError):
    """A daemon's output is not what the parser knows; carries the command that shows it."""

    def __init__(self, host: str, argv: Sequence[str], expected: str, seen: str) -> None:
        self.argv = tuple(argv)
        super().__init__(
            host,
            f"`{shown(argv)}` should print {expected}, but printed {seen[:200]!r}",
            advice="Run the command on that host; if its output looks right, this is a defect of meshctl.",
        )


class RefusedError(HostError):
    """Going on would destroy something that meshctl did not make."""

    exit_code = 6


class RolledBackError(HostError):
    """A change of a host's network was taken back; `seen` has a line for each file and address."""

    exit_code = 4

    def __init__(self, host: str, why: str, restored: Sequence[str], *, advice: str = "") -> None:
        self.seen = "\n".join(restored)
        files = [line.split()[1].rstrip(",") for line in restored if line.startswith(("removed /", "restored /"))]
        what = f"back as before: {', '.join(files)}" if files else "its files had not changed"
        super().__init__(host, f"the change of the network was rolled back: {why}; {what}", advice=advice)


class LockedError(HostError):
    """Another run holds the host's lock."""

    exit_code = 5


class LostLockError(HostError):
    """The host's lock is not held any more; the change that wanted it was not made."""

    exit_code = 5


class WaitError(MeshctlError):
    """A condition did not come true before its deadline."""

    exit_code = 4

    def __init__(self, what: str, seconds: float, seen: str = "", *, advice: str = "") -> None:
        self.what = what
        self.seconds = seconds
        self.seen = seen
        tail = f"; last seen: {seen}" if seen else ""
        super().__init__(f"waited {seconds:g} s for {what}{tail}", advice=advice)


class SecretsError(MeshctlError):
    """The state folder, or a key or certificate in it, can't be used."""
