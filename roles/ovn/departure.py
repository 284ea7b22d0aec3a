"""A host that is gone for good: no member of the databases' raft clusters any more, and no chassis."""

import asyncio
from collections.abc import Mapping, Sequence

from meshctl.cluster import Cluster
from meshctl.errors import ConnectError, ConnectionLost
from meshctl.host.base import Host
from meshctl.roles.absence import witness
from meshctl.roles.departure import DYING, patiently
from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.topology import Node, Topology

from . import central, gate, parse
from .databases import Database, databases

_REASON = "the host is gone for good"


async def claims(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """Its places in the databases' clusters, and the chassis, unless the machine in its place is that member."""
    other, topology = witness(node, cluster), cluster.topology
    stores, statuses = await asyncio.gather(
        _stores(host, topology),
        asyncio.gather(*(central.status(other, database) for database in databases(topology))),
    )
    stale = [
        f"member {node.name} of {database.schema}"
        for database, status in zip(databases(topology), statuses, strict=True)
        if status and database.raft(node) in status.servers and not _lives(stores, database, node)
    ]
    if await _registered(node, other, topology) and not _lives(stores, databases(topology)[1], node):
        stale.append(f"chassis {node.name} of OVN")
    return stale


async def forget(node: Node, host: Host, cluster: Cluster) -> None:
    """Kick the dead members, one database after the other, then remove the chassis."""
    other, topology = witness(node, cluster), cluster.topology
    stores = await _stores(host, topology)
    for database in databases(topology):
        if not _lives(stores, database, node):
            await _kick(database, node, other)
    if not _lives(stores, databases(topology)[1], node) and await _registered(node, other, topology):
        await other.run(_remove_chassis(node, cluster), reason=_REASON)


async def _kick(database: Database, node: Node, other: Host) -> None:
    """From any member: who isn't the leader passes it on. A second time it would be an error ("unknown server")."""
    address = database.raft(node)

    async def leaderless() -> str:
        status = await central.status(other, database)
        return "" if status and status.member else f"{status.status if status else 'no answer'}, no leader"

    async def listed() -> str:
        status = await central.status(other, database)
        return f"{address} is still in it" if status is None or address in status.servers else ""

    await other.until(f"a leader of {database.schema}", patiently(leaderless), timeout=DYING)
    if not await listed():
        return
    argv = ["ovs-appctl", "-t", database.control, "cluster/kick", database.schema, address]
    await other.run(argv, reason=f"{_REASON}; {database.schema} counts it")
    await other.until(f"{database.schema} without {node.name}", patiently(listed), timeout=DYING)


def _lives(stores: Mapping[str, parse.Store], database: Database, node: Node) -> bool:
    store = stores.get(database.letter)
    return store is not None and store.member and store.address == database.raft(node)


async def _stores(host: Host, topology: Topology) -> Mapping[str, parse.Store]:
    try:
        return await central.look_at_stores(host, topology)
    except (ConnectError, ConnectionLost):
        return {}


async def _registered(node: Node, other: Host, topology: Topology) -> bool:
    """Right after a death the database may have no leader yet, and says nothing of any chassis."""
    names: set[str] = set()

    async def silent() -> str:
        chassis = await gate.registered(other, topology)
        names.update(one.name for one in chassis or ())
        return "no answer" if chassis is None else ""

    await other.until("OVN's southbound database", silent, timeout=DYING)
    return node.name in names


def _remove_chassis(node: Node, cluster: Cluster) -> Sequence[str]:
    """Through all who stay, because only the leader takes changes."""
    southbound = databases(cluster.topology)[1]
    staying = [other.loopback for other in cluster.topology.nodes if other.name != node.name]
    doors = ",".join(f"ssl:{address}:{southbound.port}" for address in staying)
    tls = ("-p", KEY, "-c", CERTIFICATE, "-C", CA)
    return ["ovn-sbctl", f"--db={doors}", *tls, "--timeout=20", "--if-exists", "chassis-del", node.name]
