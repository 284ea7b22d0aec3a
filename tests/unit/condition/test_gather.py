"""Asking everybody: who is away or hangs is a fact, and nobody waits for it."""

import asyncio
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.condition.gather import ORDER, Examination, abilities, diseases, examine
from meshctl.condition.hosts import AbsentHost, ImpatientHost
from meshctl.errors import CommandTimeout, ConnectError, ConnectionLost, HostError
from meshctl.host.base import Host, Result
from meshctl.host.fake import FakeHost
from meshctl.host.holder import Holder
from meshctl.host.lock import Shown
from meshctl.roles.condition import Condition, Finding, Part, State
from meshctl.state import StateFolder
from meshctl.topology import load

ROOT = Path(__file__).parents[3]
TRIANGLE = load(ROOT / "topologies" / "triangle.yaml")
AWAY = ConnectError("node3", "port 22 of 10.0.0.3 does not answer")


class Mute(FakeHost):
    """Never answers."""

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = 20,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits for so long")


class Gone(FakeHost):
    """Its connection ends at the first question."""

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = 20,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        raise ConnectionLost(self.name, "the connection went away")


def cluster(tmp_path: Path, hosts: dict[str, Host]) -> Cluster:
    return Cluster(TRIANGLE, hosts, StateFolder(tmp_path))


async def test_every_layer_bears_that_all_hosts_are_away(tmp_path: Path) -> None:
    names = [node.name for node in TRIANGLE.nodes]
    away: dict[str, HostError] = {name: ConnectError(name, "off") for name in names}
    found = await examine(cluster(tmp_path, {}), away)
    assert tuple(found.conditions) == ORDER
    assert {name: one.state for name, one in found.conditions.items()} == dict.fromkeys(ORDER, State.BROKEN)
    assert all(condition.unknown for name, condition in found.conditions.items() if name not in {"links", "frr"})
    assert found.state is State.BROKEN
    assert not found.findings


async def test_hosts_that_hang_are_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    found = await examine(cluster(tmp_path, {node.name: Mute(node.name) for node in TRIANGLE.nodes}), patience=0.6)
    assert time.monotonic() - began < 20
    assert {one.state for one in found.conditions.values()} == {State.BROKEN}
    assert found.conditions["frr"].nodes["node1"] == Part(State.BROKEN, "no answer in time")


async def test_a_host_that_is_lost_while_it_is_asked_is_away(tmp_path: Path) -> None:
    hosts: dict[str, Host] = {node.name: Mute(node.name) for node in TRIANGLE.nodes}
    found = await examine(cluster(tmp_path, hosts | {"node2": Gone("node2")}), patience=0.6)
    assert found.unreachable.keys() == {"node2"}


async def test_an_impatient_host_names_the_command() -> None:
    host = ImpatientHost(Mute("node1"), time.monotonic() + 0.3)
    with pytest.raises(CommandTimeout, match="`ip addr` did not finish"):
        await host.query(["ip", "addr"])
    with pytest.raises(CommandTimeout, match="within 0 s"):
        await host.query(["ip", "addr"])


async def test_nothing_can_be_changed() -> None:
    for host in (ImpatientHost(FakeHost("node1"), time.monotonic() + 5), AbsentHost("node1", AWAY)):
        with pytest.raises(HostError, match="only looking"):
            await host.run(["reboot"], reason="a test")
    with pytest.raises(ConnectError, match="does not answer"):
        await AbsentHost("node3", AWAY).differing({})


def finding(*, leftover: bool) -> Finding:
    return Finding("flag-left-behind", "node1", "noout is set", "unset it", leftover=leftover)


def test_the_state_is_the_worst_of_all() -> None:
    healthy, degraded = Condition(State.HEALTHY, ""), Condition(State.DEGRADED, "")
    broken = Condition(State.BROKEN, "")
    assert Examination(TRIANGLE, {"a": healthy}).state is State.HEALTHY
    assert Examination(TRIANGLE, {"a": healthy, "b": degraded}).state is State.DEGRADED
    assert Examination(TRIANGLE, {"a": broken, "b": degraded}).state is State.BROKEN
    assert Examination(TRIANGLE, {"a": healthy}, {"node3": AWAY}).state is State.DEGRADED
    ill = Condition(State.HEALTHY, "", findings=(finding(leftover=False),))
    assert Examination(TRIANGLE, {"a": ill}).state is State.DEGRADED


def test_what_a_living_run_has_set_is_no_disease() -> None:
    conditions = {"a": Condition(State.HEALTHY, "", findings=(finding(leftover=True), finding(leftover=False)))}
    lock = Shown("epoch", Holder("anna", "laptop7", "now", "run", "1"))
    alone = Examination(TRIANGLE, conditions)
    assert len(alone.findings) == 2
    assert not alone.underway
    locked = Examination(TRIANGLE, conditions, locks={"node1": lock})
    assert [one.leftover for one in locked.findings] == [False]
    assert [one.leftover for one in locked.underway] == [True]


def test_every_disease_is_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "operations" / "doctor.md").read_text()
    rows = dict(line.strip("| ").split(" | ")[:2] for line in page.splitlines() if line.startswith("| `"))
    assert rows == {f"`{name}`": disease.summary for name, disease in diseases().items()}


def test_layers_come_from_the_cables_upwards() -> None:
    assert tuple(abilities()) == ORDER
