"""Who ran what on the cluster, kept in it: the last runs that changed something, or tried to."""

import errno
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from meshctl.host.base import Host
from meshctl.roles.ceph import Command, ask
from meshctl.roles.parsing import parser

KEY = "meshctl/runs"
LENGTH = 100
"""Runs. Each takes some 300 bytes of the 65,536 that one key may have; what it says of its problems is cut."""

_GET: Command = {"prefix": "config-key get", "key": KEY}
_SET = ("ceph", "--connect-timeout", "10", "config-key", "set", KEY, "-i", "-")
_PROBLEMS, _LINE = 2, 120


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as its operator's machine saw it. `log` is the name of its log there."""

    at: str
    """When it began, UTC."""
    by: str
    command: str
    ok: bool
    changed: int
    wall_s: float
    problems: tuple[str, ...] = ()
    log: str = ""

    def short(self) -> "Run":
        """With no more of its problems than a list has room for."""
        told = tuple(problem[:_LINE] for problem in self.problems[:_PROBLEMS])
        return Run(self.at, self.by, self.command, self.ok, self.changed, self.wall_s, told, self.log)


@parser
def runs(text: str) -> tuple[Run, ...]:
    """What is kept, oldest first."""
    told: list[dict[str, Any]] = json.loads(text)["runs"]
    return tuple(Run(**{**one, "problems": tuple(one["problems"])}) for one in told)


def encode(kept: Sequence[Run]) -> bytes:
    """As it is stored: the last ones."""
    last = [asdict(run.short()) for run in kept[-LENGTH:]]
    return json.dumps({"schema": "meshctl/runs/1", "runs": last}, ensure_ascii=False).encode()


async def look(host: Host) -> tuple[Run, ...]:
    """The runs that are kept, oldest first. Raises CommandError without a quorum, ParseError for something else."""
    (answer,) = await ask(host, _GET, ok=(0, -errno.ENOENT))
    return answer.read(runs) if answer.status == 0 else ()


async def add(host: Host, run: Run) -> None:
    """Keep one more; the oldest go. Runs hold the cluster's lock, so that no two add at the same time."""
    kept = await look(host)
    await host.run(_SET, stdin=encode([*kept, run]), reason="the history of runs")
