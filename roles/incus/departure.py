"""A member that is gone for good: instances whose disks are in Ceph go on elsewhere, then Incus counts it no more."""

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, HostError, RefusedError, WaitError
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.absence import witness
from meshctl.roles.departure import DYING, answer, patiently
from meshctl.roles.parsing import parser, understand
from meshctl.topology import Node

from . import joining
from .absence import EVACUATION, silent

USES = frozenset({"ovn", "ceph_osd"})
"""Instances that start elsewhere need both, without their dead members."""

MOVE = 300.0
"""Seconds for an instance to be taken over, or to start. Nothing is copied."""

# Of an instance on a member that is offline the API tells the name and nothing else (seen in 6.0.4).
_SQL = Path(__file__).with_name("instances.sql").read_text()
_INSTANCES = ("incus", "admin", "sql", "global", "--format", "json", _SQL)
_STATES = "/1.0/instances?recursion=1&all-projects=true"

UNCOUNTED = 20.0
"""Seconds for Incus' database to count a removed member no more."""

_REMOTE = frozenset({"ceph", "cephfs"})
"""Drivers of pools that outlive a host."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance: where, the pools of its disks, and whether it ran when its host was last heard of."""

    name: str
    project: str
    member: str
    pools: frozenset[str]
    running: bool

    def survives(self, remote: Collection[str]) -> bool:
        """Whether all its disks are on these pools."""
        return self.pools <= frozenset(remote)

    def path(self, what: str = "", **query: str) -> str:
        """Its address in the API."""
        return f"/1.0/instances/{quote(self.name)}{what}?{urlencode({'project': self.project, **query})}"


async def claims(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """Instances that go on elsewhere, those that are lost, and the membership."""
    other = witness(node, cluster)
    if not await _stale(node, host, other):
        return []
    everywhere, remote = await _instances(other), await _remote(other)
    lost = "is lost: its disks were on the host"
    return [
        *(
            f"instance {one.name} {'goes on elsewhere' if one.survives(remote) else lost}"
            for one in everywhere
            if one.member == node.name
        ),
        f"{node.name}'s membership in Incus, with its local volumes",
    ]


async def forget(node: Node, host: Host, cluster: Cluster) -> None:
    """Let instances go on elsewhere once the others have noticed, then remove the member, lost instances included."""
    other = witness(node, cluster)
    if await _stale(node, host, other):
        await _offline(node, other)
        await _save(node, other, cluster)
        argv = ["incus", "cluster", "remove", node.name, "--force", "--yes"]
        await other.run(argv, reason=f"{node.name} is gone for good", timeout=MOVE)
    if node.name not in await incusapi.read(other, incusapi.MEMBERS, incusapi.members):
        await _uncount(node, other, cluster)


async def leave(node: Node, host: Host, cluster: Cluster) -> None:
    """Evacuate the member, and let it leave when nothing is left there. RefusedError names what stays."""
    del host
    other = witness(node, cluster)
    await other.until("Incus' database", lambda: silent(other), timeout=DYING)
    seen = (await incusapi.read(other, incusapi.MEMBERS, incusapi.members)).get(node.name)
    if seen is None:
        return
    if seen.status == "Online":
        argv = ["incus", "cluster", "evacuate", "-q", "--force", node.name]
        await other.run(argv, reason="its instances move to other hosts", timeout=EVACUATION)
    if staying := [f"{one.name} ({one.project})" for one in await _instances(other) if one.member == node.name]:
        raise RefusedError(
            node.name,
            f"instances stay there: {', '.join(staying)}",
            advice="Their `cluster.evacuate` says so, or they can't move. Move or delete them, then run it again; "
            "`meshctl restore` undoes the evacuation.",
        )
    argv = ["incus", "cluster", "remove", "-q", node.name]
    await other.run(argv, reason=f"{node.name} leaves for good", timeout=MOVE)


_MOVE_BODY = {"migration": True, "live": False}
_START_BODY = {"action": "start", "timeout": 60}


async def _uncount(node: Node, other: Host, cluster: Cluster) -> None:
    """Incus lets its database forget a removed member by itself, a moment later; else that is done here."""

    async def counted() -> str:
        return "it is counted" if await joining.counted(cluster.topology, node, other) else ""

    with suppress(WaitError):
        await other.until("Incus' database without it", counted, timeout=UNCOUNTED)
        return
    await joining.forget(cluster.topology, node, other)


async def _save(node: Node, other: Host, cluster: Cluster) -> None:
    """Take over what is on Ceph, and start what ran: Incus notes that, also for the run after a killed one."""
    everywhere, remote = await _instances(other), await _remote(other)
    saved = [one for one in everywhere if one.member == node.name and one.survives(remote)]
    targets = await _online(other) if saved else []
    if saved and not targets:
        raise HostError(other.name, "no member of Incus is online to take instances over", advice="incus cluster list")
    for one, target in zip(saved, cycle(targets), strict=False):
        await _post(other, "POST", one.path(target=target), _MOVE_BODY, f"{node.name} is gone, its disks are not")
    ran = {(one.project, one.name) for one in everywhere if one.running and one.survives(remote)}
    states = await incusapi.read(other, _STATES, statuses)
    for one in await _instances(other):
        if states.get((one.project, one.name)) == "Stopped" and (one.project, one.name) in ran:
            await _start(one, other, cluster)


async def _start(one: Instance, other: Host, cluster: Cluster) -> None:
    """One that doesn't start is a matter of its own: the others and the member go on."""
    try:
        await _post(other, "PUT", one.path("/state"), _START_BODY, "it ran when its host was lost")
    except CommandError as error:
        cluster.note(f"instance {one.name} ({one.project}) is on {one.member} now, and does not start: {error.message}")


async def _post(host: Host, method: str, path: str, body: Mapping[str, object], reason: str) -> None:
    argv = ["incus", "query", "--wait", "-X", method, "-d", json.dumps(body), path]
    await host.run(argv, reason=reason, timeout=MOVE)


async def _stale(node: Node, host: Host, other: Host) -> bool:
    """Whether a member is listed that the machine in its place isn't."""
    await other.until("Incus' database", lambda: silent(other), timeout=DYING)
    if node.name not in await incusapi.read(other, incusapi.MEMBERS, incusapi.members):
        return False
    found = await answer(host, ["test", "-e", "/var/lib/incus/cluster.crt"])
    return found is None or not found.ok


async def _offline(node: Node, other: Host) -> None:
    async def alive() -> str:
        seen = await incusapi.read(other, incusapi.MEMBERS, incusapi.members)
        return "" if node.name not in seen or seen[node.name].status == "Offline" else seen[node.name].status

    try:
        await other.until(f"{node.name} being offline in Incus", patiently(alive), timeout=DYING)
    except WaitError as error:
        raise RefusedError(
            node.name,
            f"its Incus is {error.seen}, but is not the one of the machine at {node.management}",
            advice="Switch the old host off first. To take out a host that lives: meshctl remove.",
        ) from None


async def _online(other: Host) -> list[str]:
    """Who can take instances over. Raises WaitError when nobody can: what isn't saved is lost with the member."""
    names: list[str] = []

    async def nobody() -> str:
        seen = await incusapi.read(other, incusapi.MEMBERS, incusapi.members)
        names[:] = [name for name, member in seen.items() if member.status == "Online"]
        return "" if names else ", ".join(f"{name} is {member.status}" for name, member in seen.items())

    await other.until("a member of Incus that is Online and takes instances over", nobody, timeout=DYING)
    return names


async def _instances(other: Host) -> tuple[Instance, ...]:
    told = await other.query(_INSTANCES, timeout=incusapi.READ)
    return understand(other.name, _INSTANCES, instances, told.stdout)


async def _remote(other: Host) -> frozenset[str]:
    pools = await incusapi.read(other, incusapi.POOLS, incusapi.pools)
    return frozenset(name for name, pool in pools.items() if pool.kind in _REMOTE)


@parser
def instances(output: str) -> tuple[Instance, ...]:
    """The answer to `instances.sql`."""
    rows: list[tuple[str, ...]] = json.loads(output)["rows"] or []
    return tuple(
        Instance(name, project, member, frozenset(pools.split(",")) - {""}, power == "RUNNING")
        for name, project, member, power, pools in rows
    )


@parser
def statuses(data: Any) -> dict[tuple[str, str], str]:
    """`/1.0/instances?recursion=1`: (project, name) → status."""
    return {(str(one["project"]), str(one["name"])): str(one["status"]) for one in data}
