"""What Incus leaves in OVN of a member that is gone for good."""

import json
from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.host.fake import FakeHost
from meshctl.roles.incus_network import departure
from tests.roles import golden, incusworld
from tests.roles.absencehost import cluster_of
from tests.roles.incusworld import IncusHost, World

TRIANGLE = golden.topology("triangle")
NODE3 = TRIANGLE.nodes[2]
NORTHBOUND = (Path(__file__).parent / "data" / "northbound.txt").read_text().strip()
LOST, ALIVE = "6bf31b0a-6a0e-4b9b-9f43-0f6ab0a6d8a1", "0d1d7ad2-9a3b-4a4d-8f05-3a2c6c8b7a10"


def ports(*rows: tuple[str, str]) -> str:
    data = [[name, ["map", [["incus_location", at], ["incus_switch", "incus-net2-ls-int"]]]] for name, at in rows]
    router = ["incus-net2-ls-int-lsp-router", ["map", []]]
    return json.dumps({"headings": ["name", "external_ids"], "data": [*data, router]})


LISTING = ports(
    (f"incus-net2-instance-{LOST}-eth0", "node3"),
    (f"incus-net2-instance-{ALIVE}-eth0", "node3"),
    (f"incus-net2-instance-{LOST}-eth1", "node1"),
)


def cluster(incus: World, tmp_path: Path) -> tuple[IncusHost, Cluster]:
    host = IncusHost("node1", world=incus)
    host.on("ovn-nbctl * list Logical_Switch_Port", f"{NORTHBOUND}\n{LISTING}\n").on("ovn-nbctl * --timeout=20 *")
    return host, cluster_of(TRIANGLE, [host, IncusHost("node2", world=incus), FakeHost(name="node3")], tmp_path)


def world(*members: str) -> World:
    incus = incusworld.world(TRIANGLE).found(*members)
    incus.instances = [{"config": {"volatile.uuid": ALIVE}}, {"config": {}}]
    return incus


async def test_the_gateway_and_ports_of_lost_instances_go(tmp_path: Path) -> None:
    host, mesh = cluster(world("node1", "node2"), tmp_path)
    place = mesh.hosts["node3"]
    assert await departure.claims(NODE3, place, mesh) == [
        "node3 as a gateway of the overlay",
        f"OVN's port incus-net2-instance-{LOST}-eth0 of an instance that is gone",
    ]
    await departure.forget(NODE3, place, mesh)
    (line,) = host.ran
    assert line.startswith("ovn-nbctl --db=ssl:10.50.1.1:6641,ssl:10.50.1.2:6641 ")
    assert line.endswith(
        f" -- --if-exists lsp-del incus-net2-instance-{LOST}-eth0 -- ha-chassis-group-remove-chassis incus-net2 node3"
    )


async def test_nothing_while_the_host_is_a_member(tmp_path: Path) -> None:
    """A successor that has joined, or the dead one that Incus still counts: then Incus comes first."""
    host, mesh = cluster(world("node1", "node2", "node3"), tmp_path)
    assert await departure.claims(NODE3, mesh.hosts["node3"], mesh) == []
    await departure.forget(NODE3, mesh.hosts["node3"], mesh)
    assert host.ran == []
