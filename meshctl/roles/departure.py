"""A host that is gone for good, or leaves for good, layer by layer: the optional module `departure` of a role.

What it may have, found by its presence (all of it safe to repeat after being killed anywhere):

    USES: frozenset[str]                              as in `absence`
    async def claims(node, host, cluster) -> list[str]    in an owner's words, what the cluster still counts as the
                                                      node's and the machine in its place doesn't hold; only looks
    async def forget(node, host, cluster) -> None     take exactly that off the books, through a host that stays;
                                                      RefusedError when it turns out to be alive, or would be missed
    async def refill(node, host, cluster) -> None     wait until what was lost with the host is there again
    async def objections(node, cluster) -> list[str]  why the cluster can't do without the host for ever
    async def leave(node, host, cluster) -> None      hand over, wait until nothing depends on the host, and leave
    async def strike(node, cluster) -> None           what is the name's, not the machine's: nobody follows under it

`host` is whatever answers at the node's address: a new machine, empty or half built (then a run was interrupted, and
what it holds is the successor's), the old one, or nobody: then every question to it raises ConnectError.
So nothing has to be remembered: what the machine holds is counted rightly, all else of that name is its predecessor's.
"""

from collections.abc import Awaitable, Callable, Sequence

from meshctl.errors import CommandError, CommandTimeout, ConnectError, ConnectionLost
from meshctl.host.base import Host, Result

DYING = 120.0
"""Seconds until the others have noticed a death: OSDs 24, managers 30, members of Incus 20, on a quiet machine."""

REFILL = 24 * 3600.0
"""Seconds for Ceph to copy what a whole host had."""


def patiently(probe: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    """The same probe, to which an error is one more thing seen: daemons that lose a peer elect, and answer late."""

    async def asked() -> str:
        try:
            return await probe()
        except (CommandError, CommandTimeout) as error:
            return error.message

    return asked


async def answer(host: Host, argv: Sequence[str]) -> Result | None:
    """What the machine in the node's place says, whatever the exit status; None when there is none."""
    try:
        return await host.query(argv, ok=None)
    except (ConnectError, ConnectionLost):
        return None
