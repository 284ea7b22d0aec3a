"""Members, voters and instances, without ever waiting for a database that has no leader."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meshctl.cluster import Cluster
from meshctl.errors import HostError
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.base import Problem
from meshctl.roles.condition import Condition, Disease, Finding, Part, Quorum, State, nobody, split, told
from meshctl.roles.incusapi import Member, Thing
from meshctl.roles.parsing import understand
from meshctl.topology import Topology

from . import judge as gate
from . import parse
from .joining import address

HALF_JOINED = Disease(
    "half-joined-incus-member", "A host is in the Incus cluster by one account and not by another: it can do nothing."
)
EVACUATED = Disease("evacuated-member", "A host is still evacuated: nothing runs there, and the others carry its load.")
DISEASES = (HALF_JOINED, EVACUATED)

NAME = "Incus' database"
RAFT = ("incus", "admin", "sql", "local", "SELECT address, role FROM raft_nodes")
COUNTS = (
    *("incus", "admin", "sql", "global"),
    "SELECT nodes.name, COUNT(*) FROM instances JOIN nodes ON nodes.id = instances.node_id GROUP BY nodes.name",
)
_VOTER = "0"
_LEADERLESS = 2.0
_ABSENT = "host unreachable"


@dataclass(frozen=True, slots=True)
class Daemon:
    """What a host's own Incus knows without the others. `raft` has the role of each address; 0 votes."""

    server: parse.Server
    raft: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shared:
    """What is in the database that all share."""

    views: Mapping[str, Mapping[str, Member]]
    instances: Mapping[str, int] = field(default_factory=dict)
    things: tuple[Thing, ...] = ()
    """Networks and storage pools."""


async def condition(cluster: Cluster) -> Condition:
    """First what answers without a leader; the shared database only when most of its voters are there."""
    looks, silent = split(await cluster.each(lambda _node, host: told(_daemon(host))))
    if not looks:
        return nobody(silent)
    shared = await _shared(cluster, looks)
    return judge(cluster.topology, looks, silent, shared)


async def _daemon(host: Host) -> Daemon:
    server, raft = await asyncio.gather(incusapi.read(host, "/1.0", parse.server), host.query(RAFT))
    return Daemon(server, understand(host.name, RAFT, parse.raft, raft.stdout))


async def _shared(cluster: Cluster, daemons: Mapping[str, Daemon]) -> Shared:
    """Without a leader all this only blocks, so it gets less time where most voters seem to be away."""
    known = [daemon.raft for daemon in daemons.values()]
    voters = [one for one, role in max(known, key=len).items() if role == _VOTER]
    here = {address(cluster.topology, node) for node in cluster.topology.nodes if node.name in daemons}
    limit = incusapi.READ if len(here.intersection(voters)) > len(voters) // 2 else _LEADERLESS
    asked = [cluster.hosts[name] for name, daemon in daemons.items() if daemon.server.clustered]
    members, counted, things = await asyncio.gather(
        asyncio.gather(*(told(incusapi.read(h, incusapi.MEMBERS, incusapi.members, timeout=limit)) for h in asked)),
        asyncio.gather(*(told(_instances(h, limit)) for h in asked)),
        asyncio.gather(*(told(_things(h, limit)) for h in asked)),
    )
    views = {host.name: view for host, view in zip(asked, members, strict=True) if not isinstance(view, HostError)}
    counts = next((one for one in counted if not isinstance(one, HostError)), {})
    return Shared(views, counts, next((one for one in things if not isinstance(one, HostError)), ()))


async def _instances(host: Host, seconds: float) -> dict[str, int]:
    return understand(host.name, COUNTS, parse.instances, (await host.query(COUNTS, timeout=seconds)).stdout)


async def _things(host: Host, seconds: float) -> tuple[Thing, ...]:
    networks, pools = await asyncio.gather(
        incusapi.read(host, incusapi.NETWORKS, incusapi.networks, timeout=seconds),
        incusapi.read(host, incusapi.POOLS, incusapi.pools, timeout=seconds),
    )
    return (*networks.values(), *pools.values())


def judge(topology: Topology, daemons: Mapping[str, Daemon], silent: Mapping[str, Part], shared: Shared) -> Condition:
    """What the answers mean. Without a leader instances run on, but nothing about them can be changed."""
    quorum = _quorum(topology, daemons, shared)
    problems = (*gate.members(topology, shared.views), *_missing(topology, shared))
    view = next(iter(shared.views.values()), {})
    online = sum(member.status == "Online" for member in view.values())
    count = sum(shared.instances.values())
    serves = bool(shared.views)
    whole = serves and not problems and not silent
    detail = (
        f"{online} of {len(topology.nodes)} members online, {count} instances"
        if serves
        else f"{len(daemons)} of {len(topology.nodes)} daemons answer, the database has no leader"
    )
    return Condition(
        State.HEALTHY if whole else State.DEGRADED if serves else State.BROKEN,
        detail,
        nodes={**{name: _part(name, view, shared, quorum) for name in daemons}, **silent},
        findings=tuple(diagnose(topology, daemons, silent, shared)),
        quorums=(quorum,),
        carries=dict(_carries(topology, shared, quorum)),
        problems=problems,
    )


def _missing(topology: Topology, shared: Shared) -> Iterator[Problem]:
    """Networks and pools of the topology that aren't on every member."""
    incus, members = topology.incus, [node.name for node in topology.nodes]
    for thing in shared.things:
        ours = thing.name in {incus.network, incus.uplink, incus.local_pool, incus.remote_pool}
        if ours and not thing.created_on(members):
            yield Problem(
                next(iter(shared.views), ""),
                f"{thing.name} is not on every member",
                f"Created on {', '.join(members)}",
                f"{thing.status} on {', '.join(sorted(thing.locations)) or 'none'}",
                f"incus network show {thing.name}; incus storage show {thing.name}",
            )


def _quorum(topology: Topology, daemons: Mapping[str, Daemon], shared: Shared) -> Quorum:
    """The voters as a member that others follow knows them; a daemon that is stuck knows only its past."""
    names = {address(topology, node): node.name for node in topology.nodes}
    trusted = [daemons[name].raft for name in shared.views] or [daemon.raft for daemon in daemons.values()]
    raft = max(trusted, key=len, default={})
    voters = {names.get(one, one) for one, role in raft.items() if role == _VOTER} or set(names.values())
    view = next(iter(shared.views.values()), {})
    alive = {name for name in daemons if name not in view or view[name].status != "Offline"}
    if view and len(alive & voters) <= len(voters) // 2:  # there is a leader, so others live that we can't reach
        alive |= {name for name, member in view.items() if member.status != "Offline"}
    leader = next((name for name, member in view.items() if "database-leader" in member.roles), None)
    return Quorum(NAME, frozenset(voters), frozenset(alive & voters), leader)


def _part(name: str, view: Mapping[str, Member], shared: Shared, quorum: Quorum) -> Part:
    member = view.get(name)
    instances = shared.instances.get(name, 0)
    said = [f"{instances} instance{'' if instances == 1 else 's'}"] if instances else []
    said += ["Incus leader"] if name == quorum.leader else []
    if member is None:
        return Part(State.DEGRADED, "not a member") if view else Part(State.BROKEN, "the database has no leader")
    if member.status != "Online":
        return Part(State.DEGRADED, ", ".join([f"Incus {member.status}", *said]))
    return Part(State.HEALTHY, ", ".join(said))


def _carries(topology: Topology, shared: Shared, quorum: Quorum) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in topology.nodes:
        count = shared.instances.get(node.name, 0)
        carried = [f"{count} instance{'' if count == 1 else 's'}"] if count else []
        carried += ["the leader of Incus' database"] if node.name == quorum.leader else []
        if carried:
            yield node.name, tuple(carried)


def diagnose(
    topology: Topology, daemons: Mapping[str, Daemon], silent: Mapping[str, Part], shared: Shared
) -> Iterator[Finding]:
    """The diseases of this layer. Only a member with a working view can tell who belongs to it."""
    view = next(iter(shared.views.values()), None)
    if view is None:
        return
    teller = next(iter(shared.views))
    for node in topology.nodes:
        own = daemons[node.name].server.clustered if node.name in daemons else silent[node.name].detail
        counted = address(topology, node) in daemons[teller].raft
        if evidence := _half(teller, own=own, listed=node.name in view, counted=counted):
            yield _half_joined(topology, node.name, evidence)
        if (member := view.get(node.name)) and member.status == "Evacuated":
            yield Finding(
                EVACUATED.name,
                node.name,
                f"{teller} lists {node.name} as Evacuated",
                f"`incus cluster restore {node.name}`, when the work on that host is done.",
                "incus cluster list",
                leftover=True,
            )
    known = {address(topology, node) for node in topology.nodes}
    for stranger in sorted(daemons[teller].raft.keys() - known):
        yield Finding(
            HALF_JOINED.name,
            teller,
            f"{NAME} counts {stranger}, which is no host of the topology",
            f"If it is gone for good, on {teller}: `incus admin cluster remove-raft-node {stranger}`",
            " ".join(RAFT),
        )


def _half(teller: str, *, own: bool | str, listed: bool, counted: bool) -> str:
    """By which accounts a host is a member and by which it isn't; "" when all agree.

    `own` is whether its own Incus is clustered, or why it doesn't say. A host that is off is no witness.
    """
    if listed and own is not False:
        return ""
    if own in {False, _ABSENT} and not (listed or counted):
        return ""
    says = {True: "its own Incus is clustered", False: "its own Incus is standalone"}
    return ", ".join(
        [
            says[own] if isinstance(own, bool) else f"its own Incus does not answer ({own})",
            f"{teller} {'lists' if listed else 'does not list'} it as a member",
            f"the database {'counts' if counted else 'does not count'} it",
        ]
    )


def _half_joined(topology: Topology, host: str, evidence: str) -> Finding:
    return Finding(
        HALF_JOINED.name,
        host,
        evidence,
        f"`meshctl bootstrap {topology.source}` resets an Incus that holds nothing and lets it join again.",
        "incus cluster list; incus query /1.0 | grep server_clustered",
    )
