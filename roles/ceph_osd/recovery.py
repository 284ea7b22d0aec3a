"""Data served again from the copies that are left.

Recovered monitors believe the dead OSDs up, so that everybody waits for them; and a placement group with one copy
serves nobody while its pool wants two (`min_size`). What the pools wanted is noted in the cluster
(`meshctl/roles/ceph.py`, MIN_SIZE_KEY) until all is clean again; ceph_health then puts it back.
"""

import json
from collections.abc import Mapping

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, CommandTimeout
from meshctl.host.base import Host
from meshctl.roles.ceph import MIN_SIZE_KEY, MIN_SIZE_NOTE, Command, ask, keep_running, tell
from meshctl.roles.parsing import parser
from meshctl.roles.recovery import Stand, Standing
from meshctl.topology import Node

from . import absence

USES = absence.USES

SERVING = 300.0
"""Seconds for the placement groups to serve what the survivor has."""

_DUMP: Command = {"prefix": "osd dump"}
_TREE: Command = {"prefix": "osd tree"}
_GROUPS: Command = {"prefix": "pg dump", "dumpcontents": ["pgs_brief"], "to": "mgr"}


async def standing(node: Node, host: Host, cluster: Cluster) -> Standing:
    """Whether OSDs of others are believed up, or pools want more copies than are left."""
    del cluster
    try:
        ghosts, strict = await _look(node, host)
    except (CommandError, CommandTimeout):
        return Standing(Stand.LOST, "no monitor says which OSDs are up")
    if ghosts:
        return Standing(Stand.LOST, f"{', '.join(f'osd.{osd}' for osd in ghosts)} believed up")
    if strict:
        return Standing(Stand.LOST, f"{', '.join(strict)} serve no placement group with one copy")
    return Standing(Stand.ALONE, "every pool serves from one copy")


async def recover(node: Node, host: Host, cluster: Cluster) -> None:
    """Start the survivor's OSDs, mark the others down, and let the pools serve from one copy."""
    (tree,) = await ask(host, _TREE)
    for osd in tree.read(absence.osds_by_host).get(node.name, ()):
        await keep_running(host, f"ceph-osd@{osd}.service", "ceph-osd.target", "ceph.target")
    ghosts, strict = await _look(node, host)
    if ghosts:
        down: Command = {"prefix": "osd down", "ids": [str(osd) for osd in ghosts]}
        await tell(host, [down], reason="their hosts are gone, and nobody is left to say so")
    if strict:
        note = await _note(host, strict)
        lower: list[Command] = [
            {"prefix": "osd pool set", "pool": pool, "var": "min_size", "val": "1"} for pool in strict
        ]
        await tell(host, note, lower, reason="one copy is left; until there are more, it has to do")
    if cluster.topology.osd_count:
        await host.until("placement groups that serve", lambda: _idle(host), timeout=SERVING)


async def _look(node: Node, host: Host) -> tuple[list[int], dict[str, int]]:
    """OSDs of others that are believed up, and pools that want more than one copy, with how many."""
    dump, tree = await ask(host, _DUMP, _TREE)
    own = set(tree.read(absence.osds_by_host).get(node.name, ()))
    strict = {name: wanted for name, wanted in dump.read(min_sizes).items() if wanted > 1}
    return sorted(dump.read(absence.up_osds) - own), strict


async def _note(host: Host, strict: Mapping[str, int]) -> list[Command]:
    """Write down what the pools want, unless an interrupted run has: it saw what they wanted before."""
    (told,) = await ask(host, MIN_SIZE_NOTE, ok=None)
    noted = told.read(min_sizes_noted) if told.status == 0 else {}
    return [{"prefix": "config-key set", "key": MIN_SIZE_KEY, "val": json.dumps({**strict, **noted})}]


async def _idle(host: Host) -> str:
    (groups,) = await ask(host, _GROUPS)
    states = groups.read(absence.acting)
    late = sorted({state for state, _ in states.values() if "active" not in state.split("+")})
    return f"placement groups are {', '.join(late)}" if late else "" if states else "the manager knows of none yet"


@parser
def min_sizes(osd_dump: str) -> dict[str, int]:
    """Pool → with how few copies it serves, from `ceph osd dump`; those that never have more than one are left out."""
    pools = json.loads(osd_dump)["pools"]
    return {str(pool["pool_name"]): int(pool["min_size"]) for pool in pools if pool["size"] > 1}


@parser
def min_sizes_noted(note: str) -> dict[str, int]:
    """What was written down."""
    return {str(name): int(wanted) for name, wanted in json.loads(note).items()}
