"""Founding the cluster, joining it, and getting a host out of a join that was interrupted."""

import json
from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError, WaitError
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.incusapi import Member
from meshctl.topology import Node, Topology

from . import parse
from .parse import Key

INIT = ("incus", "admin", "init", "--preseed")
JOIN = 120.0
"""Seconds. Takes 1 to 5; Incus itself gives up after a minute."""

IN_FLIGHT = 20.0
"""Seconds that a join which another run began may still need."""

VOTERS = 3
"""Copies of the database; cluster.max_voters has this default."""

_HERE = Path(__file__).parent
_EVIDENCE = (_HERE / "evidence.sh").read_text()
_RESET = (_HERE / "reset.sh").read_text()


def address(topology: Topology, node: Node) -> str:
    """Where a member answers, for clients and for the other members."""
    return f"{node.loopback}:{topology.incus.port}"


def voters(count: int) -> int:
    """How many members vote: Incus keeps one until there can be three, because two tolerate no more loss than one."""
    return VOTERS if count >= VOTERS else 1


def founding(topology: Topology, node: Node) -> bytes:
    """The preseed of the first member. JSON is YAML, and quotes whatever needs it (IPv6 addresses do).

    No pools or networks: a preseed with them can't be run twice. And never cluster.offline_threshold: set before
    there is a cluster it makes every later change of the configuration fail.
    """
    preseed = {
        "config": {"core.https_address": address(topology, node)},
        "cluster": {"enabled": True, "server_name": node.name},
    }
    return json.dumps(preseed).encode()


def joining(topology: Topology, node: Node, token: str, keys: tuple[Key, ...]) -> bytes:
    """The preseed of a further member; `keys` are the settings each member has its own value of."""
    preseed = {
        "cluster": {
            "enabled": True,
            "server_name": node.name,
            "server_address": address(topology, node),
            "cluster_token": token,
            "member_config": [
                {"entity": key.entity, "name": key.name, "key": key.key, "value": own_value(topology, node, key)}
                for key in keys
            ],
        }
    }
    return json.dumps(preseed).encode()


def own_value(topology: Topology, node: Node, key: Key) -> str:
    """What a member states for one of the pools and networks that exist when it joins.

    Raises RefusedError for those that meshctl did not make: their value on the new host is anybody's guess.
    """
    incus = topology.incus
    known = {
        Key("storage-pool", incus.local_pool, "source"): "",
        Key("storage-pool", incus.remote_pool, "source"): topology.ceph.pool,
        Key("network", incus.uplink, "parent"): node.uplink_nic or "",
    }
    if key not in known:
        raise RefusedError(
            node.name,
            f"can't join: the cluster's {key.entity} {key.name} needs a `{key.key}` of its own on this host",
            advice="meshctl did not make it. Join this host by hand: incus cluster add, then incus admin init.",
        )
    return known[key]


async def found(topology: Topology, node: Node, host: Host) -> None:
    """Make this host the first member."""
    await _drop_threshold(host)
    await host.run(INIT, stdin=founding(topology, node), reason="no host is in an Incus cluster", timeout=JOIN)
    await host.until("the first member", lambda: _not_settled(host, host, node.name), timeout=30, every=0.1)


async def join(topology: Topology, node: Node, host: Host, seed: Host) -> None:
    """Let this host join the seed's cluster. The token of an earlier, interrupted attempt becomes void."""
    await _drop_threshold(host)
    keys = await incusapi.read(seed, "/1.0/cluster", parse.member_keys)
    for key in keys:
        own_value(topology, node, key)  # refuses before anything is changed
    await forget(topology, node, seed)
    added = await seed.run(["incus", "cluster", "add", "-q", node.name], reason=f"{node.name} needs a token to join")
    preseed = joining(topology, node, added.stdout.strip(), keys)
    await host.run(INIT, stdin=preseed, reason="not in the Incus cluster", timeout=JOIN)
    await host.until("a place in the cluster", lambda: _not_settled(seed, host, node.name), timeout=30)


async def _not_settled(seed: Host, host: Host, name: str) -> str:
    """Both see the member online, and the voters are complete.

    While Incus still changes roles the next join fails ("a configuration change is already in progress").
    """
    views = [
        await incusapi.read(view, incusapi.MEMBERS, incusapi.members)
        for view in {seed.name: seed, host.name: host}.values()
    ]
    for members in views:
        own = members.get(name)
        if own is None or own.status != "Online":
            return f"{name} is {own.status if own else 'not listed'}"
        if (count := voting(members)) < (wanted := voters(len(members))):
            return f"{count} of {wanted} voters"
    return ""


def voting(members: dict[str, Member]) -> int:
    """How many members hold a copy of the database and vote."""
    return sum(1 for member in members.values() if member.roles & {"database", "database-leader"})


async def _drop_threshold(host: Host) -> None:
    """A standalone server with cluster.offline_threshold refuses every change of its configuration."""
    server = await incusapi.read(host, "/1.0", parse.server)
    if "cluster.offline_threshold" in server.config:
        argv = ["incus", "config", "unset", "cluster.offline_threshold"]
        await host.run(argv, reason="set before there is a cluster, it blocks every other setting")


async def forget(topology: Topology, node: Node, seed: Host) -> None:
    """Take an interrupted join's entry out of the database's own membership ("server address already in use")."""
    if await counted(topology, node, seed):
        # It asks, and has no flag that answers.
        argv = ["incus", "admin", "cluster", "remove-raft-node", "-q", address(topology, node)]
        await seed.run(argv, stdin=b"yes\n", reason=f"{node.name} is no member, but the database still counts it")


async def counted(topology: Topology, node: Node, seed: Host) -> bool:
    """Whether the database counts the host among its own members; after a removal it does for another moment."""
    argv = ["incus", "admin", "sql", "local", "SELECT address FROM raft_nodes"]
    return (address(topology, node),) in parse.table((await seed.query(argv)).stdout)


async def settle(cluster: Cluster, node: Node, seed: Host, seconds: float) -> bool:
    """Whether a host that is neither in nor out became a member by itself, as after a join begun by another run."""

    async def listed() -> str:
        members = await incusapi.read(seed, incusapi.MEMBERS, incusapi.members)
        return "" if node.name in members else f"{seed.name} does not list it"

    try:
        await cluster.host(node).until("the end of a join begun earlier", listed, timeout=seconds)
    except WaitError:
        return False
    return True


async def reset(node: Node, host: Host, seed: Host | None) -> None:
    """Make a host standalone again whose join was interrupted.

    Raises RefusedError unless its cluster certificate is the seed's and it has no instance, volume or backup.
    """
    found = parse.remains((await host.query(["sh", "-c", _EVIDENCE])).stdout)
    own = parse.remains((await seed.query(["sh", "-c", _EVIDENCE])).stdout) if seed else found
    if found.instances:
        raise RefusedError(
            host.name,
            f"its Incus isn't a working member of the cluster, but holds {', '.join(found.instances[:5])}",
            advice="Save what is under /var/lib/incus there; without it meshctl would start that host's Incus anew.",
        )
    if found.certificate != own.certificate:
        raise RefusedError(
            host.name,
            "its Incus does not answer and does not belong to this cluster",
            advice="`systemctl status incus` and `journalctl -u incus` on that host say why.",
        )
    await host.run(["sh", "-c", _RESET], reason=f"the join of {node.name} was interrupted half-way")
