"""The time gate."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role
from meshctl.roles.parsing import understand
from meshctl.topology import Node

from .parse import Source, Tracking, sources, tracking

LIMIT = 0.05
"""Seconds between two hosts; Ceph's monitors warn from here on (mon_clock_drift_allowed)."""

_TRACKING = ("chronyc", "-c", "-n", "tracking")
_SOURCES = ("chronyc", "-c", "-n", "sources")


@dataclass(frozen=True, slots=True)
class Clock:
    """What one host's chronyd says."""

    tracking: Tracking
    sources: Mapping[str, Source]

    @property
    def elected(self) -> bool:
        """Whether the host follows its own clock and has selected no other.

        From the selection of a source to the first update from it chronyd still tracks itself; on a busy machine, whose
        samples scatter, that was seen to take 50 s.
        """
        return self.tracking.local and not any(source.selected for source in self.sources.values())


class Time(Role):
    """Only looks."""

    name = "time"
    summary = "Every clock follows a source, or the one that the nodes elected; none is off by 50 ms."
    needs = frozenset({"system", "frr"})
    poll = 0.5

    def gate_timeout(self) -> float:
        """An election takes some five seconds from the first contact; a node that starts late, some more."""
        return min(60.0, self.topology.timeouts.gate)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every host follows something, at most one itself, and no two are far apart."""
        return self.judge(await cluster.each(look))

    def judge(self, clocks: Mapping[str, Clock | None]) -> list[Problem]:
        """What is wrong with the hosts that were asked."""
        local = [name for name, clock in clocks.items() if clock and clock.elected]
        asked = [node for node in self.topology.nodes if node.name in clocks]
        return [problem for node in asked for problem in self._check(node, clocks[node.name], local)]

    def _check(self, node: Node, clock: Clock | None, local: list[str]) -> Iterator[Problem]:
        if clock is None:
            yield Problem(
                node.name, "chronyd does not answer", "a running chronyd", "no answer", " ".join(_TRACKING),
                "systemctl status chrony",
            )  # fmt: skip
        elif not clock.tracking.synchronised:
            yield Problem(
                node.name, "the clock follows nothing", "a source or another node", "not synchronised",
                " ".join(_SOURCES), "Can this host reach its time servers, or udp 123 of the other nodes?",
            )  # fmt: skip
        elif node.name in local and node.name != local[0]:
            yield Problem(
                node.name, "the clock follows itself", f"{local[0]}, as elected", "itself", " ".join(_SOURCES),
                "Is udp 123 open between the loopbacks?",
            )  # fmt: skip
        elif abs(clock.tracking.offset) >= LIMIT:
            yield Problem(
                node.name, "the clock is off", f"less than {LIMIT:g} s", f"{clock.tracking.offset:+.3f} s",
                " ".join(_TRACKING), "chrony corrects it by and by; or: chronyc makestep",
            )  # fmt: skip
        else:
            yield from self._offsets(node, clock)

    def _offsets(self, node: Node, clock: Clock) -> Iterator[Problem]:
        for peer in self.topology.nodes:
            source = clock.sources.get(str(peer.loopback))
            if source and source.reachable and abs(source.offset) >= LIMIT:
                yield Problem(
                    node.name, f"the clocks of {node.name} and {peer.name} differ", f"less than {LIMIT:g} s",
                    f"{source.offset:+.3f} s", " ".join(_SOURCES), "chrony corrects it by and by; or: chronyc makestep",
                )  # fmt: skip


async def look(_: Node, host: Host) -> Clock | None:
    """None when chronyd does not answer."""
    told, listed = await asyncio.gather(host.query(_TRACKING, ok=None), host.query(_SOURCES, ok=None))
    if not (told.ok and listed.ok):
        return None
    return Clock(
        understand(host.name, _TRACKING, tracking, told.stdout), understand(host.name, _SOURCES, sources, listed.stdout)
    )
