"""The first manager. The others follow when nothing waits for them any more (ceph_standby)."""

from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.ceph import HEALTH, MGR_STAT, keep_running, survey
from meshctl.topology import Node

from . import parse


class CephMgrRole(Role):
    """A manager on the first host."""

    name: ClassVar[str] = "ceph_mgr"
    summary: ClassVar[str] = "an active Ceph manager with all its modules"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_mon"})
    scope: ClassVar[Scope] = Scope.CLUSTER
    poll: ClassVar[float] = 0.1

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Start the manager."""
        await keep_running(host, f"ceph-mgr@{node.name}.service", "ceph-mgr.target", "ceph.target")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """A manager is active, whichever it is, and none of its modules has failed."""
        leader = cluster.leader
        stat, health = await survey(leader, MGR_STAT, HEALTH)
        mgr = stat.read(parse.mgr_stat)
        if not mgr.available:
            seen = f"{mgr.active} is loading its modules" if mgr.active else "none"
            advice = f"journalctl -u ceph-mgr@{mgr.active or leader.name}"
            return [Problem(leader.name, "no manager is active", "an active manager", seen, "ceph mgr stat", advice)]
        advice = "ceph health detail names the modules, the manager's journal says why"
        return [
            Problem(mgr.active, summary, "no failed module", check, "ceph health detail", advice)
            for check, summary in health.read(parse.module_faults).items()
        ]
