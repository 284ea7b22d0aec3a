"""What a routing protocol has to tell the role, so that the rest of it knows no protocol by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from meshctl.topology import Node, Port, Topology

from .parse import Adjacency


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as the protocol uses it; None where it doesn't say."""

    cost: int
    mtu: int | None = None
    bandwidth: int | None = None
    """Mbit/s, from which an unset cost follows (reference 100 Gbit/s)."""
    signed: bool = False
    """Whether packets are signed with the cluster's key chain."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """The protocol's daemon itself."""

    router: str
    avoided: bool
    """It asks the others not to send transit traffic through it."""
    interfaces: Mapping[str, Interface] = field(default_factory=dict)


class Igp(ABC):
    """One routing protocol as FRR speaks it."""

    label: ClassVar[str]
    """As people call it."""
    daemon: ClassVar[str]
    template: ClassVar[str]
    """Its part of frr.conf."""
    families: frozenset[int]
    """The versions of IP whose routes it brings."""
    up: ClassVar[str]
    """The state of an adjacency that carries traffic."""
    kernel: ClassVar[frozenset[str]]
    """Its routes' protocol in the kernel: its name in iproute2's list, and its number."""
    neighbours: ClassVar[str]
    """What makes vtysh list the neighbours in JSON."""
    details: ClassVar[tuple[str, ...]]
    """What makes vtysh tell of the daemon and its interfaces in JSON."""
    interfaces: ClassVar[str]
    """The one of `details` that tells of the interfaces."""
    found: tuple[str, ...]
    """What makes vtysh list the routes that it found, in use or not, in JSON."""
    database: ClassVar[str]
    """What shows a person who advertises what."""
    block: ClassVar[str]
    """Its block of the configuration."""
    avoid: ClassVar[str]
    """The line in that block that keeps transit traffic away."""
    cost: ClassVar[str]
    """The line of an interface that sets its cost, without the number."""
    link_local: bool = False
    """Whether it talks, and has BFD sessions, between link-local addresses."""

    @abstractmethod
    def routers(self, topology: Topology, node: Node) -> frozenset[str]:
        """What a neighbour may call this host."""

    @abstractmethod
    def address(self, port: Port) -> str:
        """The address at which it sees the neighbour on that cable; "" where it shows none."""

    @abstractmethod
    def adjacencies(self, answers: Sequence[Any]) -> tuple[Adjacency, ...] | None:
        """The neighbours, from JSON that vtysh printed; None when its daemon gave no answer."""

    @abstractmethod
    def speaker(self, answers: Sequence[Any]) -> Speaker | None:
        """The daemon, from the same; None when it gave no answer."""
