import asyncio
import json
from collections.abc import Callable
from typing import ClassVar

import pytest

from meshctl.errors import HostError, RefusedError
from meshctl.roles.incus import joining, parse
from meshctl.roles.incus.role import IncusRole
from meshctl.topology import Topology
from tests.roles import golden, incusworld
from tests.roles.incusworld import IncusHost, KilledError, World


class Impatient(IncusRole):
    patience: ClassVar[float] = 0.1


@pytest.fixture
def triangle() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def incus(triangle: Topology) -> World:
    return incusworld.world(triangle)


@pytest.fixture
def hosts(triangle: Topology, incus: World) -> dict[str, IncusHost]:
    return incusworld.hosts(triangle, incus)


async def bootstrap(topology: Topology, hosts: dict[str, IncusHost]) -> None:
    cluster = incusworld.cluster(topology, hosts, [])
    role = Impatient(topology)
    await role.prepare(cluster)
    for node in topology.nodes:
        await role.apply(node, hosts[node.name], cluster)


async def verify(topology: Topology, hosts: dict[str, IncusHost]) -> list[str]:
    problems = await IncusRole(topology).verify(incusworld.cluster(topology, hosts, []))
    return [f"{problem.host}: {problem.what}" for problem in problems]


def stdins(host: IncusHost) -> list[dict[str, object]]:
    return [json.loads(text) for text in host.stdins if text.startswith(b"{")]


# First run, second run


async def test_first_host_founds_the_others_join_in_order(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    await bootstrap(triangle, hosts)
    assert incus.members == {"node1": "10.50.1.1:8443", "node2": "10.50.1.2:8443", "node3": "10.50.1.3:8443"}
    assert incus.pools["local"]["locations"] == ["node1", "node2", "node3"]
    assert await verify(triangle, hosts) == []


async def test_second_run_changes_nothing(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    await bootstrap(triangle, hosts)
    before = incusworld.changes(hosts)
    for host in hosts.values():
        host.queried.clear()
    await bootstrap(triangle, hosts)
    assert incusworld.changes(hosts) == before
    assert [len(host.queried) for host in hosts.values()] == [6, 3, 3]


@pytest.mark.parametrize("used", [False, True])
async def test_a_pool_that_lost_power_half_made_is_made_anew_unless_used(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, *, used: bool
) -> None:
    await bootstrap(triangle, hosts)
    incus.half_made_on.add("node1")
    incus.pools["local"]["used_by"] = ["/1.0/instances/c1"] if used else []
    assert await verify(triangle, hosts) == ["node1: storage pool local is only half made here"]
    hosts["node1"].ran.clear()
    await bootstrap(triangle, hosts)
    assert any("-X DELETE /1.0/storage-pools/local" in line for line in hosts["node1"].ran) is not used
    assert bool(await verify(triangle, hosts)) is used


async def test_five_hosts(hosts: dict[str, IncusHost]) -> None:
    five = golden.topology("five")
    incus = incusworld.world(five)
    hosts = incusworld.hosts(five, incus)
    await bootstrap(five, hosts)
    assert await verify(five, hosts) == []


# Traps of forming a cluster


async def test_founding_states_neither_pools_nor_a_threshold(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    """A preseed with pools can't be run twice; a threshold before clustering blocks all other settings."""
    await bootstrap(triangle, hosts)
    assert stdins(hosts["node1"])[0] == {
        "config": {"core.https_address": "10.50.1.1:8443"},
        "cluster": {"enabled": True, "server_name": "node1"},
    }
    assert not any("offline_threshold" in line for line in incusworld.changes(hosts))


async def test_tokens_never_stand_in_a_command(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    await bootstrap(triangle, hosts)
    assert not any("token-" in line for line in incusworld.changes(hosts))
    assert "token-node2" in json.dumps(stdins(hosts["node2"]))


async def test_a_threshold_set_before_clustering_is_unset_first(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.daemons["node1"].config["cluster.offline_threshold"] = "30"
    await bootstrap(triangle, hosts)
    assert hosts["node1"].ran[0] == "incus config unset cluster.offline_threshold"
    assert await verify(triangle, hosts) == []


async def test_a_growing_cluster_states_what_exists_on_the_new_member(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1", "node2")
    for name in ("local", "remote"):
        incus.pools[name] = {"name": name, "driver": "dir", "status": "Created", "locations": ["node1", "node2"]}
        incus.pools[name] |= {"config": {}, "used_by": []}
    incus.networks["UPLINK"] = {"name": "UPLINK", "type": "physical", "managed": True}
    await bootstrap(triangle, hosts)
    (preseed,) = stdins(hosts["node3"])
    values = {(k["entity"], k["name"], k["key"]): k["value"] for k in preseed["cluster"]["member_config"]}  # type: ignore[index]
    assert values == {
        ("storage-pool", "local", "source"): "",
        ("storage-pool", "remote", "source"): "incus",
        ("network", "UPLINK", "parent"): "eth3",
    }


async def test_a_users_pool_keeps_a_host_from_joining_and_nothing_is_changed(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1", "node2")
    thing = {"driver": "zfs", "status": "Created", "locations": ["node1", "node2"], "config": {}, "used_by": []}
    incus.pools = {"local": {"name": "local", **thing}, "tank": {"name": "tank", **thing}}
    with pytest.raises(RefusedError, match="storage-pool tank needs a `source` of its own"):
        await bootstrap(triangle, hosts)
    assert incusworld.changes(hosts) == []


def test_voters_follow_from_the_number_of_members() -> None:
    assert [joining.voters(n) for n in (1, 2, 3, 5)] == [1, 1, 3, 3]


# Daemons that don't run


async def test_daemons_that_an_installation_did_not_start(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    for name, host in hosts.items():
        asleep(incus, name, host)
    await bootstrap(triangle, hosts)
    assert hosts["node1"].ran[0] == "systemctl enable --now incus.socket incus-startup.service"
    assert await verify(triangle, hosts) == []


async def test_a_sleeping_member_is_woken_before_anybody_founds_a_cluster(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1", "node2", "node3")
    incus.pools["local"] = {"name": "local", "driver": "dir", "status": "Created", "config": {}, "used_by": []}
    incus.pools["local"]["locations"] = ["node1", "node2", "node3"]
    asleep(incus, "node1", hosts["node1"])
    await bootstrap(triangle, hosts)
    assert incusworld.changes(hosts) == ["node1: systemctl enable --now incus.socket incus-startup.service"]


async def test_units_that_would_not_start_at_boot_are_enabled(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1", "node2", "node3")
    hosts["node2"].on("systemctl show *", incusworld.UNITS.replace("UnitFileState=enabled", "UnitFileState=disabled"))
    hosts["node2"].on("systemctl enable *")
    await bootstrap(triangle, hosts)
    assert hosts["node2"].ran == ["systemctl enable --now incus.socket incus-startup.service"]


def asleep(incus: World, name: str, host: IncusHost) -> None:
    def wake() -> None:
        incus.daemons[name].answers = True
        host.on("systemctl show *", incusworld.UNITS)

    incus.daemons[name].answers = False
    host.on("systemctl show *", incusworld.UNITS.replace("active", "inactive").replace("enabled", "disabled"))
    host.on("systemctl enable --now *", then=wake)


# Killed


@pytest.mark.parametrize(
    "command",
    ["incus admin init", "incus query --wait -X POST", "incus cluster add -q node2", "incus cluster add -q node3"],
)
async def test_killed_before_a_command(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, command: str
) -> None:
    incus.killed_before = command
    with pytest.raises(KilledError):
        await bootstrap(triangle, hosts)
    incus.killed_before = ""
    await bootstrap(triangle, hosts)
    assert await verify(triangle, hosts) == []


async def test_killed_between_token_and_join(triangle: Topology, hosts: dict[str, IncusHost], incus: World) -> None:
    incus.found("node1").tokens["node2"] = "token-of-the-killed-run"
    await bootstrap(triangle, hosts)
    assert await verify(triangle, hosts) == []


async def test_a_join_in_flight_is_waited_for(triangle: Topology, hosts: dict[str, IncusHost], incus: World) -> None:
    incus.found("node1", "node2", "node3")
    await bootstrap(triangle, hosts)
    address = incus.members.pop("node3")

    async def end() -> None:
        await asyncio.sleep(0.05)
        incus.members["node3"] = address

    before = incusworld.changes(hosts)
    await asyncio.gather(bootstrap(triangle, hosts), end())
    assert incusworld.changes(hosts) == before


def stuck(incus: World, hosts: dict[str, IncusHost], evidence: str) -> None:
    """node3's daemon waits for ever, after a power loss in the middle of its join."""
    incus.found("node1", "node2", "node3")
    del incus.members["node3"]
    incus.daemons["node3"].answers = False

    def reset() -> None:
        incus.daemons["node3"] = incusworld.Daemon()

    hosts["node1"].on("sh -c # What an Incus*", "sum:abc\n")
    hosts["node3"].on("sh -c # What an Incus*", evidence)
    hosts["node3"].on("sh -c # Makes Incus standalone*", then=reset)


async def test_a_host_stuck_in_its_join_is_reset_and_joins(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    stuck(incus, hosts, "sum:abc\n")
    await bootstrap(triangle, hosts)
    assert "incus admin cluster remove-raft-node -q 10.50.1.3:8443" in hosts["node1"].ran
    assert await verify(triangle, hosts) == []


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ("sum:abc\nstorage-pools/local/containers/c1\n", "holds storage-pools/local/containers/c1"),
        ("sum:xyz\n", "does not belong"),
    ],
)
async def test_a_stuck_host_with_data_or_of_another_cluster_is_left_alone(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, evidence: str, message: str
) -> None:
    stuck(incus, hosts, evidence)
    with pytest.raises(RefusedError, match=message):
        await bootstrap(triangle, hosts)
    assert hosts["node3"].ran == []


async def test_what_a_failed_join_copied_is_removed_first(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1", "node2")
    left = incus.daemons["node3"]
    left.config["cluster.https_address"] = "10.50.1.3:8443"
    left.owned["storage-pools"] = ["/1.0/storage-pools/local"]

    def reset() -> None:
        incus.daemons["node3"] = incusworld.Daemon()

    hosts["node3"].on("sh -c # What an Incus*", "")
    hosts["node3"].on("sh -c # Makes Incus standalone*", then=reset)
    await bootstrap(triangle, hosts)
    assert await verify(triangle, hosts) == []


# Refused


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("instances", "/1.0/instances/c1"),
        ("storage-pools", "/1.0/storage-pools/local"),
        ("images", "/1.0/images/bfbea8"),
        ("projects", "/1.0/projects/p1"),
        ("networks", {"name": "incusbr0", "type": "bridge", "managed": True}),
        ("certificates", {"name": "laptop", "type": "client"}),
    ],
)
async def test_a_standalone_incus_in_use_is_refused(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, path: str, item: object
) -> None:
    if isinstance(item, dict):
        item = {"status": "Created", "locations": None, "config": {}, "used_by": [], **item}
    incus.daemons["node2"].owned[path] = [item]
    with pytest.raises(RefusedError, match="its Incus is in use and not in the cluster") as caught:
        await bootstrap(triangle, hosts)
    assert caught.value.host == "node2"
    assert incusworld.changes(hosts) == []


async def test_a_member_of_another_cluster_is_refused(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1")
    incus.daemons["node2"].clustered = "theirs"
    with pytest.raises(RefusedError, match="is in another Incus cluster"):
        await bootstrap(triangle, hosts)


async def test_a_cluster_with_unknown_members_is_refused(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1").members["elsewhere"] = "10.9.9.9:8443"
    with pytest.raises(RefusedError, match="with elsewhere, which the topology doesn't have"):
        await bootstrap(triangle, hosts)


async def test_a_reinstalled_member_is_not_joined_over_its_own_entry(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1", "node2", "node3")
    incus.daemons["node3"] = incusworld.Daemon()
    with pytest.raises(RefusedError, match="still has a member of that name"):
        await bootstrap(triangle, hosts)


async def test_without_quorum_no_second_cluster_is_founded(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.found("node1", "node2", "node3")
    for daemon in incus.daemons.values():
        daemon.answers = False
    with pytest.raises(HostError, match="no answer"):
        await bootstrap(triangle, hosts)
    assert incusworld.changes(hosts) == []


# The gate


def offline(incus: World) -> None:
    incus.status["node2"] = "Offline"


def evacuated(incus: World) -> None:
    incus.status["node2"] = "Evacuated"


def elsewhere(incus: World) -> None:
    incus.members["node2"] = "172.31.0.12:8443"


def half_a_pool(incus: World) -> None:
    incus.pools["local"]["locations"] = ["node1", "node2"]


def lost_voters(incus: World) -> None:
    del incus.members["node3"]


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (offline, "sees node2 as Offline"),
        (evacuated, "sees node2 as Evacuated"),
        (elsewhere, "node2 has the wrong address"),
        (half_a_pool, "storage pool local is not everywhere"),
        (lost_voters, "does not list node3 as a member"),
    ],
)
async def test_the_gate_names_the_fault(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, fault: Callable[[World], None], what: str
) -> None:
    await bootstrap(triangle, hosts)
    fault(incus)
    assert any(what in problem for problem in await verify(triangle, hosts))


def test_values_of_a_member() -> None:
    topology = golden.topology("triangle")
    keys = (parse.Key("network", "UPLINK", "parent"),)
    preseed = json.loads(joining.joining(topology, topology.nodes[1], "T", keys))["cluster"]
    assert preseed["server_address"] == "10.50.1.2:8443"
    assert preseed["member_config"] == [{"entity": "network", "name": "UPLINK", "key": "parent", "value": "eth3"}]
