import asyncio

import pytest

from meshctl.cluster import Cluster
from meshctl.events import Event, Report, RunFinished, State
from meshctl.host.fake import FakeHost
from meshctl.plan import bootstrap_plan
from meshctl.roles.base import Role
from meshctl.settled import settled
from tests.unit.engine.toys import Diary, MakeRole

QUIET = {f"{role}@node{n}" for role in "ab" for n in (1, 2, 3)}


async def look(cluster: Cluster, *classes: type[Role], events: list[Event] | None = None) -> Report | None:
    plan = bootstrap_plan(cluster.topology, [cls(cluster.topology) for cls in classes])
    return await settled(plan, cluster, (events if events is not None else []).append)


async def test_everything_in_place_is_a_whole_run(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.quiet = QUIET
    events: list[Event] = []
    report = await look(cluster, make_role("b", "a"), make_role("a"), events=events)
    assert report is not None
    assert report.ok
    assert report.changes == ()
    assert {result.step.id for result in report.results} == {*QUIET, "a.verify", "b.verify"}
    assert {result.state for result in report.results} == {State.OK}
    assert len(report.critical_path) == 1
    assert events[-1] == RunFinished(report)


async def test_all_look_at_the_same_time(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.quiet = QUIET
    diary.hold = {"a@node1": asyncio.Event()}
    task = asyncio.create_task(look(cluster, make_role("b", "a"), make_role("a")))
    async with asyncio.timeout(5):
        while "end b.verify" not in diary.lines:
            await asyncio.sleep(0)
    diary.hold["a@node1"].set()
    assert await task


@pytest.mark.parametrize("trouble", ["a change", "a failure", "a defect", "a gate"])
async def test_anything_else_is_left_to_the_ordered_run(
    cluster: Cluster, diary: Diary, make_role: MakeRole, trouble: str
) -> None:
    diary.quiet = QUIET - ({"b@node2"} if trouble == "a change" else set())
    diary.fail = {"b@node2"} if trouble == "a failure" else set()
    diary.crash = {"b@node2"} if trouble == "a defect" else set()
    diary.sick = {"b": 1} if trouble == "a gate" else {}
    events: list[Event] = []
    assert await look(cluster, make_role("b", "a"), make_role("a"), events=events) is None
    assert events == []
    assert all(isinstance(host, FakeHost) and not host.ran and not host.written for host in cluster.hosts.values())
