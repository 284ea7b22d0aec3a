"""When the first certificate ends."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from meshctl.certs import inspect
from meshctl.cluster import Cluster
from meshctl.roles.condition import Condition, Disease, Finding, Part, State, nobody, split, told
from meshctl.topology import Topology

from .renewal import INCUS, certificates

SOON = timedelta(days=14)
"""As for `certs list`; a bootstrap renews its own 60 days before."""

EXPIRING = Disease(
    "certificate-expiring", "A certificate has ended or soon will: OVN, OVS or Incus then refuse every connection."
)
DISEASES = (EXPIRING,)


async def condition(cluster: Cluster) -> Condition:
    """Every certificate on every host."""
    looks, silent = split(await cluster.each(lambda _node, host: told(certificates(host))))
    ends = {name: dict(_ends(found)) for name, found in looks.items()}
    return judge(cluster.topology, ends, silent, datetime.now(UTC)) if ends else nobody(silent)


def _ends(found: Mapping[str, str]) -> Iterator[tuple[str, datetime]]:
    for path, text in found.items():
        if facts := inspect(text):
            yield path, facts.not_after


def judge(
    topology: Topology, ends: Mapping[str, Mapping[str, datetime]], silent: Mapping[str, Part], now: datetime
) -> Condition:
    """What the ends mean."""
    soon = [(host, path, end) for host, own in ends.items() for path, end in own.items() if end - now < SOON]
    first = min((end for own in ends.values() for end in own.values()), default=None)
    ended = any(end <= now for _, _, end in soon)
    state = State.BROKEN if ended else State.DEGRADED if soon or silent or first is None else State.HEALTHY
    return Condition(
        state,
        f"the first certificate {_when(first, now)}" if first else "no certificate was found",
        nodes={**{host: _part(own, now) for host, own in ends.items()}, **silent},
        findings=tuple(_finding(topology, host, path, end, now) for host, path, end in soon),
    )


def _part(ends: Mapping[str, datetime], now: datetime) -> Part:
    if not ends:
        return Part(State.DEGRADED, "no certificate")
    first = min(ends.values())
    if first - now < SOON:
        return Part(State.DEGRADED, f"a certificate {_when(first, now)}")
    return Part(State.HEALTHY)


def _when(end: datetime, now: datetime) -> str:
    return f"ended {(now - end).days} days ago" if end <= now else f"ends in {(end - now).days} days"


def _finding(topology: Topology, host: str, path: str, end: datetime, now: datetime) -> Finding:
    cure = f"`meshctl certs renew {topology.source}`: host by host, without an outage."
    if path in INCUS:
        cure = "Incus made it, and meshctl doesn't renew it: `incus cluster update-certificate --help`."
    return Finding(
        EXPIRING.name,
        host,
        f"{path} {_when(end, now)}, on {end:%Y-%m-%d %H:%M} UTC",
        cure,
        f"meshctl certs list {topology.source}",
    )
