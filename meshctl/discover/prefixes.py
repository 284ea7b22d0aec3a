"""Prefixes for a mesh that keep away from every address that is there already. Pure."""

import contextlib
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Interface, IPv4Network

from meshctl.topology.addresses import PARALLEL, pair_index

LOOPBACKS = [IPv4Network(f"10.{50 + i}.1.0/24") for i in range(100)]
LINKS = [IPv4Network(f"192.168.{11 + i}.0/24") for i in range(200)]
_WIDE_LOOPBACKS = [IPv4Network(f"10.{50 + i}.0.0/16") for i in range(100)]
_WIDE_LINKS = [IPv4Network(f"172.{16 + i}.0.0/16") for i in range(16)]
_SLASH_30 = 4


def free_loopbacks(numbers: Collection[int], elsewhere: Sequence[IPv4Network]) -> IPv4Network:
    """With an address for every node's number; the first candidate where none is free.

    >>> str(free_loopbacks([1, 2], networks(["10.50.1.7"]))), str(free_loopbacks([1, 700], []))
    ('10.51.1.0/24', '10.50.0.0/16')
    """
    return _free([*LOOPBACKS, *_WIDE_LOOPBACKS], max(numbers, default=0) + 1, elsewhere)


def free_links(numbers: Collection[int], elsewhere: Sequence[IPv4Network]) -> IPv4Network:
    """With the /30s of every pair of nodes; the first candidate where none is free.

    >>> str(free_links([1, 2, 3], [])), str(free_links([7, 8, 9], []))
    ('192.168.11.0/24', '172.16.0.0/16')
    """
    highest = sorted(set(numbers), reverse=True)[:2]
    slots = (pair_index(*highest) + 1) * PARALLEL if len(highest) > 1 else 0
    return _free([*LINKS, *_WIDE_LINKS], slots * _SLASH_30, elsewhere)


def networks(texts: Iterable[str]) -> list[IPv4Network]:
    """The networks of addresses, with or without a prefix length; what is no IPv4 address is in nobody's way."""
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):  # an IPv6 address, or an answer that the validation refuses
            found.append(IPv4Interface(text).network)
    return found


def _free(candidates: Sequence[IPv4Network], room: int, elsewhere: Sequence[IPv4Network]) -> IPv4Network:
    fine = (one for one in candidates if one.num_addresses >= room and not any(map(one.overlaps, elsewhere)))
    return next(fine, candidates[0])
