"""The links role: what a renderer writes for the next boot, and the kernel as it should be now."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from meshctl.cluster import Cluster
from meshctl.host.base import Files, Host
from meshctl.roles import deadman
from meshctl.roles.base import Problem, Role
from meshctl.roles.parsing import understand
from meshctl.topology import Node, Topology

from . import bonds, cables, renderers
from .parse import Holding, Link, links
from .release import release
from .renderer import Change, Renderer, Sight
from .wanted import Device, devices

SETTLING = 10.0
"""Seconds that a change may take; less than the dead-man switch waits, so that the confirmation still has its turn."""

LOOK = ("ip", "-j", "addr", "show")


@dataclass(frozen=True, slots=True)
class Seen:
    """A host before anything is changed."""

    renderer: Renderer
    files: Files
    links: dict[str, Link]
    held: tuple[Holding, ...]
    differing: frozenset[str]
    """The paths of our files that are not as they should be."""
    sight: Sight
    stale: tuple[Holding, ...]
    drift: dict[str, str]

    @property
    def converged(self) -> bool:
        """Nothing is to be done."""
        return self.sight.ready and not (self.differing or self.stale or self.drift or self.sight.late)


class Links(Role):
    """Addresses, MTU and loopback; never the management NIC."""

    name = "links"
    summary = "Addresses and MTU of every cable, and the loopbacks, kept by systemd-networkd or what the host uses."
    needs = frozenset({"wiring"})

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._without_ping: frozenset[str] = frozenset()

    def render(self, node: Node) -> Files:
        """What the node's renderer writes; systemd-networkd's files where only the host can tell which it is."""
        return renderers.ALL.get(node.renderer, renderers.DEFAULT).files(node, devices(node))

    async def prepare(self, cluster: Cluster) -> None:
        """Find the hosts that still lack `ping`: there the gate has to wait for the packages."""
        found = await cluster.each(lambda _, host: host.query(["sh", "-c", "command -v ping"], ok=None))
        self._without_ping = frozenset(name for name, result in found.items() if not result.ok)

    def gate_timeout(self) -> float:
        """Longer while `ping` is still on its way."""
        timeouts = self.topology.timeouts
        return timeouts.gate + (timeouts.packages if self._without_ping else 0)

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Write the files, drop those of former runs, and let the renderer act where kernel and files differ.

        Whatever touches links or addresses is taken back by the host unless a new connection confirms it.
        """
        seen = await self._look(node, host, cluster)
        if seen.sight.ready and not seen.sight.at_boot:
            await seen.renderer.enable(host)
        if seen.converged:
            return
        if seen.renderer is not renderers.DEFAULT:
            cluster.note(f"{node.name}: its links are kept by {seen.renderer.program}")
        paths = {*seen.files, *(holding.path for holding in seen.held)}
        names = {*(device.name for device in devices(node)), *(holding.device for holding in seen.stale)}
        async with deadman.guarded(host, paths, names, deadline=deadman.deadline(self.topology)):
            await self._converge(node, host, seen)

    async def _converge(self, node: Node, host: Host, seen: Seen) -> None:
        written = await host.put(seen.files)
        await _forget(node, host, seen)
        change = Change(node, devices(node), seen.links, written, seen.stale, seen.drift, seen.sight)
        await seen.renderer.activate(host, change)

        async def settled() -> str:
            now = _links(host, (await host.query(LOOK)).stdout)
            late = [f"{seen.renderer.program} has not read the file of {device} yet"
                    for device in await seen.renderer.late(node, host, now)]  # fmt: skip
            return "; ".join([*late, *cables.drift(node, now).values()])

        await host.until("addresses and MTU of the cables", settled, timeout=SETTLING, every=0.1)

    async def _look(self, node: Node, host: Host, cluster: Cluster) -> Seen:
        unconfirmed, held, kernel, habits = await asyncio.gather(
            deadman.unconfirmed(host), renderers.ours(host), host.query(LOOK), renderers.habits(host)
        )
        if unconfirmed:
            await deadman.take_back(host)
            cluster.note(f"{node.name}: took back a change of the network that a killed run left unconfirmed")
            held, kernel = await asyncio.gather(renderers.ours(host), host.query(LOOK))
        now = _links(host, kernel.stdout)
        renderer = renderers.choose(node, habits, held)
        wanted = devices(node)
        files = renderer.files(node, wanted)
        differing, sight = await asyncio.gather(host.differing(files), renderer.look(node, host, now))
        return Seen(
            renderer=renderer, files=files, links=now, held=held, differing=differing, sight=sight,
            stale=tuple(_stale(held, files, wanted)), drift=cables.drift(node, now),
        )  # fmt: skip

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Both ends of each cable answer at full MTU, bonds really bundle; every loopback is there."""
        looks, found = await asyncio.gather(cluster.each(lambda _, host: host.query(LOOK)), cluster.each(bonds.ask))
        now = {name: _links(cluster.hosts[name], look.stdout) for name, look in looks.items()}
        nodes = self.topology.nodes
        problems = [problem for node in nodes for problem in cables.check(node, now[node.name])]
        problems += [one for node in nodes for one in bonds.check(self.topology, node, found[node.name], now)]
        return problems or await cables.ping_all(cluster)


def _stale(held: Sequence[Holding], files: Collection[str], wanted: Sequence[Device]) -> list[Holding]:
    """What a former run left: a file that is none of this renderer's, a device that is no part of the mesh any more."""
    names = {device.name for device in wanted}
    return [holding for holding in held if holding.path not in files or holding.device not in names]


async def _forget(node: Node, host: Host, seen: Seen) -> None:
    """Take back what a former run gave to devices and nobody wants any more."""
    past = seen.stale if seen.renderer.forgets else seen.held
    await release(host, past, seen.links, devices(node), reason="the topology does not have it any more")
    for path in sorted({holding.path for holding in seen.stale} - seen.files.keys()):
        await host.run(["rm", "-f", "--", path], reason=f"{seen.renderer.program} does not need it for the mesh")


def _links(host: Host, output: str) -> dict[str, Link]:
    return understand(host.name, LOOK, links, output)
