"""Prints the tables of docs/failover.md: `make bench-failover`, as root, in a lab of its own.

    tests/bench/failover.py [--lab NAME] [--keep] [--repeats N] [--only CONFIG…] [--cuts CUT…]

Only the layers that routing needs are applied (no Ceph, no Incus). Every measurement is printed as it is made.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from meshctl.certify.cuts import armed
from meshctl.certify.failover import Phase, Watch, measured
from meshctl.cli.options import Options
from meshctl.cli.reach import connected
from meshctl.cluster import Cluster
from meshctl.host.wait import until
from meshctl.lab import cables, running
from meshctl.lab.names import lab_namespace
from meshctl.lab.proc import ip_batch
from meshctl.roles.frr.role import Frr
from meshctl.topology import Topology, load
from meshctl.topology.document import Routing
from meshctl.topology.settings import Bfd, Ospf
from tests.lab.routing import converge

ROOT = Path(__file__).resolve().parents[2]
TOPOLOGY = ROOT / "topologies/triangle.yaml"
WHOLE = 120.0


@dataclass(frozen=True)
class Config:
    """Timers, and the seconds after which a silent death must be over."""

    title: str
    bfd: Bfd
    ospf: Ospf
    patience: float
    repeats: int | None = None
    protocol: Literal["ospf", "openfabric", "static"] = "ospf"
    """With static routes only `--cuts carrier` is survived."""

    def of(self, topology: Topology) -> Topology:
        return replace(topology, bfd=self.bfd, ospf=self.ospf, routing=Routing(protocol=self.protocol))


CONFIGS = {
    "default": Config("default: BFD 300 ms x 3", Bfd(), Ospf(), 60),
    "fast": Config("fast: BFD 50 ms x 3", Bfd(profile="fast"), Ospf(), 60),
    "hello1": Config("no BFD, hello 1 s, dead 4 s", Bfd(profile="none"), Ospf(), 60),
    "hello10": Config("no BFD, hello 10 s, dead 40 s", Bfd(profile="none"), Ospf(hello=10, dead=40), 120, repeats=2),
    "openfabric": Config("OpenFabric, BFD 300 ms x 3", Bfd(), Ospf(), 60, protocol="openfabric"),
    "openfabric-fast": Config("OpenFabric, BFD 50 ms x 3", Bfd(profile="fast"), Ospf(), 60, protocol="openfabric"),
    "static": Config("static routes", Bfd(), Ospf(), 60, protocol="static"),
}

OSPF = [name for name, config in CONFIGS.items() if config.protocol == "ospf"]


@dataclass
class Bench:
    """One lab with its cluster, and everything measured so far."""

    lab: str
    cluster: Cluster
    config: Config
    found: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)

    def note(self, cut: str, way: str, ms: float) -> None:
        self.found.setdefault((self.config.title, cut, way), []).append(ms)
        print(json.dumps([self.config.title, cut, way, round(ms), f"load {os.getloadavg()[0]:.0f}"]), flush=True)

    async def whole(self) -> None:
        """Wait until every adjacency, session, route and answer is there, on the cable that it belongs to."""
        frr = Frr(self.cluster.topology)

        async def look() -> str:
            return "; ".join(problem.what for problem in await frr.verify(self.cluster))

        await until("a whole mesh", look, timeout=WHOLE, every=0.3)

    async def configure(self, config: Config) -> None:
        self.config = config
        self.cluster = replace(self.cluster, topology=config.of(self.cluster.topology))
        frr = Frr(self.cluster.topology)
        await self.cluster.each(lambda node, host: frr.apply(node, host, self.cluster))
        await self.whole()

    async def lost(self, change: Callable[[], Awaitable[object]], settle: Callable[[], Awaitable[object]]) -> Phase:
        return await measured(self.cluster, change, settle, self.config.patience)


async def nothing() -> None:
    """Settled as soon as everybody answers."""


async def cable_cut(bench: Bench, index: int, name: str, cut: Callable[[str, str], Awaitable[object]]) -> None:
    """Any cut without warning, and its healing."""
    cable = bench.cluster.topology.cables[index]
    a, b = str(cable.a), str(cable.b)
    bench.note(name, "down", (await bench.lost(lambda: cut(a, b), nothing)).worst)
    bench.note(name, "up", (await bench.lost(lambda: cables.heal(bench.lab, a, b), bench.whole)).worst)


async def pull(lab: str, a: str, b: str) -> None:
    """Take the carrier from both ends with one call: `lab cut` takes the packets first, and the carrier a moment later.

    `cables.heal` puts it back.
    """
    found = cables.between(running.existing(lab), a, b)
    await ip_batch(lab_namespace(lab), [f"link set {end[2]} down" for cable in found for end in (cable.a, cable.b)])


async def carrier(bench: Bench, index: int) -> None:
    await cable_cut(bench, index, "carrier lost", lambda a, b: pull(bench.lab, a, b))


async def silent(bench: Bench, index: int) -> None:
    await cable_cut(bench, index, "silent", lambda a, b: cables.cut_silently(bench.lab, a, b))


async def one_way(bench: Bench, index: int) -> None:
    await cable_cut(bench, index, "one direction", lambda a, b: cables.cut_silently(bench.lab, a, b, one_way=True))


async def planned(bench: Bench, index: int) -> None:
    cable = bench.cluster.topology.cables[index]
    a, b = str(cable.a), str(cable.b)
    async with armed(bench.cluster, index) as link:

        async def left() -> str:
            return "still used" if any(await link.usage()) else ""

        async def cut() -> None:
            await link.raise_costs()
            await until("traffic to leave the cable", left, timeout=20, every=0.1)
            await pull(bench.lab, a, b)

        async def heal() -> None:
            await cables.heal(bench.lab, a, b)
            await bench.whole()
            await link.lower_costs()

        async def back() -> None:
            async def look() -> str:
                return "" if all(await link.usage()) else "not used yet"

            await until("traffic to use the cable again", look, timeout=20, every=0.1)

        bench.note("planned", "down", (await bench.lost(cut, nothing)).worst)
        bench.note("planned", "up", (await bench.lost(heal, back)).worst)


async def death(bench: Bench, index: int) -> None:
    """A host loses power: what the other two lose, then and when it comes back."""
    nodes = bench.cluster.topology.nodes
    dead = nodes[index % len(nodes)]
    rest = tuple(node for node in nodes if node != dead)
    for way in ("down", "up"):
        state = "power-off" if way == "down" else "power-on"
        watch = Watch(bench.cluster, rest)
        async with watch:
            await asyncio.to_thread(meshctl, bench.lab, "lab", state, str(TOPOLOGY), dead.name)
            await watch.settled(bench.config.patience)
        assert watch.result is not None
        bench.note("host without power", way, watch.result.worst)
    await bench.cluster.hosts[dead.name].reconnect(seconds=60)  # type: ignore[attr-defined]
    await bench.whole()


CUTS = {"carrier": carrier, "silent": silent, "oneway": one_way, "planned": planned, "death": death}


def meshctl(lab: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "meshctl", f"--lab={lab}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@contextlib.asynccontextmanager
async def bench_of(lab: str, *, keep: bool) -> AsyncIterator[Bench]:
    """A lab whose hosts route, made unless it is there; gone afterwards unless it is to be kept.

    Its cables are the kernel's: the lab's userspace switch costs every packet some, shows the loss of a carrier half a
    second late on a full machine, and stands in no real host's way.
    """
    topology = load(TOPOLOGY)
    options = Options(lab=lab)
    await running.up(topology, name=lab, plain=True, progress=lambda text: print(text, file=sys.stderr))
    try:
        state = options.state(topology)
        state.ensure()
        async with connected(topology, options, state, accept_new=False) as hosts:
            for cable in topology.cables:  # what an interrupted run has left
                await cables.heal(lab, str(cable.a), str(cable.b))
            cluster = Cluster(topology, hosts, state)
            report = await converge(cluster)
            if not report.ok:
                sys.exit(f"no mesh to measure: {[p for r in report.results for p in r.problems]}")
            yield Bench(lab, cluster, CONFIGS["default"])
    finally:
        if not keep:
            await asyncio.to_thread(meshctl, lab, "lab", "down", str(TOPOLOGY))


async def losses(arguments: argparse.Namespace) -> None:
    async with bench_of(arguments.lab, keep=arguments.keep) as bench:
        for name in arguments.only:
            await bench.configure(CONFIGS[name])
            for cut in arguments.cuts:
                for i in range(CONFIGS[name].repeats or arguments.repeats):
                    await bench.whole()
                    await CUTS[cut](bench, i % len(bench.cluster.topology.cables))
        print(table(bench))


def table(bench: Bench) -> str:
    """Best / median / worst in ms."""
    cuts = list(dict.fromkeys((cut, way) for _, cut, way in bench.found))
    head = [f"{cut}, {'healed' if way == 'up' else 'cut'}" for cut, way in cuts]
    lines = ["| " + " | ".join(["timers", *head]) + " |", "|---" * (len(head) + 1) + "|"]
    for config in dict.fromkeys(title for title, _, _ in bench.found):
        cells = [cell(bench.found.get((config, *cut), [])) for cut in cuts]
        lines.append("| " + " | ".join([config, *cells]) + " |")
    return "\n".join(lines)


def cell(values: list[float]) -> str:
    if not values:
        return "not run"
    best, middle, worst = min(values), statistics.median(values), max(values)
    return f"{best:.0f} / {middle:.0f} / {worst:.0f} ({len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", default="failover")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CONFIGS, default=OSPF)
    parser.add_argument("--cuts", nargs="+", choices=CUTS, default=list(CUTS))
    asyncio.run(losses(parser.parse_args()))


if __name__ == "__main__":
    main()
