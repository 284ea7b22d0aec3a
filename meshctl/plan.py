"""The task graph: roles x hosts and gates, as a networkx DAG whose edges say what must have succeeded before."""

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from meshctl.errors import MeshctlError
from meshctl.events import Kind, Step
from meshctl.roles.base import Role, Rollout, Scope
from meshctl.topology import Topology


class PlanError(MeshctlError):
    """The roles' needs can't be satisfied: a cycle, or a role that isn't there."""


class Plan:
    """Every step of a run in an order that works; steps are found by id."""

    def __init__(self, steps: Iterable[Step], roles: Sequence[Role] | Mapping[str, Role]) -> None:
        self.roles = dict(roles) if isinstance(roles, Mapping) else {role.name: role for role in roles}
        self.steps = {step.id: step for step in steps}
        self.graph: nx.DiGraph[str] = nx.DiGraph()
        self.graph.add_nodes_from(self.steps)
        self.graph.add_edges_from((need, step.id) for step in self.steps.values() for need in step.needs)
        if not nx.is_directed_acyclic_graph(self.graph):
            cycle = " → ".join(edge[0] for edge in nx.find_cycle(self.graph))
            raise PlanError(f"the roles need each other in a circle: {cycle}")

    def order(self) -> list[Step]:
        """The steps, each after all it needs; the same every time."""
        return [self.steps[step_id] for step_id in nx.lexicographical_topological_sort(self.graph)]

    def successors(self, step_id: str) -> list[str]:
        """The steps that directly need this one."""
        return list(self.graph.successors(step_id))

    def ancestors(self, step_id: str) -> set[str]:
        """All steps that must have succeeded before this one."""
        return nx.ancestors(self.graph, step_id)


def bootstrap_plan(topology: Topology, roles: Sequence[Role]) -> Plan:
    """Everything: prepare, apply and verify of every role."""
    _check_needs(roles)
    return Plan((step for role in roles for step in _role_steps(role, topology)), roles)


def verify_plan(roles: Sequence[Role]) -> Plan:
    """Every role's gate and nothing else, all at the same time: a sick layer must not hide what the others say."""
    return Plan((_gate(role, ()) for role in roles), roles)


def _check_needs(roles: Sequence[Role]) -> None:
    names = {role.name for role in roles}
    for role in roles:
        if missing := role.needs - names:
            raise PlanError(f"role {role.name} needs {', '.join(sorted(missing))}, which is not there")


def _gates(role: Role) -> tuple[str, ...]:
    return tuple(f"{need}.verify" for need in sorted(role.needs))


def _gate(role: Role, needs: tuple[str, ...]) -> Step:
    return Step(f"{role.name}.verify", role.name, Kind.VERIFY, None, needs)


def _role_steps(role: Role, topology: Topology) -> list[Step]:
    steps = []
    before = _gates(role)
    if type(role).prepare is not Role.prepare:
        steps.append(Step(f"{role.name}.prepare", role.name, Kind.PREPARE, None, before))
        before = (steps[-1].id,)
    applies = _applies(role, topology, before)
    gate = _gate(role, tuple(step.id for step in applies) or before)
    return [*steps, *applies, gate]


def _applies(role: Role, topology: Topology, before: tuple[str, ...]) -> list[Step]:
    if type(role).apply is Role.apply:
        return []
    names = [node.name for node in topology.nodes]
    if role.scope is Scope.CLUSTER:
        names = names[:1]
    steps: list[Step] = []
    for name in names:
        needs = before
        if steps and role.rollout is Rollout.LEADER_FIRST:
            needs = (steps[0].id,)
        elif steps and role.rollout is Rollout.ONE_BY_ONE:
            needs = (steps[-1].id,)
        steps.append(Step(f"{role.name}@{name}", role.name, Kind.APPLY, name, needs))
    return steps
