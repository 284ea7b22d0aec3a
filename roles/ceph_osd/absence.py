"""A host's OSDs before and after an absence: said goodbye while the monitors can hear it, and not missed meanwhile.

`noout` for the host alone keeps Ceph from copying its data elsewhere. It must not outlive the run that set it: on every
other host a vigil waits for the end of that run's lock and then takes the flag away (`meshctl/roles/vigil.py`).
"""

import json
from collections.abc import Iterable

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.base import Host
from meshctl.roles import vigil
from meshctl.roles.absence import GOODBYE, RETURN, witness
from meshctl.roles.ceph import Command, ask, start, tell
from meshctl.roles.parsing import parser
from meshctl.roles.together import together
from meshctl.roles.units import units
from meshctl.topology import Node

USES = frozenset({"ceph_mgr"})
"""It counts the placement groups."""

PEERING = 60.0
"""Seconds for the placement groups to go on without these OSDs; it takes one."""

CATCH_UP = 3600.0
"""Seconds for the OSDs to copy what they have missed."""

FLAG = "noout"

_TREE: Command = {"prefix": "osd tree"}
_DUMP: Command = {"prefix": "osd dump"}
GROUPS: Command = {"prefix": "pg dump", "dumpcontents": ["pgs_brief"], "to": "mgr"}


async def spare(node: Node, cluster: Cluster) -> list[str]:
    """What the manager says to `ceph osd ok-to-stop` about all OSDs of the host together."""
    other = witness(node, cluster)
    osds = await _osds(node, other)
    if not osds:
        return []
    (answer,) = await ask(other, {"prefix": "osd ok-to-stop", "ids": [str(osd) for osd in osds], "to": "mgr"}, ok=None)
    return [] if answer.status == 0 else [answer.error.strip() or "`ceph osd ok-to-stop` says no"]


async def expect(node: Node, host: Host, cluster: Cluster) -> None:
    """Set `noout` for the host's OSDs, for no longer than this run lasts."""
    del host
    other = witness(node, cluster)
    if not await _osds(node, other):
        return
    unset = ["ceph", "--connect-timeout", "10", "osd", "unset-group", FLAG, node.name]
    await together(*(vigil.keep(one, _vigil(node), unset) for one in _staying(node, cluster)))
    (dump,) = await ask(other, _DUMP)
    if FLAG not in dump.read(host_flags).get(node.name, ()):
        await tell(other, [_group("set", node)], reason="its OSDs will be back soon: their data need no other place")


async def drain(node: Node, host: Host, cluster: Cluster) -> None:
    """Stop the OSDs while their monitor lives, and wait until all placement groups serve without them.

    An OSD that stops together with its monitor is believed to be up for 24 s, and all its writers wait.
    """
    other = witness(node, cluster)
    osds = await _osds(node, other)
    running = [unit.name for unit in (await units(host, *map(_service, osds))).values() if unit.runs] if osds else []
    if not running:
        return
    if objections := await spare(node, cluster):
        raise RefusedError(node.name, f"its OSDs may not stop: {'; '.join(objections)}", advice="See `ceph -s`.")
    await host.run(["systemctl", "stop", *running], reason="they leave while the monitors hear it", timeout=GOODBYE)
    await other.until("placement groups without them", lambda: waiting(other, osds), timeout=PEERING, every=0.1)


async def restore(node: Node, host: Host, cluster: Cluster) -> None:
    """Start the OSDs, wait until they have all that they missed, and take `noout` away."""
    other = witness(node, cluster)
    osds = await _osds(node, other)
    if osds:
        seen = await units(host, *map(_service, osds))
        await together(*(start(host, {name: unit}, name) for name, unit in seen.items()))
        await other.until("its OSDs", lambda: _down(other, osds), timeout=RETURN)
        await other.until("clean placement groups", lambda: unclean(other), timeout=CATCH_UP)
    (dump,) = await ask(other, _DUMP)
    if FLAG in dump.read(host_flags).get(node.name, ()):
        await tell(other, [_group("unset", node)], reason="its OSDs are back")
    await together(*(vigil.end(one, _vigil(node)) for one in _staying(node, cluster)))


def _staying(node: Node, cluster: Cluster) -> Iterable[Host]:
    return [cluster.host(other) for other in cluster.topology.nodes if other.name != node.name]


def _vigil(node: Node) -> str:
    return f"{FLAG}-{node.name}"


def _service(osd: int) -> str:
    return f"ceph-osd@{osd}.service"


def _group(verb: str, node: Node) -> Command:
    return {"prefix": f"osd {verb}-group", "flags": FLAG, "who": [node.name]}


async def _osds(node: Node, host: Host) -> tuple[int, ...]:
    (tree,) = await ask(host, _TREE)
    return tree.read(osds_by_host).get(node.name, ())


async def _down(host: Host, osds: Iterable[int]) -> str:
    (dump,) = await ask(host, _DUMP)
    up = dump.read(up_osds)
    return ", ".join(f"osd.{osd} is down" for osd in osds if osd not in up)


async def waiting(host: Host, osds: Iterable[int]) -> str:
    """Placement groups that still count on one of these OSDs, or don't serve."""
    dump, groups = await ask(host, _DUMP, GROUPS)
    if still := sorted(dump.read(up_osds) & set(osds)):
        return ", ".join(f"osd.{osd} is up" for osd in still)
    states = groups.read(acting)
    late = [name for name, (state, acts) in states.items() if acts & set(osds) or "active" not in state.split("+")]
    return f"{len(late)} of {len(states)} not yet, {late[0]} is {states[late[0]][0]}" if late else ""


async def unclean(host: Host) -> str:
    """The states of placement groups that are not clean."""
    (groups,) = await ask(host, GROUPS)
    states = [state for state, _ in groups.read(acting).values()]
    dirty = sorted({state for state in states if not state.startswith("active+clean")})
    return ", ".join(dirty)


@parser
def osds_by_host(osd_tree: str) -> dict[str, tuple[int, ...]]:
    """Host → its OSDs, from `ceph osd tree`."""
    return {
        entry["name"]: tuple(sorted(entry["children"]))
        for entry in json.loads(osd_tree)["nodes"]
        if entry["type"] == "host"
    }


@parser
def host_flags(osd_dump: str) -> dict[str, tuple[str, ...]]:
    """Host → the flags set for its OSDs alone, from `ceph osd dump`."""
    return {name: tuple(flags) for name, flags in json.loads(osd_dump)["crush_node_flags"].items()}


@parser
def up_osds(osd_dump: str) -> frozenset[int]:
    """The OSDs that are up, from `ceph osd dump`."""
    return frozenset(osd["osd"] for osd in json.loads(osd_dump)["osds"] if osd["up"])


@parser
def acting(pg_dump: str) -> dict[str, tuple[str, frozenset[int]]]:
    """Placement group → its state and the OSDs that serve it, from `ceph pg dump pgs_brief`."""
    return {group["pgid"]: (group["state"], frozenset(group["acting"])) for group in json.loads(pg_dump)["pg_stats"]}
