"""One host after the other, while the window is open."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.events import Event, RunFinished, RunStarted, State, StepFinished
from meshctl.host.base import Host
from meshctl.host.fake import FakeHost
from meshctl.lifecycle.layers import Layer
from meshctl.lifecycle.phases import Phase
from meshctl.lifecycle.plans import Absences
from meshctl.lifecycle.rolling import Rolling
from meshctl.lifecycle.window import Window
from meshctl.roles.base import Role
from meshctl.topology import Node
from tests.roles import golden
from tests.roles.absencehost import cluster_of

TRIANGLE = golden.topology("triangle")


class Toy(Phase):
    """A role whose gate always passes."""

    name = "toy"


class Power(Phase):
    """Notes who was rebooted."""

    def __init__(self, fails: str = "") -> None:
        super().__init__(TRIANGLE)
        self.order: list[str] = []
        self.fails = fails

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        del host, cluster
        if node.name == self.fails:
            raise RefusedError(node.name, "inhibited")
        self.order.append(node.name)


class Here(Absences):
    """Without the question about survival, which asks real layers."""

    def _phase(self, name: str) -> Role:
        return Phase(TRIANGLE) if name == "survives" else super()._phase(name)


def layer() -> Layer:
    module = ModuleType("absence")

    async def nothing(node: Node, host: Host, cluster: Cluster) -> None:
        del node, host, cluster

    vars(module).update(drain=nothing, restore=nothing)
    return Layer(Toy(TRIANGLE), module, frozenset())


@pytest.fixture
def events() -> list[Event]:
    return []


def rolling(folder: Path, power: Power, events: list[Event], window: Window | None = None) -> Rolling:
    one = layer()
    absences = Here(TRIANGLE, [one], [one.role], power)
    hosts = [FakeHost(node.name) for node in TRIANGLE.nodes]
    return Rolling(absences, TRIANGLE.nodes, cluster_of(TRIANGLE, hosts, folder), events.append, window)


async def test_all_hosts_in_turn_as_one_run(tmp_path: Path, events: list[Event]) -> None:
    power = Power()
    run = rolling(tmp_path, power, events)
    report = await run.run()
    assert report.ok
    assert power.order == list(run.rebooted) == ["node1", "node2", "node3"]
    assert run.remaining == []
    assert [type(event) for event in events if isinstance(event, RunStarted | RunFinished)] == [RunStarted, RunFinished]
    (started,) = (event for event in events if isinstance(event, RunStarted))
    assert {step.id for step in started.steps} == {result.step.id for result in report.results}
    ends = [event.result.ended for event in events if isinstance(event, StepFinished)]
    assert all(first <= second for first, second in pairwise(ends))


async def test_after_a_failure_nobody_else_goes(tmp_path: Path, events: list[Event]) -> None:
    power = Power(fails="node2")
    run = rolling(tmp_path, power, events)
    report = await run.run()
    assert (report.ok, report.refused) == (False, True)
    assert list(run.rebooted) == ["node1"]
    assert run.remaining == ["node2", "node3"]
    states = {result.step.id: result.state for result in report.results}
    assert states["toy.restore@node2"] is State.BLOCKED
    assert "reboot@node3" not in states


def closing(after: int) -> Iterator[datetime]:
    """A clock that stands in the window for so many looks."""
    for _ in range(after):
        yield datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
    while True:
        yield datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


async def test_the_window_closes_between_two_hosts(tmp_path: Path, events: list[Event]) -> None:
    power, clock = Power(), closing(after=3)
    run = rolling(tmp_path, power, events, Window.parse("01:00-05:00", lambda: next(clock)))
    report = await run.run()
    assert report.ok
    assert power.order == ["node1", "node2"]
    assert run.remaining == ["node3"]
    assert report.notes == ("the window 01:00-05:00 is closed",)


async def test_outside_the_window_nothing_is_touched(tmp_path: Path, events: list[Event]) -> None:
    power, clock = Power(), closing(after=0)
    run = rolling(tmp_path, power, events, Window.parse("01:00-05:00", lambda: next(clock)))
    report = await run.run()
    assert (report.ok, report.results, power.order) == (True, (), [])
