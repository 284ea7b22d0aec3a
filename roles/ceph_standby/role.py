"""The other managers. Loading its modules costs each 1.5 s of CPU, which the founding has no time for."""

from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role
from meshctl.roles.ceph import MGR_DUMP, keep_running, survey
from meshctl.roles.units import units
from meshctl.topology import Node

from . import parse

_AUTH = ("ceph", "--connect-timeout", "10", "auth")


class CephStandbyRole(Role):
    """A manager on every host but the first."""

    name: ClassVar[str] = "ceph_standby"
    summary: ClassVar[str] = "a Ceph manager on every host, ready to take over"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_health"})
    poll: ClassVar[float] = 0.2

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Start the manager; the first host's runs already (ceph_mgr), unless it joined after the founding.

        Who did needs its key let in.
        """
        service = f"ceph-mgr@{node.name}.service"
        if not (await units(host, service))[service].active:
            await _admit(node, host)
        await keep_running(host, service, "ceph-mgr.target", "ceph.target")

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


async def _admit(node: Node, host: Host) -> None:
    """Let the monitors know the manager's key; keys of the founding's hosts came with it. It is never printed."""
    entity = f"mgr.{node.name}"
    if (await host.query([*_AUTH, "get", entity, "-o", "/dev/null"], ok=(0, 2))).ok:
        return
    argv = [*_AUTH, "import", "-i", f"/var/lib/ceph/mgr/ceph-{node.name}/keyring"]
    await host.run(argv, reason=f"the monitors don't know {entity}")
