"""A layer after its quorum is lost for good: the optional module `recovery` of a role.

    async def standing(node, host, cluster) -> Standing   how the survivor stands in this layer; only looks
    async def recover(node, host, cluster) -> None        it carries on alone; from whatever a killed run left

`node` and `host` are the one survivor; no other host can be reached, so nothing here asks `cluster.host` of another.
What is about to be rewritten is copied first, readable by root alone (`COPIES`), under a name of its own each time, so
that no copy is ever overwritten. The dead are taken off the books afterwards, by the module `departure`.
"""

from dataclasses import dataclass
from enum import StrEnum

COPIES = "/var/lib/meshctl/before-recover"
"""Folder of the copies on the survivor."""

COPYING = 1800.0
"""Seconds to copy a store of several GB on a slow disk."""


class Stand(StrEnum):
    """How the survivor stands in a layer."""

    ALONE = "alone"
    """It is the only member, and works."""
    LOST = "lost"
    """It is one of several, and they have no majority; or its daemon doesn't run."""
    HELD = "held"
    """A majority lives: nothing may be rewritten."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The stand, and in an operator's words what shows it."""

    stand: Stand
    detail: str
