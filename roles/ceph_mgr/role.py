"""Managers on all hosts."""

from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role
from meshctl.roles.ceph import ask, keep_running
from meshctl.topology import Node

from . import parse


class CephMgrRole(Role):
    """One manager per host."""

    name: ClassVar[str] = "ceph_mgr"
    summary: ClassVar[str] = "a Ceph manager on every host, one of them active"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_mon"})
    poll: ClassVar[float] = 0.3

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Start the manager."""
        await keep_running(host, f"ceph-mgr@{node.name}.service", "ceph-mgr.target", "ceph.target")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """One manager is active with all its modules, every other one stands by."""
        leader = cluster.leader
        dump, health = await ask(leader, {"prefix": "mgr dump"}, {"prefix": "health"})
        mgrs = parse.mgr_map(dump.output)
        if not mgrs.available:
            seen = f"{mgrs.active} is loading its modules" if mgrs.active else "none"
            return [Problem(leader.name, "no manager is active", "an active manager", seen, "ceph mgr stat")]
        problems = [
            Problem(
                node.name, "the manager does not stand by", "active or standby", "neither", "ceph node ls mgr",
                f"systemctl status ceph-mgr@{node.name}; journalctl -u ceph-mgr@{node.name}",
            )
            for node in self.topology.nodes
            if node.name not in mgrs.standbys | {mgrs.active}
        ]  # fmt: skip
        for check, summary in parse.module_faults(health.output).items():
            advice = "ceph health detail names the modules"
            problems.append(Problem(mgrs.active, summary, "no failed module", check, "ceph health detail", advice))
        return problems
