import asyncio
import json
import re
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from meshctl.errors import HostError, ParseError, RefusedError, WaitError
from meshctl.host.fake import FakeHost
from meshctl.roles.smoke import parse, plan
from meshctl.roles.smoke.role import SmokeRole
from meshctl.topology import Topology
from tests.roles import golden, incusworld
from tests.roles.incusworld import IncusHost, KilledError, World

DATA = Path(__file__).parent / "data"
SCRIPTS = Path(plan.__file__).parent
SUM = "c0ffee  -\n"
OK = "mtu 1442\nok 10.158.0.2\nok 10.158.0.3\nok 10.158.0.4\nok 203.0.113.1\n"
NODES = ("node1", "node2", "node3")


@pytest.fixture
def triangle() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def incus(triangle: Topology) -> World:
    return incusworld.world(triangle).found(*NODES)


@pytest.fixture
def hosts(triangle: Topology, incus: World) -> dict[str, IncusHost]:
    hosts = incusworld.hosts(triangle, incus)
    for host in hosts.values():
        host.on("sh -c test -d /sys/module/rbd*", status=1)
        host.on("incus launch *").on("incus delete *").on("incus exec *", OK).on("sh -c *rbd*export*", SUM)
    lead = hosts["node1"]
    lead.on("sh -c # Builds*").on("sh -c *rbd*import*", SUM).on("rbd *rm incus/meshctl-smoke")
    lead.on("incus project create *", then=lambda: incus.projects.update({"meshctl-smoke": dict(plan.FEATURES)}))
    lead.on("incus project delete *", then=partial(incus.projects.__delitem__, "meshctl-smoke"))
    incus.instances = [running(name, f"10.158.0.{n}") for n, name in enumerate(NODES, 2)]
    return hosts


def running(node: str, address: str) -> object:
    entry = {"family": "inet", "scope": "global", "address": address}
    return {"name": f"smoke-{node}", "state": {"network": {"eth0": {"addresses": [entry]}}}}


async def apply(
    topology: Topology, hosts: dict[str, IncusHost], changed: tuple[str, ...] = (), notes: list[str] | None = None
) -> None:
    cluster = incusworld.cluster(topology, hosts, [] if notes is None else notes, lambda: frozenset(changed))
    await SmokeRole(topology).apply(topology.nodes[0], cluster.leader, cluster)


async def verify(topology: Topology, hosts: dict[str, IncusHost]) -> list[str]:
    return [p.what for p in await SmokeRole(topology).verify(incusworld.cluster(topology, hosts, []))]


def answer(host: FakeHost, pattern: str, stdout: str = "") -> None:
    host.on(pattern, stdout)


def ran(host: FakeHost) -> list[str]:
    return [" ".join(line.split()[:3]) for line in host.ran]


# Parsers


def test_addresses_of_lab_instances() -> None:
    found = parse.addresses(json.loads((DATA / "instances.json").read_text()))
    assert sorted(found) == ["smoke-node1", "smoke-node2"]
    assert all(re.fullmatch(r"10\.158\.0\.\d+", address) for address in found.values())


def test_an_instance_without_address_is_left_out() -> None:
    assert parse.addresses([{"name": "a", "state": None}, {"name": "b", "state": {"network": None}}]) == {}


def test_projects_of_a_lab_cluster() -> None:
    projects = parse.projects(json.loads((DATA / "projects.json").read_text()))
    assert projects["meshctl-smoke"]["user.meshctl"] == "smoke"


def test_pings() -> None:
    assert parse.pings("mtu 1442\nok 10.158.0.2\nno 203.0.113.1\n") == parse.Pings(1442, ("203.0.113.1",))


def test_errors_of_an_instances_log() -> None:
    first, *others = parse.log_errors((DATA / "show-log.txt").read_text())
    assert first == (
        'Operation not permitted - Failed to mount "proc" onto "/usr/lib/x86_64-linux-gnu/lxc/rootfs/proc"'
    )
    assert len(others) == 2
    assert parse.log_errors("Name: smoke-node1\n") == ()


@pytest.mark.parametrize("text", ["", "ok 10.158.0.2\n", "mtu x\n"])
def test_pings_without_mtu_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse.pings(text)


def test_digest_follows_what_the_test_proves(triangle: Topology) -> None:
    narrow = replace(triangle, cables=(replace(triangle.cables[0], mtu=1400), *triangle.cables[1:]))
    moved = replace(triangle, uplink=None)
    faster = replace(triangle, bfd=triangle.bfd.model_copy(update={"interval": 100}))
    assert len({plan.digest(t) for t in (triangle, narrow, moved)}) == 3
    assert plan.digest(triangle) == plan.digest(faster)


@pytest.mark.parametrize("script", ["image.sh", "pings.sh"])
def test_scripts_are_posix_shell(script: str) -> None:
    subprocess.run(["sh", "-n", SCRIPTS / script], check=True)


# Runs


async def test_first_run(triangle: Topology, hosts: dict[str, IncusHost], incus: World) -> None:
    notes: list[str] = []
    await apply(triangle, hosts, ("ovn@node1",), notes)
    for node in NODES[1:]:
        assert hosts[node].ran == [
            f"incus launch -q busybox smoke-{node} --project meshctl-smoke --target {node} -s local -n overlay",
            f"incus delete -q --force --project meshctl-smoke smoke-{node}",
        ]
    assert "meshctl-smoke" not in incus.projects
    assert "rbd --id incus --no-progress rm incus/meshctl-smoke" in hosts["node1"].ran
    assert await verify(triangle, hosts) == []
    assert "can't map RBD" in notes[0]


async def test_second_run_changes_nothing(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    await apply(triangle, hosts, ("ovn@node1",))
    before = incusworld.changes(hosts)
    await apply(triangle, hosts)
    assert incusworld.changes(hosts) == before


async def test_a_change_elsewhere_repeats_the_test(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    await apply(triangle, hosts)
    for host in hosts.values():
        host.ran.clear()
    await apply(triangle, hosts, ("frr@node2",))
    assert ran(hosts["node2"]) == ["incus launch -q", "incus delete -q"]


async def test_another_configuration_repeats_the_test(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    await apply(triangle, hosts)
    other = replace(triangle, uplink=None)
    assert await verify(other, hosts) == ["the smoke test has not passed for this configuration"]


async def test_pings_fill_the_mtu_and_include_the_gateway(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    await apply(triangle, hosts)
    (line,) = [line for line in hosts["node2"].queried if line.startswith("incus exec")]
    assert line.endswith(" 1414 8 10.158.0.2 10.158.0.3 10.158.0.4 203.0.113.1")


async def test_hosts_that_can_map_rbd_use_ceph(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    for host in hosts.values():
        host.on("sh -c test -d /sys/module/rbd*")
    notes: list[str] = []
    await apply(triangle, hosts, notes=notes)
    assert "-s remote" in hosts["node2"].ran[0]
    assert notes == []


async def test_a_named_image_is_launched_instead(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    named = replace(triangle, smoke=triangle.smoke.model_copy(update={"image": "images:alpine/3.20"}))
    await apply(named, hosts)
    assert hosts["node2"].ran[0].startswith("incus launch -q images:alpine/3.20 smoke-node2 ")
    assert not any("image import" in line for line in hosts["node1"].ran)


# Killed, and what stands in the way


@pytest.mark.parametrize(
    "command", ["incus project create", "sh -c # Builds", "incus launch", "incus delete", "incus query"]
)
async def test_killed_before_a_command(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, command: str
) -> None:
    incus.killed_before = command
    with pytest.raises(KilledError):
        await apply(triangle, hosts)
    await asyncio.sleep(0)
    incus.killed_before = ""
    await apply(triangle, hosts)
    assert await verify(triangle, hosts) == []
    assert "meshctl-smoke" not in incus.projects


@pytest.mark.parametrize("command", ["incus project create", "incus launch", "incus delete", "incus project delete"])
async def test_killed_while_repeating_a_test_that_had_passed(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, command: str
) -> None:
    await apply(triangle, hosts)
    incus.killed_before = command
    with pytest.raises(KilledError):
        await apply(triangle, hosts, ("frr@node2",))
    await asyncio.sleep(0)
    incus.killed_before = ""
    assert await verify(triangle, hosts) == ["the smoke test has not passed for this configuration"]
    await apply(triangle, hosts)  # which has nothing else to change
    assert await verify(triangle, hosts) == []
    assert "meshctl-smoke" not in incus.projects


async def test_leftovers_of_a_killed_run_are_removed_first(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.projects["meshctl-smoke"] = dict(plan.FEATURES)
    await apply(triangle, hosts)
    assert ran(hosts["node2"]) == ["incus delete -q", "incus launch -q", "incus delete -q"]


async def test_a_users_project_of_that_name_is_refused(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.projects["meshctl-smoke"] = {}
    with pytest.raises(RefusedError, match="meshctl did not make"):
        await apply(triangle, hosts)
    assert incusworld.changes(hosts) == []


async def test_a_left_over_rbd_image_is_replaced(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    lead = hosts["node1"]
    lead.on("sh -c *rbd*import*", status=17)
    lead.on("rbd *rm incus/meshctl-smoke", then=partial(answer, lead, "sh -c *rbd*import*", SUM))
    await apply(triangle, hosts)
    assert await verify(triangle, hosts) == []


# Faults


async def test_too_few_addresses_for_a_moment(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    """northd reconnects: the port has no address yet when the instance starts."""
    host = hosts["node2"]
    host.on("incus launch *", status=1, stderr="Error: Insufficient dynamic addresses allocated")
    host.on("incus delete *", then=partial(answer, host, "incus launch *"))
    await apply(triangle, hosts)
    assert ran(host) == ["incus launch -q", "incus delete -q", "incus launch -q", "incus delete -q"]


async def test_too_few_addresses_for_good(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    hosts["node2"].on("incus launch *", status=1, stderr="Error: Insufficient dynamic addresses allocated")
    with pytest.raises(HostError, match="did not start in four attempts"):
        await apply(triangle, hosts)


async def test_an_instance_that_does_not_start_is_explained_by_its_own_log(
    triangle: Topology, hosts: dict[str, IncusHost]
) -> None:
    hosts["node2"].on("incus launch *", status=1, stderr="Error: Failed to run: incusd forkstart: exit status 1")
    hosts["node2"].on("incus info *", (DATA / "show-log.txt").read_text())
    with pytest.raises(
        HostError, match=r'smoke-node2.*failed: Operation not permitted - Failed to mount "proc"'
    ) as caught:
        await apply(triangle, hosts)
    assert caught.value.host == "node2"
    assert "incus info --project meshctl-smoke smoke-node2 --show-log" in caught.value.advice


async def test_without_a_log_what_incus_said_counts(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    hosts["node2"].on("incus launch *", status=1, stderr="Error: Image not found")
    hosts["node2"].on("incus info *", status=1, stderr="Error: Instance not found")
    with pytest.raises(HostError, match="failed: Error: Image not found"):
        await apply(triangle, hosts)


async def test_a_pair_that_can_not_ping_is_named_with_the_command_that_shows_it(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    hosts["node3"].on("incus exec *", OK.replace("ok 10.158.0.2", "no 10.158.0.2"))
    with pytest.raises(WaitError) as caught:
        await apply(triangle, hosts)
    assert caught.value.seen == "smoke-node3 gets no reply from smoke-node1 (10.158.0.2)"
    assert "incus exec --project meshctl-smoke smoke-node3 -- ping -c 1 -s 1414 10.158.0.2" in caught.value.advice
    assert "meshctl-smoke" in incus.projects
    assert await verify(triangle, hosts) == ["the smoke test has not passed for this configuration"]


async def test_a_silent_gateway_is_named(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    hosts["node1"].on("incus exec *", OK.replace("ok 203", "no 203"))
    with pytest.raises(WaitError, match=r"smoke-node1 gets no reply from the gateway \(203\.0\.113\.1\)"):
        await apply(triangle, hosts)


async def test_a_smaller_mtu_would_prove_nothing(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    hosts["node1"].on("incus exec *", OK.replace("1442", "1400"))
    with pytest.raises(HostError, match="has MTU 1400, not 1442"):
        await apply(triangle, hosts)


async def test_output_without_results_is_an_error(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    hosts["node1"].on("incus exec *", "sh: not found\n")
    with pytest.raises(ParseError):
        await apply(triangle, hosts)


async def test_other_data_from_ceph(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    hosts["node3"].on("sh -c *rbd*export*", "badbad  -\n")
    with pytest.raises(HostError, match="Ceph gave back other data than node1 wrote"):
        await apply(triangle, hosts)
