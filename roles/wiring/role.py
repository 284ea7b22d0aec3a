"""The wiring role: looks where every cable is plugged before any address is configured."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.parsing import understand
from meshctl.roles.probing import Ear, Expected, probe
from meshctl.topology import Cable, End, Node, Topology
from meshctl.topology.segments import segments

from . import judge
from .parse import Neighbour, macs, neighbours

LINKS = ("ip", "-j", "addr", "show")
NEIGHBOURS = ("ip", "-j", "neigh", "show")


@dataclass(frozen=True, slots=True)
class Known:
    """What a host's kernel knows of its surroundings."""

    macs: Mapping[str, str]
    neighbours: frozenset[Neighbour]


class Wiring(Role):
    """Proves by what hosts know already, else by frames on all NICs of all hosts at once."""

    name = "wiring"
    summary = "Every cable is where the topology has it; found out on layer 2, before any address is configured."
    needs = frozenset({"nics"})
    scope = Scope.CLUSTER

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._ears: dict[End, Ear] | None = None

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let all hosts find out who is at the other end of their NICs, unless their kernels know that already."""
        if await self._unproven(cluster):
            many = {end for segment in segments(self.topology) if len(segment) > 2 for end in segment}  # noqa: PLR2004
            expected = {node.name: _nics(node, many) for node in self.topology.nodes}
            self._ears = await probe(cluster.hosts, expected, others=True)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """What this run heard; without it, that both ends of each cable know each other as neighbours."""
        if self._ears is not None:
            return judge.problems(self.topology, self._ears)
        return [_unproven(cable) for cable in await self._unproven(cluster)]

    async def _unproven(self, cluster: Cluster) -> list[Cable]:
        """The cables whose ends don't both know the other one's MAC address on that NIC.

        So it is on every cluster that works: BFD and OSPF talk to these neighbours all the time, and the kernel forgets
        who doesn't answer within seconds, and all of them when the carrier goes. A bond is a neighbour as a whole;
        which of its strands work is the business of the links layer.
        """
        known = await cluster.each(_ask)
        return [
            cable
            for cable in self.topology.cables
            if not all(_knows(known, *ends) for ends in ((cable.a, cable.b), (cable.b, cable.a)))
        ]


async def _ask(_: Node, host: Host) -> Known:
    links, others = await asyncio.gather(host.query(LINKS), host.query(NEIGHBOURS))
    return Known(
        understand(host.name, LINKS, macs, links.stdout),
        understand(host.name, NEIGHBOURS, neighbours, others.stdout),
    )


def _knows(known: Mapping[str, Known], own: End, far: End) -> bool:
    mac = known[far.node].macs.get(far.nic)
    return mac is not None and Neighbour(own.nic, mac) in known[own.node].neighbours


def _nics(node: Node, many: Collection[End]) -> Expected:
    """The NICs that the topology names; a cable may have ended in the management or uplink network.

    Where a NIC leads to many nobody can say when enough have been heard.
    """
    further = [nic for nic in (node.management_nic, node.uplink_plug) if nic]
    return {
        **dict.fromkeys(further),
        **{plug.nic: None if End(node.name, plug.nic) in many else plug.peer for plug in node.plugs},
    }


def _unproven(cable: Cable) -> Problem:
    return Problem(
        cable.a.node, f"nobody knows whether {cable} is plugged in like that", "both ends know each other",
        "at least one of them has not heard of the other lately", f"ip neigh show dev {cable.a.nic}",
        "Bootstrap finds out, by frames that need no address.",
    )  # fmt: skip
