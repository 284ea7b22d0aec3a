"""The certificate as one JSON object; docs/certify.md explains the keys."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .facts import Cut, LinkFacts, Measured, Plugged, Way
from .failover import Pair
from .probes import Loss, percentile
from .verdicts import Check, Verdict, of_cable, worst

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def as_json(measured: Measured, checks: Sequence[Check]) -> dict[str, Any]:
    """All keys but `schema`."""
    topology = measured.topology
    return {
        "ok": worst(checks) is not Verdict.FAIL,
        "cluster": topology.cluster,
        "thresholds": topology.certify.model_dump(),
        "links": [_link(measured, link, of_cable(checks, link.cable)) for link in measured.links],
        "clocks": [asdict(clock) for clock in measured.clocks],
        "failover": None if measured.cuts is None else [_cut(measured, cut) for cut in measured.cuts],
        "checks": [_check(measured, check) for check in checks],
    }


def _link(measured: Measured, link: LinkFacts, checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "cable": str(measured.topology.cables[link.cable]),
        "verdict": worst(checks),
        "ends": [_end(end) for end in link.ends],
        "ways": [_way(link, way, number) for number, way in enumerate(link.ways)],
    }


def _end(plugged: Plugged) -> dict[str, Any]:
    before, after = plugged.before, plugged.after
    return {
        "end": str(plugged.end),
        "mtu": before.mtu,
        "carrier": before.carrier,
        "speed": before.speed,
        "duplex": before.duplex,
        "errors": [before.errors, after.errors],
        "drops": [before.drops, after.drops],
        "carrier_changes": [before.carrier_changes, after.carrier_changes],
    }


def _way(link: LinkFacts, way: Way, number: int) -> dict[str, Any]:
    sent, arrived = link.arrived(number)
    latency = {name: round(percentile(way.rtts, share), 3) for name, share in PERCENTILES.items()} if way.rtts else None
    return {
        "from": str(way.source),
        "to": str(way.target),
        "mtu_passes": way.full,
        "lost_percent": round(way.lost, 2),
        "sent": sent,
        "arrived": arrived,
        "latency_ms": latency,
        "mbit": None if way.throughput.mbit is None else round(way.throughput.mbit, 1),
        "retransmits": way.throughput.retransmits,
        "not_measured": way.throughput.missing,
    }


def _cut(measured: Measured, cut: Cut) -> dict[str, Any]:
    return {
        "cable": str(measured.topology.cables[cut.cable]),
        "planned": cut.planned,
        "skipped": cut.skipped,
        "failed": cut.failed,
        "far_end_kept_carrier": cut.far_carrier,
        "took": dict(cut.took or {}),
        "down": _losses(cut.down),
        "up": _losses(cut.up),
    }


def _losses(losses: Mapping[Pair, Loss] | None) -> list[dict[str, Any]] | None:
    if losses is None:
        return None
    return [
        {"pair": list(pair), "lost": loss.lost, "ms": round(loss.ms), "ttl": loss.ttl} for pair, loss in losses.items()
    ]


def _check(measured: Measured, check: Check) -> dict[str, Any]:
    cable = None if check.cable is None else str(measured.topology.cables[check.cable])
    return {**asdict(check), "cable": cable, "verdict": str(check.verdict)}
