"""OpenFabric (fabricd): IS-IS for fabrics, straight over Ethernet."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from meshctl.roles.parsing import parser
from meshctl.topology import Node, Port, Topology

from .igp import Igp, Interface, Speaker
from .parse import Adjacency


class OpenFabric(Igp):
    """One instance for both versions of IP; its neighbours have names and no addresses."""

    label: ClassVar[str] = "OpenFabric"
    daemon: ClassVar[str] = "fabricd"
    template: ClassVar[str] = "openfabric.j2"
    up: ClassVar[str] = "Up"
    kernel: ClassVar[frozenset[str]] = frozenset({"openfabric", "197"})
    neighbours: ClassVar[str] = "show openfabric neighbor json"
    interfaces: ClassVar[str] = "show openfabric interface detail json"
    details: ClassVar[tuple[str, ...]] = (
        "show openfabric summary json",
        interfaces,
        "show openfabric database json",
    )
    database: ClassVar[str] = "show openfabric database detail"
    block: ClassVar[str] = "router openfabric meshctl"
    avoid: ClassVar[str] = "set-overload-bit"
    cost: ClassVar[str] = "openfabric metric"

    def __init__(self, *, dual: bool = False) -> None:
        self.families = frozenset({4, 6} if dual else {4})
        self.found = tuple(f"show {ip} route openfabric json" for ip in (("ip", "ipv6") if dual else ("ip",)))
        self.link_local = dual  # fabricd prefers them for BFD as soon as it speaks IPv6

    def routers(self, topology: Topology, node: Node) -> frozenset[str]:
        """Its name, and its system id as long as its name isn't known."""
        del topology
        return frozenset({node.name, system_id(node)})

    def address(self, port: Port) -> str:
        """It shows none: one neighbour per NIC."""
        del port
        return ""

    def adjacencies(self, answers: Sequence[Any]) -> tuple[Adjacency, ...] | None:
        """See Igp."""
        lists = [areas for areas in _areas(answers) if not any(_described(one) for one in _circuits(areas))]
        return neighbours(lists[0]) if lists else None

    def speaker(self, answers: Sequence[Any]) -> Speaker | None:
        """See Igp."""
        summaries = [one["vrfs"] for one in answers if isinstance(one, dict) and isinstance(one.get("vrfs"), list)]
        described = [areas for areas in _areas(answers) if any(_described(one) for one in _circuits(areas))]
        levels = [one["areas"] for one in answers if isinstance(one, dict) and _has_levels(one.get("areas"))]
        if not summaries and not described:
            return None
        return speaker(summaries[:1], described[:1], levels[:1])


def system_id(node: Node) -> str:
    """Six bytes, written like an Ethernet address of three parts: the digits of the loopback.

    10.50.1.1 → 0100.5000.1001
    """
    digits = "".join(f"{int(part):03d}" for part in str(node.loopback).split("."))
    return ".".join(digits[i : i + 4] for i in (0, 4, 8))


@parser
def neighbours(areas: Any) -> tuple[Adjacency, ...]:
    """The list behind "areas" in `show openfabric neighbor json`; the loopback's circuit has no neighbour."""
    return tuple(
        Adjacency(str(one["adj"]), "", str(one["interface"]), str(one["state"]))
        for area in areas
        for one in area.get("circuits", ())
        if "adj" in one
    )


@parser
def speaker(summaries: Any, described: Any, databases: Any) -> Speaker:
    """What stands behind "vrfs" and "areas" in the answers to `OpenFabric.details`; each may be missing."""
    router = summaries[0][0]["system-id"] if summaries else ""
    circuits = [one["interface"] for area in (described[0] if described else ()) for one in area["circuits"]
                if _described(one)]  # fmt: skip
    lsps = [lsp for area in (databases[0] if databases else ()) for level in area["levels"] for lsp in level["lsps"]]
    return Speaker(
        str(router),
        any(lsp["lsp"].get("ownLSP") and str(lsp["attPOl"]).endswith("/1") for lsp in lsps),
        {str(one["name"]): Interface(one["levels"][0]["metric"]) for one in circuits if one.get("levels")},
    )


def _areas(answers: Sequence[Any]) -> Iterator[Any]:
    for one in answers:
        areas = one.get("areas") if isinstance(one, dict) else None
        if isinstance(areas, list) and not _has_levels(areas):
            yield areas


def _has_levels(areas: Any) -> bool:
    return isinstance(areas, list) and any(isinstance(area, dict) and "levels" in area for area in areas)


def _circuits(areas: Any) -> Iterator[Any]:
    for area in areas:
        if isinstance(area, dict) and isinstance(area.get("circuits"), list):
            yield from area["circuits"]


def _described(circuit: Any) -> bool:
    """Only the list of interfaces describes one; in the list of neighbours "interface" is a name."""
    return isinstance(circuit, dict) and isinstance(circuit.get("interface"), dict)
