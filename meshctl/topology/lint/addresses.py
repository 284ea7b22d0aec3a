"""Prefixes, addresses and MACs."""

from collections.abc import Iterator
from ipaddress import IPv4Network

from meshctl.topology.lint.rules import Hit, Severity, rule
from meshctl.topology.model import Port, Topology
from meshctl.topology.positions import Path as YamlPath


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
        (("cables", i), f"cable {cable}:", cable.prefix) for i, cable in enumerate(topology.cables) if not cable.shared
    ]
    subnets = {cable.prefix for cable in topology.cables if cable.shared}
    found += [(("segment", "prefix"), "the segment's", prefix) for prefix in subnets]
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
    for key in ("id", "loopback", "loopback6", "address"):
        seen: dict[object, str] = {}
        for node in topology.nodes:
            value = {
                "id": node.id,
                "loopback": node.loopback,
                "loopback6": node.loopback6 or node.name,
                "address": node.management_address,
            }[key]
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
        if topology.loopbacks6 and node.loopback6 and node.loopback6 not in topology.loopbacks6:
            text = f"{node.loopback6} is not in mesh.loopbacks6 {topology.loopbacks6}"
            yield ("nodes", node.name, "loopback6"), text


@rule(Severity.ERROR)
def loopbacks6_kind(topology: Topology) -> Iterator[Hit]:
    """mesh.loopbacks6 is a prefix for hosts.

    Link-local and multicast addresses aren't routed, and ::/64 holds the unspecified address and the host's own. A
    unique local prefix (fd00::/8, RFC 4193) is meant for this.
    """
    prefix = topology.loopbacks6
    if prefix and (prefix.is_link_local or prefix.is_multicast or prefix.is_loopback or prefix.is_reserved):
        yield ("mesh", "loopbacks6"), f"{prefix} is no prefix for hosts; use one of fd00::/8"


@rule(Severity.ERROR)
def duplicate_mac(topology: Topology) -> Iterator[Hit]:
    """A MAC address pins one NIC.

    Two NICs with one address in a file are a copying mistake: the link files would match the wrong card.
    """
    seen: dict[str, str] = {}
    for node in topology.nodes:
        for plug in node.plugs:
            other = seen.setdefault(plug.mac or f"{node.name}:{plug.nic}", f"{node.name}:{plug.nic}")
            if other != f"{node.name}:{plug.nic}":
                yield ("nodes", node.name, "macs", plug.nic), f"{plug.mac} is the address of {other} already"
