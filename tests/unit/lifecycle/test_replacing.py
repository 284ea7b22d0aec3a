"""Replacing a host: the order of forgetting, what waits for Ceph's copies, and that a living host is left alone."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from meshctl.errors import RefusedError
from meshctl.host.fake import FakeHost
from meshctl.lifecycle.replacing import Gone, claims, forgetting, rebuilding
from meshctl.plan import bootstrap_plan
from meshctl.roles.discovery import discover
from tests.roles import golden
from tests.roles.absencehost import AbsenceHost, cluster_of
from tests.roles.departurehost import Nobody

TRIANGLE = golden.topology("triangle")
ROLES = [role(TRIANGLE) for role in discover().values()]
NODE3 = TRIANGLE.nodes[2]


def test_what_instances_need_is_whole_before_they_go_on_elsewhere() -> None:
    steps = forgetting(TRIANGLE, ROLES, NODE3).order()
    assert steps[0].id == "gone@node3"
    assert all(later.needs == (earlier.id,) for earlier, later in pairwise(steps))
    order = [step.id.removesuffix(".forget@node3") for step in steps[1:]]
    assert set(order) == {"ceph_mon", "ceph_osd", "ovn", "incus", "incus_network"}
    for first, second in (
        ("ceph_mon", "ceph_osd"),
        ("ceph_osd", "incus"),
        ("ovn", "incus"),
        ("incus", "incus_network"),
    ):
        assert order.index(first) < order.index(second)


async def test_layers_that_have_just_lost_a_leader_are_asked_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def status(_command: dict[str, Any]) -> Any:
        asked.append("quorum_status")
        if len(asked) < 3:
            return "no quorum yet"  # a refusal
        return {"monmap": {"mons": [{"name": name} for name in ("node1", "node2", "node3")]}, "quorum_names": []}

    staying = [AbsenceHost(name=name, ceph={"quorum_status": status}) for name in ("node1", "node2")]
    mesh = cluster_of(TRIANGLE, [*staying, Nobody(name="node3")], tmp_path)
    found = await claims([role for role in ROLES if role.name == "ceph_mon"], NODE3, mesh)
    assert (found, len(asked)) == ({"ceph_mon": ["monitor node3 of Ceph"]}, 3)


def test_whoever_needs_osds_waits_for_their_copies() -> None:
    plan, plain = rebuilding(TRIANGLE, ROLES, NODE3), bootstrap_plan(TRIANGLE, ROLES)
    assert plan.steps.keys() - plain.steps.keys() == {"ceph_osd.refill@node3"}
    assert {"ceph_osd.verify", "ceph_mgr.verify"} == set(plan.steps["ceph_osd.refill@node3"].needs)
    assert "ceph_osd.refill@node3" in plan.ancestors("ceph_health.verify")
    assert "ceph_osd.refill@node3" not in plan.ancestors("ceph_pool.verify")


def hosts(place: FakeHost, *, answers: bool) -> list[FakeHost]:
    return [*(FakeHost(name=n).on("ping *", status=0 if answers else 1) for n in ("node1", "node2")), place]


def machine(*addresses: str) -> FakeHost:
    lines = "".join(f"1: lo    inet {address} scope global lo\\\n" for address in addresses)
    return FakeHost(name="node3").on("ip -o -4 address show", lines)


@pytest.mark.parametrize("place", [machine("127.0.0.1/8"), Nobody(name="node3")])
async def test_a_host_that_answers_on_the_mesh_is_not_gone(place: FakeHost, tmp_path: Path) -> None:
    mesh = cluster_of(TRIANGLE, hosts(place, answers=True), tmp_path)
    with pytest.raises(RefusedError, match=r"10\.50\.1\.3 answers node1, node2 on the mesh"):
        await Gone(TRIANGLE).apply(NODE3, place, mesh)
    await Gone(TRIANGLE).apply(NODE3, place, cluster_of(TRIANGLE, hosts(place, answers=False), tmp_path))


async def test_its_successor_may_answer(tmp_path: Path) -> None:
    place = machine("127.0.0.1/8", "10.50.1.3/32")
    await Gone(TRIANGLE).apply(NODE3, place, cluster_of(TRIANGLE, hosts(place, answers=True), tmp_path))
