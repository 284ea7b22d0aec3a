"""When the wiring is proven already, and when frames have to be sent."""

import json
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import CommandError
from meshctl.host.fake import FakeHost
from meshctl.roles.wiring.parse import Neighbour, neighbours
from meshctl.roles.wiring.role import LINKS, NEIGHBOURS, Wiring
from meshctl.state import StateFolder
from meshctl.topology import Topology, load

TRIANGLE = Path(__file__).parents[3] / "topologies/triangle.yaml"


@pytest.fixture
def topology() -> Topology:
    return load(TRIANGLE)


def mac(node: str, nic: str) -> str:
    return f"02:00:00:00:0{node[-1]}:0{nic[-1]}"


@pytest.fixture
def hosts(topology: Topology) -> dict[str, FakeHost]:
    """Hosts that have known each other for long."""
    found = {}
    for node in topology.nodes:
        links = [{"ifname": port.nic, "address": mac(node.name, port.nic)} for port in node.ports]
        entries = [
            {"dst": str(p.peer_address.ip), "dev": p.nic, "lladdr": mac(p.peer, p.peer_nic), "state": ["REACHABLE"]}
            for p in node.ports
        ]
        host = FakeHost(node.name)
        host.on(" ".join(LINKS), json.dumps(links)).on(" ".join(NEIGHBOURS), json.dumps(entries))
        found[node.name] = host
    return found


def cluster(topology: Topology, hosts: dict[str, FakeHost], tmp_path: Path) -> Cluster:
    return Cluster(topology, hosts, StateFolder(tmp_path))


async def applied(topology: Topology, hosts: dict[str, FakeHost], tmp_path: Path) -> tuple[Wiring, Cluster]:
    role, all_hosts = Wiring(topology), cluster(topology, hosts, tmp_path)
    await role.apply(topology.nodes[0], hosts["node1"], all_hosts)
    return role, all_hosts


def strange(host: FakeHost) -> None:
    """As after a boot: no neighbours."""
    host.on(" ".join(NEIGHBOURS), "[]")


async def test_neighbours_on_both_ends_are_proof_enough(
    topology: Topology, hosts: dict[str, FakeHost], tmp_path: Path
) -> None:
    role, all_hosts = await applied(topology, hosts, tmp_path)
    assert await role.verify(all_hosts) == []
    assert not any(host.ran or host.safeguards or host.written for host in hosts.values())


async def test_one_end_that_knows_nobody_makes_all_hosts_send(
    topology: Topology, hosts: dict[str, FakeHost], tmp_path: Path
) -> None:
    strange(hosts["node2"])
    for name, host in hosts.items():
        ports = topology.node(name).ports
        lines = [
            f"nic {p.nic} {mac(name, p.nic)} down 1 1000\nheard {p.nic} {p.peer}:{p.peer_nic} direct" for p in ports
        ]
        host.on("perl -*", "\n".join(lines))
    role, all_hosts = await applied(topology, hosts, tmp_path)
    assert await role.verify(all_hosts) == []
    [argv] = hosts["node3"].safeguards
    assert argv.split()[3:] == [
        *("node3", "node1,node2,node3", "3", "6", "1", "eth0=", "eth3=", "eth2=node2:eth1", "eth1=node1:eth2"),
    ]
    assert len({host.safeguards[0].split()[2] for host in hosts.values()}) == 1  # one token for all
    assert not any(host.ran or host.written for host in hosts.values())


async def test_without_a_probe_the_gate_says_what_nobody_knows(
    topology: Topology, hosts: dict[str, FakeHost], tmp_path: Path
) -> None:
    strange(hosts["node2"])
    problems = await Wiring(topology).verify(cluster(topology, hosts, tmp_path))
    assert [problem.what for problem in problems] == [
        "nobody knows whether node1:eth1 <-> node2:eth2 is plugged in like that",
        "nobody knows whether node2:eth1 <-> node3:eth2 is plugged in like that",
    ]
    assert not any(problem.final for problem in problems)  # the next look may know


async def test_a_neighbour_with_another_mac_is_no_proof(
    topology: Topology, hosts: dict[str, FakeHost], tmp_path: Path
) -> None:
    entry = {"dst": "192.168.11.2", "dev": "eth1", "lladdr": mac("node3", "eth1"), "state": ["REACHABLE"]}
    hosts["node1"].on(" ".join(NEIGHBOURS), json.dumps([entry]))
    assert len(await Wiring(topology).verify(cluster(topology, hosts, tmp_path))) == 2


async def test_a_host_without_perl_is_named_with_the_package(
    topology: Topology, hosts: dict[str, FakeHost], tmp_path: Path
) -> None:
    for host in hosts.values():
        strange(host)
        host.on("perl -*", status=127, stderr="perl: not found")
    with pytest.raises(CommandError) as error:
        await applied(topology, hosts, tmp_path)
    assert "perl-base" in error.value.advice


def test_who_does_not_answer_is_no_neighbour() -> None:
    text = (
        '[{"dst":"192.168.11.2","dev":"eth1","lladdr":"02:00:00:00:02:02","state":["STALE"]},'
        '{"dst":"192.168.11.6","dev":"eth2","state":["FAILED"]},'
        '{"dst":"fe80::1","dev":"eth2","lladdr":"02:00:00:00:02:09","router":null,"state":["INCOMPLETE"]}]'
    )
    assert neighbours(text) == {Neighbour("eth1", "02:00:00:00:02:02")}
    assert neighbours("") == frozenset()


async def test_bond_is_asked_for_as_a_neighbour_and_its_strands_by_frames(tmp_path: Path) -> None:
    topology = load(TRIANGLE.parent / "bonded.yaml")
    hosts = {node.name: FakeHost(node.name).on(" ".join(LINKS), "[]") for node in topology.nodes}
    for name, host in hosts.items():
        strange(host)
        lines = [f"nic {p.nic} {mac(name, p.nic)} down 1 1000\nheard {p.nic} {p.peer} direct"
                 for p in topology.node(name).plugs]  # fmt: skip
        host.on("perl -*", "\n".join(lines))
    role, all_hosts = await applied(topology, hosts, tmp_path)
    assert await role.verify(all_hosts) == []
    [argv] = hosts["node1"].safeguards
    assert "eth1=node2:eth1" in argv.split()
    assert "bond0" not in argv


async def test_hosts_on_one_switch_hear_each_other(tmp_path: Path) -> None:
    topology = load(TRIANGLE.parent / "switched.yaml")
    hosts = {node.name: FakeHost(node.name).on(" ".join(LINKS), "[]") for node in topology.nodes}
    for name, host in hosts.items():
        strange(host)
        others = "".join(f"\nheard eth1 {other}:eth1 bridged" for other in hosts if other != name)
        host.on("perl -*", f"nic eth1 {mac(name, 'eth1')} down 1 1000{others}")
    role, all_hosts = await applied(topology, hosts, tmp_path)
    assert await role.verify(all_hosts) == []
    assert "eth1=" in hosts["node1"].safeguards[0].split()  # whom it hears last is nobody's to say
