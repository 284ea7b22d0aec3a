"""Where the copies are, which flags are set, and what is full: from real output, changed where it has to be."""

import json
from dataclasses import replace
from pathlib import Path

from meshctl.roles.ceph_health import parse
from meshctl.roles.ceph_health.status import (
    Group,
    Look,
    Osds,
    condition,
    diagnose,
    groups,
    judge,
    osds,
    placement,
    utilization,
)
from meshctl.roles.condition import Part, PlacementGroup, State
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, cluster_of

DATA = Path(__file__).parent / "data"
MESH = golden.topology("triangle")


def data(name: str) -> str:
    return (DATA / f"{name}.json").read_text()


def healthy() -> Look:
    return Look(
        "node1",
        parse.status(data("status")),
        2**30,
        24 * 2**30,
        osds(data("osd_dump"), data("osd_tree")),
        utilization(data("osd_df")),
        groups(data("pgs")),
        "node1",
    )


async def test_a_map_in_a_form_that_nobody_here_knows_is_no_crash(tmp_path: Path) -> None:
    world = World(status=json.loads(data("status")), standbys=["node1"], refused={"pg dump": 22, "osd df": 22})
    hosts = [CephHost(name=node.name, world=world, mon={"quorum": [0]}) for node in MESH.nodes]
    found = await condition(cluster_of(MESH, hosts, tmp_path))
    assert found.state is State.BROKEN
    assert found.detail.startswith("node1: `ceph osd dump` should print")


def test_a_healthy_cluster() -> None:
    found = judge(MESH, healthy())
    assert (found.state, found.findings, found.unknown) == (State.HEALTHY, (), "")
    assert found.detail == "HEALTH_OK; 3 of 3 OSDs up, 1.0 of 24.0 GiB used"
    assert found.nodes["node1"] == Part(State.HEALTHY, "active mgr")
    assert len(found.placement) == 33
    assert {frozenset(group.hosts) for group in found.placement} == {frozenset({"node1", "node2", "node3"})}
    assert {group.min_size for group in found.placement} == {2}


def test_copies_on_osds_that_are_down_do_not_count() -> None:
    look = healthy()
    group = Group("2.1f", "stale+active+clean", (0, 1, 2147483647))
    down = replace(look, osds=replace(look.osds, up=frozenset({1, 2})), groups=(group,))
    assert placement(down) == (PlacementGroup("2.1f", ("node1",), 2),)
    assert judge(MESH, down).nodes["node3"] == Part(State.DEGRADED, "osd.0 down")


def test_a_recovering_group_has_a_copy_behind() -> None:
    states = [
        "active+clean",
        "active+undersized+degraded",
        "active+recovering+degraded",
        "active+recovery_wait+degraded",
    ]
    look = replace(healthy(), groups=tuple(Group("2.0", state, (0, 1, 2)) for state in states))
    assert [group.behind for group in placement(look)] == [False, False, True, True]


def test_flags_wherever_they_are_set() -> None:
    dump = json.loads(data("osd_dump"))
    dump["flags_set"] += ["noout"]
    dump["crush_node_flags"] = {"node2": ["noout"]}
    dump["osds"][0]["state"] += ["noin"]
    one = replace(healthy(), osds=osds(json.dumps(dump), data("osd_tree")))
    assert [finding.evidence for finding in diagnose(one)] == [
        "noout is set on the cluster",
        "noout is set on node2",
        "noin is set on osd.0",
    ]
    assert [finding.cure for finding in diagnose(one)][
        1
    ] == "If nobody is working on it: `ceph osd unset-group noout node2`"


def test_full_osds_and_skewed_clocks() -> None:
    status = replace(
        healthy().status,
        health="HEALTH_WARN",
        checks={"OSD_NEARFULL": "1 nearfull osd(s)", "MON_CLOCK_SKEW": "clock skew detected on mon.node2"},
    )
    look = replace(healthy(), status=status)
    assert [(one.disease, one.evidence) for one in diagnose(look)] == [
        ("full-osd", "OSD_NEARFULL: 1 nearfull osd(s) (osd.0 5 %, osd.1 0 %, osd.2 0 %)"),
        ("clock-skew", "Ceph's monitors say: clock skew detected on mon.node2"),
    ]
    assert judge(MESH, look).problems == ()


def test_without_a_manager_nobody_knows_where_the_copies_are() -> None:
    found = judge(MESH, replace(healthy(), groups=None, manager=""))
    assert found.unknown == "no manager says where the copies are"


def test_data_that_cannot_be_written_is_broken() -> None:
    status = replace(healthy().status, health="HEALTH_WARN", pgs={"active+clean": 32, "undersized+peered": 1})
    assert judge(MESH, replace(healthy(), status=status)).state is State.BROKEN


def test_the_osds_are_those_of_the_map() -> None:
    assert osds(data("osd_dump"), data("osd_tree")) == Osds(
        {0: "node3", 1: "node1", 2: "node2"}, frozenset({0, 1, 2}), frozenset({0, 1, 2}), {1: 2, 2: 2}, ()
    )
