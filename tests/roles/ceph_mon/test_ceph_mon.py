"""The ceph_mon role: parsers on captured output, apply and verify against fake hosts."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import WaitError
from meshctl.roles.ceph import FOUNDING_KEY
from meshctl.roles.ceph_mon import parse
from meshctl.roles.ceph_mon.role import CephMonRole
from meshctl.roles.ceph_mon.settings import FOUNDING, lasting
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, changes, cluster_of

DATA = Path(__file__).parent / "data"
LEADER: dict[str, Any] = json.loads((DATA / "leader.json").read_text())


def test_status_of_a_leader() -> None:
    status = parse.mon_status((DATA / "leader.json").read_text())
    assert status.state == "leader"
    assert status.quorum == {"node1", "node2", "node3"}
    assert status.monmap["node2"] == ("v2:10.50.1.2:3300",)


def test_status_without_one_of_them() -> None:
    assert parse.mon_status((DATA / "without_node3.json").read_text()).quorum == {"node1", "node2"}


def test_settings_by_who_and_name() -> None:
    settings = parse.settings((DATA / "config_dump.json").read_text())
    assert settings["mon", "paxos_propose_interval"] == "0.200000"
    assert settings["osd/host:node1", "osd_memory_target"] == "4000000000"


class Hurried(CephMonRole):
    """The role without its patience."""

    patience: ClassVar[float] = 0.1
    quorum_timeout: ClassVar[float] = 0.2


@dataclass
class MonHost(CephHost):
    """A host whose monitor is in quorum as soon as it was started."""

    def started(self, unit: str) -> None:
        if unit.startswith("ceph-mon@"):
            self.mon = LEADER
        super().started(unit)


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def hosts(mesh: Topology) -> list[MonHost]:
    world = World()
    return [MonHost(name=node.name, world=world) for node in mesh.nodes]


@pytest.fixture
def cluster(mesh: Topology, hosts: list[MonHost], tmp_path: Path) -> Cluster:
    return cluster_of(mesh, hosts, tmp_path)


async def bootstrap(cluster: Cluster) -> CephMonRole:
    mons = CephMonRole(cluster.topology)
    for node in reversed(cluster.topology.nodes):
        await mons.apply(node, cluster.host(node), cluster)
    return mons


async def test_monitors_start_and_the_founding_is_marked(cluster: Cluster, hosts: list[MonHost]) -> None:
    mons = await bootstrap(cluster)
    assert hosts[2].ran == [
        "systemctl --root=/ enable -- ceph-mon@node3.service",
        "systemctl start -- ceph-mon@node3.service",
    ]
    world = hosts[0].world
    assert world.config.keys() == {(s.who, s.name) for s in (*FOUNDING, *lasting(cluster.topology))}
    assert world.told[0]["key"] == FOUNDING_KEY, "the mark comes before what it marks"
    assert await mons.verify(cluster) == []


async def test_second_run_changes_nothing(cluster: Cluster, hosts: list[MonHost]) -> None:
    await bootstrap(cluster)
    for host in hosts:
        host.forget()
    await bootstrap(cluster)
    assert changes(hosts) == []


async def test_an_established_cluster_gets_no_founding_again(cluster: Cluster, hosts: list[MonHost]) -> None:
    hosts[0].world.add_osd(0)
    await bootstrap(cluster)
    assert hosts[0].world.keys == {}
    assert hosts[0].world.config.keys() == {(s.who, s.name) for s in lasting(cluster.topology)}


async def test_what_an_operator_has_set_stays(cluster: Cluster, hosts: list[MonHost]) -> None:
    hosts[0].world.config["mgr", "mgr_disabled_modules"] = "restful"
    await bootstrap(cluster)
    assert hosts[0].world.config["mgr", "mgr_disabled_modules"] == "restful"


@pytest.mark.parametrize(
    ("replicas", "names"),
    [
        (3, set()),
        (2, {"osd_pool_default_size"}),
        (1, {"osd_pool_default_size", "mon_allow_pool_size_one", "mon_warn_on_pool_no_redundancy"}),
    ],
)
def test_fewer_copies_need_settings_of_their_own(mesh: Topology, replicas: int, names: set[str]) -> None:
    fewer = replace(mesh, ceph=mesh.ceph.model_copy(update={"replicas": replicas}))
    assert {setting.name for setting in lasting(fewer)} == {"mgr_disabled_modules", *names}


async def test_debians_second_unit_is_disabled(cluster: Cluster, hosts: list[MonHost]) -> None:
    hosts[1].enabled.add("ceph-mon.service")
    hosts[1].active.add("ceph-mon.service")
    await bootstrap(cluster)
    assert hosts[1].ran[0] == "systemctl disable --now -- ceph-mon.service"
    assert not {"ceph-mon.service"} & (hosts[1].enabled | hosts[1].active)


async def test_the_first_monitor_waits_for_the_others_but_not_for_ever(
    mesh: Topology, hosts: list[MonHost], cluster: Cluster
) -> None:
    await Hurried(mesh).apply(mesh.nodes[0], hosts[0], cluster)
    assert "ceph-mon@node1.service" in hosts[0].active


async def test_no_quorum_is_an_error_that_says_what_was_seen(
    mesh: Topology, hosts: list[MonHost], cluster: Cluster
) -> None:
    hosts[0].active.add("ceph-mon@node1.service")
    hosts[0].mon = {**LEADER, "state": "probing", "quorum": []}
    hosts[1].failed.add("ceph-mon@node2.service")
    hosts[1].journal = "starting mon.node2\nunable to bind to v2:10.50.1.2:3300/0: (98) Address already in use\nbye\n"
    with pytest.raises(WaitError, match=r"a quorum of monitors") as caught:
        await Hurried(mesh).apply(mesh.nodes[0], hosts[0], cluster)
    first, second, reason, third = caught.value.seen.splitlines()
    assert first == "node1: probing"
    assert second == "node2: no such thing; ceph-mon@node2 is failed (x, exit-code)"
    assert reason == "unable to bind to v2:10.50.1.2:3300/0: (98) Address already in use"
    assert third.startswith("node3: no such thing; ")
    assert "journalctl -u ceph-mon@HOST" in caught.value.advice


async def test_verify_names_a_silent_and_a_missing_monitor(cluster: Cluster, hosts: list[MonHost]) -> None:
    mons = await bootstrap(cluster)
    hosts[2].mon = None
    hosts[0].mon = json.loads((DATA / "without_node3.json").read_text())
    problems = await mons.verify(cluster)
    assert [(p.host, p.what) for p in problems] == [
        ("node1", "not in quorum: node3"),
        ("node3", "the monitor does not answer"),
    ]
    assert not problems[1].final
    hosts[2].failed.add("ceph-mon@node3.service")
    assert (await mons.verify(cluster))[1].final, "systemd has given up, so waiting is of no use"


async def test_verify_names_an_address_of_the_old_protocol(cluster: Cluster, hosts: list[MonHost]) -> None:
    mons = await bootstrap(cluster)
    both = [{"type": "v2", "addr": "10.50.1.3:3300"}, {"type": "v1", "addr": "10.50.1.3:6789"}]
    status = json.loads(json.dumps(LEADER))
    status["monmap"]["mons"][2]["public_addrs"]["addrvec"] = both
    hosts[1].mon = status
    (problem,) = await mons.verify(cluster)
    assert problem.seen == "v2:10.50.1.3:3300, v1:10.50.1.3:6789"
    assert problem.advice == "ceph mon set-addrs node3 '[v2:10.50.1.3:3300]'"


async def test_verify_names_a_monitor_too_many(cluster: Cluster, hosts: list[MonHost]) -> None:
    mons = await bootstrap(cluster)
    status = json.loads(json.dumps(LEADER))
    status["monmap"]["mons"].append({**status["monmap"]["mons"][0], "rank": 3, "name": "old"})
    hosts[0].mon = status
    (problem,) = await mons.verify(cluster)
    assert problem.advice == "ceph mon remove old"


async def test_verify_survives_nonsense(cluster: Cluster, hosts: list[MonHost]) -> None:
    mons = await bootstrap(cluster)
    hosts[0].mon = {"state": "x"}
    assert [p.what for p in await mons.verify(cluster)] == ["the monitor does not answer"]
