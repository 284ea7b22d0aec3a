import pytest

from meshctl.events import Kind
from meshctl.plan import PlanError, bootstrap_plan, verify_plan
from meshctl.roles.base import Scope
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
