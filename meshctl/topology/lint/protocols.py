"""Routing and BFD."""

from collections.abc import Iterator
from itertools import combinations

from meshctl.topology.lint.rules import Hit, Severity, rule
from meshctl.topology.model import Topology


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
    if not topology.bfd.enabled and topology.routing.protocol != "static":
        yield ("bfd", "profile"), f"a link that dies silently loses traffic for up to {topology.ospf.dead} s"


@rule(Severity.ERROR)
def redistributed_loopback(topology: Topology) -> Iterator[Hit]:
    """A host's loopback is not redistributed.

    OSPF advertises every loopback from its own host. `ospf.redistribute` is for kernel routes to virtual machines: with
    a loopback there, every host that has such a route advertises it as its own, and traffic ends on the wrong one.
    """
    for i, prefix in enumerate(topology.ospf.redistribute):
        owners = [node.name for node in topology.nodes if node.loopback == prefix.network_address]
        if prefix.prefixlen == prefix.max_prefixlen and owners:
            text = f"{prefix.network_address} is a loopback ({', '.join(owners)}), which is advertised anyway"
            yield ("ospf", "redistribute", i), f"{text}; list the prefixes of virtual machines"


@rule(Severity.ERROR)
def routing_options(topology: Topology) -> Iterator[Hit]:
    """What is stated for OSPF or BFD is something that the routing protocol has.

    FRR's fabricd signs packets with MD5 or not at all, and static routes have neither costs nor timers. A setting
    without effect would be believed in.
    """
    protocol = topology.routing.protocol
    if topology.loopbacks6 and any(cable.shared for cable in topology.cables):
        yield ("mesh", "loopbacks6"), "over one switch only IPv4 is routed; use cables for both"
    if protocol == "ospf":
        return
    if protocol == "static" and topology.loopbacks6:
        yield ("mesh", "loopbacks6"), "static routes are for IPv4; use `routing: {protocol: ospf}` for both"
    if protocol == "openfabric" and topology.loopbacks6 and _own_bfd(topology):
        yield ("bfd",), "FRR's fabricd has no BFD profile for IPv6: 300 ms x 3, or use `routing: {protocol: ospf}`"
    if protocol == "openfabric" and (topology.ospf.hello > 600 or topology.ospf.missed > 100):  # noqa: PLR2004
        yield ("ospf", "hello"), "fabricd's hello interval is at most 600 s, and at most 100 may be missed"
    if topology.ospf.signed:
        yield ("ospf", "authentication"), f"{protocol} has no signed packets; use `routing: {{protocol: ospf}}`"
    if topology.ospf.redistribute:
        yield ("ospf", "redistribute"), f"{protocol} advertises no kernel routes; use `routing: {{protocol: ospf}}`"
    for i, cable in enumerate(topology.cables):
        if protocol == "static" and cable.cost is not None:
            yield (
                ("cables", i, "cost"),
                "static routes have no cost; of parallel cables the first is preferred",
            )


def _own_bfd(topology: Topology) -> bool:
    return topology.bfd.enabled and (topology.bfd.every, topology.bfd.misses) != (300, 3)


@rule(Severity.ERROR)
def static_full_mesh(topology: Topology) -> Iterator[Hit]:
    """With static routes every two hosts have a cable.

    A static route doesn't know what is dead two cables away. Over a third host it is only safe as the second choice,
    when that host's own cable to the target is known to be there.
    """
    if topology.routing.protocol == "static":
        wired = {frozenset((cable.a.node, cable.b.node)) for cable in topology.cables}
        for a, b in combinations([node.name for node in topology.nodes], 2):
            if frozenset((a, b)) not in wired:
                yield ("routing", "protocol"), f"{a} and {b} have no cable; use `protocol: ospf`"


@rule(Severity.ERROR)
def static_renderer(topology: Topology) -> Iterator[Hit]:
    """Static routes need systemd-networkd.

    They are kept in its files, beside the addresses of the cables; another program would not read them.
    """
    if topology.routing.protocol == "static":
        for node in topology.nodes:
            if node.renderer not in {"auto", "networkd"}:
                yield ("nodes", node.name, "renderer"), f"{node.renderer} keeps no static routes; use networkd, or ospf"


@rule(Severity.WARNING)
def static_is_blind(topology: Topology) -> Iterator[Hit]:
    """Routes are dynamic.

    Static routes leave a cable only when its carrier is lost at their own end. One that passes nothing, or only one
    direction, loses traffic until somebody pulls it; and no second dead cable is survived.
    """
    if topology.routing.protocol == "static":
        yield ("routing", "protocol"), "a link that dies silently loses traffic until somebody notices"


@rule(Severity.ERROR)
def segment_protocol(topology: Topology) -> Iterator[Hit]:
    """Hosts on one switch are routed by OSPF, IPv4 only.

    It has a kind of network for many neighbours on one NIC that needs no designated router (point-to-multipoint). The
    other protocols here, OSPFv3 too, are for a NIC that leads to one host.
    """
    if not any(cable.shared for cable in topology.cables):
        return
    if topology.routing.protocol != "ospf":
        yield ("segment",), f"routing.protocol is {topology.routing.protocol}; state ospf"
    if topology.loopbacks6:
        yield ("mesh", "loopbacks6"), "IPv6 is not routed between hosts on one switch; leave it out"
