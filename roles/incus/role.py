"""One Incus cluster of all hosts, over their loopbacks, with a storage pool on each host's own disk."""

import asyncio
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.base import Problem, Role, Rollout
from meshctl.roles.incusapi import Thing, Wanted
from meshctl.roles.together import together
from meshctl.topology import Node, Topology

from . import census, joining, judge
from .census import Census, State


class IncusRole(Role):
    """Founds the cluster on the first host; the others join one after the other."""

    name: ClassVar[str] = "incus"
    summary: ClassVar[str] = "Incus cluster over the loopbacks; every member sees every other online"
    needs: ClassVar[frozenset[str]] = frozenset({"frr", "ceph_config"})
    """ceph_config: a host that joins a cluster with a pool on Ceph needs the keyring."""
    rollout: ClassVar[Rollout] = Rollout.ONE_BY_ONE
    poll: ClassVar[float] = 0.4
    patience: ClassVar[float] = joining.IN_FLIGHT

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._seed: str | None = None
        self._census = Census(None, {}, {})

    async def prepare(self, cluster: Cluster) -> None:
        """Find out who is a member. RefusedError when a host's Incus is in use, or in another cluster."""
        self._census = await census.take(cluster)
        self._seed = self._census.seed

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Found, join, or get a host out of an interrupted join first; the seed also makes the local pool."""
        found = await self._awake(cluster)
        state = found.states[node.name]
        if units := found.disabled[node.name]:
            await _enable(host, units)
        if state is not State.MEMBER:
            await self._take_in(state, node, host, cluster, cluster.hosts[self._seed] if self._seed else None)
        self._seed = self._seed or node.name
        if self._seed == node.name:
            await self._make_pool(host, cluster)

    async def _awake(self, cluster: Cluster) -> Census:
        """The census, taken again when daemons have to be started first: all, because one alone has no quorum."""
        if not self._census.states:
            await self.prepare(cluster)
        asleep = [name for name, state in self._census.states.items() if state is State.ASLEEP]
        if asleep:
            await together(*(_enable(cluster.hosts[name], self._census.disabled[name]) for name in asleep))
            await self.prepare(cluster)
        return self._census

    async def _take_in(self, state: State, node: Node, host: Host, cluster: Cluster, seed: Host | None) -> None:
        if state is State.STRAY and seed and await joining.settle(cluster, node, seed, self.patience):
            return
        if state in {State.STRAY, State.LEFTOVER}:
            await joining.reset(node, host, seed if state is State.STRAY else None)
        if seed:
            await joining.join(self.topology, node, host, seed)
        else:
            await joining.found(self.topology, node, host)

    async def _make_pool(self, host: Host, cluster: Cluster) -> None:
        """The local pool, made while the cluster has one member if possible: those who join copy it."""
        seen, names = await asyncio.gather(
            incusapi.read(host, incusapi.POOLS, incusapi.pools),
            incusapi.read(host, incusapi.MEMBERS, incusapi.members),
        )
        thing = seen.get(self.topology.incus.local_pool)
        if thing and thing.created_on(names) and await self._half_made(host, thing):
            path = f"/1.0/storage-pools/{thing.name}"
            await incusapi.change(host, "DELETE", path, None, reason=f"{thing.name} was only half made, and is empty")
            thing = None
        if thing is None or not thing.created_on(names):
            folders = (incusapi.clear_folder(cluster.hosts[name], self.topology.incus.local_pool) for name in names)
            await together(*folders)
            await incusapi.make(host, self._wanted(list(names)), thing)

    async def _half_made(self, host: Host, pool: Thing) -> bool:
        """Incus calls a pool of a cluster of one Created before it makes it; after a loss of power that stays so."""
        return not pool.used_by and await incusapi.pool_here(host, pool.name) != judge.CREATED

    def _wanted(self, names: list[str]) -> Wanted:
        return Wanted("storage-pools", self.topology.incus.local_pool, "dir", {}, {name: {} for name in names})

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """All members online in every member's view, at their addresses, with three voters; the local pool on all."""
        views, pools = await asyncio.gather(
            cluster.each(lambda _node, host: incusapi.read(host, incusapi.MEMBERS, incusapi.members)),
            incusapi.read(cluster.leader, incusapi.POOLS, incusapi.pools),
        )
        local: Thing | None = pools.get(self.topology.incus.local_pool)
        problems = judge.members(self.topology, views) + judge.pool(self.topology, cluster.leader.name, local)
        if problems:
            return problems
        name = self.topology.incus.local_pool
        return judge.half_made(name, await cluster.each(lambda _node, host: incusapi.pool_here(host, name)))


async def _enable(host: Host, units: tuple[str, ...]) -> None:
    await host.run(["systemctl", "enable", "--now", *units], reason=f"not running, or not at boot: {', '.join(units)}")
