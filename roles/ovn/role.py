"""OVN: two clustered databases and northd on every host, all over TLS, and every host a chassis."""

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Files, Host, text
from meshctl.roles.base import Problem, Role
from meshctl.roles.templates import environment
from meshctl.roles.together import together
from meshctl.topology import Node, Topology

from . import central, chassis, gate
from .databases import NORTHD, central_options, databases
from .founding import founders
from .judge import door_problem, judge, unknown_chassis
from .parse import Store

DROP_IN = f"/etc/systemd/system/{NORTHD}.d/meshctl.conf"
"""Written before anything else of OVN: a host without it has an OVN that meshctl did not make, or none."""


class Ovn(Role):
    """OVN's databases, northd, and ovn-controller."""

    name: ClassVar[str] = "ovn"
    summary: ClassVar[str] = "OVN's clustered databases over TLS, and every host a chassis"
    needs: ClassVar[frozenset[str]] = frozenset({"frr", "pki"})
    poll: ClassVar[float] = 0.1

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        first = topology.nodes[0].name
        self._founders = {database.letter: first for database in databases(topology)}
        self._stores: Mapping[str, Mapping[str, Store]] = {}

    def render(self, node: Node) -> Files:
        """ovn-ctl's options, the change to northd's unit, and the chassis id."""
        env = environment(__package__)
        options = central_options(self.topology, node)
        return {
            "/etc/default/ovn-central": text(env.get_template("ovn-central.j2").render(options=options)),
            DROP_IN: text(env.get_template("northd.conf.j2").render()),
            # Not only in the database: at boot, ovs-ctl sets the database's system-id from this file.
            "/etc/openvswitch/system-id.conf": text(f"{node.name}\n"),
        }

    async def prepare(self, cluster: Cluster) -> None:
        """Find out which clusters exist, and who founds those that don't.

        Raises RefusedError when a database belongs to another cluster, or holds data that would be lost.
        """
        self._stores = await cluster.each(lambda _node, host: central.look_at_stores(host, self.topology))
        self._founders = founders(self.topology, self._stores)

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Databases first, both at once; then northd and the controller: too early they fail and wait for seconds."""
        stores = self._stores.get(node.name) or await central.look_at_stores(host, self.topology)
        seen, switch = await asyncio.gather(central.look(host, self.topology, stores), chassis.look(host))
        written = await host.put(self.render(node))
        if seen.asleep:
            await host.run(["systemctl", "enable", *seen.asleep], reason="OVN would not start at boot")
        own = central.Central(host, node, self.topology)
        await together(
            own.ready_northd(seen.northd, rewritten=DROP_IN in written),
            *(
                own.converge(database, seen.servers[database.letter], cluster.hosts[self._founders[database.letter]])
                for database in databases(self.topology)
            ),
        )
        await together(
            own.start_northd(seen.northd),
            chassis.converge(host, self.topology, node, switch, running=seen.controller),
        )

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """N voters and one leader twice, northd active once, every chassis registered once, and no port without TLS."""
        looks, registered = await asyncio.gather(
            cluster.each(lambda _node, host: gate.look(host, self.topology)),
            gate.registered(cluster.leader, self.topology),
        )
        problems = list(judge(self.topology, looks, registered))
        if registered is None:
            problems.append(unknown_chassis(cluster.leader.name))
        if problems:
            return problems
        doors = await cluster.each(lambda node, host: gate.bad_doors(host, node, self.topology))
        return [door_problem(node, *line.split()) for node in self.topology.nodes for line in doors[node.name]]
