"""What was measured against what the topology asks. Pure functions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from meshctl.topology import Cable, Topology

from .facts import Clock, Cut, LinkFacts, Measured, Nic, Plugged, Way
from .probes import Loss, percentile

CARRIED = 0.7
"""The share of a NIC's speed that TCP has to carry where the topology states no figure: headers, and a busy host."""

NOTICED = 100.0
"""Milliseconds beyond those that BFD needs to notice: the new route's computation and its way into the kernel."""

UNPLANNED, PLANNED = "cut", "planned cut"


class Verdict(StrEnum):
    """From good to bad."""

    PASS = "pass"  # noqa: S105  (no password)
    UNMEASURED = "unmeasured"
    WARN = "warn"
    FAIL = "fail"


ORDER = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing compared. `cable` is its index, None for what concerns hosts; `expected` and `seen` carry units."""

    cable: int | None
    where: str
    what: str
    expected: str
    seen: str
    verdict: Verdict
    advice: str = ""


def worst(checks: Iterable[Check]) -> Verdict:
    """The worst verdict; PASS for nothing."""
    return max((check.verdict for check in checks), key=ORDER.index, default=Verdict.PASS)


def of_cable(checks: Iterable[Check], cable: int) -> tuple[Check, ...]:
    """Those of one link."""
    return tuple(check for check in checks if check.cable == cable)


def judge(measured: Measured) -> tuple[Check, ...]:
    """Every check, in the order of the links."""
    topology = measured.topology
    return (
        *(check for link in measured.links for check in _link(topology, link)),
        *_clocks(topology, measured.clocks),
        *(check for cut in measured.cuts or () for check in _cut(topology, cut)),
    )


def _verdict(good: bool) -> Verdict:  # noqa: FBT001  (reads as what it is)
    return Verdict.PASS if good else Verdict.FAIL


def _link(topology: Topology, link: LinkFacts) -> Iterator[Check]:
    cable = topology.cables[link.cable]
    for end in link.ends:
        yield from _end(link.cable, cable, end)
    yield _same_speed(link)
    for number, way in enumerate(link.ways):
        yield _answers(link, way, number)
        if link.answers:
            yield from _way(topology, link, way, number)


def _end(index: int, cable: Cable, plugged: Plugged) -> Iterator[Check]:
    nic, last, where = plugged.before, plugged.after, str(plugged.end)
    yield Check(index, where, "MTU", str(cable.mtu), str(nic.mtu), _verdict(nic.mtu == cable.mtu),
                f"`ip link show {plugged.end.nic}` on {plugged.end.node}; bootstrap sets it.")  # fmt: skip
    signal = "carrier" if nic.carrier else "no carrier" if nic.up else "switched off"
    yield Check(index, where, "signal", "carrier", signal, _verdict(nic.carrier), "Look at both plugs.")
    flaps = last.carrier_changes - nic.carrier_changes
    yield Check(index, where, "carrier lost while measuring", "0 times", f"{flaps} changes", _verdict(flaps == 0),
                "A plug that is not all the way in, or a bad cable.")  # fmt: skip
    if nic.duplex is not None:
        yield Check(index, where, "duplex", "full", nic.duplex, _verdict(nic.duplex == "full"), "Autonegotiation?")
    errors, drops = last.errors - nic.errors, last.drops - nic.drops
    yield Check(index, where, "new errors", "0", str(errors), _verdict(errors == 0),
                f"`ethtool -S {plugged.end.nic}`: CRC errors mean a bad cable or a dirty connector.")  # fmt: skip
    yield Check(index, where, "new drops", "0", str(drops), Verdict.WARN if drops else Verdict.PASS,
                "The host did not keep up; look at the NIC's ring sizes (`ethtool -g`) and interrupts.")  # fmt: skip


def _same_speed(link: LinkFacts) -> Check:
    one, two = (end.before.speed for end in link.ends)
    where = f"{link.ends[0].end} and {link.ends[1].end}"
    if one is None or two is None:
        return Check(link.cable, where, "speed", "the same", "not told by the driver", Verdict.PASS)
    return Check(link.cable, where, "speed", "the same at both ends", f"{one} and {two} Mbit/s", _verdict(one == two),
                 "Fix the speed of both NICs, or replace the cable by one for the higher speed.")  # fmt: skip


def _answers(link: LinkFacts, way: Way, number: int) -> Check:
    sent, arrived = link.arrived(number)
    seen = "answers" if link.answers else f"nothing came back; {arrived} of {sent} packets arrived at {way.target}"
    one_way = not link.answers and sent > 0 and arrived * 2 < sent
    advice = f"This direction is dead: {way.target} gets nothing." if one_way else "The other direction is dead."
    return Check(link.cable, _direction(way), "answers", "answers", seen,
                 Verdict.PASS if link.answers else Verdict.FAIL, "" if link.answers else advice)  # fmt: skip


def _way(topology: Topology, link: LinkFacts, way: Way, number: int) -> Iterator[Check]:
    wish, where, mtu = topology.certify, _direction(way), topology.cables[link.cable].mtu
    seen = "passes" if way.full else "does not pass, small ones do" if way.small else "no answer"
    yield Check(link.cable, where, "a packet of the whole MTU, unfragmented", f"{mtu} bytes pass", seen,
                _verdict(way.full), "Compare both ends' MTU, and that of anything in between.")  # fmt: skip
    yield _loss(link, way, number, wish.loss)
    if way.rtts:
        for name, share, most in (("median", 0.5, wish.latency_median), ("99th percentile", 0.99, wish.latency_p99)):
            found = percentile(way.rtts, share)
            yield Check(link.cable, where, f"round trip, {name}", f"at most {most:g} ms", f"{found:.2f} ms",
                        _verdict(found <= most))  # fmt: skip
    yield _throughput(topology, link, way)


def _loss(link: LinkFacts, way: Way, number: int, most: float) -> Check:
    sent, arrived = link.arrived(number)
    seen = f"{way.lost:.1f} % of {way.asked}"
    if way.lost > most:
        seen += f"; {arrived} of {sent} sent this way arrived"
    return Check(link.cable, _direction(way), "lost", f"at most {most:g} %", seen, _verdict(way.lost <= most),
                 "Packets and answers count together; how many arrived tells which direction loses them.")  # fmt: skip


def least(topology: Topology, nics: Sequence[Nic]) -> float | None:
    """Mbit/s that a direction has to carry; None where neither topology nor driver tells."""
    if topology.certify.throughput is not None:
        return topology.certify.throughput
    speeds = [nic.speed for nic in nics if nic.speed is not None]
    return CARRIED * min(*speeds, topology.certify.rate) if speeds else None


def _throughput(topology: Topology, link: LinkFacts, way: Way) -> Check:
    need, found = least(topology, [end.before for end in link.ends]), way.throughput
    expected = "a figure" if need is None else f"at least {need:.0f} Mbit/s"
    if found.mbit is None:
        stated = topology.certify.throughput is not None
        return Check(link.cable, _direction(way), "throughput", expected, f"not measured: {found.missing}",
                     Verdict.FAIL if stated else Verdict.UNMEASURED,
                     "Install it: `packages: {extra: [iperf3]}` in the topology, then bootstrap.")  # fmt: skip
    good = need is None or found.mbit >= need
    return Check(link.cable, _direction(way), "throughput", expected, f"{found.mbit:.0f} Mbit/s", _verdict(good))


def _direction(way: Way) -> str:
    return f"{way.source} → {way.target}"


def _clocks(topology: Topology, clocks: Sequence[Clock]) -> Iterator[Check]:
    early, late = min(clocks, key=lambda c: c.ms), max(clocks, key=lambda c: c.ms)
    apart, error = late.ms - early.ms, early.error + late.error
    good = apart - error <= topology.certify.clock
    most = f"at most {topology.certify.clock:g} ms"
    yield Check(None, f"{early.node} and {late.node}", "clocks apart", most, f"{apart:.1f} ms (± {error:.1f})",
                _verdict(good), "`chronyc sources` on both.")  # fmt: skip


def allowed(topology: Topology, cut: Cut) -> float:
    """Milliseconds that a cut may cost: none when it was planned, else what its kind needs to be noticed."""
    if cut.planned:
        return 0.0
    if not cut.far_carrier:
        return topology.certify.failover_carrier
    if topology.certify.failover_silent is not None:
        return topology.certify.failover_silent
    return NOTICED + topology.notice


def _cut(topology: Topology, cut: Cut) -> Iterator[Check]:
    kind, cable = PLANNED if cut.planned else UNPLANNED, str(topology.cables[cut.cable])
    if cut.skipped:
        yield Check(cut.cable, cable, kind, "measured", f"not tried: {cut.skipped}", Verdict.WARN)
    elif cut.failed:
        yield Check(cut.cable, cable, kind, "traffic takes another way", cut.failed, Verdict.FAIL,
                    "`vtysh -c 'show ip ospf neighbor'` and `ip route` on both hosts.")  # fmt: skip
    for name, losses, most in (("down", cut.down, allowed(topology, cut)), ("up again", cut.up, 0.0)):
        if losses is not None:
            yield _lost(cut, cable, f"{kind}, {name}", losses.values(), most)


def _lost(cut: Cut, cable: str, what: str, losses: Iterable[Loss], most: float) -> Check:
    longest = max(losses, key=lambda loss: loss.ms)
    expected = f"at most {most:.0f} ms" if most else "nothing lost"
    seen = f"{longest.ms:.0f} ms, {longest.lost} packets" if longest.lost else "nothing lost"
    return Check(cut.cable, cable, what, expected, seen, _verdict(longest.ms <= most))
