"""What is plugged into what, and whether it hangs together."""

from collections import Counter
from collections.abc import Iterator

from meshctl.topology.connectivity import parts, weak_points
from meshctl.topology.lint.rules import Hit, Severity, rule
from meshctl.topology.model import Cable, End, Node, Topology

GENEVE_OVERHEAD = 58
"""Bytes around an inner IPv4 packet: Ethernet 14, outer IP 20, UDP 8, Geneve 8, OVN's option 8 (RFC 8926)."""

SMALLEST_MTU = 1280
"""What IPv6 asks of every link (RFC 8200 section 5)."""


@rule(Severity.ERROR)
def port_twice(topology: Topology) -> Iterator[Hit]:
    """A port takes one cable.

    A plug is in one place. Two cables that name the same port describe wiring that can't exist, and the second
    would silently replace the first one's addresses.
    """
    own = [cable for cable in topology.cables if not cable.shared]
    used = Counter(end for cable in own for end in (cable.a, cable.b))
    used.update({end for cable in topology.cables if cable.shared for end in (cable.a, cable.b)})
    owners: dict[End, set[End]] = {}
    for cable in topology.cables:
        for owner, plug in _plugs(cable):
            owners.setdefault(plug, set()).add(owner)
    for i, cable in enumerate(topology.cables):
        ends = {end: used[end] for end in (cable.a, cable.b)}
        strands = Counter(plug for _, plug in _plugs(cable))
        for plug, count in strands.items():
            ends[plug] = max(count, len(owners[plug]), ends.get(plug, 0))
        for end, count in ends.items():
            if count > 1:
                yield ("cables", i), f"{end} is used by {count} cables; a port takes one"


def _plugs(cable: Cable) -> Iterator[tuple[End, End]]:
    """What wires are plugged into, after what they belong to: the bond, or the NIC itself."""
    for strand in cable.strands:
        for end, plug in zip((cable.a, cable.b), strand, strict=True):
            under = End(end.node, end.nic.removesuffix(f".{cable.vlan}"))
            yield (under if cable.bond else plug), plug


@rule(Severity.ERROR)
def reserved_nic(topology: Topology) -> Iterator[Hit]:
    """A cable uses neither the management NIC nor the uplink NIC.

    The management NIC carries the SSH session that configures everything else, and the uplink NIC becomes part of
    an OVS bridge; an address of the mesh on either takes it away from its purpose.
    """
    for i, cable in enumerate(topology.cables):
        for end in dict.fromkeys((cable.a, cable.b, *(plug for _, plug in _plugs(cable)))):
            for kind, nics in _reserved(topology.node(end.node)).items():
                if end.nic in nics:
                    yield ("cables", i), f"{end} is the {kind} NIC of {end.node}; a cable can't use it"


def _reserved(node: Node) -> dict[str, set[str | None]]:
    """A management VLAN lies on a NIC that is as untouchable; the uplink may be one VLAN of many on its NIC."""
    below = node.management_nic.rpartition(".")[0]
    uplink = {node.uplinked.tagged, node.uplinked.bridge} if node.uplinked else {node.uplink_nic}
    return {"management": {node.management_nic, below}, "uplink": {*uplink}}


@rule(Severity.ERROR)
def mtu_too_small(topology: Topology) -> Iterator[Hit]:
    """The overlay fits into the cables' MTU.

    Geneve adds 58 bytes to every packet, and instances need 1280 for IPv6. A smaller cable drops large packets
    without a word: pings work and copying a file hangs.
    """
    for i, cable in enumerate(topology.cables):
        if cable.mtu - GENEVE_OVERHEAD < SMALLEST_MTU:
            least = SMALLEST_MTU + GENEVE_OVERHEAD
            yield ("cables", i), f"MTU {cable.mtu} leaves less than {SMALLEST_MTU} for instances; at least {least}"


@rule(Severity.ERROR)
def disconnected(topology: Topology) -> Iterator[Hit]:
    """Every host reaches every other.

    A host without a path to the rest can't join anything, and the layers above would wait for it until their
    deadlines.
    """
    separate = parts(topology)
    if len(separate) > 1:
        text = " | ".join(", ".join(sorted(part)) for part in separate)
        yield ("cables",), f"the cables leave separate parts: {text}"


@rule(Severity.WARNING)
def single_point(topology: Topology) -> Iterator[Hit]:
    """The mesh survives the loss of any one host or cable.

    With a single path between two halves one pulled plug stops storage on one of them.
    """
    if len(parts(topology)) > 1:
        return
    hosts, cables = weak_points(topology)
    for name in sorted(hosts):
        yield ("nodes", name), f"without {name} the others don't all reach each other"
    for i in sorted(cables):
        yield ("cables", i), f"without the cable {topology.cables[i]} the mesh falls apart"


@rule(Severity.WARNING)
def one_switch(topology: Topology) -> Iterator[Hit]:
    """The mesh survives the loss of the switch that all hosts are on.

    A switch is one thing that fails, and is rebooted for its updates: storage and databases of all hosts stop with it.
    Cables between the hosts beside it, or cables only, need none.
    """
    shared = {i for i, cable in enumerate(topology.cables) if cable.shared}
    if shared and len(parts(topology, without_cables=shared)) > 1:
        yield ("segment",), "without the switch the hosts don't reach each other"
