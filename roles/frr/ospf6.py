"""OSPFv3 (RFC 5340), for IPv6: between link-local addresses, so that cables need none of their own."""

from collections.abc import Sequence
from typing import Any, ClassVar

from meshctl.roles.parsing import parser
from meshctl.topology import Node, Port, Topology

from .igp import Igp, Interface, Speaker
from .parse import CHAIN, Adjacency


class Ospf6(Igp):
    """OSPFv3 beside OSPFv2, with the same router ids."""

    label: ClassVar[str] = "OSPFv3"
    daemon: ClassVar[str] = "ospf6d"
    template: ClassVar[str] = "ospf6.j2"
    families: frozenset[int] = frozenset({6})
    up: ClassVar[str] = "Full"
    kernel: ClassVar[frozenset[str]] = frozenset({"ospf", "188"})
    neighbours: ClassVar[str] = "show ipv6 ospf6 neighbor json"
    interfaces: ClassVar[str] = "show ipv6 ospf6 interface json"
    details: ClassVar[tuple[str, ...]] = ("show ipv6 ospf6 json", interfaces)
    found: tuple[str, ...] = ("show ipv6 route ospf6 json",)
    database: ClassVar[str] = "show ipv6 ospf6 database"
    block: ClassVar[str] = "router ospf6"
    avoid: ClassVar[str] = "stub-router administrative"
    cost: ClassVar[str] = "ipv6 ospf6 cost"
    link_local: bool = True

    def routers(self, topology: Topology, node: Node) -> frozenset[str]:
        """Its router id, which is written like an IPv4 address in OSPFv3, too."""
        del topology
        return frozenset({str(node.loopback)})

    def address(self, port: Port) -> str:
        """It shows none: one neighbour per NIC."""
        del port
        return ""

    def adjacencies(self, answers: Sequence[Any]) -> tuple[Adjacency, ...] | None:
        """See Igp. In OSPFv2's answer, "neighbors" is an object."""
        found = [one.get("neighbors") for one in answers if isinstance(one, dict)]
        lists = [value for value in found if isinstance(value, list)]
        return neighbours(lists[0]) if lists else None

    def speaker(self, answers: Sequence[Any]) -> Speaker | None:
        """See Igp."""
        own = [one for one in answers if isinstance(one, dict) and "routerIsStubRouter" in one]
        all_ = [one for one in answers if isinstance(one, dict) and any(_described(value) for value in one.values())]
        if not own and not all_:
            return None
        return speaker(own[0] if own else {}, all_[0] if all_ else {})


@parser
def neighbours(value: Any) -> tuple[Adjacency, ...]:
    """The list behind "neighbors"."""
    return tuple(Adjacency(str(e["neighborId"]), "", str(e["interfaceName"]), str(e["state"])) for e in value)


@parser
def speaker(own: Any, interfaces: Any) -> Speaker:
    """`show ipv6 ospf6 json` and `show ipv6 ospf6 interface json`, which knows little of an interface that is off."""
    return Speaker(
        str(own.get("routerId", "")),
        bool(own.get("routerIsStubRouter", False)),
        {
            name: Interface(one["cost"], one["interfaceMtu"], None, _chain(one) == CHAIN)
            for name, one in interfaces.items()
            if _described(one) and "cost" in one
        },
    )


def _chain(interface: Any) -> Any:
    return interface.get("authInfo", {}).get("keychainName")


def _described(value: Any) -> bool:
    return isinstance(value, dict) and "attachedToArea" in value
