"""Whether the clocks agree now."""

from collections.abc import Iterator, Mapping

from meshctl.cluster import Cluster
from meshctl.errors import HostError
from meshctl.roles.condition import Condition, Disease, Finding, Part, State, judged, nobody, split, told
from meshctl.topology import Topology

from .role import LIMIT, Clock, Time, look

CLOCK_SKEW = Disease(
    "clock-skew", "Clocks differ: monitors fall out of quorum, and cephx tickets and certificates are refused."
)
DISEASES = (CLOCK_SKEW,)


async def condition(cluster: Cluster) -> Condition:
    """What every chronyd says."""
    looks: Mapping[str, Clock | HostError | None] = await cluster.each(lambda node, host: told(look(node, host)))
    clocks, silent = split(looks)
    return judge(cluster.topology, clocks, silent) if clocks else nobody(silent)


def judge(topology: Topology, clocks: Mapping[str, Clock | None], silent: Mapping[str, Part]) -> Condition:
    """What the answers mean. Clocks that differ are no outage yet."""
    problems = Time(topology).judge(clocks)
    findings = tuple(_skews(topology, clocks))
    known = [clock for clock in clocks.values() if clock]
    offsets = [abs(source.offset) for clock in known for source in clock.sources.values()]
    offsets += [abs(clock.tracking.offset) for clock in known]
    return Condition(
        State.DEGRADED if problems or silent else State.HEALTHY,
        f"the clocks agree within {max(offsets, default=0.0) * 1000:.0f} ms"
        if not problems
        else f"{problems[0].host}: {problems[0].what}",
        nodes={**judged(clocks, problems, {}), **silent},
        findings=findings,
        problems=tuple(problems),
    )


def _skews(topology: Topology, clocks: Mapping[str, Clock | None]) -> Iterator[Finding]:
    names = {str(node.loopback): node.name for node in topology.nodes}
    for host, clock in clocks.items():
        if clock and clock.tracking.synchronised and abs(clock.tracking.offset) >= LIMIT:
            yield _skew(host, f"chronyd takes {host}'s clock to be off by {clock.tracking.offset:+.3f} s")
        for address, source in clock.sources.items() if clock else ():
            if address in names and source.reachable and abs(source.offset) >= LIMIT:
                yield _skew(host, f"chronyd measures {source.offset:+.3f} s between {host} and {names[address]}")


def _skew(host: str, evidence: str) -> Finding:
    return Finding(
        CLOCK_SKEW.name,
        host,
        f"{evidence}; Ceph warns from {LIMIT:g} s on",
        "`chronyc makestep` on the host that is off; if it comes back: `chronyc -n sources -v` there.",
        "chronyc -n tracking; chronyc -n sources",
    )
