"""How hosts are wired that nobody has looked at: every one to every other."""

from collections.abc import Collection, Sequence
from itertools import combinations, count, islice

TRIANGLE = 3


def full_mesh(nodes: Sequence[str], reserved: Collection[str] = ()) -> list[str]:
    """A cable for every pair, from eth1 up without the NICs that have another purpose, as `topologies/` has them.

    Three hosts are a ring: eth1 leads to the next host, eth2 to the one before (triangle.yaml). Else a host's first NIC
    goes to the lowest other host, its second to the next, and so on (five.yaml).

    >>> full_mesh(["a", "b", "c"], ["eth1"])
    ['a:eth2 <-> b:eth3', 'b:eth2 <-> c:eth3', 'c:eth2 <-> a:eth3']
    >>> full_mesh(["a", "b"])
    ['a:eth1 <-> b:eth1']
    """
    free = (nic for nic in (f"eth{i}" for i in count(1)) if nic not in reserved)
    nics = list(islice(free, max(0, len(nodes) - 1)))
    if len(nodes) == TRIANGLE:
        return [f"{a}:{nics[0]} <-> {b}:{nics[1]}" for a, b in zip(nodes, (*nodes[1:], nodes[0]), strict=True)]
    pairs = sorted(combinations(range(len(nodes)), 2), key=lambda pair: pair[::-1])
    return [f"{nodes[i]}:{nics[j - 1]} <-> {nodes[j]}:{nics[i]}" for i, j in pairs]
