"""The order of an absence follows from the layers."""

from itertools import pairwise

from meshctl.events import Kind
from meshctl.lifecycle.layers import layers
from meshctl.lifecycle.phases import Phase
from meshctl.lifecycle.plans import Absences
from meshctl.plan import Plan
from meshctl.roles.discovery import discover
from tests.roles import golden

TRIANGLE = golden.topology("triangle")
ROLES = [role(TRIANGLE) for role in discover().values()]
ABSENCES = Absences(TRIANGLE, layers(ROLES), ROLES, Phase(TRIANGLE))


def before(plan: Plan, first: str, second: str) -> bool:
    return f"{first}@node1" in plan.ancestors(f"{second}@node1")


def test_instances_leave_first_and_routes_last() -> None:
    plan = ABSENCES.rebooting(TRIANGLE.nodes[0])
    order = ["survives", "ceph_osd.expect", "incus.drain", "ceph_osd.drain", "ceph_mgr.drain", "ceph_mon.drain"]
    order += ["frr.drain", "reboot", "frr.restore", "ceph_mon.restore", "ceph_mgr.restore", "ceph_osd.restore"]
    order += ["incus.restore", "incus_network.restore", "healthy"]
    for first, second in pairwise(order):
        assert before(plan, first, second), f"{first} is not before {second}"


def test_instances_leave_before_ovn_and_come_back_after_it() -> None:
    plan = ABSENCES.rebooting(TRIANGLE.nodes[0])
    assert before(plan, "incus.drain", "ovn.drain")
    assert before(plan, "ovn.drain", "frr.drain")
    assert before(plan, "ovn.restore", "incus.restore")


def test_independent_layers_leave_at_the_same_time() -> None:
    plan = ABSENCES.rebooting(TRIANGLE.nodes[0])
    assert not before(plan, "ovn.drain", "ceph_mon.drain")
    assert not before(plan, "ceph_mon.drain", "ovn.drain")


def test_an_evacuation_sets_no_flag_that_would_outlive_it() -> None:
    ids = ABSENCES.evacuation(TRIANGLE.nodes[1]).steps
    assert "ceph_osd.expect@node2" not in ids
    assert "ceph_osd.drain@node2" in ids
    assert "reboot@node2" not in ids


def test_leftovers_are_undone_on_all_hosts_at_once() -> None:
    plan = ABSENCES.leftovers()
    (gate,) = [step for step in plan.order() if step.kind is Kind.VERIFY]
    assert set(gate.needs) == {f"leftovers@node{n}" for n in (1, 2, 3)}
    assert all(not step.needs for step in plan.order() if step is not gate)
