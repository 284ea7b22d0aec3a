"""The role contract: how one layer of the cluster renders, applies and verifies itself."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import HostError, MeshctlError, RefusedError, shown
from meshctl.host.base import Files, Host
from meshctl.topology import Node, Topology


class Rollout(Enum):
    """In which order a role's steps run."""

    PARALLEL = "parallel"
    """All hosts at once."""
    LEADER_FIRST = "leader first"
    """The first host, then all others at once."""
    ONE_BY_ONE = "one by one"
    """In the order of the nodes."""


class Scope(Enum):
    """How many `apply` steps a role has."""

    NODE = "node"
    """One per host."""
    CLUSTER = "cluster"
    """One, on the first host, for what the whole cluster shares (a pool, a network)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a gate found: what is wrong, and how the operator can see it and mend it.

    `final` problems will not go away by waiting, so that the gate fails at once.
    """

    host: str
    what: str
    expected: str
    seen: str
    command: str = ""
    advice: str = ""
    final: bool = False
    refused: bool = False
    """Going on would destroy something that meshctl did not make."""


def problem_of(error: MeshctlError, host: str) -> Problem:
    """The problem that an error is; `host` when the error itself names none."""
    return Problem(
        host=error.host if isinstance(error, HostError) else host,
        what=error.message,
        expected="",
        seen=getattr(error, "stderr", "") or getattr(error, "seen", ""),
        command=shown(getattr(error, "argv", ())),
        advice=error.advice,
        refused=isinstance(error, RefusedError),
    )


class Role(ABC):
    """One layer. An instance lives for one run and belongs to one topology.

    A role may keep what `prepare` found (a cluster id, who founds the cluster) on itself; nothing else.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for `--help` and the docs."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Roles whose gate must have passed before any step of this one starts."""
    rollout: ClassVar[Rollout] = Rollout.PARALLEL
    scope: ClassVar[Scope] = Scope.NODE
    poll: ClassVar[float] = 0.3
    """Seconds between two looks of the gate; more for gates whose look costs the hosts something."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    def render(self, node: Node) -> Files:
        """The files of this layer on a host. Pure: the same topology gives the same bytes."""
        return {}

    async def foresee(self, cluster: Cluster) -> None:  # noqa: B027  (optional ability)
        """Raise what is certain to stop this layer, before the run's first change. Only looks; hosts may be bare."""

    async def prepare(self, cluster: Cluster) -> None:  # noqa: B027  (optional ability)
        """Look at all hosts before the first `apply`: does this layer exist already, and where? Changes nothing."""

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:  # noqa: B027  (optional ability)
        """Converge one host: observe first, change only what differs, trust a second look, not an exit code.

        Must be safe to repeat after being killed anywhere. A role that doesn't define it has only a gate.
        """

    @abstractmethod
    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Look once at the whole layer; no problem means healthy. The executor repeats it until its deadline."""

    def gate_timeout(self) -> float:
        """Seconds the gate may take to pass."""
        return self.topology.timeouts.gate
