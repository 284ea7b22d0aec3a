"""What was measured, as the verdicts and the reports see it. Times are milliseconds, rates Mbit/s."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.topology import End, Topology

from .failover import Pair
from .probes import Loss


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC as its kernel has it at one moment. `speed` (Mbit/s) and `duplex` are None where the driver tells none."""

    mtu: int
    up: bool
    carrier: bool
    speed: int | None
    duplex: str | None
    carrier_changes: int
    sent: int
    received: int
    errors: int
    drops: int


@dataclass(frozen=True, slots=True)
class Plugged:
    """One end of a link: its NIC before the first packet, after the pings, and after everything."""

    end: End
    before: Nic
    pinged: Nic
    after: Nic


@dataclass(frozen=True, slots=True)
class Throughput:
    """What iperf3 found, or why it found nothing."""

    mbit: float | None
    retransmits: int = 0
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a link. `full` and `small`: a packet of the whole MTU, or a small one, came back unfragmented.

    `rtts` are those of the answered ones among `asked` packets.
    """

    source: End
    target: End
    full: bool
    small: bool
    asked: int
    rtts: tuple[float, ...]
    throughput: Throughput

    @property
    def lost(self) -> float:
        """Percent."""
        return 100 * (1 - len(self.rtts) / self.asked)


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """One cable: its index in the topology, both ends, both directions (the first one from the first end)."""

    cable: int
    ends: tuple[Plugged, Plugged]
    ways: tuple[Way, Way]

    @property
    def answers(self) -> bool:
        """Whether anything came back over it."""
        return any(way.small or way.rtts for way in self.ways)

    def arrived(self, number: int) -> tuple[int, int]:
        """Packets that one end sent while both pinged, and those that the other end got."""
        one, two = self.ends[number], self.ends[1 - number]
        return one.pinged.sent - one.before.sent, two.pinged.received - two.before.received


@dataclass(frozen=True, slots=True)
class Clock:
    """A host's clock minus the controller's, and how wrong that may be."""

    node: str
    ms: float
    error: float


@dataclass(frozen=True, slots=True)
class Cut:
    """One cable taken down and put back. `skipped` says why it was not; everything else is empty then.

    `took` is the way of each end's traffic to the other meanwhile: the next host, "" for another cable to the same one.
    """

    cable: int
    planned: bool
    skipped: str = ""
    far_carrier: bool = False
    """Whether the end that was not switched off still saw a signal."""
    down: Mapping[Pair, Loss] | None = None
    up: Mapping[Pair, Loss] | None = None
    took: Mapping[str, str] | None = None
    failed: str = ""
    """What did not come true in time."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that a certificate rests on. `cuts` is None where nobody asked for them."""

    topology: Topology
    links: tuple[LinkFacts, ...]
    clocks: tuple[Clock, ...]
    cuts: tuple[Cut, ...] | None
