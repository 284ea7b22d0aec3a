"""OSPF and BFD."""

from collections.abc import Iterator

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
    if not topology.bfd.enabled:
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
