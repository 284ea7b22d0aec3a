"""The links role and its dead-man switch: what is armed when, and what the operator reads afterwards."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from meshctl.errors import ConnectError, ConnectionLost, RolledBackError
from meshctl.host.base import Result
from meshctl.host.changes import HostChange
from meshctl.host.dryrun import DryRunHost, Unknowable
from meshctl.host.fake import FakeHost
from meshctl.host.lockstep import Lockstep
from meshctl.host.views import ReadOnlyHost, RecordingHost
from meshctl.roles import deadman
from meshctl.roles.links.networkd import FOLDER, PREFIX
from meshctl.roles.links.role import Links
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.links.test_links_role import Kernel, apply, cluster_of, fresh

ARM, CONFIRM, ROLLBACK = (f"sh -c *{deadman.FOLDER} {word} *" for word in ("arm", "confirm", "rollback"))
ETH1 = f"{FOLDER}/{PREFIX}eth1.network"
REPORT = f"removed {ETH1}, which had 172.31.0.253/30\ntook 172.31.0.253/30 from eth1\n"


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def kernels(mesh: Topology) -> dict[str, Kernel]:
    return {node.name: fresh(node) for node in mesh.nodes}


def steps(host: FakeHost) -> list[str]:
    """`arm`, `confirm`, `rollback` in their order, with how they travelled."""
    return [
        ("fresh " if line.startswith("fresh: ") else "") + line.split(f" {deadman.FOLDER} ", 1)[1].split(" ", 1)[0]
        for line in host.safeguards
    ]


async def test_armed_first_and_confirmed_over_a_new_connection(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    seen: list[tuple[list[str], list[str]]] = []
    host = kernels["node1"].host
    host.on(ARM, then=lambda: seen.append((list(host.written), list(host.ran))))
    host.on(CONFIRM, then=lambda: seen.append((list(host.written), list(host.ran))))
    await apply(mesh, kernels)
    assert steps(host) == ["arm", "fresh confirm"]
    files = [f"{FOLDER}/{PREFIX}{nic}.network" for nic in ("eth1", "eth2", "eth3", "lo")]
    assert seen == [([], []), (files, ["networkctl reload"])]
    armed = host.safeguards[0]
    assert armed.endswith(" ".join(["15", *files, "--", "eth1", "eth2", "eth3", "lo"]))
    token = armed.split(f"{deadman.FOLDER} arm ")[1].split()[0]
    assert host.safeguards[1].endswith(f" confirm {token}")


async def test_hosts_whose_login_may_take_longer_have_that_long(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    slow = replace(mesh, ssh=mesh.ssh.model_copy(update={"connect_timeout": 120}))
    await apply(slow, kernels)
    assert " 120 " in kernels["node1"].host.safeguards[0]
    hasty = replace(mesh, ssh=mesh.ssh.model_copy(update={"connect_timeout": 3}))
    assert deadman.deadline(hasty) == deadman.DEADLINE


async def test_confirmed_only_when_networkd_has_read_the_files(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    """A confirmation before the change is in effect would prove nothing."""
    kernel = kernels["node1"]
    index = list(kernel.nics).index("eth3") + 1  # the uplink: up and without address before and after
    looks = iter(["200.0", "200.0", "200.0", "200.2"])
    state = ["200.0"]

    def next_look() -> None:
        state[0] = next(looks, state[0])
        kernel.host.on("sh -c stat *", f"200.1 {FOLDER}/{PREFIX}eth3.network\n{state[0]} /x/{index}\n", then=next_look)

    next_look()
    kernel.host.on(CONFIRM, then=lambda: seen.append(state[0]))
    seen: list[str] = []
    await apply(mesh, kernels)
    assert seen == ["200.2"]


async def test_second_run_arms_nothing(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    await apply(mesh, kernels)
    kernels["node1"].host.safeguards.clear()
    host = await apply(mesh, kernels)
    assert host.safeguards == []


async def test_repair_of_the_kernel_alone_is_armed_too(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    await apply(mesh, kernels)
    kernels["node1"].nics["eth2"] |= {"mtu": 1400}
    kernels["node1"].show()
    kernels["node1"].host.safeguards.clear()
    assert steps(await apply(mesh, kernels)) == ["arm", "fresh confirm"]


async def test_file_and_nic_that_left_the_mesh_are_remembered(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    await apply(mesh, kernels)
    stale = f"{FOLDER}/{PREFIX}eth7.network"
    host = kernels["node1"].host
    host.safeguards.clear()
    host.on("sh -c exec grep *", f"{stale}:Name=eth7\n").on("rm -f -- *")
    await apply(mesh, kernels)
    paths, nics = host.safeguards[0].split(" -- ")
    assert stale in paths.split()
    assert "eth7" in nics.split()


async def test_nothing_is_changed_when_arming_fails(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    kernels["node1"].host.on(ARM, status=1, stderr="No space left on device")
    with pytest.raises(Exception, match="No space left"):
        await apply(mesh, kernels)
    assert kernels["node1"].host.written == kernels["node1"].host.ran == []


@dataclass
class CutHost(FakeHost):
    """Can't be reached over a new connection, until its timer has ended."""

    error: Exception | None = None
    back: bool = True
    waited: list[float] = field(default_factory=list)

    async def safeguard(
        self,
        argv: list[str],  # type: ignore[override]
        *,
        stdin: bytes | None = None,
        timeout: float = 60,  # noqa: ASYNC109
        fresh: float | None = None,
    ) -> Result | None:
        if fresh is not None:
            self.waited.append(fresh)
            if "confirm" in argv or not self.back:
                raise self.error or ConnectError(self.name, "port 22 of 172.31.0.11 does not answer")
        return await super().safeguard(argv, stdin=stdin, timeout=timeout, fresh=fresh)


def cut(kernel: Kernel) -> CutHost:
    """The same host, cut off by the change."""
    old = kernel.host
    kernel.host = host = CutHost(old.name, old.answers, old.files)
    host.on(ROLLBACK, REPORT)
    return host


async def test_what_was_rolled_back_is_said(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    host = cut(kernels["node1"])
    with pytest.raises(RolledBackError) as caught:
        await apply(mesh, kernels)
    error = caught.value
    assert str(error) == (
        "node1: the change of the network was rolled back: the host could not be reached over a new connection within "
        f"15 s; back as before: {ETH1}"
    )
    assert error.seen.splitlines() == REPORT.splitlines()
    assert error.exit_code == 4
    assert "answers again, configured as before" in error.advice
    assert "run bootstrap again" in error.advice
    assert steps(host) == ["arm", "fresh rollback"]
    assert 14 < host.waited[0] <= 15
    assert deadman.RETURN < host.waited[1] <= deadman.RETURN + 15


async def test_host_that_stays_away(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    host = cut(kernels["node1"])
    host.back = False
    with pytest.raises(ConnectError, match="should have taken that back") as caught:
        await apply(mesh, kernels)
    assert "console" in caught.value.advice


async def test_lost_answer_to_the_confirmation_is_no_rollback(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    host = cut(kernels["node1"])
    host.error = ConnectionLost("node1", "the SSH connection was lost")
    host.on(ROLLBACK, status=3)
    await apply(mesh, kernels)
    assert steps(host) == ["arm", "fresh rollback"]


async def test_change_that_fails_is_taken_back_at_once(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    host = kernels["node1"].host
    host.on("networkctl reload", status=1, stderr="Access denied").on(ROLLBACK, REPORT)
    with pytest.raises(RolledBackError, match="Access denied"):
        await apply(mesh, kernels)
    assert steps(host) == ["arm", "fresh rollback"]


async def test_slow_change_is_ended_by_the_deadline() -> None:
    host = FakeHost().on(ROLLBACK, REPORT)
    with pytest.raises(RolledBackError, match=r"within 0\.05 s"):
        async with deadman.guarded(host, [ETH1], ["eth1"], deadline=0.05):
            await asyncio.sleep(5)


async def test_interrupted_run_leaves_the_rollback_to_the_host() -> None:
    host = FakeHost()

    async def change() -> None:
        async with deadman.guarded(host, [ETH1], ["eth1"]):
            await asyncio.sleep(60)

    task = asyncio.create_task(change())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps(host) == ["arm"]


async def test_unconfirmed_change_of_a_killed_run_is_taken_back_first(
    mesh: Topology, kernels: dict[str, Kernel]
) -> None:
    await apply(mesh, kernels)  # what the killed run had done
    host = kernels["node1"].host
    after = dict(host.files)

    def rolled_back() -> None:
        host.files.clear()
        host.on("cat *pending", status=1)

    host.safeguards.clear()
    host.on("cat *pending", "token boot\n").on(ROLLBACK, then=rolled_back)
    await apply(mesh, kernels)
    assert steps(host) == ["rollback", "arm", "fresh confirm"]
    assert host.files == after


async def test_dry_run_shows_the_files_and_arms_nothing(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    host = kernels["node1"].host
    seen: list[HostChange] = []
    dry = DryRunHost(host, Lockstep(), seen.append)
    with pytest.raises(Unknowable):
        await Links(mesh).apply(kernels["node1"].node, dry, cluster_of(mesh, kernels))
    assert [change.target.removeprefix(f"{FOLDER}/{PREFIX}") for change in seen] == [
        "eth1.network", "eth2.network", "eth3.network", "lo.network", "networkctl reload",
    ]  # fmt: skip
    assert host.safeguards == host.ran == host.written == []


async def test_safety_net_is_no_change_and_no_business_of_a_gate() -> None:
    host = FakeHost()
    seen: list[HostChange] = []
    assert await RecordingHost(host, seen.append).safeguard(["true"])
    assert seen == []
    with pytest.raises(Exception, match="only looking"):
        await ReadOnlyHost(host).safeguard(["true"])
