"""Rules beyond types: what a topology can get wrong although every value is well formed.

Each rule has an id, a sentence and a reason; docs/lint.md is generated from them. Errors make a topology unusable,
warnings are shown and nothing more.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

from meshctl.topology.connectivity import parts, weak_points
from meshctl.topology.model import Port, Topology
from meshctl.topology.positions import Path as YamlPath

GENEVE_OVERHEAD = 58
"""Bytes around an inner IPv4 packet: Ethernet 14, outer IP 20, UDP 8, Geneve 8, OVN's option 8 (RFC 8926)."""

SMALLEST_MTU = 1280
"""What IPv6 asks of every link (RFC 8200 section 5)."""


class Severity(StrEnum):
    """What a broken rule means."""

    ERROR = "error"
    WARNING = "warning"


Hit = tuple[YamlPath, str]
Check = Callable[[Topology], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a topology must, or should, hold to."""

    id: str
    severity: Severity
    sentence: str
    why: str
    check: Check


RULES: list[Rule] = []


def rule(severity: Severity) -> Callable[[Check], Check]:
    """Register a check under its function's name, with dashes; its docstring is the sentence and the reason."""

    def register(check: Check) -> Check:
        sentence, _, why = inspect.cleandoc(check.__doc__ or "").partition("\n\n")
        RULES.append(Rule(check.__name__.replace("_", "-"), severity, sentence, " ".join(why.split()), check))
        return check

    return register


def lint(topology: Topology, severity: Severity) -> list[tuple[Rule, Hit]]:
    """Every broken rule of that severity with its place and sentence."""
    return [(one, hit) for one in RULES if one.severity is severity for hit in one.check(topology)]


@rule(Severity.ERROR)
def port_twice(topology: Topology) -> Iterator[Hit]:
    """A port takes one cable.

    A plug is in one place. Two cables that name the same port describe wiring that can't exist, and the second
    would silently replace the first one's addresses.
    """
    used = Counter(end for cable in topology.cables for end in (cable.a, cable.b))
    for i, cable in enumerate(topology.cables):
        for end in (cable.a, cable.b):
            if used[end] > 1:
                yield ("cables", i), f"{end} is used by {used[end]} cables; a port takes one"


@rule(Severity.ERROR)
def reserved_nic(topology: Topology) -> Iterator[Hit]:
    """A cable uses neither the management NIC nor the uplink NIC.

    The management NIC carries the SSH session that configures everything else, and the uplink NIC becomes part of
    an OVS bridge; an address of the mesh on either takes it away from its purpose.
    """
    for i, cable in enumerate(topology.cables):
        for end in (cable.a, cable.b):
            node = topology.node(end.node)
            kinds = [
                k for k, nic in (("management", node.management_nic), ("uplink", node.uplink_nic)) if nic == end.nic
            ]
            for kind in kinds:
                yield ("cables", i), f"{end} is the {kind} NIC of {end.node}; a cable can't use it"


@rule(Severity.ERROR)
def cable_prefix(topology: Topology) -> Iterator[Hit]:
    """Both ends of a cable are in the same prefix.

    A /30 at one end and a /24 at the other answer pings and then fail: OSPF's point-to-point adjacency and the next
    hops it computes need one prefix on both ends (RFC 2328 section 9.5).
    """
    at: list[dict[str, Port]] = [{} for _ in topology.cables]
    for node in topology.nodes:
        for port in node.ports:
            at[port.cable][f"{node.name}:{port.nic}"] = port
    for i, ends in enumerate(at):
        addresses = " and ".join(f"{end} has {port.address}" for end, port in ends.items())
        if len({port.address.network for port in ends.values()}) > 1:
            yield ("cables", i), f"{addresses}: not one prefix"
        elif len({port.address for port in ends.values()}) == 1:
            yield ("cables", i), f"{addresses}: one address at both ends"


@rule(Severity.ERROR)
def prefix_overlap(topology: Topology) -> Iterator[Hit]:
    """Prefixes do not overlap.

    An address that belongs to two networks is reached through whichever route was installed last. Cables,
    loopbacks, the uplink and the overlay each need a range of their own.
    """
    prefixes = _prefixes(topology)
    for one, two in sorted(_overlaps([prefix for _, _, prefix in prefixes])):
        (where, name, prefix), (_, other_name, other) = prefixes[one], prefixes[two]
        yield where, f"{name} {prefix} overlaps {other_name} {other}"


def _overlaps(prefixes: list[IPv4Network]) -> Iterator[tuple[int, int]]:
    """Pairs of indexes, the lower first. In the order of addresses a prefix can only lie in those around it."""
    spans = sorted((int(p.network_address), -int(p.broadcast_address), i) for i, p in enumerate(prefixes))
    around: list[tuple[int, int]] = []
    for first, last, i in spans:
        around = [(end, j) for end, j in around if end >= first]
        yield from ((min(i, j), max(i, j)) for _, j in around)
        around.append((-last, i))


def _prefixes(topology: Topology) -> list[tuple[YamlPath, str, IPv4Network]]:
    found: list[tuple[YamlPath, str, IPv4Network]] = [
        (("cables", i), f"cable {cable}:", cable.prefix) for i, cable in enumerate(topology.cables)
    ]
    found.append((("mesh", "loopbacks"), "mesh.loopbacks", topology.loopbacks))
    if topology.uplink:
        found.append((("uplink", "gateway"), "the uplink's network", topology.uplink.gateway.network))
    found.append((("incus", "network_address"), "the overlay network", topology.incus.network_address.network))
    return found


@rule(Severity.ERROR)
def management_in_mesh(topology: Topology) -> Iterator[Hit]:
    """Management addresses lie outside every prefix of the mesh.

    A management address inside a mesh prefix would be routed over the mesh as soon as OSPF comes up, and the SSH
    session would be lost.
    """
    prefixes = _prefixes(topology)
    for node in topology.nodes:
        address = node.management_address
        for _, name, prefix in prefixes:
            if address in prefix:
                yield ("nodes", node.name, "address"), f"{node.management} lies in {name} {prefix}"


@rule(Severity.ERROR)
def duplicate_address(topology: Topology) -> Iterator[Hit]:
    """Node ids, loopbacks and management addresses are unique.

    The loopback is also the OSPF router-id: with two equal ones each host drops the other's link-state
    advertisements, and routes come and go. Ceph, OVN and Incus know a host by it.
    """
    for key in ("id", "loopback", "address"):
        seen: dict[object, str] = {}
        for node in topology.nodes:
            value = {"id": node.id, "loopback": node.loopback, "address": node.management_address}[key]
            other = seen.setdefault(value, node.name)
            if other != node.name:
                yield ("nodes", node.name, key), f"{key} {value} is {other}'s already"


@rule(Severity.ERROR)
def loopback_outside(topology: Topology) -> Iterator[Hit]:
    """Loopbacks lie in mesh.loopbacks.

    Route filters, firewalls and the migration network are derived from this one prefix; a loopback outside it is
    advertised and then not let through.
    """
    for node in topology.nodes:
        if node.loopback not in topology.loopbacks:
            yield ("nodes", node.name, "loopback"), f"{node.loopback} is not in mesh.loopbacks {topology.loopbacks}"


@rule(Severity.ERROR)
def duplicate_mac(topology: Topology) -> Iterator[Hit]:
    """A MAC address pins one NIC.

    Two NICs with one address in a file are a copying mistake: the link files would match the wrong card.
    """
    seen: dict[str, str] = {}
    for node in topology.nodes:
        for port in node.ports:
            other = seen.setdefault(port.mac or f"{node.name}:{port.nic}", f"{node.name}:{port.nic}")
            if other != f"{node.name}:{port.nic}":
                yield ("nodes", node.name, "macs", port.nic), f"{port.mac} is the address of {other} already"


@rule(Severity.ERROR)
def disk_twice(topology: Topology) -> Iterator[Hit]:
    """A disk is named once per host.

    The second OSD would be made on the first one's data.
    """
    for node in topology.nodes:
        for path, count in Counter(disk.path for disk in node.disks).items():
            if count > 1:
                yield ("nodes", node.name, "disks"), f"{path} is named {count} times"


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
def ospf_timers(topology: Topology) -> Iterator[Hit]:
    """The dead interval is longer than the hello interval.

    A neighbour would be given up before its next hello can arrive; adjacencies would come and go for ever.
    """
    if topology.ospf.dead <= topology.ospf.hello:
        yield ("ospf", "dead"), f"dead {topology.ospf.dead} s is not more than hello {topology.ospf.hello} s"


@rule(Severity.WARNING)
def bfd_too_nervous(topology: Topology) -> Iterator[Hit]:
    """BFD waits for at least 100 ms.

    A busy host may not get to send a packet for as long; the link would be declared dead while it works.
    """
    wait = topology.bfd.every * topology.bfd.misses
    if topology.bfd.enabled and wait < 100:  # noqa: PLR2004  (the docstring says why)
        yield ("bfd",), f"a link is dead after {wait} ms without a packet; a busy host may be silent for longer"


@rule(Severity.WARNING)
def bfd_missing(topology: Topology) -> Iterator[Hit]:
    """BFD is on.

    Without it, a cable that passes nothing, or only one direction, but keeps its carrier loses traffic until OSPF's
    dead interval has passed.
    """
    if not topology.bfd.enabled:
        yield ("bfd", "profile"), f"a link that dies silently loses traffic for up to {topology.ospf.dead} s"


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
def even_voters(topology: Topology) -> Iterator[Hit]:
    """The number of voters is odd.

    Every host votes in Ceph's monitors, both OVN databases and Incus. Four voters survive one failure, as three do,
    and there is one more host that can fail.
    """
    if len(topology.nodes) % 2 == 0:
        yield ("nodes",), f"{len(topology.nodes)} voters survive no more failures than {len(topology.nodes) - 1}"


@rule(Severity.WARNING)
def too_few_disks(topology: Topology) -> Iterator[Hit]:
    """Enough hosts have disks for the copies that Ceph keeps.

    With fewer hosts than copies the pool is undersized for ever; with exactly two copies a single failure stops
    writes.
    """
    hosts = sum(1 for node in topology.nodes if node.disks)
    if hosts < 3:  # noqa: PLR2004  (Ceph's own default of osd_pool_default_size)
        yield ("nodes",), f"{hosts} hosts have disks; three copies need three"
    if hosts < topology.replicas:
        yield ("ceph", "replicas"), f"{topology.replicas} copies need as many hosts with disks; there are {hosts}"
