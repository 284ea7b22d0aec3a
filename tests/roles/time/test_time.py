from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import ParseError
from meshctl.host.fake import FakeHost
from meshctl.roles.time.parse import sources, tracking
from meshctl.roles.time.role import Time
from meshctl.state import StateFolder
from meshctl.topology import Topology
from tests.roles import golden

DATA = Path(__file__).parent / "data"
TRACKING, SOURCES = "chronyc -c -n tracking", "chronyc -c -n sources"


def data(name: str) -> str:
    return (DATA / f"{name}.csv").read_text()


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def hosts() -> dict[str, FakeHost]:
    """node1 was elected; the others follow it."""
    hosts = {name: FakeHost(name) for name in ("node1", "node2", "node3")}
    hosts["node1"].on(TRACKING, data("tracking-local")).on(SOURCES, data("sources-node1"))
    for name in ("node2", "node3"):
        hosts[name].on(TRACKING, data("tracking-follower")).on(SOURCES, data(f"sources-{name}"))
    return hosts


async def gate(mesh: Topology, hosts: dict[str, FakeHost]) -> list[tuple[str, str, str]]:
    problems = await Time(mesh).verify(Cluster(mesh, hosts, StateFolder(Path("/nowhere"))))
    return [(problem.host, problem.what, problem.seen) for problem in problems]


def test_tracking_of_the_elected_and_of_a_follower() -> None:
    elected, follower = tracking(data("tracking-local")), tracking(data("tracking-follower"))
    assert (elected.local, elected.stratum, elected.source) == (True, 10, "")
    assert (follower.local, follower.stratum, follower.source) == (False, 11, "10.50.1.1")
    assert not tracking(data("tracking-unsynchronised")).synchronised


def test_sources_of_a_follower() -> None:
    found = sources(data("sources-node2"))
    assert found["10.50.1.1"].selected
    assert found["10.50.1.1"].reachable
    assert not found["10.50.1.3"].selected
    assert abs(found["10.50.1.3"].offset) < 0.05


async def test_elected_host_and_its_followers_are_fine(mesh: Topology, hosts: dict[str, FakeHost]) -> None:
    assert await gate(mesh, hosts) == []


async def test_hosts_that_each_elect_themselves_are_not(mesh: Topology, hosts: dict[str, FakeHost]) -> None:
    hosts["node3"].on(TRACKING, data("tracking-local")).on(SOURCES, data("sources-node1"))
    assert await gate(mesh, hosts) == [("node3", "the clock follows itself", "itself")]


async def test_hosts_with_time_servers_of_their_own_are_fine(mesh: Topology, hosts: dict[str, FakeHost]) -> None:
    for host in hosts.values():
        host.on(TRACKING, data("tracking-follower").replace("10.50.1.1", "192.0.2.1"))
    assert await gate(mesh, hosts) == []


async def test_host_that_follows_nothing(mesh: Topology, hosts: dict[str, FakeHost]) -> None:
    hosts["node2"].on(TRACKING, data("tracking-unsynchronised"))
    assert await gate(mesh, hosts) == [("node2", "the clock follows nothing", "not synchronised")]


async def test_clocks_that_differ(mesh: Topology, hosts: dict[str, FakeHost]) -> None:
    hosts["node2"].on(SOURCES, "=,*,10.50.1.1,10,0,377,2,-0.070,-0.080,0.0001\n=,?,10.50.1.3,0,0,0,9,9.0,9.0,0.1\n")
    assert await gate(mesh, hosts) == [("node2", "the clocks of node2 and node1 differ", "-0.070 s")]


async def test_chronyd_that_does_not_run(mesh: Topology, hosts: dict[str, FakeHost]) -> None:
    hosts["node1"].on(TRACKING, "506 Cannot talk to daemon\n", status=1)
    assert await gate(mesh, hosts) == [("node1", "chronyd does not answer", "no answer")]


async def test_unknown_output(mesh: Topology, hosts: dict[str, FakeHost]) -> None:
    hosts["node1"].on(TRACKING, "fine, thanks\n")
    with pytest.raises(ParseError):
        await gate(mesh, hosts)


def test_gate_has_a_short_deadline(mesh: Topology) -> None:
    assert Time(mesh).gate_timeout() <= 60


async def test_a_selected_source_counts_before_its_first_update(mesh: Topology, hosts: dict[str, FakeHost]) -> None:
    hosts["node2"].on(TRACKING, data("tracking-local"))
    assert await gate(mesh, hosts) == []
    hosts["node2"].on(SOURCES, data("sources-node2").replace("*", "?"))
    assert [(host, seen) for host, _, seen in await gate(mesh, hosts)] == [("node2", "itself")]
