"""OSDs of a host that is gone for good, or leaves for good: off the books, with every copy they had safe elsewhere."""

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass

from meshctl.cluster import Cluster
from meshctl.errors import ConnectError, ConnectionLost, RefusedError, WaitError
from meshctl.host.base import Host
from meshctl.roles.absence import witness
from meshctl.roles.ceph import Command, ask, tell
from meshctl.roles.departure import DYING, REFILL
from meshctl.roles.parsing import parser
from meshctl.topology import Node

from . import absence, disks, parse

USES = frozenset({"ceph_mgr"})
"""It counts the placement groups."""

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
    await other.until("clean placement groups", lambda: absence.unclean(other), timeout=REFILL, every=1)


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
        await other.until(f"the death of {node.name}'s OSDs", alive, timeout=DYING)
    except WaitError as error:
        raise RefusedError(
            node.name,
            f"{error.seen}, but not on a disk of the machine at {node.management}",
            advice="Switch the old host off first. To take out a host that lives: meshctl remove.",
        ) from None


async def _not_missed(node: Node, other: Host, osds: Collection[int]) -> None:
    """The last copy of something may be there; then nothing is purged, because its disks may still be read."""
    try:
        await other.until("an active manager", lambda: _unmanaged(node, other), timeout=DYING)
        await other.until("placement groups without them", lambda: absence.waiting(other, osds), timeout=DYING)
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
def manager(mgr_stat: str) -> tuple[str, bool]:
    """The active manager and whether it answers, from `ceph mgr stat`."""
    told = json.loads(mgr_stat)
    return str(told["active_name"]), bool(told["available"])
