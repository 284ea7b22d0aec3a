"""Taking a host out for good: data and instances first, then the host itself, then everybody's configuration.

A host that is dead can only be forgotten; one that lives hands over, is taken down layer by layer as for a planned
absence, loses what meshctl made, and is then forgotten like a dead one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.condition.gather import examine
from meshctl.condition.margin import may_fail
from meshctl.errors import HostError, RefusedError
from meshctl.events import Kind, Step
from meshctl.host.base import Host
from meshctl.lifecycle.destroying import destruction
from meshctl.lifecycle.layers import bottom_up, layers
from meshctl.lifecycle.phases import Phase
from meshctl.lifecycle.plans import Absences
from meshctl.lifecycle.replacing import able, forgetting
from meshctl.lifecycle.survival import PATIENCE
from meshctl.plan import Plan
from meshctl.roles.base import Role
from meshctl.topology import Node, Topology

MAY_LEAVE = "may leave"


class MayLeave(Phase):
    """Refuses when the others can't do without the host for ever."""

    name: ClassVar[str] = MAY_LEAVE

    def __init__(self, topology: Topology, roles: Sequence[Role], missing: Mapping[str, HostError]) -> None:
        super().__init__(topology)
        self._roles = roles
        self._missing = missing

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Raise RefusedError with every reason."""
        del host
        found = await asyncio.gather(
            *(module.objections(node, cluster) for _, module in able(self._roles, "objections"))
        )
        reasons = [reason for reasons in found for reason in reasons]
        examined = await examine(cluster, self._missing, patience=PATIENCE)
        reasons += [str(reason) for reason in may_fail(examined.facts, node.name)]
        if reasons:
            raise RefusedError(
                node.name,
                f"the others can't do without it: {'; '.join(reasons)}",
                advice="Mend what is sick first (meshctl doctor). To have fewer hosts than copies: add another host "
                "before, or state fewer copies (ceph.replicas) and bootstrap. For another machine in its place: "
                "meshctl replace.",
            )


class Leave(Phase):
    """One layer hands over what the host has."""

    def __init__(self, topology: Topology, departure: ModuleType) -> None:
        super().__init__(topology)
        self._departure = departure

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let the layer do it."""
        await self._departure.leave(node, host, cluster)


class Strike(Phase):
    """One layer forgets the name as well."""

    def __init__(self, topology: Topology, departure: ModuleType) -> None:
        super().__init__(topology)
        self._departure = departure

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let the layer do it."""
        del host
        await self._departure.strike(node, cluster)


def permission(topology: Topology, roles: Sequence[Role], node: Node, missing: Mapping[str, HostError]) -> Plan:
    """Whether it may leave."""
    step = Step(f"may-leave@{node.name}", MAY_LEAVE, Kind.APPLY, node.name)
    return Plan([step], {MAY_LEAVE: MayLeave(topology, roles, missing)})


def handover(topology: Topology, roles: Sequence[Role], node: Node) -> Plan:
    """Data and instances leave, all layers at once; the host serves meanwhile."""
    found = able(roles, "leave")
    steps = [Step(f"{role.name}.leave@{node.name}", f"leave {role.name}", Kind.APPLY, node.name) for role, _ in found]
    return Plan(steps, {f"leave {role.name}": Leave(topology, module) for role, module in found})


def takedown(topology: Topology, roles: Sequence[Role], node: Node) -> Plan:
    """The daemons stop in the order that nobody notices."""
    return Absences(topology, layers(roles), roles).evacuation(node)


def clearance(topology: Topology, roles: Sequence[Role], node: Node) -> Plan:
    """What meshctl made on the host goes. For a cluster that is this host alone (`alone`)."""
    plan = destruction(replace(topology, nodes=(node,)), roles)
    steps = [replace(step, role=f"clear {step.role}") for step in plan.order()]  # the layers' own names come later
    return Plan(steps, {f"clear {name}": phase for name, phase in plan.roles.items()})


def striking(topology: Topology, roles: Sequence[Role], node: Node) -> Plan:
    """Forget the machine, then the name."""
    before = forgetting(topology, roles, node)
    steps, phases = before.order(), dict(before.roles)
    for role, departure in able(roles, "strike"):
        name = f"strike {role.name}"
        steps.append(Step(f"{role.name}.strike@{node.name}", name, Kind.APPLY, node.name, (steps[-1].id,)))
        phases[name] = Strike(topology, departure)
    return Plan(steps, phases)


def alone(cluster: Cluster, node: Node) -> Cluster:
    """The cluster as if this were its only host."""
    return replace(cluster, topology=replace(cluster.topology, nodes=(node,)), hosts={node.name: cluster.host(node)})


async def held(roles: Sequence[Role], node: Node, cluster: Cluster) -> Mapping[str, list[str]]:
    """By role, the uppermost first, in an owner's words, what is on the host that meshctl made."""
    modules = [(role, module) for role, module in reversed(bottom_up(roles, "removal")) if module]
    found = await asyncio.gather(*(module.holdings(node, cluster.host(node), cluster) for _, module in modules))
    return {role.name: what for (role, _), what in zip(modules, found, strict=True) if what}


def serves(roles: Sequence[Role], held_by_role: Mapping[str, list[str]]) -> bool:
    """Whether anything is left on the host that has to be taken down in order."""
    return any(layer.can("drain") and layer.name in held_by_role for layer in layers(roles))
