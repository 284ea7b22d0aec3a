"""A lab whose hosts route and do nothing else: the layers up to frr, without OVN, Ceph and Incus."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from meshctl.cli.options import Options
from meshctl.cli.reach import connected
from meshctl.cluster import Cluster
from meshctl.events import Report
from meshctl.executor import Executor
from meshctl.host.wait import until
from meshctl.plan import bootstrap_plan
from meshctl.roles.base import Role
from meshctl.roles.discovery import discover
from meshctl.roles.frr.role import Frr
from meshctl.topology import load

PATIENCE = 3
"""Times that it is tried: FRR may take longer to start than its role waits, beside a full machine."""


def routing() -> list[type[Role]]:
    """The role that routes, and all that it needs."""
    known, wanted, todo = discover(), set[str](), ["frr"]
    while todo:
        wanted.add(todo[-1])
        todo += known[todo.pop()].needs - wanted
    return [role for name, role in known.items() if name in wanted]


async def converge(cluster: Cluster) -> Report:
    """Make a connected cluster route; the report of the last try. Its disks have no part in it."""
    topology = replace(cluster.topology, nodes=tuple(replace(node, disks=()) for node in cluster.topology.nodes))
    for _ in range(PATIENCE):
        plan = bootstrap_plan(topology, [role(topology) for role in routing()])
        report = await Executor(plan, replace(cluster, topology=topology), lambda _event: None).run()
        if report.ok:
            break
    return report


async def route(lab: str, file: Path) -> None:
    """Make the hosts of a running lab route. Raises AssertionError with what stands in the way."""
    topology, options = load(file), Options(lab=lab)
    state = options.state(topology)
    state.ensure()
    async with connected(topology, options, state, accept_new=False) as hosts:
        report = await converge(Cluster(topology, hosts, state))
    assert report.ok, [problem for result in report.results for problem in result.problems]


async def whole(lab: str, file: Path, patience: float = 180) -> None:
    """Wait until frr's gate passes. Raises WaitError with what it still says."""
    topology, options = load(file), Options(lab=lab)
    state = options.state(topology)
    async with connected(topology, options, state, accept_new=False) as hosts:
        cluster, frr = Cluster(topology, hosts, state), Frr(topology)

        async def look() -> str:
            return "; ".join(f"{problem.host}: {problem.what}" for problem in await frr.verify(cluster))

        await until("a whole mesh", look, timeout=patience, every=0.5)


if __name__ == "__main__":
    asyncio.run(route(sys.argv[1], Path(sys.argv[2])))
