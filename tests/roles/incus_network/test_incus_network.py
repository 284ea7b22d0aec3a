import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.errors import HostError, RefusedError
from meshctl.host.base import Result, text
from meshctl.roles import incusapi, overlay, tls
from meshctl.roles.incus_network import judge, nb, wanted
from meshctl.roles.incus_network.role import IncusNetworkRole
from meshctl.topology import Topology
from tests.roles import golden, incusworld
from tests.roles.incusworld import IncusHost, KilledError, World

DATA = Path(__file__).parent / "data"
NORTHBOUND = (DATA / "northbound.txt").read_text()
ADDRESSES = "ssl:10.50.1.1:6641,ssl:10.50.1.2:6641,ssl:10.50.1.3:6641"


@pytest.fixture
def triangle() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def incus(triangle: Topology) -> World:
    return incusworld.world(triangle).found("node1", "node2", "node3")


@pytest.fixture
def hosts(triangle: Topology, incus: World) -> dict[str, IncusHost]:
    hosts = incusworld.hosts(triangle, incus)
    for host in hosts.values():
        host.on("busybox arping *", status=1)
        host.on("ovn-nbctl *", NORTHBOUND)
        host.files.update({path: text(f"{path}\n") for path in (tls.CA, tls.CERTIFICATE)})
        host.files[tls.KEY] = text("KEY\n", mode=0o600, secret=True)
    return hosts


async def apply(topology: Topology, hosts: dict[str, IncusHost], notes: list[str] | None = None) -> None:
    cluster = incusworld.cluster(topology, hosts, [] if notes is None else notes)
    await IncusNetworkRole(topology).apply(topology.nodes[0], cluster.leader, cluster)


async def verify(topology: Topology, hosts: dict[str, IncusHost]) -> list[str]:
    return [p.what for p in await IncusNetworkRole(topology).verify(incusworld.cluster(topology, hosts, []))]


# Pure parts


def test_networks_of_a_lab_cluster() -> None:
    networks = incusapi.networks(json.loads((DATA / "networks.json").read_text()))
    assert sorted(networks) == ["UPLINK", "overlay"]
    assert networks["overlay"].created_on(["node1", "node2", "node3"])
    assert networks["overlay"].config["bridge.mtu"] == "1442"


def test_routers_of_a_lab_cluster() -> None:
    found = nb.routers(NORTHBOUND)
    assert found.router("10.158.0.1/24") == "incus-net2-lr"
    assert found.router("10.99.0.1/24") is None
    assert found.chassis("incus-net2-lr") == {"node1", "node2", "node3"}


def test_routers_of_an_earlier_incus_are_overlooked() -> None:
    ports, groups, chassis = NORTHBOUND.splitlines()
    old = ports.replace(
        '["incus-net2-lr-lrp-ext"', '["incus-net1-lr-lrp-int","10.158.0.1/24"],["incus-net2-lr-lrp-ext"'
    )
    assert nb.routers(f"{old}\n{groups}\n{chassis}").router("10.158.0.1/24") == "incus-net2-lr"


def test_a_group_with_one_chassis_is_no_set() -> None:
    """RFC 7047: a set of one element may be the element."""
    group = '{"data":[["incus-net2",["uuid","a"]]],"headings":["name","ha_chassis"]}'
    chassis = '{"data":[[["uuid","a"],"node3"]],"headings":["_uuid","chassis_name"]}'
    ports = '{"data":[],"headings":["name","networks"]}'
    assert nb.routers(f"{ports}\n{group}\n{chassis}").chassis("incus-net2-lr") == {"node3"}


def test_mtu_leaves_room_for_the_tunnel_on_the_narrowest_cable(triangle: Topology) -> None:
    assert overlay.mtu(triangle) == 1442
    narrow = replace(triangle, cables=(replace(triangle.cables[0], mtu=1400), *triangle.cables[1:]))
    assert overlay.mtu(narrow) == 1342
    assert wanted.overlay(narrow).config["bridge.mtu"] == "1342"


def test_without_an_uplink_the_overlay_stands_alone(triangle: Topology) -> None:
    alone = replace(triangle, uplink=None)
    assert wanted.uplink(alone) is None
    assert wanted.overlay(alone).config["network"] == "none"


def test_every_hosts_own_nic_is_the_uplinks_parent(triangle: Topology) -> None:
    nodes = (replace(triangle.nodes[0], uplink_nic="enp5s0"), *triangle.nodes[1:])
    uplink = wanted.uplink(replace(triangle, nodes=nodes))
    assert uplink
    assert uplink.per_member == {
        "node1": {"parent": "enp5s0"},
        "node2": {"parent": "eth3"},
        "node3": {"parent": "eth3"},
    }


# First run, second run


async def test_first_run(triangle: Topology, hosts: dict[str, IncusHost], incus: World) -> None:
    await apply(triangle, hosts)
    assert incus.config["network.ovn.northbound_connection"] == ADDRESSES
    assert incus.networks["UPLINK"]["config"]["ipv4.ovn.ranges"] == "203.0.113.100-203.0.113.199"
    assert incus.networks["overlay"]["config"]["bridge.mtu"] == "1442"
    assert incus.devices == {"eth0": {"type": "nic", "name": "eth0", "network": "overlay"}}
    assert await verify(triangle, hosts) == []


async def test_the_key_goes_through_stdin_in_one_piece_with_the_endpoints(
    triangle: Topology, hosts: dict[str, IncusHost]
) -> None:
    """Set one by one, Incus connects after each and fails: "unknown network protocol"."""
    await apply(triangle, hosts)
    assert not any("KEY" in line for line in incusworld.changes(hosts))
    assert sorted(json.loads(hosts["node1"].stdins[0])["config"]) == [
        "network.ovn.ca_cert",
        "network.ovn.client_cert",
        "network.ovn.client_key",
        "network.ovn.northbound_connection",
    ]


async def test_second_run_changes_nothing(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    await apply(triangle, hosts)
    before = incusworld.changes(hosts)
    await apply(triangle, hosts)
    assert incusworld.changes(hosts) == before


async def test_a_renewed_certificate_reaches_incus(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    await apply(triangle, hosts)
    hosts["node1"].files[tls.CERTIFICATE] = text("NEW\n")
    await apply(triangle, hosts)
    assert incus.config["network.ovn.client_cert"] == "NEW\n"


async def test_a_changed_mtu_is_patched(triangle: Topology, hosts: dict[str, IncusHost], incus: World) -> None:
    await apply(triangle, hosts)
    incus.networks["overlay"]["config"]["bridge.mtu"] = "1500"
    assert await verify(triangle, hosts) == ["bridge.mtu of network overlay differs"]
    await apply(triangle, hosts)
    assert hosts["node1"].ran[-1] == (
        'incus query --wait -X PATCH -d {"config": {"bridge.mtu": "1442"}} /1.0/networks/overlay'
    )


@pytest.mark.parametrize("command", ["incus admin init", "incus query --wait -X POST", "incus profile"])
async def test_killed_before_a_command(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, command: str
) -> None:
    incus.killed_before = command
    with pytest.raises(KilledError):
        await apply(triangle, hosts)
    incus.killed_before = ""
    await apply(triangle, hosts)
    assert await verify(triangle, hosts) == []


async def test_incus_is_restarted_where_an_online_host_is_no_gateway(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    await apply(triangle, hosts)
    incus.status["node2"] = "Evacuated"
    hosts["node1"].on("ovn-nbctl *", NORTHBOUND.replace('"node3"', '"gone"').replace('"node2"', '"gone"'))
    hosts["node3"].on("systemctl restart incus.service")
    await apply(triangle, hosts)
    assert (hosts["node2"].ran, hosts["node3"].ran) == ([], ["systemctl restart incus.service"])


# Networks that are in the way


async def test_an_errored_network_is_deleted_and_made_again(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    await apply(triangle, hosts)
    incus.networks["overlay"]["status"] = "Errored"
    incus.networks["overlay"]["used_by"] = ["/1.0/profiles/default"]
    hosts["node1"].ran.clear()
    await apply(triangle, hosts)
    assert [line.split(" ")[4] for line in hosts["node1"].ran] == ["DELETE", "POST"]
    assert await verify(triangle, hosts) == []


async def test_a_network_that_comes_out_errored_is_made_once_more(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    """OVN still has objects of an interrupted attempt: "object already exists"."""
    incus.failing["overlay"] = "object already exists"
    await apply(triangle, hosts)
    assert await verify(triangle, hosts) == []


async def test_an_errored_network_in_use_is_refused(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    await apply(triangle, hosts)
    incus.networks["overlay"].update(status="Errored", used_by=["/1.0/instances/web"])
    with pytest.raises(RefusedError, match=r"in use by /1\.0/instances/web"):
        await apply(triangle, hosts)


async def test_a_users_network_of_that_name_is_refused(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.networks["overlay"] = {
        "name": "overlay",
        "type": "bridge",
        "status": "Created",
        "managed": True,
        "config": {},
        "used_by": [],
        "locations": ["node1", "node2", "node3"],
    }
    with pytest.raises(RefusedError, match="of type bridge"):
        await apply(triangle, hosts)
    assert incus.networks["overlay"]["type"] == "bridge"


async def test_a_users_nic_is_kept_and_told(triangle: Topology, hosts: dict[str, IncusHost], incus: World) -> None:
    incus.devices["eth0"] = {"type": "nic", "network": "lan", "name": "eth0"}
    notes: list[str] = []
    await apply(triangle, hosts, notes)
    assert notes == ["the default profile of Incus keeps its own eth0 (network=lan)"]


async def test_without_certificates_nothing_is_changed(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    del hosts["node1"].files[tls.KEY]
    with pytest.raises(HostError, match=r"there is no /etc/ovn/pki/key\.pem"):
        await apply(triangle, hosts)
    assert incusworld.changes(hosts) == []


# The gate


def wrong_endpoint(incus: World, _hosts: dict[str, IncusHost]) -> None:
    incus.config["network.ovn.northbound_connection"] = "ssl:10.50.1.9:6641"


def errored(incus: World, _hosts: dict[str, IncusHost]) -> None:
    incus.networks["overlay"]["status"] = "Errored"


def partial(incus: World, _hosts: dict[str, IncusHost]) -> None:
    incus.networks["UPLINK"]["locations"] = ["node1"]


def another_database(_incus: World, hosts: dict[str, IncusHost]) -> None:
    hosts["node1"].on("ovn-nbctl *", NORTHBOUND.replace("10.158.0.1/24", "10.159.0.1/24"))


def no_database(_incus: World, hosts: dict[str, IncusHost]) -> None:
    hosts["node1"].on("ovn-nbctl *", status=1, stderr="database connection failed (Connection refused)")


def chassis_lost(_incus: World, hosts: dict[str, IncusHost]) -> None:
    """As after an evacuation, and once after a restore."""
    hosts["node1"].on("ovn-nbctl *", NORTHBOUND.replace('"node3"', '"gone"'))


def rival(_incus: World, hosts: dict[str, IncusHost]) -> None:
    """Seen after Incus was set up anew: instances got no reply from the uplink, because another router took it."""
    old = '["incus-net1-lr-lrp-ext","203.0.113.100/24"],["incus-net2-lr-lrp-ext"'
    hosts["node1"].on("ovn-nbctl *", NORTHBOUND.replace('["incus-net2-lr-lrp-ext"', old))


def silent_gateway(_incus: World, hosts: dict[str, IncusHost]) -> None:
    hosts["node2"].on("busybox arping *", status=0)


def uplink_down(_incus: World, hosts: dict[str, IncusHost]) -> None:
    hosts["node2"].on("busybox arping *", status=2, stderr="arping: interface eth3 is down\n")


def no_nic(incus: World, _hosts: dict[str, IncusHost]) -> None:
    incus.devices.clear()


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (wrong_endpoint, "Incus looks for OVN elsewhere"),
        (errored, "network overlay is not everywhere"),
        (partial, "network UPLINK is not everywhere"),
        (another_database, "OVN has no router for the network overlay"),
        (no_database, "OVN's northbound database does not answer over TLS"),
        (chassis_lost, "not every host can be the gateway of incus-net2-lr"),
        (rival, "OVN's router incus-net1-lr has the address of incus-net2-lr on the uplink, and takes its packets"),
        (silent_gateway, "the uplink's gateway does not answer on eth3"),
        (uplink_down, "the uplink's gateway does not answer on eth3"),
        (no_nic, "the default profile has no NIC"),
    ],
)
async def test_the_gate_names_the_fault(
    triangle: Topology,
    hosts: dict[str, IncusHost],
    incus: World,
    fault: Callable[[World, dict[str, IncusHost]], None],
    what: str,
) -> None:
    await apply(triangle, hosts)
    fault(incus, hosts)
    assert await verify(triangle, hosts) == [what]


def test_the_northbound_database_is_asked_over_tls_at_all_addresses(triangle: Topology) -> None:
    argv = nb.command(triangle)
    assert f"--db={ADDRESSES}" in argv
    assert argv[argv.index("-p") + 1] == "/etc/ovn/pki/key.pem"


def test_an_answer_that_is_no_listing_is_a_problem(triangle: Topology) -> None:
    (problem,) = judge.router(triangle, "node1", Result(("ovn-nbctl",), 0, "hello\n", ""))
    assert problem.seen == "hello"


async def test_an_overlay_that_a_later_member_is_not_written_down_for(
    triangle: Topology, incus: World, hosts: dict[str, IncusHost]
) -> None:
    """Incus starts it there all the same; posting it again is "Network is not in pending state"."""
    await apply(triangle, hosts)
    incus.networks["overlay"]["locations"] = ["node1", "node2"]
    before = incusworld.changes(hosts)
    await apply(triangle, hosts)
    assert incusworld.changes(hosts) == before
    assert await verify(triangle, hosts) == []
    incus.networks["UPLINK"]["locations"] = ["node1", "node2"]
    assert await verify(triangle, hosts) == ["network UPLINK is not everywhere"]
