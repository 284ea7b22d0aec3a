"""Addresses that follow from the topology alone.

A node's number (`id`) gives its loopback. A cable's /30 follows from the numbers of its two nodes, so that adding a
node or a cable elsewhere in the file renumbers nothing: the pair (i, j) with i < j has index (j-1)(j-2)/2 + i-1 in
the enumeration (1,2) (1,3) (2,3) (1,4) …, which does not depend on how many nodes there are. Each pair owns
`PARALLEL` consecutive /30s, for the cables that run in parallel, in the order of the file.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

PARALLEL = 4
"""Cables between the same two nodes that get an address by themselves; more need `prefix:`."""

_TRAILING_NUMBER = re.compile(r"(\d+)$")


def node_ids(explicit: Mapping[str, int | None]) -> dict[str, int]:
    """Each node's number: the stated one, else the number its name ends in, else its place in the file.

    Names are only used when every node without a stated number ends in one (from 1 up) and all numbers differ: a
    mixture would make one node's number depend on another's.
    """
    open_names = [name for name, number in explicit.items() if number is None]
    stated = {name: number for name, number in explicit.items() if number is not None}
    trailing = {name: int(m[1]) for name in open_names if (m := _TRAILING_NUMBER.search(name))}
    numbers = [*stated.values(), *trailing.values()]
    if len(trailing) == len(open_names) and len(set(numbers)) == len(explicit) and min(numbers) > 0:
        return {name: stated.get(name) or trailing[name] for name in explicit}
    free = (n for n in range(1, 2 * len(explicit) + 1) if n not in stated.values())
    return {name: stated[name] if name in stated else next(free) for name in explicit}


def pair_index(i: int, j: int) -> int:
    """Place of the pair of node numbers in (1,2) (1,3) (2,3) (1,4) …; from 0, whichever way round."""
    low, high = sorted((i, j))
    return (high - 1) * (high - 2) // 2 + low - 1


def link_prefix(links: IPv4Network, i: int, j: int, parallel: int) -> IPv4Network | None:
    """The /30 of the `parallel`-th cable (from 0) between nodes i and j; None when `links` has no room for it."""
    slot = pair_index(i, j) * PARALLEL + parallel
    if parallel >= PARALLEL or links.prefixlen > 30 or slot >= 2 ** (30 - links.prefixlen):  # noqa: PLR2004
        return None
    return IPv4Network((int(links.network_address) + 4 * slot, 30))


def loopback6(prefix: IPv6Network, node_id: int) -> IPv6Address | None:
    """The node's /128; None when the prefix has no room for the number."""
    return None if node_id >= prefix.num_addresses else prefix[node_id]


def loopback(prefix: IPv4Network, node_id: int) -> IPv4Address | None:
    """The node's /32; None when the prefix has no room for the number."""
    if node_id >= prefix.num_addresses:
        return None
    return prefix[node_id]


def ends(prefix: IPv4Network) -> Sequence[IPv4Address]:
    """The two host addresses of a /30 or /31, in order."""
    return list(prefix.hosts())[:2]
