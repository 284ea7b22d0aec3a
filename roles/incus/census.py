"""Who is in the cluster already, who is free to join, and who is something else: looked at before the first change."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, CommandTimeout, HostError, RefusedError
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.incusapi import Member
from meshctl.roles.units import Unit, units
from meshctl.topology import Node, Topology

from . import parse
from .parse import Server

SERVER = "/1.0"
SOCKET = "incus.socket"
UNITS = (SOCKET, "incus-startup.service")
"""The socket starts the daemon for whoever asks, the other one at boot when there are instances or a cluster."""
_OWNED = {
    "instances": "/1.0/instances?all-projects=true",
    "storage pools": "/1.0/storage-pools",
    "images": "/1.0/images?all-projects=true",
    "projects": "/1.0/projects",
}


class State(Enum):
    """What a host is to the cluster."""

    MEMBER = "member"
    FREE = "free"
    """Its Incus is standalone and holds nothing."""
    LEFTOVER = "leftover"
    """Standalone, with what an interrupted attempt to found or join left behind."""
    ASLEEP = "asleep"
    """Its socket isn't listening, so nobody knows; as after an installation that may not start services."""
    STRAY = "stray"
    """It believes to be clustered, or doesn't answer, but the cluster doesn't list it: joining, or stuck in it."""


@dataclass(frozen=True, slots=True)
class Look:
    """One host's answers; None where there was none."""

    server: Server | None
    members: Mapping[str, Member] | None
    units: Mapping[str, Unit]

    @property
    def asleep(self) -> bool:
        """Whether nothing listens on Incus' socket."""
        return self.server is None and not self.units[SOCKET].active


@dataclass(frozen=True, slots=True)
class Census:
    """Every host's state, and the member that is asked for tokens; no seed means that there is no cluster yet."""

    seed: str | None
    states: Mapping[str, State]
    disabled: Mapping[str, tuple[str, ...]]
    """Units by host that don't run, or would not start at boot."""


async def take(cluster: Cluster) -> Census:
    """Look at all hosts. Raises RefusedError before anything of a user's would be lost."""
    looks = await cluster.each(_look)
    seed = _seed(cluster, looks)
    states: dict[str, State] = {}
    for node in cluster.topology.nodes:
        host, look = cluster.host(node), looks[node.name]
        state = _state(host, node, look, looks[seed] if seed else None)
        states[node.name] = await _free(cluster.topology, host, look) if state is State.FREE else state
    return Census(seed, states, {name: _disabled(look.units) for name, look in looks.items()})


def _disabled(seen: Mapping[str, Unit]) -> tuple[str, ...]:
    return tuple(name for name in UNITS if not (seen[name].active and seen[name].enabled))


async def _look(_node: Node, host: Host) -> Look:
    server, members, seen = await asyncio.gather(
        _answer(host, SERVER, parse.server),
        _answer(host, incusapi.MEMBERS, incusapi.members),
        units(host, *UNITS),
    )
    return Look(server, members, seen)


async def _answer(host: Host, path: str, parser: Any) -> Any:
    """None when the daemon does not answer in time, or says that this isn't possible (no cluster)."""
    try:
        return await incusapi.read(host, path, parser)
    except CommandTimeout:
        return None
    except CommandError as error:
        if error.status == 127:  # noqa: PLR2004  (no such command)
            raise
        return None


def _seed(cluster: Cluster, looks: Mapping[str, Look]) -> str | None:
    """The first member that has a working view of a cluster it belongs to."""
    for name, look in looks.items():
        if look.server and look.server.clustered and look.members and look.server.name in look.members:
            _check_members(cluster.hosts[name], cluster.topology, look.members)
            return name
    for name, look in looks.items():
        if look.server.clustered if look.server else not look.asleep:
            raise HostError(
                name,
                "Incus believes to be in a cluster, but its database has no leader" if look.server else "no answer",
                advice="`incus cluster list` and `journalctl -u incus` there; a majority of the members must be up.",
            )
    return None


def _check_members(host: Host, topology: Topology, members: Mapping[str, Member]) -> None:
    known = {node.name for node in topology.nodes}
    if foreign := sorted(members.keys() - known):
        raise RefusedError(
            host.name,
            f"is in an Incus cluster with {', '.join(foreign)}, which the topology doesn't have",
            advice="Add these hosts to the topology, or take them out with `incus cluster remove NAME`.",
        )


def _state(host: Host, node: Node, look: Look, seed: Look | None) -> State:
    listed = bool(seed and seed.members and node.name in seed.members)
    server = look.server
    if server is None:
        return State.ASLEEP if look.asleep else State.MEMBER if listed else State.STRAY
    if not server.clustered:
        if listed:
            raise RefusedError(
                host.name,
                "its Incus is new and empty, but the cluster still has a member of that name",
                advice=f"If its data is lost for good, on another member: incus cluster remove {node.name} --force",
            )
        return State.FREE
    if not (seed and seed.server and seed.server.fingerprint == server.fingerprint):
        raise RefusedError(
            host.name,
            f"is in another Incus cluster (certificate {server.fingerprint[:12]})",
            advice="meshctl does not merge clusters. Empty that Incus, or take the host out of the topology.",
        )
    if listed and server.name != node.name:
        raise RefusedError(
            host.name,
            f"is called {server.name} in its Incus cluster, not {node.name}",
            advice=f"Call the node {server.name} in the topology, or `incus cluster rename {server.name} {node.name}`.",
        )
    return State.MEMBER if listed else State.STRAY


async def _free(topology: Topology, host: Host, look: Look) -> State:
    """FREE or LEFTOVER. RefusedError when the standalone Incus holds something: joining would drop it."""
    lists = await asyncio.gather(*(incusapi.read(host, path, parse.names) for path in _OWNED.values()))
    nets, trusted, leftover = await asyncio.gather(
        incusapi.read(host, incusapi.NETWORKS, incusapi.networks),
        incusapi.read(host, "/1.0/certificates?recursion=1", parse.client_certificates),
        host.query(["test", "-e", "/var/lib/incus/cluster.crt"], ok=(0, 1)),
    )
    owned = {**dict(zip(_OWNED, lists, strict=True)), "networks": tuple(nets), "trusted clients": trusted}
    began = bool(look.server and look.server.joined_before)
    ours = {topology.incus.local_pool, topology.incus.remote_pool, topology.incus.uplink, topology.incus.network}
    copied = {"storage pools", "networks"} if began else set()  # what a join copies from the cluster before it counts
    kept = {what: [n for n in found if what not in copied or n not in ours] for what, found in owned.items()}
    if seen := "; ".join(f"{what}: {', '.join(found)}" for what, found in kept.items() if found):
        raise RefusedError(
            host.name,
            f"its Incus is in use and not in the cluster ({seen})",
            advice="Joining would drop them. Export what you need and remove them, or take the host out.",
        )
    copies = any(owned[what] for what in copied)
    return State.LEFTOVER if leftover.ok or copies else State.FREE
