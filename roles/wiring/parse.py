"""From the output of `ip` to typed facts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.roles.parsing import parser

_NOBODY = {"FAILED", "INCOMPLETE", "NONE"}
"""States of an entry whose address was never heard, or isn't any more (ip-neighbour(8))."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour that the kernel knows: seen on this NIC, with this MAC address."""

    nic: str
    mac: str


@parser
def macs(text: str) -> dict[str, str]:
    """`ip -j addr show`: the MAC address of each NIC."""
    return {link["ifname"]: link["address"] for link in json.loads(text) if "address" in link}


@parser
def neighbours(text: str) -> frozenset[Neighbour]:
    """`ip -j neigh show`: those who have answered."""
    return frozenset(Neighbour(entry["dev"], entry["lladdr"]) for entry in json.loads(text or "[]") if _known(entry))


def _known(entry: Mapping[str, object]) -> bool:
    state = entry.get("state")
    return "lladdr" in entry and isinstance(state, list) and not _NOBODY & set(state)
