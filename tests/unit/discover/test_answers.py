"""From answers to the file and back: what is read from the file is what was answered."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from meshctl.discover import answers as answering
from meshctl.discover.answers import (
    Answers,
    Uplink,
    cable,
    faults,
    next_name,
    next_node,
    topology_text,
    with_disk,
    with_node,
)
from meshctl.discover.sheet import word
from meshctl.discover.wiring import full_mesh
from meshctl.topology import load, loads, warnings, warnings_of
from meshctl.topology.positions import parse

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
THREE = Answers(
    cluster="triangle",
    nodes={f"node{i}": f"172.31.0.1{i}" for i in (1, 2, 3)},
    disks={f"node{i}": ["/dev/sdb"] for i in (1, 2, 3)},
    uplink=Uplink("eth3", "203.0.113.1/24", "203.0.113.100-203.0.113.199"),
)
HERE = Path("the answers")


def test_three_hosts_are_the_triangle() -> None:
    file = TOPOLOGIES / "triangle.yaml"
    assert faults(THREE) == []
    assert loads(topology_text(THREE), file) == load(file)


def test_five_hosts_are_wired_as_the_example() -> None:
    five = Answers(nodes={f"node{i}": f"172.31.1.1{i}" for i in range(1, 6)})
    assert [str(one) for one in loads(topology_text(five), HERE).cables] == [
        str(one) for one in load(TOPOLOGIES / "five.yaml").cables
    ]


def test_the_file_for_people() -> None:
    text = topology_text(replace(THREE, uplink=None), "2026-11-20")
    assert text.startswith("# Written by `meshctl init` on 2026-11-20. Look through it, then:\n")
    assert "  node2:\n    address: 172.31.0.12\n    disks:\n      - /dev/sdb\n" in text
    assert "# uplink:\n#   nic: eth3\n" in text
    assert len(text.splitlines()) < 40
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("number", [1, 2, 3, 4, 9, 45])
def test_default_wiring_is_a_full_mesh_that_uses_no_port_twice(number: int) -> None:
    nodes = [f"n{i}" for i in range(1, number + 1)]
    cables = full_mesh(nodes, {"eth2"})
    ends = [end for one in cables for end in one.split(" <-> ")]
    assert len(set(ends)) == len(ends) == number * (number - 1)
    assert len({frozenset(end.split(":")[0] for end in one.split(" <-> ")) for one in cables}) == len(cables)
    assert not any(end.endswith(":eth2") for end in ends)


def test_defaults_keep_away_from_what_is_there() -> None:
    near = Answers(nodes={"pve7": "10.50.1.7", "pve8": "192.168.11.8"}, uplink=Uplink("eth9", "192.168.12.1/22"))
    assert near.prefixes() == ("10.51.1.0/24", "172.16.0.0/16")
    assert faults(near) == []
    assert faults(replace(near, management_nic="eth1")) == []
    assert faults(replace(near, links="10.51.1.0/24", nodes={"a": "192.0.2.1"})) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cluster": "My Mesh"}, "cluster: String should match pattern"),
        ({"cluster": "x: {"}, "cluster: String should match pattern"),
        ({"nodes": {"a": "192.0.2"}}, "nodes.a.address: Input is not a valid IPv4 address; found '192.0.2'"),
        ({"nodes": {"a": "192.0.2.1", "b": "192.0.2.1"}}, "address 192.0.2.1 is a's already"),
        ({"nodes": {"a" + "9" * 500: "192.0.2.1"}}, "String should match pattern"),
        ({"nodes": {"a" + "9" * 5000: "192.0.2.1"}}, "while parsing a flow mapping"),
        ({"loopbacks": "10.0.0.0/24\n"}, "mesh.loopbacks: "),
        ({"loopbacks": "172.31.0.0/24"}, "172.31.0.11 lies in mesh.loopbacks 172.31.0.0/24"),
        ({"disks": {"node1": ["/etc/passwd"]}}, "nodes.node1.disks[0]: String should match pattern"),
        ({"disks": {"node1": ["/dev/sdb", "/dev/sdb"]}}, "/dev/sdb is named 2 times"),
        ({"cables": ["node1:eth1"]}, "a cable is written `node1:eth1 <-> node2:eth2`; found 'node1:eth1'"),
        ({"cables": []}, "cables: the cables leave separate parts: node1 | node2 | node3"),
        ({"cables": ["node1:eth0 <-> node2:eth1"]}, "node1:eth0 is the management NIC of node1"),
        ({"uplink": Uplink("eth1"), "cables": ["node1:eth1 <-> node2:eth1"]}, "is the uplink NIC of node1"),
        ({"uplink": Uplink("eth3", "203.0.113.1/24", "203.0.113.1-203.0.113.9")}, "leave out the gateway"),
        ({"uplink": Uplink("eth3", "203.0.113.1/40")}, "uplink.gateway: "),
    ],
)
def test_faults_are_the_sentences_of_validate(change: dict[str, object], said: str) -> None:
    assert said in "\n".join(faults(replace(THREE, **change)))  # type: ignore[arg-type]


def test_what_waits_for_other_answers_is_no_fault() -> None:
    assert faults(Answers()) == []
    assert faults(replace(THREE, uplink=Uplink("eth3"))) == []
    assert faults(replace(THREE, uplink=Uplink("eth3", "203.0.113.1/31"))) == []
    assert faults(replace(THREE, cables=["node1:eth1 <-> node2:eth1"]), but=("disconnected",)) == []


def test_hosts_follow_each_other() -> None:
    one = with_node(Answers(), "pve09=192.0.2.9")
    assert next_node(one) == "pve10=192.0.2.10"
    assert with_node(one, " 192.0.2.77 ").nodes == {"pve09": "192.0.2.9", "pve10": "192.0.2.77"}
    assert next_node(Answers()) is None
    twice = with_node(with_node(with_node(Answers(), "n2=192.0.2.2"), "n1=192.0.2.1"), "192.0.2.3")
    assert list(twice.nodes) == ["n2", "n1", "n3"], "a name that is taken is passed over"
    assert next_name(with_node(Answers(), "attic=192.0.2.1")) == "attic2"
    assert next_node(with_node(Answers(), "a=255.255.255.255")) is None
    assert answering.taken(one, "pve09=192.0.2.1") == ["nodes.pve09: the key 'pve09' stands here a second time"]
    assert with_disk(with_disk(one, "pve09", ["/dev/a"]), "pve09", ["/dev/b"]).disks["pve09"] == ("/dev/a", "/dev/b")


@pytest.mark.parametrize("text", ["a:b=c:d", "a:b <-> c:d", " a:b<->c:d "])
def test_cables_are_typed_in_either_form(text: str) -> None:
    assert cable(text) == "a:b <-> c:d"


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True) | st.sampled_from(["null", "true", "no", "y1"])
NICS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True) | st.sampled_from(["1", "0x1", "1.5", "null"])
PARTS = st.from_regex(r"[A-Za-z0-9_:+@-][A-Za-z0-9._:+@-]{0,9}", fullmatch=True)
DISKS = st.lists(PARTS, min_size=1, max_size=2).map(lambda parts: "/".join(["/dev", *parts]))
ADDRESSES = st.integers(1 << 24, 223 << 24).map(lambda number: str(IPv4Address(number)))
IDENTITIES = (
    st.none() | st.text(min_size=1, max_size=9) | st.sampled_from(['a"b', "\u200b", "x\\n", "# :", "\U0001f600"])
)
LOGINS = st.fixed_dictionaries({"user": st.just("root"), "port": st.integers(1, 65535), "identity": IDENTITIES})


@st.composite
def answered(draw: st.DrawFn) -> Answers:
    nodes = draw(st.dictionaries(NAMES, ADDRESSES, min_size=1, max_size=5))
    disks = {name: draw(st.lists(DISKS, max_size=3)) for name in nodes}
    base = draw(st.integers(1 << 24, 220 << 24)) & 0xFFFFFF00
    gateway, first, last = (IPv4Address(base + i) for i in (1, 100, 199))
    return Answers(
        cluster=draw(NAMES),
        login=draw(LOGINS),
        nodes=nodes,
        management_nic=draw(st.just("eth0") | NICS),
        disks=disks,
        uplink=draw(st.none() | st.builds(Uplink, NICS, st.just(f"{gateway}/24"), st.just(f"{first}-{last}"))),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(answered())
def test_what_is_read_back_is_what_was_answered(answers: Answers) -> None:
    assume(not faults(answers))
    text = topology_text(answers)
    assert loads(text, HERE) == answers.topology()
    made = loads(text, HERE)
    assert {node.name: node.management for node in made.nodes} == answers.nodes
    assert {node.name: [disk.path for disk in node.disks] for node in made.nodes} == answers.disks
    assert made.ssh.model_dump(include={"user", "port", "identity"}) == answers.login
    assert {node.management_nic for node in made.nodes} == {answers.management_nic}
    assert len(made.cables) == len(made.nodes) * (len(made.nodes) - 1) // 2


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_words_are_a_fault_or_a_file_that_says_them(name: str, address: str, disk: str) -> None:
    """Nothing typed can become another part of the file."""
    answers = with_disk(with_node(replace(THREE, nodes={}, disks={}), f"{name}={address}"), "x", [disk])
    said = faults(answers)
    assert said or loads(topology_text(answers), HERE) == answers.topology()


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20))
def test_words_are_read_as_they_are(text: str) -> None:
    assert parse(f"- {word(text)}\n").data == [text]
    assert parse(f"a: {word(text)}\n").data == {"a": text}


def test_warnings_of_text_are_those_of_its_file() -> None:
    ring = TOPOLOGIES / "ring.yaml"
    assert warnings_of(ring.read_text(), ring) == warnings(ring) != []
