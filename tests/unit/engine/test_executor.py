import asyncio

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import HostError, RefusedError
from meshctl.events import Event, GateWaits, Noted, Report, RunFinished, State, StepFinished
from meshctl.executor import Executor
from meshctl.host import Host
from meshctl.plan import bootstrap_plan, verify_plan
from meshctl.roles.base import Problem, Role, Rollout
from meshctl.topology import Node, Topology
from tests.unit.engine.toys import Diary, MakeRole, ToyRole


async def execute(cluster: Cluster, *classes: type[Role], events: list[Event] | None = None) -> Report:
    plan = bootstrap_plan(cluster.topology, [cls(cluster.topology) for cls in classes])
    return await Executor(plan, cluster, (events if events is not None else []).append).run()


def states(report: Report) -> dict[str, State]:
    return {result.step.id: result.state for result in report.results}


async def test_dependent_role_starts_only_after_the_gate(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    report = await execute(cluster, make_role("b", "a"), make_role("a"))
    assert report.ok
    gate = diary.lines.index("end a.verify")
    assert all(diary.lines.index(f"end a@node{n}") < gate < diary.lines.index(f"start b@node{n}") for n in (1, 2, 3))


async def test_independent_steps_run_at_the_same_time(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.hold = {f"a@node{n}": asyncio.Event() for n in (1, 2, 3)}
    run = asyncio.create_task(execute(cluster, make_role("a"), make_role("z")))
    async with asyncio.timeout(5):
        while "end z.verify" not in diary.lines:
            await asyncio.sleep(0)
    assert [line for line in diary.lines if " a@" in line] == [f"start a@node{n}" for n in (1, 2, 3)]
    for event in diary.hold.values():
        event.set()
    assert (await run).ok


@pytest.mark.parametrize(
    ("rollout", "before_second"),
    [(Rollout.LEADER_FIRST, {"end a@node1"}), (Rollout.ONE_BY_ONE, {"end a@node1", "end a@node2"})],
)
async def test_rollout_orders_the_hosts(
    cluster: Cluster, diary: Diary, make_role: MakeRole, rollout: Rollout, before_second: set[str]
) -> None:
    assert (await execute(cluster, make_role("a", rollout=rollout))).ok
    assert before_second <= set(diary.lines[: diary.lines.index("start a@node3")])


async def test_failure_blocks_only_what_depends_on_it(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.fail = {"a@node2"}
    report = await execute(cluster, make_role("a"), make_role("b", "a"), make_role("c"))
    seen = states(report)
    assert not report.ok
    assert seen["a@node2"] is State.FAILED
    assert seen["a@node1"] is seen["a@node3"] is State.CHANGED
    assert {seen["a.verify"], seen["b@node1"], seen["b.verify"]} == {State.BLOCKED}
    assert seen["c.verify"] is State.OK


async def test_failure_says_host_command_and_stderr(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.fail = {"a@node2"}
    report = await execute(cluster, make_role("a"))
    (problem,) = next(r for r in report.results if r.step.id == "a@node2").problems
    assert (problem.host, problem.command, problem.seen) == ("node2", "false", "no luck")


async def test_a_failure_that_names_a_loopback_says_whose_it_is(cluster: Cluster, make_role: MakeRole) -> None:
    class Peerless(make_role("a")):  # type: ignore[misc]  # a class made by a fixture
        async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
            del cluster
            other = self.topology.node("node3").loopback
            raise HostError(host.name, f"Error: peer node {other}:8443 is down" if node.name == "node1" else "no")

    report = await execute(cluster, Peerless)
    problems = {problem.host: problem for result in report.results for problem in result.problems}
    address = cluster.topology.node("node3").loopback
    assert problems["node1"].advice.startswith(f"{address} is node3: see that")
    assert problems["node2"].advice == ""


async def test_a_refusal_is_told_apart(cluster: Cluster, make_role: MakeRole) -> None:
    class Careful(make_role("a")):  # type: ignore[misc]  # a class made by a fixture
        async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
            raise RefusedError(node.name, "/dev/sdb has a filesystem")

    assert (await execute(cluster, Careful)).refused
    assert not (await execute(cluster, make_role("b"))).refused


async def test_defect_of_a_role_is_reported_and_others_finish(
    cluster: Cluster, diary: Diary, make_role: MakeRole
) -> None:
    diary.crash = {"a@node1"}
    events: list[Event] = []
    report = await execute(cluster, make_role("a"), make_role("c"), events=events)
    assert states(report)["c.verify"] is State.OK
    traces = [e.traceback for e in events if isinstance(e, StepFinished) and e.result.step.id == "a@node1"]
    assert "ZeroDivisionError" in traces[0]


async def test_gate_looks_again_until_healthy(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.sick = {"a": 3}
    events: list[Event] = []
    assert (await execute(cluster, make_role("a"), events=events)).ok
    assert diary.lines.count("start a.verify") == 4
    assert len([e for e in events if isinstance(e, GateWaits)]) == 1


async def test_gate_gives_up_at_its_deadline_with_what_it_saw(
    cluster: Cluster, diary: Diary, make_role: MakeRole
) -> None:
    diary.sick = {"a": 10**9}
    report = await execute(cluster, make_role("a"))
    gate = next(r for r in report.results if r.step.id == "a.verify")
    assert gate.state is State.FAILED
    assert [p.what for p in gate.problems] == ["a is sick"]


async def test_verify_has_a_patience_of_its_own(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.sick = {"a": 10**9}
    role = make_role("a")(cluster.topology)
    events: list[Event] = []
    report = await Executor(verify_plan([role]), cluster, events.append, patience=0).run()
    assert states(report) == {"a.verify": State.FAILED}
    assert diary.lines.count("start a.verify") == 1


async def test_final_problem_is_not_waited_for(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.sick = {"a": 10**9}
    diary.hopeless = {"a"}
    await execute(cluster, make_role("a"))
    assert diary.lines.count("start a.verify") == 1


async def test_error_while_looking_is_waited_for_like_a_problem(
    cluster: Cluster, diary: Diary, make_role: MakeRole
) -> None:
    class Flaky(make_role("a")):  # type: ignore[misc]  # a class made by a fixture
        async def verify(self, cluster: Cluster) -> list[Problem]:
            diary.fail = set() if "start a.verify" in diary.lines else {"a.verify"}
            return await super().verify(cluster)  # type: ignore[no-any-return]

    assert (await execute(cluster, Flaky)).ok
    assert diary.lines.count("start a.verify") == 2


async def test_every_change_is_counted_and_a_quiet_run_has_none(
    cluster: Cluster, diary: Diary, make_role: MakeRole
) -> None:
    first = await execute(cluster, make_role("a"))
    assert {(c.host, c.kind, c.target) for c in first.changes} >= {("node1", "command", "touch a@node1")}
    assert len(first.changes) == 6
    diary.quiet = {f"a@node{n}" for n in (1, 2, 3)}
    second = await execute(cluster, make_role("a"))
    assert second.changes == ()
    assert set(states(second).values()) == {State.OK}


async def test_cancellation_interrupts_and_reports(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.hold = {"a@node1": asyncio.Event()}
    events: list[Event] = []
    run = asyncio.create_task(execute(cluster, make_role("a"), make_role("b", "a"), events=events))
    async with asyncio.timeout(5):
        while "end a@node3" not in diary.lines:
            await asyncio.sleep(0)
    run.cancel()
    report = await run
    assert report.interrupted
    assert not report.ok
    seen = states(report)
    assert seen["a@node1"] is State.INTERRUPTED
    assert seen["b@node2"] is State.INTERRUPTED
    assert seen["a@node3"] is State.CHANGED
    assert isinstance(events[-1], RunFinished)


async def test_a_reader_that_breaks_ends_the_run_with_nothing_left_running(
    cluster: Cluster, diary: Diary, make_role: MakeRole
) -> None:
    """The locks are given back after it: a step that went on would change hosts that are somebody else's."""
    diary.hold = {"b@node1": asyncio.Event()}

    def reader(event: Event) -> None:
        if isinstance(event, StepFinished) and event.result.step.id == "a@node1":
            raise KeyError("a defect of the reader")

    plan = bootstrap_plan(cluster.topology, [make_role(name)(cluster.topology) for name in ("a", "b")])
    with pytest.raises(KeyError):
        await Executor(plan, cluster, reader).run()
    diary.hold["b@node1"].set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert "start b@node1" in diary.lines
    assert "end b@node1" not in diary.lines


async def test_a_gate_cannot_change_anything(cluster: Cluster, make_role: MakeRole) -> None:
    class Meddler(make_role("a")):  # type: ignore[misc]  # a class made by a fixture
        async def verify(self, cluster: Cluster) -> list[Problem]:
            with pytest.raises(HostError, match="only looking"):
                await cluster.leader.put({})
            await cluster.leader.run(["touch", "x"], reason="mischief")
            return []

    report = await execute(cluster, Meddler)
    assert states(report)["a.verify"] is State.FAILED


async def test_a_role_learns_what_changed_before_it(cluster: Cluster, topology: Topology, make_role: MakeRole) -> None:
    class Last(ToyRole):
        name = "last"
        needs = frozenset({"a"})

        async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
            cluster.note(" ".join(sorted(cluster.changed())))

        async def verify(self, cluster: Cluster) -> list[Problem]:
            return []

    events: list[Event] = []
    beside = make_role("b")
    report = await execute(cluster, make_role("a"), beside, Last, events=events)
    assert states(report)["b@node1"] is State.CHANGED
    assert report.notes == ("a@node1 a@node2 a@node3",), "what it does not depend on does not count"
    assert [e.text for e in events if isinstance(e, Noted)] == list(report.notes)


async def test_critical_path_is_the_chain_that_ended_last(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.hold = {"slow@node2": asyncio.Event()}
    run = asyncio.create_task(execute(cluster, make_role("fast"), make_role("slow"), make_role("end", "fast", "slow")))
    async with asyncio.timeout(5):
        while "end fast.verify" not in diary.lines:
            await asyncio.sleep(0)
    diary.hold["slow@node2"].set()
    path = [result.step.id for result in (await run).critical_path]
    assert path[:2] == ["slow@node2", "slow.verify"]
    assert path[-1] == "end.verify"
