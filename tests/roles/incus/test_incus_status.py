"""Who is a member by whose account, and who votes."""

from dataclasses import replace

import pytest

from meshctl.roles.condition import Part, State
from meshctl.roles.incus.parse import Server
from meshctl.roles.incus.status import Daemon, Shared, judge
from meshctl.roles.incusapi import Member, Thing
from tests.roles import golden

MESH = golden.topology("triangle")
NAMES = ("node1", "node2", "node3")
RAFT = {f"10.50.1.{n}:8443": "0" for n in (1, 2, 3)}
MEMBERS = {
    name: Member(
        name,
        "Online",
        frozenset({"database", "database-leader"} if name == "node2" else {"database"}),
        f"https://10.50.1.{name[-1]}:8443",
    )
    for name in NAMES
}
DAEMONS = {name: Daemon(Server(name, True, "f", {}), RAFT) for name in NAMES}
SHARED = Shared(dict.fromkeys(NAMES, MEMBERS), {"node1": 2, "node2": 1})
OFF = Part(State.BROKEN, "host unreachable")
STUCK = Part(State.BROKEN, "no answer in time")


def diseases(daemons: dict[str, Daemon], silent: dict[str, Part], shared: Shared) -> list[tuple[str, str]]:
    return [(one.disease, one.host) for one in judge(MESH, daemons, silent, shared).findings]


def without(*names: str) -> dict[str, Daemon]:
    return {name: daemon for name, daemon in DAEMONS.items() if name not in names}


def test_a_healthy_cluster() -> None:
    found = judge(MESH, DAEMONS, {}, SHARED)
    assert (found.state, found.detail, found.findings) == (State.HEALTHY, "3 of 3 members online, 3 instances", ())
    assert found.nodes["node2"].detail == "1 instance, Incus leader"
    assert found.carries == {"node1": ("2 instances",), "node2": ("1 instance", "the leader of Incus' database")}
    (quorum,) = found.quorums
    assert quorum.alive == set(NAMES)
    assert quorum.leader == "node2"


def test_a_host_that_is_off_is_no_half_member() -> None:
    offline = {**MEMBERS, "node3": replace(MEMBERS["node3"], status="Offline")}
    shared = Shared({"node1": offline, "node2": offline})
    assert diseases(without("node3"), {"node3": OFF}, shared) == []
    assert judge(MESH, without("node3"), {"node3": OFF}, shared).quorums[0].alive == {"node1", "node2"}


@pytest.mark.parametrize(
    ("own", "counted"),
    [(DAEMONS["node3"], False), (DAEMONS["node3"], True), (replace(DAEMONS["node3"], raft={}), True), (None, False)],
)
def test_a_member_by_one_account_only(own: Daemon | None, counted: bool) -> None:  # noqa: FBT001  (a table)
    view = {name: member for name, member in MEMBERS.items() if name != "node3"}
    raft = RAFT if counted else {address: role for address, role in RAFT.items() if address != "10.50.1.3:8443"}
    daemons = {name: replace(daemon, raft=raft) for name, daemon in without("node3").items()}
    shared = Shared({"node1": view, "node2": view})
    silent = {} if own else {"node3": STUCK}
    assert diseases(daemons | ({"node3": own} if own else {}), silent, shared) == [
        ("half-joined-incus-member", "node3")
    ]


def test_a_host_that_never_joined_is_no_half_member() -> None:
    view = {name: member for name, member in MEMBERS.items() if name != "node3"}
    raft = {address: role for address, role in RAFT.items() if address != "10.50.1.3:8443"}
    daemons = {name: replace(daemon, raft=raft) for name, daemon in without("node3").items()}
    fresh = Daemon(Server("node3", False, "", {}), {})
    assert diseases({**daemons, "node3": fresh}, {}, Shared({"node1": view, "node2": view})) == []


def test_an_address_that_nobody_knows() -> None:
    daemons = {name: replace(daemon, raft={**RAFT, "10.50.1.9:8443": "0"}) for name, daemon in DAEMONS.items()}
    assert diseases(daemons, {}, SHARED) == [("half-joined-incus-member", "node1")]


def test_a_network_that_is_not_on_every_member() -> None:
    uplink = Thing(MESH.incus.uplink, "physical", "Created", frozenset({"node1", "node2"}), {})
    found = judge(MESH, DAEMONS, {}, replace(SHARED, things=(uplink,)))
    assert [(one.what, one.seen) for one in found.problems] == [
        (f"{uplink.name} is not on every member", "Created on node1, node2")
    ]
    assert found.state is State.DEGRADED
    everywhere = replace(uplink, locations=frozenset(NAMES))
    assert judge(MESH, DAEMONS, {}, replace(SHARED, things=(everywhere,))).state is State.HEALTHY


def test_evacuated() -> None:
    view = {**MEMBERS, "node2": replace(MEMBERS["node2"], status="Evacuated")}
    shared = Shared(dict.fromkeys(NAMES, view))
    assert diseases(DAEMONS, {}, shared) == [("evacuated-member", "node2")]
    found = judge(MESH, DAEMONS, {}, shared)
    assert found.state is State.DEGRADED
    assert found.quorums[0].alive == set(NAMES)


def test_without_a_leader_it_is_broken() -> None:
    found = judge(MESH, without("node2", "node3"), {"node2": OFF, "node3": OFF}, Shared({}))
    assert (found.state, found.findings) == (State.BROKEN, ())
    assert found.detail == "1 of 3 daemons answer, the database has no leader"
    assert not found.quorums[0].holds
