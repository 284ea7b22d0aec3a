"""The task graph: roles x hosts and gates, as a networkx DAG whose edges say what must have succeeded before."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from meshctl.errors import MeshctlError, UsageError
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

    def ancestors(self, step_id: str) -> set[str]:
        """All steps that must have succeeded before this one."""
        return nx.ancestors(self.graph, step_id)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a bootstrap may change: these roles, on these nodes. None named: all."""

    roles: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()

    def check(self, topology: Topology, roles: Iterable[str]) -> None:
        """Raise UsageError for a name that nothing has."""
        _known("--only", "role", self.roles, list(roles))
        _known("--node", "node", self.nodes, [node.name for node in topology.nodes])

    @property
    def narrow(self) -> bool:
        """Whether anything is left out."""
        return bool(self.roles or self.nodes)

    def has_node(self, name: str) -> bool:
        """Whether a node may be changed."""
        return not self.nodes or name in self.nodes


EVERYTHING = Limits()


def bootstrap_plan(topology: Topology, roles: Sequence[Role], limits: Limits = EVERYTHING) -> Plan:
    """Prepare, apply and verify of every role, or of those within the limits and the gates that these rely on.

    A role beyond the limits that a chosen one needs has its gate looked at before anything is changed; what needs none
    of the chosen ones is left out. Raises UsageError for limits that nothing has the name of.
    """
    _check_needs(roles)
    by_name = {role.name: role for role in roles}
    limits.check(topology, by_name)
    chosen = limits.roles or frozenset(by_name)
    needed = {name: _all_needs(name, by_name) for name in by_name}
    wanted = chosen.union(*(needed[name] for name in chosen))
    steps: list[Step] = []
    for role in (role for role in roles if role.name in wanted):
        if role.name in chosen:
            # Gates that are only looked at don't wait for each other, so each of them has to be named.
            steps += _role_steps(role, topology, limits, _gates(role.needs | (needed[role.name] - chosen)))
        else:
            steps.append(_gate(role, _gates(needed[role.name] & chosen)))
    return Plan(steps, [role for role in roles if role.name in wanted])


def verify_plan(roles: Sequence[Role]) -> Plan:
    """Every role's gate and nothing else, all at the same time: a sick layer must not hide what the others say."""
    return Plan((_gate(role, ()) for role in roles), roles)


def _check_needs(roles: Sequence[Role]) -> None:
    names = {role.name for role in roles}
    for role in roles:
        if missing := role.needs - names:
            raise PlanError(f"role {role.name} needs {', '.join(sorted(missing))}, which is not there")


def _known(option: str, thing: str, given: Iterable[str], names: Sequence[str]) -> None:
    if unknown := sorted(set(given) - set(names)):
        alike = difflib.get_close_matches(unknown[0], names, n=1)
        guess = f"Did you mean {alike[0]}? " if alike else ""
        message = f"{option} {unknown[0]}: there is no {thing} of that name"
        raise UsageError(message, advice=f"{guess}Known: {', '.join(names)}.")


def _all_needs(name: str, roles: Mapping[str, Role]) -> frozenset[str]:
    """What a role needs, and what that needs. Ends in a circle, too; Plan names it."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        new = roles[ahead.pop()].needs - found
        found |= new
        ahead += new
    return frozenset(found)


def _gates(needs: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{need}.verify" for need in sorted(needs))


def _gate(role: Role, needs: tuple[str, ...]) -> Step:
    return Step(f"{role.name}.verify", role.name, Kind.VERIFY, None, needs)


def _role_steps(role: Role, topology: Topology, limits: Limits, before: tuple[str, ...]) -> list[Step]:
    nodes = _nodes(role, topology, limits)
    steps = []
    if type(role).prepare is not Role.prepare and (nodes or type(role).apply is Role.apply):
        steps.append(Step(f"{role.name}.prepare", role.name, Kind.PREPARE, None, before))
        before = (steps[-1].id,)
    applies = _applies(role, nodes, topology.nodes[0].name, before)
    gate = _gate(role, tuple(step.id for step in applies) or before)
    return [*steps, *applies, gate]


def _nodes(role: Role, topology: Topology, limits: Limits) -> list[str]:
    """Where a role is applied. What the cluster shares is changed through the first host, so only if that may be."""
    if type(role).apply is Role.apply:
        return []
    names = [node.name for node in topology.nodes]
    return [name for name in (names[:1] if role.scope is Scope.CLUSTER else names) if limits.has_node(name)]


def _applies(role: Role, nodes: Sequence[str], leader: str, before: tuple[str, ...]) -> list[Step]:
    steps: list[Step] = []
    for name in nodes:
        needs = before
        if steps and role.rollout is Rollout.LEADER_FIRST and nodes[0] == leader:
            needs = (steps[0].id,)  # a leader beyond the limits is in place, or the others say what they miss
        elif steps and role.rollout is Rollout.ONE_BY_ONE:
            needs = (steps[-1].id,)
        steps.append(Step(f"{role.name}@{name}", role.name, Kind.APPLY, name, needs))
    return steps
