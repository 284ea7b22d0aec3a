"""The pools, once; then everything must be well: all placement groups active+clean and HEALTH_OK without a warning."""

import json
from dataclasses import dataclass
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.ceph import FOUNDING_KEY, Command, Setting, ask, tell
from meshctl.topology import Node

from . import parse

MGR_POOL = ".mgr"
"""The mgr makes it itself, 2 s after the last OSD came up; made here it is ready with the others."""

PG_NUM = 32
"""The autoscaler's floor for a pool, so that it neither splits nor merges placement groups until there are data."""

_ENOENT = -2


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the cluster has."""

    pools: dict[str, parse.Pool]
    founding: tuple[Setting, ...] | None
    """Settings that only the founding needs; None when it is over."""


class CephPoolRole(Role):
    """The RBD pool."""

    name: ClassVar[str] = "ceph_pool"
    summary: ClassVar[str] = "the RBD pool; all of Ceph is HEALTH_OK"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_osd", "ceph_mgr"})
    scope: ClassVar[Scope] = Scope.CLUSTER
    poll: ClassVar[float] = 0.2

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Make the pools or mend their sizes; end the founding when all placement groups are clean."""
        seen = await _observe(host)
        rounds = self._changes(seen.pools)
        if any(rounds):
            await tell(host, *rounds, reason="the pools differ from the topology")
        if seen.founding is not None:
            await host.until("clean placement groups", lambda: _unclean(host), timeout=self.gate_timeout(), every=0.2)
            over = [setting.remove for setting in seen.founding]
            forget: Command = {"prefix": "config-key rm", "key": FOUNDING_KEY}
            await tell(host, over, [forget], reason="the founding is over")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """The pool has its size, every placement group is active+clean, and health is HEALTH_OK with no warning."""
        leader = cluster.leader
        told, dump = await ask(leader, {"prefix": "status"}, {"prefix": "osd dump"})
        status, pools = parse.status(told.output), parse.pools(dump.output)
        return [*self._judge_pool(leader, pools), *_judge_status(leader, status)]

    def _judge_pool(self, host: Host, pools: dict[str, parse.Pool]) -> list[Problem]:
        name = self.topology.ceph.pool
        wanted, seen = self._wanted(name), pools.get(name)
        if seen is None:
            return [
                Problem(host.name, f"there is no pool {name}", name, ", ".join(pools) or "none", "ceph osd lspools")
            ]
        if not any(self._changes(pools)):
            return []
        return [Problem(host.name, f"pool {name} differs", f"{wanted}", f"{seen}", f"ceph osd pool get {name} all")]

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


def _judge_status(host: Host, status: parse.Status) -> list[Problem]:
    problems = []
    if seen := status.unclean:
        what = "placement groups are not active+clean"
        problems.append(Problem(host.name, what, f"{status.pg_count} {parse.CLEAN}", seen, "ceph pg dump_stuck"))
    if status.health != "HEALTH_OK":
        seen = "; ".join(f"{name}: {summary}" for name, summary in status.checks.items()) or status.health
        problems.append(Problem(host.name, f"Ceph is {status.health}", "HEALTH_OK", seen, "ceph health detail"))
    return problems


async def _observe(host: Host) -> _Seen:
    key: Command = {"prefix": "config-key get", "key": FOUNDING_KEY}
    dump, founding = await ask(host, {"prefix": "osd dump"}, key, ok=(0, _ENOENT))
    pools = parse.pools(dump.output)
    if founding.status == _ENOENT:
        return _Seen(pools, None)
    (config,) = await ask(host, {"prefix": "config dump"})
    present = parse.present(config.output)
    left = tuple(Setting(who, name, "") for who, name in json.loads(founding.output) if (who, name) in present)
    return _Seen(pools, left)


async def _unclean(host: Host) -> str:
    (told,) = await ask(host, {"prefix": "status"})
    return parse.status(told.output).unclean
