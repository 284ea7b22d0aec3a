"""A triangle that is in order, as facts; tests spoil what they are about."""

from dataclasses import replace

from meshctl.certify.facts import Clock, Cut, LinkFacts, Measured, Nic, Plugged, Throughput, Way
from meshctl.certify.probes import Loss
from meshctl.topology import End, Topology
from tests.roles import golden

TRIANGLE = golden.topology("triangle")
IDLE = Nic(1500, up=True, carrier=True, speed=10000, duplex="full", carrier_changes=2, sent=0, received=0, errors=0,
           drops=0)  # fmt: skip
PINGED = replace(IDLE, sent=620, received=620)
QUIET = tuple(0.1 + i / 1000 for i in range(300))


def plugged(end: End) -> Plugged:
    return Plugged(end, IDLE, PINGED, PINGED)


def way(source: End, target: End) -> Way:
    return Way(source, target, full=True, small=True, asked=300, rtts=QUIET, throughput=Throughput(940.0, 3))


def link(index: int, topology: Topology = TRIANGLE) -> LinkFacts:
    cable = topology.cables[index]
    ends, ways = (plugged(cable.a), plugged(cable.b)), (way(cable.a, cable.b), way(cable.b, cable.a))
    return LinkFacts(index, ends, ways)


PAIRS = (("node1", "node2"), ("node1", "node3"), ("node2", "node3"))
NOTHING = dict.fromkeys(PAIRS, Loss(0, 0.0, 64))
SOME = {**NOTHING, ("node1", "node2"): Loss(7, 72.0, 63)}


def cut(index: int, *, planned: bool) -> Cut:
    took = {"node1": "node3", "node2": "node3"}
    return Cut(index, planned, down=NOTHING if planned else SOME, up=NOTHING, took=took)


def healthy(topology: Topology = TRIANGLE) -> Measured:
    cuts = tuple(cut(i, planned=planned) for i in range(3) for planned in (False, True))
    clocks = tuple(Clock(node.name, i * 0.5, 1.0) for i, node in enumerate(topology.nodes))
    return Measured(topology, tuple(link(i, topology) for i in range(3)), clocks, cuts)


def with_link(first: LinkFacts, topology: Topology = TRIANGLE) -> Measured:
    """Healthy but for the first link."""
    whole = healthy(topology)
    return replace(whole, links=(first, *whole.links[1:]))
