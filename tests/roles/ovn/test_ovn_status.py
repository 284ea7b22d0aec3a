"""Who votes, who leads, and who is registered as what."""

from dataclasses import replace

from meshctl.roles.condition import State
from meshctl.roles.ovn.status import Chassis, Look, chassis, diagnose, judge
from tests.roles.ovn.test_ovn_judge import MESH
from tests.roles.ovn.test_ovn_judge import healthy as daemons

NAMES = ("node1", "node2", "node3")
ROWS = tuple(Chassis(name, name, frozenset({f"10.50.1.{n}"}), name == "node1") for n, name in enumerate(NAMES, 1))


def healthy() -> dict[str, Look]:
    return {name: Look(look, {"ovn-encap-ip": f"10.50.1.{name[-1]}"}, ROWS) for name, look in daemons().items()}


def test_a_healthy_cluster() -> None:
    found = judge(MESH, healthy(), {})
    assert (found.state, found.findings, found.problems) == (State.HEALTHY, (), ())
    assert found.detail == "nb 3/3 voters, led by node1; sb 3/3 voters, led by node1; 3 chassis"
    assert found.nodes["node1"].detail == "nb leader, sb leader, active northd, uplink gateway"
    assert [(one.alive, one.voters, one.leader) for one in found.quorums] == [
        (frozenset(NAMES), frozenset(NAMES), "node1")
    ] * 2


def test_a_voter_that_is_no_host() -> None:
    looks = healthy()
    for name, look in looks.items():
        status = look.daemons.servers["sb"]
        assert status
        more = replace(status, servers=status.servers | {"ssl:10.50.1.3:7644"})
        looks[name] = replace(look, daemons=replace(look.daemons, servers={**look.daemons.servers, "sb": more}))
    found = judge(MESH, looks, {})
    (finding,) = found.findings
    assert (finding.disease, finding.host) == ("stale-raft-member", "node1")
    assert "cluster/kick OVN_Southbound ssl:10.50.1.3:7644" in finding.cure
    assert found.quorums[1].voters == {*NAMES, "10.50.1.3:7644"}
    assert found.quorums[1].alive == set(NAMES)


def test_a_host_under_another_name_or_end() -> None:
    old = Chassis("old-node3", "node3", frozenset({"10.50.1.3"}), gateway=False)
    looks = {name: replace(look, chassis=(*ROWS, old)) for name, look in healthy().items()}
    looks["node2"] = replace(looks["node2"], external_ids={"ovn-encap-ip": "192.168.11.5"})
    assert [(one.disease, one.host) for one in diagnose(MESH, looks)] == [
        ("wrong-encapsulation-address", "node2"),
        ("chassis-twice", "node1"),
    ]


def test_without_a_majority_it_is_broken() -> None:
    alone = healthy()["node2"]
    cut = {letter: replace(status, leader="unknown") for letter, status in alone.daemons.servers.items() if status}
    found = judge(MESH, {"node2": replace(alone, daemons=replace(alone.daemons, servers=cut))}, {})
    assert found.state is State.BROKEN
    assert found.detail.startswith("nb 0/3 voters, no leader; sb 0/3 voters, no leader")


def test_rows_of_the_database() -> None:
    text = """[{"rows": [{"_uuid": ["uuid", "a"], "name": "node1", "hostname": "node1"}]},
        {"rows": [{"type": "geneve", "ip": "10.50.1.1", "chassis_name": "node1"}]},
        {"rows": [{"chassis": ["uuid", "a"]}, {"chassis": ["set", []]}]}]"""
    assert chassis(text) == (Chassis("node1", "node1", frozenset({"10.50.1.1"}), gateway=True),)
