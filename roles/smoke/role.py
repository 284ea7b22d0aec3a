"""The last gate: instances on every host reach each other, the uplink's gateway, and Ceph."""

from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.together import together
from meshctl.topology import Node

from . import ceph, parse
from .instances import Instances
from .plan import RECORD, digest


class SmokeRole(Role):
    """Runs the test when this run changed something below it, or when this configuration never passed it."""

    name: ClassVar[str] = "smoke"
    summary: ClassVar[str] = "an instance on every host reaches the others at full MTU, the uplink and Ceph"
    needs: ClassVar[frozenset[str]] = frozenset({"incus_storage", "incus_network"})
    scope: ClassVar[Scope] = Scope.CLUSTER

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Test, remove everything the test made, and record in Incus that this configuration passed.

        Raises WaitError naming the pairs that can't reach each other; their instances stay for a look, and the next
        run removes them. RefusedError when a user has a project of the test's name.
        """
        del node
        wanted = digest(self.topology)
        seen = await incusapi.read(host, "/1.0", parse.record)
        if seen == wanted and not cluster.changed():
            return
        if seen:  # else a test that is killed now, or fails, would count as passed, and its instances would stay
            await incusapi.change(host, "PATCH", "/1.0", {"config": {RECORD: ""}}, reason="the smoke test is repeated")
        test = Instances(self.topology, cluster)
        await test.remove_leftovers()
        await together(test.run(), ceph.check(self.topology, cluster))
        await test.remove()
        await incusapi.change(
            host, "PATCH", "/1.0", {"config": {RECORD: wanted}}, reason="the smoke test passed for this configuration"
        )

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """The test passed for this configuration; nothing is started."""
        host, wanted = cluster.leader, digest(self.topology)
        seen = await incusapi.read(host, "/1.0", parse.record)
        if seen == wanted:
            return []
        what = "the smoke test has not passed for this configuration"
        advice = "`meshctl bootstrap` runs it."
        return [Problem(host.name, what, wanted, seen or "no record", f"incus config get {RECORD}", advice, final=True)]
