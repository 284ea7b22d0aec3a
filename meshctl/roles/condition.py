"""What a layer can say about itself at any time, also when half of the cluster is gone: the optional ability `status`.

A role that has a module `status` with `async def condition(cluster) -> Condition` takes part in `meshctl status` and
`meshctl doctor`, and one with `DISEASES` in the latter's list. There, unlike in a gate, what doesn't answer is a fact:
`told` turns the error into one. Nothing here waits, and nothing is changed.
"""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from meshctl.errors import CommandTimeout, ConnectError, ConnectionLost, HostError
from meshctl.roles.base import Problem

T = TypeVar("T")


class State(StrEnum):
    """How a layer, a host or the cluster is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It serves, but something is missing or not as it should be."""
    BROKEN = "broken"
    """It doesn't serve, or nobody can tell."""


def worst(*states: State) -> State:
    """The worst of them; healthy when there is none."""
    order = list(State)
    return max(states, key=order.index, default=State.HEALTHY)


@dataclass(frozen=True, slots=True)
class Part:
    """One host's share in a layer; `detail` may be empty when there is nothing to tell."""

    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A known disease, met on a host: what shows it, and what to do."""

    disease: str
    """Its name in docs/operations/doctor.md."""
    host: str
    evidence: str
    cure: str
    command: str = ""
    """What shows the evidence, on that host."""
    leftover: bool = False
    """A run sets it on purpose and takes it back: a disease only when no run is going on."""


@dataclass(frozen=True, slots=True)
class Disease:
    """A known disease: its name, and in a sentence what it does to a cluster."""

    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Quorum:
    """A group in which a majority must be alive. Names are nodes; a voter that is none goes by its address."""

    name: str
    """As an operator calls it: "Ceph's monitors", "OVN's southbound database"."""
    voters: frozenset[str]
    alive: frozenset[str]
    """The voters that take part at the moment."""
    leader: str | None = None

    @property
    def needed(self) -> int:
        """How many voters are a majority."""
        return len(self.voters) // 2 + 1

    @property
    def holds(self) -> bool:
        """Whether a majority is alive."""
        return len(self.alive & self.voters) >= self.needed


@dataclass(frozen=True, slots=True)
class PlacementGroup:
    """Where the copies of some of Ceph's data are."""

    id: str
    hosts: tuple[str, ...]
    """The host of each copy that serves (Ceph's acting set), so a host with two copies twice."""
    min_size: int
    """With fewer copies it accepts neither reads nor writes."""
    behind: bool = False
    """One of these copies, nobody says which, still lacks some objects."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a layer says. `nodes` has a part for each host, the unreachable ones included."""

    state: State
    detail: str
    nodes: Mapping[str, Part] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    quorums: tuple[Quorum, ...] = ()
    placement: tuple[PlacementGroup, ...] = ()
    dead_cables: frozenset[int] = frozenset()
    """Those cables of the topology, by index, that carry nothing."""
    carries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By host: what moves elsewhere, or stops, when it goes ("the active mgr", "2 instances")."""
    problems: tuple[Problem, ...] = ()
    """What the layer's gate would say, as far as it was looked at."""
    unknown: str = ""
    """Why the layer can't say how many failures it survives; empty when it can."""


TOO_SLOW = "no answer in time"


async def told(asking: Awaitable[T]) -> T | HostError:
    """The answer, or why there is none: host off, command failed or too slow, output unknown."""
    try:
        return await asking
    except HostError as error:
        return error


def split(looks: Mapping[str, T | HostError]) -> tuple[dict[str, T], dict[str, Part]]:
    """The answers by host, and a broken part for each host that gave none."""
    silent = {name: Part(State.BROKEN, why(look)) for name, look in looks.items() if isinstance(look, HostError)}
    return {name: look for name, look in looks.items() if not isinstance(look, HostError)}, silent


def why(error: HostError) -> str:
    """Why there is no answer, in a few words."""
    if isinstance(error, ConnectError | ConnectionLost):
        return "host unreachable"
    return TOO_SLOW if isinstance(error, CommandTimeout) else error.message


def nobody(silent: Mapping[str, Part]) -> Condition:
    """The condition of a layer of which no host says anything."""
    return Condition(State.BROKEN, "no host answers", nodes=silent, unknown="no host answers")


def judged(hosts: Collection[str], problems: Sequence[Problem], details: Mapping[str, str]) -> dict[str, Part]:
    """A part for each of these hosts: degraded where the gate has a problem, and then saying which."""
    parts = {}
    for name in hosts:
        own = [problem.what for problem in problems if problem.host == name]
        more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
        parts[name] = Part(State.DEGRADED, own[0] + more) if own else Part(State.HEALTHY, details.get(name, ""))
    return parts
