"""The other managers. Loading its modules costs each 1.5 s of CPU, which the founding has no time for."""

from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role
from meshctl.roles.ceph import MGR_DUMP, keep_running, survey
from meshctl.topology import Node

from . import parse


class CephStandbyRole(Role):
    """A manager on every host but the first."""

    name: ClassVar[str] = "ceph_standby"
    summary: ClassVar[str] = "a Ceph manager on every host, ready to take over"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_health"})
    poll: ClassVar[float] = 0.2

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Start the manager. The first host has one already (ceph_mgr)."""
        if node != self.topology.nodes[0]:
            await keep_running(host, f"ceph-mgr@{node.name}.service", "ceph-mgr.target", "ceph.target")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every host's manager is active or stands by."""
        (dump,) = await survey(cluster.leader, MGR_DUMP)
        there = dump.read(parse.managers)
        return [
            Problem(
                node.name, "the manager does not stand by", "active or standby", "neither", "ceph mgr dump",
                f"systemctl status ceph-mgr@{node.name}; journalctl -u ceph-mgr@{node.name}",
            )
            for node in self.topology.nodes
            if node.name not in there
        ]  # fmt: skip
