"""OSDs of a host that is gone for good, or leaves for good: off the books, with every copy they had safe elsewhere."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass

from meshctl.cluster import Cluster
from meshctl.errors import ConnectError, ConnectionLost, RefusedError, WaitError
from meshctl.host.base import Host
from meshctl.roles.absence import witness
from meshctl.roles.ceph import CONFIG_DUMP, Command, Setting, ask, tell
from meshctl.roles.departure import DYING, REFILL, patiently
from meshctl.roles.parsing import parser
from meshctl.topology import Node

from . import absence, disks, parse

USES = frozenset({"ceph_mgr"})
"""It counts the placement groups."""

NEARFULL = 0.85
"""Ceph warns beyond this share of an OSD (mon_osd_nearfull_ratio)."""

_TREE: Command = {"prefix": "osd tree"}
_DUMP: Command = {"prefix": "osd dump"}
_MGR: Command = {"prefix": "mgr stat"}


@dataclass(frozen=True, slots=True)
class Books:
    """What the cluster counts as a host's: whether CRUSH has the host, its OSDs with their uuids, its own flags."""

    host: bool
    osds: dict[int, str]
    flags: tuple[str, ...]


async def claims(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """Every OSD of the host in CRUSH that isn't on a disk of the machine in its place."""
    return [f"osd.{osd}, whose copies Ceph makes anew" for osd in await _stale(node, host, cluster)]


async def forget(node: Node, host: Host, cluster: Cluster) -> None:
    """Purge them once they are down and every placement group serves without them; then the empty host in CRUSH."""
    other = witness(node, cluster)
    if stale := await _stale(node, host, cluster):
        await _dead(node, other, stale)
        await _not_missed(node, other, stale)
        reason = f"gone for good with {node.name}"
        await tell(other, *([_purge(osd)] for osd in stale), reason=reason)
    await _tidy(node, other)


async def refill(node: Node, host: Host, cluster: Cluster) -> None:
    """Wait until every placement group is clean."""
    del host
    other = witness(node, cluster)
    await other.until("clean placement groups", patiently(lambda: absence.unclean(other)), timeout=REFILL, every=1)


async def objections(node: Node, cluster: Cluster) -> list[str]:
    """Pools that would have fewer hosts than copies, and too little room for what the host's OSDs hold."""
    other = witness(node, cluster)
    tree, dump = await ask(other, _TREE, _DUMP)
    hosts = tree.read(absence.osds_by_host)
    if not hosts.get(node.name):
        return []
    left = [name for name, osds in hosts.items() if osds and name != node.name]
    few = [
        f"pool {pool} keeps {size} copies on different hosts, and {len(left)} with OSDs would be left"
        for pool, size in dump.read(pool_sizes).items()
        if size > len(left)
    ]
    return [*few, *await _room(other, hosts[node.name])]


async def leave(node: Node, host: Host, cluster: Cluster) -> None:
    """Let Ceph move everything off the host's OSDs, which go on serving meanwhile, until they may be destroyed."""
    del host
    other = witness(node, cluster)
    osds = (await _books(node, other)).osds
    if not osds:
        return
    (dump,) = await ask(other, _DUMP)
    inside = [osd.id for osd in dump.read(parse.osds).values() if osd.in_ and osd.id in osds]
    if inside:
        out: Command = {"prefix": "osd out", "ids": [str(osd) for osd in inside]}
        await tell(other, [out], reason=f"{node.name} leaves: its data move to the others")
    await other.until(
        f"the data of {node.name} to move", patiently(lambda: _draining(other, osds)), timeout=REFILL, every=1
    )
    asked: Command = {"prefix": "osd safe-to-destroy", "ids": [str(osd) for osd in osds], "to": "mgr"}
    (told,) = await ask(other, asked, ok=None)
    if told.status:
        said = told.error.strip() or told.output
        raise RefusedError(
            node.name, f"its OSDs may not be destroyed: {said}", advice="See `ceph -s`; then run it again."
        )


async def strike(node: Node, cluster: Cluster) -> None:
    """The host's memory target in the configuration database."""
    other = witness(node, cluster)
    (config,) = await ask(other, CONFIG_DUMP)
    if node.name in config.read(parse.memory_targets):
        unset = Setting(f"osd/host:{node.name}", "osd_memory_target", "").remove
        await tell(other, [unset], reason=f"there is no {node.name} any more")


async def _draining(other: Host, osds: Collection[int]) -> str:
    (groups,) = await ask(other, absence.GROUPS)
    acting = groups.read(absence.acting)
    there = sum(1 for _, acts in acting.values() if acts & set(osds))
    return f"{there} of {len(acting)} placement groups are there" if there else await absence.unclean(other)


async def _room(other: Host, osds: Collection[int]) -> list[str]:
    (told,) = await ask(other, {"prefix": "osd df", "to": "mgr"})
    sizes = told.read(usage)
    used = sum(used for used, _ in sizes.values())
    room = sum(size for osd, (_, size) in sizes.items() if osd not in osds)
    if used <= NEARFULL * room:
        return []
    fit = f"{NEARFULL:.0%} of the other OSDs are {NEARFULL * room / 1e6:.0f}"
    return [f"its data don't fit: {used / 1e6:.0f} GB are used, {fit}"]


async def _stale(node: Node, host: Host, cluster: Cluster) -> tuple[int, ...]:
    books = await _books(node, witness(node, cluster))
    if not books.osds:
        return ()
    here = await _uuids(node, host, frozenset(cluster.wiped(node)))
    return tuple(osd for osd, uuid in books.osds.items() if uuid not in here)


async def _books(node: Node, other: Host) -> Books:
    tree, dump = await ask(other, _TREE, _DUMP)
    hosts = tree.read(absence.osds_by_host)
    uuids = {osd.id: uuid for uuid, osd in dump.read(parse.osds).items()}
    flags = dump.read(absence.host_flags).get(node.name, ())
    return Books(node.name in hosts, {osd: uuids.get(osd, "") for osd in hosts.get(node.name, ())}, flags)


async def _uuids(node: Node, host: Host, doomed: frozenset[str]) -> frozenset[str]:
    """The OSDs on the disks of the machine in the node's place; a disk that moved there keeps its OSD."""
    staying = [disk.path for disk in node.disks if disk.path not in doomed]
    try:
        looks = await asyncio.gather(*(disks.look(host, path) for path in staying))
    except (ConnectError, ConnectionLost):
        return frozenset()
    return frozenset(look.label.uuid for look in looks if look.label)


async def _dead(node: Node, other: Host, osds: Collection[int]) -> None:
    async def alive() -> str:
        (dump,) = await ask(other, _DUMP)
        up = dump.read(absence.up_osds)
        return ", ".join(f"osd.{osd} is up" for osd in osds if osd in up)

    try:
        await other.until(f"the death of {node.name}'s OSDs", patiently(alive), timeout=DYING)
    except WaitError as error:
        raise RefusedError(
            node.name,
            f"{error.seen}, but not on a disk of the machine at {node.management}",
            advice="Switch the old host off first. To take out a host that lives: meshctl remove.",
        ) from None


async def _not_missed(node: Node, other: Host, osds: Collection[int]) -> None:
    """The last copy of something may be there; then nothing is purged, because its disks may still be read."""
    try:
        await other.until("an active manager", patiently(lambda: _unmanaged(node, other)), timeout=DYING)
        await other.until(
            "placement groups without them", patiently(lambda: absence.waiting(other, osds)), timeout=DYING
        )
    except WaitError as error:
        raise RefusedError(
            node.name,
            f"Ceph does not serve all data without its OSDs: {error.seen}",
            advice="`ceph pg dump_stuck` and `ceph health detail` say what is missing. The last copy may be on the "
            "disks of the old host: put them into the new machine, and its OSDs go on there.",
        ) from None


async def _unmanaged(node: Node, other: Host) -> str:
    (told,) = await ask(other, _MGR)
    name, available = told.read(manager)
    return "" if available and name != node.name else f"{name or 'none'} is active"


async def _tidy(node: Node, other: Host) -> None:
    books = await _books(node, other)
    commands: list[Command] = []
    if books.host and not books.osds:
        if absence.FLAG in books.flags:
            commands.append({"prefix": "osd unset-group", "flags": absence.FLAG, "who": [node.name]})
        commands.append({"prefix": "osd crush rm", "name": node.name})
    if commands:
        await tell(other, *([command] for command in commands), reason=f"{node.name} has no OSD any more")


def _purge(osd: int) -> Command:
    """What `ceph osd purge` sends to the monitors after its own questions; they refuse an OSD that is up."""
    return {"prefix": "osd purge-actual", "id": osd, "yes_i_really_mean_it": True}


@parser
def pool_sizes(osd_dump: str) -> dict[str, int]:
    """Pool → its number of copies, from `ceph osd dump`."""
    return {str(pool["pool_name"]): int(pool["size"]) for pool in json.loads(osd_dump)["pools"]}


@parser
def usage(osd_df: str) -> dict[int, tuple[int, int]]:
    """OSD → kB used and kB in all, from `ceph osd df`."""
    return {int(osd["id"]): (int(osd["kb_used"]), int(osd["kb"])) for osd in json.loads(osd_df)["nodes"]}


@parser
def manager(mgr_stat: str) -> tuple[str, bool]:
    """The active manager and whether it answers, from `ceph mgr stat`."""
    told = json.loads(mgr_stat)
    return str(told["active_name"]), bool(told["available"])
