"""A machine in the place of one that is gone for good: first nobody counts the old one, then bootstrap as always."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.events import Kind, Step
from meshctl.host.base import Host
from meshctl.host.wait import until
from meshctl.lifecycle.layers import bottom_up
from meshctl.lifecycle.phases import Phase
from meshctl.plan import Plan, bootstrap_plan
from meshctl.roles.base import Role
from meshctl.roles.departure import DYING, answer, patiently
from meshctl.topology import Node, Topology

GONE = "gone"

_ADDRESSES = ("ip", "-o", "-4", "address", "show")


class Gone(Phase):
    """Refuses when somebody lives on the mesh under the node's address who isn't the machine in its place."""

    name: ClassVar[str] = GONE

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Raises RefusedError."""
        here = await answer(host, _ADDRESSES)
        if here and f" {node.loopback}/" in here.stdout:
            return
        others = [other for other in cluster.topology.nodes if other.name != node.name]
        ping = ["ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "1", str(node.loopback)]
        heard = await asyncio.gather(*(cluster.host(other).query(ping, ok=None) for other in others))
        if hearers := [other.name for other, result in zip(others, heard, strict=True) if result.ok]:
            raise RefusedError(
                node.name,
                f"{node.loopback} answers {', '.join(hearers)} on the mesh, but is not an address of the machine at "
                f"{node.management}: the old host is alive",
                advice="Switch it off first. To take out a host that lives: meshctl remove.",
            )


class Forget(Phase):
    """One layer counts the old machine no more."""

    def __init__(self, topology: Topology, departure: ModuleType) -> None:
        super().__init__(topology)
        self._departure = departure

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let the layer do it."""
        await self._departure.forget(node, host, cluster)


class Refill(Phase):
    """One layer makes anew what was lost with the old machine."""

    def __init__(self, topology: Topology, departure: ModuleType) -> None:
        super().__init__(topology)
        self._departure = departure

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let the layer do it."""
        await self._departure.refill(node, host, cluster)


def forgetting(topology: Topology, roles: Sequence[Role], node: Node) -> Plan:
    """One layer after the other, each after all it works on: what goes on elsewhere needs the layers below whole."""
    steps = [Step(f"{GONE}@{node.name}", GONE, Kind.APPLY, node.name)]
    phases: dict[str, Role] = {GONE: Gone(topology)}
    for role, departure in able(roles, "forget"):
        name = f"forget {role.name}"
        steps.append(Step(f"{role.name}.forget@{node.name}", name, Kind.APPLY, node.name, (steps[-1].id,)))
        phases[name] = Forget(topology, departure)
    return Plan(steps, phases)


def rebuilding(topology: Topology, roles: Sequence[Role], node: Node) -> Plan:
    """A whole bootstrap in which layers that hold data are whole again before anything that needs them goes on."""
    plan = bootstrap_plan(topology, roles)
    steps, phases = dict(plan.steps), dict(plan.roles)
    for role, departure in able(roles, "refill"):
        below = sorted({role.name, *getattr(departure, "USES", frozenset())})
        name = f"refill {role.name}"
        refill = Step(
            f"{role.name}.refill@{node.name}", name, Kind.APPLY, node.name, tuple(f"{one}.verify" for one in below)
        )
        for step in plan.steps.values():
            if f"{role.name}.verify" in step.needs:
                steps[step.id] = replace(step, needs=(*step.needs, refill.id))
        steps[refill.id] = refill
        phases[name] = Refill(topology, departure)
    return Plan(steps.values(), phases)


async def claims(roles: Sequence[Role], node: Node, cluster: Cluster) -> Mapping[str, list[str]]:
    """By layer, in an owner's words, what the cluster counts as the node's and the machine in its place lacks.

    Asked again while nobody answers: whoever led may just have died. Raises WaitError when that doesn't end.
    """
    asked = able(roles, "claims")
    found: dict[str, list[str]] = {}

    async def one(role: Role, departure: ModuleType) -> None:
        async def look() -> str:
            found[role.name] = await departure.claims(node, cluster.host(node), cluster)
            return ""

        await until(f"an answer about {role.name}", patiently(look), timeout=DYING)

    await asyncio.gather(*(one(role, departure) for role, departure in asked))
    return {role.name: found[role.name] for role, _ in asked if found[role.name]}


def able(roles: Sequence[Role], ability: str) -> list[tuple[Role, ModuleType]]:
    """The roles whose departure can do that, each after all it works on."""
    return [(role, module) for role, module in bottom_up(roles, "departure") if module and hasattr(module, ability)]
