import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import CommandError
from meshctl.host import Host, text
from meshctl.host.base import QUERY_TIMEOUT, Result
from meshctl.host.fake import FakeHost
from meshctl.host.lockstep import Lockstep
from meshctl.plan import bootstrap_plan
from meshctl.preview import Preview, Previewer
from meshctl.roles.base import Problem, Role
from meshctl.topology import Node
from tests.unit.engine.toys import Diary, MakeRole


async def preview(cluster: Cluster, *classes: type[Role]) -> Preview:
    plan = bootstrap_plan(cluster.topology, [cls(cluster.topology) for cls in classes])
    return await Previewer(plan, cluster).run()


def fake(cluster: Cluster, name: str) -> FakeHost:
    host = cluster.hosts[name]
    assert isinstance(host, FakeHost)
    return host


async def test_changes_are_planned_and_none_is_made(cluster: Cluster, make_role: MakeRole) -> None:
    plan = await preview(cluster, make_role("a"))
    assert [(c.host, c.kind, c.target) for c in plan.changes[:2]] == [
        ("node1", "command", "touch a@node1"),
        ("node1", "file", "/etc/a"),
    ]
    assert plan.changes[1].diff == "--- /dev/null\n+++ b/etc/a\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
    assert all(not fake(cluster, n).ran and not fake(cluster, n).written for n in cluster.hosts)


async def test_nothing_to_do_is_empty(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.quiet = {f"a@node{n}" for n in (1, 2, 3)}
    assert (await preview(cluster, make_role("a"))).empty


async def test_an_existing_file_is_compared_line_by_line(cluster: Cluster, make_role: MakeRole) -> None:
    fake(cluster, "node2").files["/etc/a"] = text("old\n")
    plan = await preview(cluster, make_role("a"))
    diff = next(c.diff for c in plan.changes if c.host == "node2" and c.kind == "file")
    assert diff.startswith("--- a/etc/a\n+++ b/etc/a\n")
    assert "-old\n+x\n" in diff


class Counting(FakeHost):
    """Counts how often the host is visited: questions of one turn of the event loop travel together, as over SSH."""

    def __init__(self, inner: FakeHost, visits: dict[str, int]) -> None:
        super().__init__(inner.name)
        self._visits = visits
        self._on_the_way = False

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        if not self._on_the_way:
            self._on_the_way = True
            self._visits[self.name] = self._visits.get(self.name, 0) + 1
        await asyncio.sleep(0.01 * int(self.name[-1]))  # each host takes another time
        self._on_the_way = False
        return Result(tuple(argv), 0, "", "")


class Needy(Role):
    """Needs what `a` would have installed."""

    name = "needy"
    needs = frozenset({"a"})
    summary = "a toy"

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        await host.query(["daemon", "--version"])

    async def verify(self, cluster: Cluster) -> list[Problem]:
        return []


async def test_what_lies_behind_a_change_is_unknown_not_wrong(cluster: Cluster, make_role: MakeRole) -> None:
    for node in cluster.hosts:
        fake(cluster, node).on("daemon *", status=127, stderr="not found")
    plan = await preview(cluster, make_role("a"), Needy)
    assert plan.problems == ()
    assert {u.step for u in plan.unknown} == {"needy@node1", "needy@node2", "needy@node3"}
    assert plan.unknown[0].after == ("a@node1", "a@node2", "a@node3")


async def test_an_error_with_nothing_before_it_is_a_problem(
    cluster: Cluster, diary: Diary, make_role: MakeRole
) -> None:
    diary.quiet = {f"a@node{n}" for n in (1, 2, 3)}
    for node in cluster.hosts:
        fake(cluster, node).on("daemon *", status=127, stderr="not found")
    plan = await preview(cluster, make_role("a"), Needy)
    assert not plan.empty
    assert {(step, p.host) for step, p in plan.problems} == {(f"needy@node{n}", f"node{n}") for n in (1, 2, 3)}


async def test_a_defect_is_not_hidden(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    diary.crash = {"a@node1"}
    with pytest.raises(ZeroDivisionError):
        await preview(cluster, make_role("a"))


class Blind(Needy):
    """Remembers what `prepare` saw, which sees nothing."""

    name = "blind"
    needs = frozenset[str]()

    async def prepare(self, cluster: Cluster) -> None:
        raise CommandError("node1", ["ceph", "-s"], 110, "no quorum")

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        assert vars(self)["_seen"]


async def test_a_step_whose_preparation_failed_is_not_reached(cluster: Cluster) -> None:
    """Seen with two monitors stopped: every later step stumbled over what its `prepare` had not seen."""
    plan = await preview(cluster, Blind)
    assert [(step, problem.what) for step, problem in plan.problems] == [
        ("blind.prepare", "`ceph -s` exited with 110: no quorum")
    ]


async def test_waiting_for_a_planned_change_is_unknown(cluster: Cluster) -> None:
    class Waiting(Needy):
        needs = frozenset[str]()

        async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
            async def down() -> str:
                return "down"

            await host.run(["systemctl", "start", "x"], reason="it is stopped")
            await host.until("x", down, timeout=1)

    plan = await preview(cluster, Waiting)
    assert {c.kind for c in plan.changes} == {"service"}
    assert plan.unknown[0].after == ("needy@node1",)


async def test_the_first_gate_is_looked_at(cluster: Cluster) -> None:
    class Preflight(Role):
        name = "preflight"
        summary = "a toy"

        async def verify(self, cluster: Cluster) -> list[Problem]:
            return [Problem("node2", "no disk", "/dev/sdb", "nothing", final=True)]

    plan = await preview(cluster, Preflight)
    assert [(step, p.what) for step, p in plan.problems] == [("preflight.verify", "no disk")]


async def test_the_state_folder_stays_as_it_is(cluster: Cluster) -> None:
    class Founder(Needy):
        needs = frozenset[str]()

        async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
            if cluster.state.read_secret("ca") is None:
                cluster.state.write_secret("ca", node.name.encode())
            assert cluster.state.read_secret("ca") == b"node1"

    assert (await preview(cluster, Founder)).empty
    assert not cluster.state.path.exists()


async def test_secrets_are_not_shown(cluster: Cluster, tmp_path: Path) -> None:
    class Secretive(Needy):
        needs = frozenset[str]()

        async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
            await host.put({"/etc/key": text("hunter2", mode=0o600, secret=True)})

    plan = await preview(cluster, Secretive)
    assert "hunter2" not in repr(plan)
    assert plan.changes[0].diff == "(secret: 7 bytes, not shown)"


async def test_questions_of_many_steps_travel_in_waves() -> None:
    lockstep, asked = Lockstep(), list[str]()

    async def step(number: int, depth: int) -> None:
        for level in range(depth):
            question = f"{number}.{level}"

            async def ask(question: str = question) -> str:
                asked.append(question)
                return question

            assert await lockstep.join(ask) == question

    async with asyncio.timeout(5):
        await asyncio.gather(*(step(n, depth) for n, depth in enumerate((3, 1, 2, 3))))
    assert asked[:4] == ["0.0", "1.0", "2.0", "3.0"]
    assert set(asked[4:7]) == {"0.1", "2.1", "3.1"}
    assert set(asked[7:]) == {"0.2", "3.2"}


class Chain(Needy):
    """Asks three questions, each after the answer to the one before, and goes on when all hosts have answered one."""

    name = "chain"
    needs = frozenset[str]()

    async def prepare(self, cluster: Cluster) -> None:
        await cluster.each(lambda _node, host: host.query(["daemon", f"{self.name} 0"]))

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        for level in (1, 2):
            await host.query(["daemon", f"{self.name} {level}"])


async def test_hosts_are_visited_as_often_as_the_longest_chain_needs(cluster: Cluster) -> None:
    class Unprepared(Chain):
        name = "unprepared"
        prepare = Role.prepare

    visits: dict[str, int] = {}
    hosts: dict[str, Host] = {name: Counting(fake(cluster, name), visits) for name in cluster.hosts}
    await preview(replace(cluster, hosts=hosts), Chain, Unprepared)
    assert visits == dict.fromkeys(cluster.hosts, 3)


async def test_who_asks_for_changes_hears_of_all_before_it(cluster: Cluster, diary: Diary, make_role: MakeRole) -> None:
    class Last(Needy):
        name = "last"
        needs = frozenset({"a"})

        async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
            if cluster.changed():
                await host.run(["touch", "last"], reason="something is changed")

    changed = await preview(cluster, Last, make_role("a"))
    assert {c.step for c in changed.changes} >= {"last@node1", "last@node2", "last@node3"}
    diary.quiet = {f"a@node{n}" for n in (1, 2, 3)}
    assert (await preview(cluster, Last, make_role("a"))).empty
    beside = await preview(cluster, Last, make_role("a"), make_role("b"))
    assert {c.step for c in beside.changes} == {"b@node1", "b@node2", "b@node3"}
