"""What a step changed on a host, or would change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SERVICE_VERBS = frozenset(
    {"start", "stop", "restart", "reload", "reload-or-restart", "try-restart", "enable", "disable", "mask", "unmask"}
)


@dataclass(frozen=True, slots=True)
class HostChange:
    """A written file, a service that is started, stopped or reloaded, or any other command."""

    host: str
    kind: str
    """`file`, `service` or `command`."""
    target: str
    """The file's path, or the command line (which never holds a secret)."""
    reason: str
    diff: str = ""
    """For files that are only planned: a unified diff."""


Record = Callable[[HostChange], None]


def kind_of(argv: Sequence[str]) -> str:
    """`service` for what systemctl does to units, `command` for anything else."""
    return "service" if argv[0] == "systemctl" and _SERVICE_VERBS & set(argv) else "command"
