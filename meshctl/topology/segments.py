"""Who is on one wire, or on one switch."""

from meshctl.topology.model import End, Topology


def segments(topology: Topology) -> list[frozenset[End]]:
    """Plugs that share a wire, in the order of the cables: two each, or more where a NIC leads to many (a switch)."""
    found: dict[End, frozenset[End]] = {}
    for cable in topology.cables:
        for a, b in cable.strands:
            joined = found.get(a, frozenset({a})) | found.get(b, frozenset({b}))
            found |= dict.fromkeys(joined, joined)
    return list(dict.fromkeys(found.values()))
