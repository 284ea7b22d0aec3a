import pytest

from meshctl.errors import UsageError
from meshctl.events import Kind
from meshctl.plan import Limits, Plan, PlanError, bootstrap_plan, verify_plan
from meshctl.roles.base import Rollout, Scope
from meshctl.topology import Topology
from tests.unit.engine.toys import MakeRole


def test_steps_have_the_names_people_grep_for(topology: Topology, make_role: MakeRole) -> None:
    plan = bootstrap_plan(topology, [make_role("frr")(topology)])
    assert [step.id for step in plan.order()] == ["frr@node1", "frr@node2", "frr@node3", "frr.verify"]


def test_cluster_scope_has_one_step(topology: Topology, make_role: MakeRole) -> None:
    cls = make_role("pool")
    cls.scope = Scope.CLUSTER
    assert [step.id for step in bootstrap_plan(topology, [cls(topology)]).order()] == ["pool@node1", "pool.verify"]


def test_a_circle_is_named(topology: Topology, make_role: MakeRole) -> None:
    with pytest.raises(PlanError, match=r"a\.verify"):
        bootstrap_plan(topology, [make_role("a", "b")(topology), make_role("b", "a")(topology)])


def test_a_missing_role_is_named(topology: Topology, make_role: MakeRole) -> None:
    with pytest.raises(PlanError, match="role a needs nothing_like_it"):
        bootstrap_plan(topology, [make_role("a", "nothing_like_it")(topology)])


def test_verify_plan_has_gates_alone(topology: Topology, make_role: MakeRole) -> None:
    plan = verify_plan([make_role("b", "a")(topology), make_role("a")(topology)])
    assert [(step.id, step.kind, step.needs) for step in plan.order()] == [
        ("a.verify", Kind.VERIFY, ()),
        ("b.verify", Kind.VERIFY, ()),
    ]


def limited(topology: Topology, make_role: MakeRole, *, roles: str = "", nodes: str = "", **how: Rollout) -> Plan:
    """a ← b ← c, and d that needs a alone."""
    needs: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("b",), "d": ("a",)}
    made = [make_role(name, *before, **how)(topology) for name, before in needs.items()]
    return bootstrap_plan(topology, made, Limits(frozenset(roles.split()), frozenset(nodes.split())))


def test_only_applies_what_is_named_and_verifies_what_that_needs(topology: Topology, make_role: MakeRole) -> None:
    plan = limited(topology, make_role, roles="c")
    assert {step.id for step in plan.order()} == {"a.verify", "b.verify", "c@node1", "c@node2", "c@node3", "c.verify"}
    assert plan.steps["b.verify"].needs == ()
    assert set(plan.steps["c@node2"].needs) == {"a.verify", "b.verify"}
    assert set(plan.roles) == {"a", "b", "c"}


def test_a_gate_between_two_chosen_roles_is_looked_at_in_between(topology: Topology, make_role: MakeRole) -> None:
    plan = limited(topology, make_role, roles="a c")
    assert plan.steps["b.verify"].needs == ("a.verify",)
    assert plan.ancestors("c@node1") == {"a@node1", "a@node2", "a@node3", "a.verify", "b.verify"}


def test_node_limits_every_apply(topology: Topology, make_role: MakeRole) -> None:
    plan = limited(topology, make_role, nodes="node2 node3")
    assert {step.node for step in plan.order() if step.kind is Kind.APPLY} == {"node2", "node3"}
    assert {step.role for step in plan.order() if step.kind is Kind.VERIFY} == {"a", "b", "c", "d"}


@pytest.mark.parametrize(("nodes", "applied"), [("node2", []), ("node1 node2", ["pool@node1"])])
def test_what_the_cluster_shares_belongs_to_the_first_node(
    topology: Topology, make_role: MakeRole, nodes: str, applied: list[str]
) -> None:
    cls = make_role("pool")
    cls.scope = Scope.CLUSTER
    plan = bootstrap_plan(topology, [cls(topology)], Limits(nodes=frozenset(nodes.split())))
    assert [step.id for step in plan.order()] == [*applied, "pool.verify"]


def test_without_the_leader_nobody_waits_for_it(topology: Topology, make_role: MakeRole) -> None:
    plan = limited(topology, make_role, nodes="node2 node3", rollout=Rollout.LEADER_FIRST)
    assert plan.steps["a@node3"].needs == ()
    plan = limited(topology, make_role, nodes="node1 node3", rollout=Rollout.LEADER_FIRST)
    assert plan.steps["a@node3"].needs == ("a@node1",)
    plan = limited(topology, make_role, nodes="node2 node3", rollout=Rollout.ONE_BY_ONE)
    assert plan.steps["a@node3"].needs == ("a@node2",)


@pytest.mark.parametrize(
    ("limits", "says", "advice"),
    [
        ({"roles": "bb"}, "--only bb: there is no role", "Did you mean b? Known: a, b, c, d."),
        ({"nodes": "nod2"}, "--node nod2: there is no node", "Did you mean node2? Known: node1, node2, node3."),
        ({"roles": "zzz"}, "--only zzz: there is no role", "Known: a, b, c, d."),
    ],
)
def test_unknown_names_are_told_with_what_was_meant(
    topology: Topology, make_role: MakeRole, limits: dict[str, str], says: str, advice: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        limited(topology, make_role, roles=limits.get("roles", ""), nodes=limits.get("nodes", ""))
    assert caught.value.advice == advice
