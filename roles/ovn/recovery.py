"""Both databases go on as clusters of one, with the data of the survivor's copy.

`ovsdb-tool cluster-to-standalone` takes the data out of the old cluster, and `create-cluster` founds a new one with it.
For those who knew the old one history begins anew: ovn-controller refuses "stale data" until it is told.
"""

from functools import partial
from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.recovery import COPIES, COPYING, Stand, Standing
from meshctl.roles.units import units
from meshctl.topology import Node

from .central import status
from .databases import CONTROLLER, NORTHD, Database, databases

SERVING = 120.0
"""Seconds for servers, northd and the controller to be back."""

_FOUND = (Path(__file__).parent / "found_anew.sh").read_text()
_CONTROLLER = ("ovn-appctl", "-T", "3", "-t", "ovn-controller")


async def standing(node: Node, host: Host, cluster: Cluster) -> Standing:
    """What the survivor's own servers say."""
    both = databases(cluster.topology)
    seen = {database: await status(host, database) for database in both}
    serving = {database: one.servers for database, one in seen.items() if one and one.member}
    if others := {one for database, servers in serving.items() for one in servers - {database.raft(node)}}:
        return Standing(Stand.HELD, f"a leader, and {', '.join(sorted(others))} as members")
    if lost := [database.schema for database in both if database not in serving]:
        return Standing(Stand.LOST, f"no leader of {' and '.join(lost)}")
    return Standing(Stand.ALONE, f"{node.name} is the only server of both databases")


async def recover(node: Node, host: Host, cluster: Cluster) -> None:
    """Found each database anew that is lost, then start northd and tell the controller."""
    lost = [database for database in databases(cluster.topology) if await _lost(node, host, database)]
    if lost:
        stop = ["systemctl", "stop", NORTHD, *(database.unit for database in lost)]
        await host.run(stop, reason="their cluster has no majority any more")
        for database in lost:
            argv = ["sh", "-c", _FOUND, "sh", database.file, database.raft(node), COPIES]
            await host.run(argv, reason=f"{database.schema} goes on with the survivor alone", timeout=COPYING)
    wanted = [*(database.unit for database in databases(cluster.topology)), NORTHD, CONTROLLER]
    seen = await units(host, *wanted)
    if stopped := [name for name in wanted if not seen[name].active]:
        await host.run(["systemctl", "start", *stopped], reason="OVN does not run here")
    for database in databases(cluster.topology):
        await host.until(database.schema, partial(_late, host, database), timeout=SERVING)
    await _reconnect(host)


async def _lost(node: Node, host: Host, database: Database) -> bool:
    seen = await status(host, database)
    return not (seen and seen.member and seen.servers == {database.raft(node)})


async def _late(host: Host, database: Database) -> str:
    seen = await status(host, database)
    return "" if seen and seen.member else seen.status if seen else "no answer"


async def _reconnect(host: Host) -> None:
    """The controller has seen newer data of the old cluster than the new one has, and would wait for it for ever."""

    async def apart() -> str:
        told = await host.query([*_CONTROLLER, "connection-status"], ok=None)
        seen = told.stdout.strip() or told.stderr.strip() or "no answer"
        if seen == "connected":
            return ""
        await host.run([*_CONTROLLER, "sb-cluster-state-reset"], reason="the database's history began anew", ok=None)
        return seen

    await host.until("ovn-controller's connection", apart, timeout=SERVING, every=1)
