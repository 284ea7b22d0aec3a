"""Cut a cable under probes: how long each pair's traffic was lost, going down and coming up, and which way it took."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Self

from meshctl.cluster import Cluster
from meshctl.errors import HostError
from meshctl.host.wait import until
from meshctl.topology import Node

from .probes import Loss, Probes, Reply, loss

BASELINE = 50
"""Answers of every pair before anything is cut: half a second of a working mesh."""

SETTLED = 100
"""Answers of every pair after which a loss is over: one second."""

STARTING = 30.0
"""Seconds until every pair has its first answers, beside a full machine."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Phase:
    """What all pairs lost while one thing happened."""

    losses: Mapping[Pair, Loss]

    @property
    def worst(self) -> float:
        """The longest loss of any pair, ms."""
        return max((loss.ms for loss in self.losses.values()), default=0.0)


class Watch:
    """Probes of every pair of loopbacks, running."""

    def __init__(self, cluster: Cluster, nodes: tuple[Node, ...]) -> None:
        self._cluster = cluster
        self._probes: dict[str, Probes] = {}
        for node, *others in (nodes[i:] for i in range(len(nodes) - 1)):
            targets = [str(other.loopback) for other in others]
            self._probes[node.name] = Probes(cluster.host(node), str(node.loopback), targets)
        self._names = {str(node.loopback): node.name for node in nodes}
        self.pairs: tuple[Pair, ...] = tuple((a.name, b.name) for a, b in combinations(nodes, 2))
        self.result: Phase | None = None

    async def __aenter__(self) -> Self:
        """Start, and wait until every pair answers. Raises WaitError."""
        self._running = [asyncio.create_task(probes.run()) for probes in self._probes.values()]
        try:
            await until("answers of all loopbacks", lambda: self._fewer({}, BASELINE), timeout=STARTING, every=0.1)
        except BaseException:  # cancelled, too: nobody else would stop the probes
            await self._end()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop, and keep what was lost."""
        answers = await self._end()
        if kind is None:
            self.result = Phase(
                {
                    (name, self._names[to]): loss(replies)
                    for name, found in zip(self._probes, answers, strict=True)
                    for to, replies in found.items()
                }
            )

    async def _end(self) -> list[dict[str, tuple[Reply, ...]]]:
        await asyncio.gather(*(probes.stop() for probes in self._probes.values()))
        return list(await asyncio.gather(*self._running))

    async def settled(self, seconds: float) -> None:
        """Until every pair has been answering for a while. Raises WaitError after so many seconds."""
        before = await self._answered()
        what = "every pair of loopbacks to reach each other again"
        await until(what, lambda: self._fewer(before, SETTLED), timeout=seconds, every=0.1)

    async def _answered(self) -> dict[Pair, int]:
        names, counts = list(self._probes), await asyncio.gather(*(p.answered() for p in self._probes.values()))
        found = {(a, self._names[to]): n for a, count in zip(names, counts, strict=True) for to, n in count.items()}
        return {pair: found.get(pair, 0) for pair in self.pairs}

    def _check_running(self) -> None:
        """Raise what a host's probes ended with; nobody has told them to."""
        for (name, probes), task in zip(self._probes.items(), self._running, strict=True):
            if task.done():
                task.result()
                raise HostError(name, f"the probes ended by themselves; their last words: {probes.last_words}")

    async def _fewer(self, before: Mapping[Pair, int], wanted: int) -> str:
        self._check_running()
        now = await self._answered()
        base = before or dict.fromkeys(now, 0)
        late = [f"{a} and {b}" for (a, b), count in now.items() if count - base[(a, b)] < wanted]
        return f"no answers yet between {', '.join(late)}" if late else ""


Change = Callable[[], Awaitable[object]]


async def measured(cluster: Cluster, change: Change, settle: Change, patience: float) -> Phase:
    """Probe while `change` happens and until `settle` returns and every pair answers again. Raises WaitError."""
    watch = Watch(cluster, cluster.topology.nodes)
    async with watch:
        await change()
        await settle()
        await watch.settled(patience)
    assert watch.result is not None  # noqa: S101  (set when the block ended well)
    return watch.result
