"""The pools, made as soon as there is a quorum: their placement groups come up together with the OSDs."""

from dataclasses import replace
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.ceph import MIN_SIZE_NOTE, OSD_DUMP, Command, survey, tell
from meshctl.topology import Node

from . import parse

_ENOENT = -2

MGR_POOL = ".mgr"
"""The mgr makes it by itself, but only 2 s after the last OSD came up, and then HEALTH_OK waits for it."""

PG_NUM = 32
"""The autoscaler's floor for a pool, so that it neither splits nor merges placement groups until there are data."""


class CephPoolRole(Role):
    """The RBD pool."""

    name: ClassVar[str] = "ceph_pool"
    summary: ClassVar[str] = "the RBD pool, with as many copies as the topology says"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_mon"})
    scope: ClassVar[Scope] = Scope.CLUSTER
    poll: ClassVar[float] = 0.1

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Make the pools, or mend their sizes and applications."""
        rounds = self._changes(await _pools(host))
        if any(rounds):
            await tell(host, *rounds, reason="the pools differ from the topology")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """The pool is there, with its sizes and its application; that it works is for ceph_health."""
        leader, name = cluster.leader, self.topology.ceph.pool
        pools = await _pools(leader)
        wanted, seen = self._wanted(name), pools.get(name)
        if seen is None:
            what, found, advice = f"there is no pool {name}", ", ".join(pools) or "none", "Run bootstrap: it makes it."
            return [Problem(leader.name, what, name, found, "ceph osd lspools", advice)]
        if _resizing(name, seen, wanted) or wanted.applications - seen.applications:
            what = f"pool {name} differs"
            advice = "Run bootstrap: it sets what the topology states. Other sizes belong into ceph.replicas."
            return [Problem(leader.name, what, f"{wanted}", f"{seen}", f"ceph osd pool get {name} all", advice)]
        return []

    def _wanted(self, name: str) -> parse.Pool:
        size = self.topology.replicas
        return parse.Pool(size, size - size // 2, frozenset({"mgr" if name == MGR_POOL else "rbd"}))

    def _changes(self, pools: dict[str, parse.Pool]) -> list[list[Command]]:
        """Rounds of commands: make or resize pools, then enable applications on them."""
        sizes: list[Command] = []
        applications: list[Command] = []
        for name in (self.topology.ceph.pool, MGR_POOL):
            wanted, seen = self._wanted(name), pools.get(name)
            if seen is None:
                sizes.append(_creation(name, wanted))
            elif name != MGR_POOL:
                sizes += _resizing(name, seen, wanted)
            applications += _enabling(name, wanted.applications - (seen.applications if seen else frozenset()))
        return [sizes, applications]


def _creation(name: str, wanted: parse.Pool) -> Command:
    pool: Command = {"prefix": "osd pool create", "pool": name, "pool_type": "replicated", "size": wanted.size}
    if name == MGR_POOL:  # as MgrModule.create_mgr_pool has it
        return {**pool, "pg_num": 1, "pg_num_min": 1, "pg_num_max": PG_NUM, "yes_i_really_mean_it": True}
    return {**pool, "pg_num": PG_NUM}


def _resizing(name: str, seen: parse.Pool, wanted: parse.Pool) -> list[Command]:
    numbers = {"size": (seen.size, wanted.size), "min_size": (seen.min_size, wanted.min_size)}
    return [
        {"prefix": "osd pool set", "pool": name, "var": var, "val": str(new)}
        for var, (old, new) in numbers.items()
        if old != new
    ]


def _enabling(name: str, applications: frozenset[str]) -> list[Command]:
    """`rbd pool init` does the same and then writes an object, for which it waits until the pool is active."""
    return [
        {"prefix": "osd pool application enable", "pool": name, "app": app, "yes_i_really_mean_it": True}
        for app in sorted(applications)
    ]


async def _pools(host: Host) -> dict[str, parse.Pool]:
    """As they are; where `recover` has let them serve from fewer copies, as they will be when all is clean again."""
    dump, note = await survey(host, OSD_DUMP, MIN_SIZE_NOTE, ok=(0, _ENOENT))
    pools = dump.read(parse.pools)
    later = note.read(parse.min_sizes) if note.status == 0 else {}
    return {name: replace(pool, min_size=later.get(name, pool.min_size)) for name, pool in pools.items()}
