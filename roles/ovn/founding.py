"""Who founds each cluster, and when founding or joining would destroy something. Pure functions."""

from collections.abc import Mapping

from meshctl.errors import RefusedError
from meshctl.topology import Topology

from .databases import Database, databases
from .parse import Store

Stores = Mapping[str, Mapping[str, Store]]
"""What lies on the disks: node name -> letter of the database -> store."""


def founders(topology: Topology, stores: Stores) -> dict[str, str]:
    """For each database the host that founds its cluster, or that the others join because it is in already.

    That is a host whose clustered data exists; else the one whose standalone northbound database has data; else the
    first. Raises RefusedError when hosts belong to different clusters, to somebody else's, or when data would be lost.
    """
    for database in databases(topology):
        _refuse_strangers(topology, database, stores)
    keeper = _keeper_of_data(topology, stores)
    return {
        database.letter: next(iter(_members(topology, database, stores)), keeper) for database in databases(topology)
    }


def _members(topology: Topology, database: Database, stores: Stores) -> list[str]:
    return [node.name for node in topology.nodes if stores[node.name][database.letter].member]


def _refuse_strangers(topology: Topology, database: Database, stores: Stores) -> None:
    clusters: dict[str, str] = {}
    for node in topology.nodes:
        store = stores[node.name][database.letter]
        if store.kind != "clustered":
            continue
        if store.address != database.raft(node):
            raise RefusedError(
                node.name,
                f"{database.file} belongs to a cluster at {store.address}; this topology has {database.raft(node)}",
                advice="Check that this is the right host. To give it to this cluster, move that file away.",
            )
        if store.cluster:
            clusters.setdefault(store.cluster, node.name)
    if len(clusters) > 1:
        where = ", ".join(f"{name}: {cluster}" for cluster, name in clusters.items())
        raise RefusedError(
            list(clusters.values())[-1],
            f"{database.schema} is in different clusters ({where})",
            advice=f"Decide which one is to live, and move {database.file} away on the hosts of the other.",
        )


def _keeper_of_data(topology: Topology, stores: Stores) -> str:
    northbound = databases(topology)[0]
    members = _members(topology, northbound, stores)
    with_data = [node.name for node in topology.nodes if stores[node.name][northbound.letter].rows]
    losers = with_data if members else with_data[1:]
    if losers:
        rival = members[0] if members else with_data[0]
        raise RefusedError(
            losers[0],
            f"{northbound.file} has logical networks of its own, which joining {rival}'s cluster would put aside",
            advice="If they aren't needed, move that file away on this host and restart ovn-ovsdb-server-nb.",
        )
    return (members or with_data or [topology.nodes[0].name])[0]
