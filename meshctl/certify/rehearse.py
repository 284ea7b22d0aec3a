"""Take every cable down in turn, cut and planned, while all pairs are probed. Never the last path."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from meshctl.cluster import Cluster
from meshctl.errors import WaitError
from meshctl.host.wait import until
from meshctl.roles.frr.role import Frr
from meshctl.roles.parsing import understand
from meshctl.topology import Topology
from meshctl.topology.connectivity import parts

from . import parse
from .cuts import Link, Plug, armed
from .facts import Cut
from .failover import measured
from .measure import Say

NOTICE = 30.0
"""Seconds beyond the slowest timer until traffic must have found another way; beside a full machine."""

WHOLE = 90.0
"""Seconds until a link that came back is used again: OSPF's hellos, exchange, and SPF's longest hold time."""

HELD_BACK = 1.0
"""Seconds that OSPF may hold back a computation (frr: `timers throttle spf 10 50 1000`)."""


def patience(topology: Topology) -> float:
    """Seconds until a dead cable must have been noticed, by BFD or by OSPF's hellos."""
    return NOTICE + topology.notice / 1000


def isolates(topology: Topology, cable: int, dead: Collection[int]) -> str:
    """Why a cable can't be spared, "" if it can: without it and those that are dead somebody would be cut off."""
    if topology.cables[cable].shared:
        return "its NICs lead to all other hosts, too"
    left = parts(topology, without_cables={cable, *dead})
    if len(left) == 1:
        return ""
    return f"it is the last path of {', '.join(sorted(left[-1]))}"


async def rehearse(cluster: Cluster, dead: Collection[int], say: Say) -> tuple[Cut, ...]:
    """Every cable, cut and then planned. `dead`: cables that carry nothing, which are left alone."""
    cuts: list[Cut] = []
    for index, cable in enumerate(cluster.topology.cables):
        for planned in (False, True):
            say(f"{'planned cut' if planned else 'cut'} of {cable}")
            cuts.append(await _one(cluster, index, dead, planned=planned))
    return tuple(cuts)


async def _one(cluster: Cluster, index: int, dead: Collection[int], *, planned: bool) -> Cut:
    if cluster.topology.routing.protocol == "static":
        return Cut(index, planned, skipped="routes are static: nothing but the carrier would be tried")
    if index in dead:
        return Cut(index, planned, skipped="it carries nothing")
    if why := isolates(cluster.topology, index, dead):
        return Cut(index, planned, skipped=why)
    if not dead and (why := await _not_whole(cluster)):
        return Cut(index, planned, skipped=f"the mesh is not whole: {why}")
    async with armed(cluster, index) as link:
        try:
            return await _cut(cluster, index, link, planned=planned)
        except WaitError as error:
            return Cut(index, planned, failed=error.message)


async def _not_whole(cluster: Cluster) -> str:
    """What frr's gate still complains about when it has had its time."""
    frr = Frr(cluster.topology)

    async def look() -> str:
        return "; ".join(f"{problem.host}: {problem.what}" for problem in await frr.verify(cluster))

    try:
        await until("a whole mesh", look, timeout=WHOLE, every=0.3)
    except WaitError as error:
        return error.seen
    return ""


async def _cut(cluster: Cluster, index: int, link: Link, *, planned: bool) -> Cut:
    usual = await steady(link.usage)
    seen: dict[str, str] = {}
    far: list[bool] = []

    async def take_down() -> None:
        if planned:
            await link.raise_costs()
            await until("traffic to leave the link", lambda: _unused(link), timeout=NOTICE, every=0.1)
        await link.pull()

    async def look() -> None:
        await until("routes around the link", lambda: _unused(link), timeout=patience(cluster.topology), every=0.1)
        far.append(await link.ends[1].carrier())
        seen.update(await took(cluster, link.ends))

    async def bring_up() -> None:
        await link.put_back()
        if planned:
            await until("both ends to speak again", lambda: _speak(cluster), timeout=WHOLE, every=0.3)
            await link.lower_costs()

    async def back() -> None:
        await until("traffic to use the link again", lambda: _used(link, usual), timeout=WHOLE, every=0.3)

    wait = patience(cluster.topology)
    down = await measured(cluster, take_down, look, wait)
    up = await measured(cluster, bring_up, back, wait)
    return Cut(index, planned, far_carrier=far[0], down=down.losses, up=up.losses, took=seen)


async def steady(usage: Callable[[], Awaitable[tuple[int, ...]]]) -> tuple[int, ...]:
    """What leads through a link once routes stand still: a computation that is held back would change it later."""
    seen: list[tuple[int, ...]] = []

    async def look() -> str:
        seen.append(await usage())
        return "" if seen[-2:-1] == seen[-1:] else f"{seen[-1]} lead through the link"

    await until("routes to stand still", look, timeout=NOTICE, every=HELD_BACK)
    return seen[-1]


async def _unused(link: Link) -> str:
    usage = await link.usage()
    return f"{sum(usage)} routes still lead through it" if any(usage) else ""


async def _used(link: Link, usual: tuple[int, ...]) -> str:
    usage = await link.usage()
    return "" if usage == usual else f"{usage} routes instead of {usual}"


async def _speak(cluster: Cluster) -> str:
    """Adjacencies and sessions only: the routes stay away for as long as the cost is high."""
    problems = await Frr(cluster.topology).verify(cluster)
    return "; ".join(problem.what for problem in problems)


async def took(cluster: Cluster, ends: tuple[Plug, Plug]) -> Mapping[str, str]:
    """By host at either end: the next host of its traffic to the other end's loopback, "" for the other itself."""
    one, two = ends
    ways = await asyncio.gather(_next(cluster, one, two), _next(cluster, two, one))
    return {one.host.name: ways[0], two.host.name: ways[1]}


async def _next(cluster: Cluster, here: Plug, there: Plug) -> str:
    target = cluster.topology.node(there.host.name)
    argv = ["ip", "-j", "route", "get", str(target.loopback)]
    answer = await here.host.query(argv)
    _, gateway = understand(here.host.name, argv, parse.next_hop, answer.stdout)
    ports = cluster.topology.node(here.host.name).ports
    found = next((port.peer for port in ports if str(port.peer_address.ip) == gateway), gateway)
    return "" if found == there.host.name else found
