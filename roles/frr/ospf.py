"""OSPFv2 (RFC 2328), for IPv4."""

from collections.abc import Sequence
from typing import Any, ClassVar

from meshctl.roles.parsing import parser
from meshctl.topology import Node, Port, Topology

from .igp import Igp, Interface, Speaker
from .parse import CHAIN, Adjacency


class Ospf(Igp):
    """OSPFv2 over every cable's addresses."""

    label: ClassVar[str] = "OSPF"
    daemon: ClassVar[str] = "ospfd"
    template: ClassVar[str] = "ospf.j2"
    families: frozenset[int] = frozenset({4})
    up: ClassVar[str] = "Full"
    kernel: ClassVar[frozenset[str]] = frozenset({"ospf", "188"})
    neighbours: ClassVar[str] = "show ip ospf neighbor json"
    interfaces: ClassVar[str] = "show ip ospf interface json"
    details: ClassVar[tuple[str, ...]] = ("show ip ospf json", interfaces)
    found: tuple[str, ...] = ("show ip route ospf json",)
    database: ClassVar[str] = "show ip ospf database"
    block: ClassVar[str] = "router ospf"
    avoid: ClassVar[str] = "max-metric router-lsa administrative"
    cost: ClassVar[str] = "ip ospf cost"

    def routers(self, topology: Topology, node: Node) -> frozenset[str]:
        """Its router id."""
        del topology
        return frozenset({str(node.loopback)})

    def address(self, port: Port) -> str:
        """Parallel cables lead to the same router, so that only NIC and address tell two adjacencies apart."""
        return str(port.peer_address.ip)

    def adjacencies(self, answers: Sequence[Any]) -> tuple[Adjacency, ...] | None:
        """See Igp."""
        lists = [one["neighbors"] for one in answers if isinstance(one, dict) and _is_dict(one.get("neighbors"))]
        return neighbours(lists[0]) if lists else None

    def speaker(self, answers: Sequence[Any]) -> Speaker | None:
        """See Igp."""
        own = [one for one in answers if isinstance(one, dict) and "routerId" in one and _V3_ONLY not in one]
        all_ = [one["interfaces"] for one in answers if isinstance(one, dict) and _is_dict(one.get("interfaces"))]
        if not own and not all_:
            return None
        return speaker(own[0] if own else {}, all_[0] if all_ else {})


_V3_ONLY = "routerIsStubRouter"
"""Tells the answer of `show ipv6 ospf6 json` from that of `show ip ospf json`."""


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


@parser
def neighbours(value: Any) -> tuple[Adjacency, ...]:
    """The object behind "neighbors"; ifaceName there is `NIC:ADDRESS`."""
    return tuple(
        Adjacency(router, str(e["ifaceAddress"]), str(e["ifaceName"]).split(":")[0], _state(e))
        for router, entries in value.items()
        for e in entries
    )


@parser
def speaker(own: Any, interfaces: Any) -> Speaker:
    """`show ip ospf json`, and what stands behind "interfaces" in `show ip ospf interface json`."""
    return Speaker(
        str(own.get("routerId", "")),
        any(area.get("originStubMaxDistRouterLsa", False) for area in own.get("areas", {}).values()),
        {
            name: Interface(one["cost"], one["mtuBytes"], one["bandwidthMbit"], one.get("keychain") == CHAIN)
            for name, one in interfaces.items()
            if "cost" in one
        },
    )


def _state(entry: dict[str, object]) -> str:
    # `converged` is "Full" or empty-handed; `nbrState` ("ExStart/-") tells where it is stuck.
    return str(entry.get("nbrState") or entry.get("state") or entry.get("converged")).split("/")[0]
