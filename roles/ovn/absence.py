"""OVN before and after an absence: the chassis signs off, northd and the databases' leaders are elsewhere.

A raft member that leaves for good (`cluster/leave`) could never come back with its data, so its server is only stopped.
No command hands leadership over: stopping a leader costs writers of that database 1.6 s (nobody else notices).
"""

from meshctl.cluster import Cluster
from meshctl.host.base import QUERY_TIMEOUT, Host
from meshctl.roles.absence import GOODBYE, witness
from meshctl.roles.units import units
from meshctl.topology import Node

from .central import status
from .databases import CONTROLLER, NORTHD, Database, databases

ELECTION = 30.0
"""Seconds for the other members to have a leader."""


async def drain(node: Node, host: Host, cluster: Cluster) -> None:
    """Sign the chassis off while its database answers, then stop northd, then one server after the other."""
    running = await _running(host, CONTROLLER, NORTHD)
    for unit, why in ((CONTROLLER, "the chassis signs off"), (NORTHD, "another northd takes over")):
        if unit in running:
            await host.run(["systemctl", "stop", unit], reason=why, timeout=GOODBYE)
    for database in databases(cluster.topology):
        await _leave(database, host, witness(node, cluster))


async def restore(node: Node, host: Host, cluster: Cluster) -> None:
    """Start what does not run, the databases first."""
    del node
    for names in ([db.unit for db in databases(cluster.topology)], [NORTHD, CONTROLLER]):
        running = await _running(host, *names)
        if stopped := [name for name in names if name not in running]:
            await host.run(["systemctl", "start", *stopped], reason="OVN does not run here", timeout=GOODBYE)


async def _leave(database: Database, host: Host, other: Host) -> None:
    if database.unit not in await _running(host, database.unit):
        return
    before = await _leader(database, other)
    mine = await status(host, database, timeout=QUERY_TIMEOUT)
    argv = ["systemctl", "stop", database.unit]
    await host.run(argv, reason=f"another server leads {database.schema}", timeout=GOODBYE)
    if mine is None or mine.role != "leader":
        return

    async def headless() -> str:
        now = await _leader(database, other)
        return "" if now not in {"unknown", before} else f"its leader is {now}"

    await other.until(f"a new leader of {database.schema}", headless, timeout=ELECTION, every=0.1)


async def _leader(database: Database, host: Host) -> str:
    seen = await status(host, database, timeout=QUERY_TIMEOUT)
    return seen.leader if seen else "unknown"


async def _running(host: Host, *names: str) -> frozenset[str]:
    return frozenset(name for name, unit in (await units(host, *names)).items() if unit.active)
