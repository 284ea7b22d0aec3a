"""The certificate for a terminal: a table of links, one of cuts, and every check that did not pass."""

from collections.abc import Callable, Iterator, Sequence

from .facts import Cut, LinkFacts, Measured, Way
from .probes import percentile
from .verdicts import Check, Verdict, of_cable, worst

Style = Callable[[str, str], str]

COLOURS = {Verdict.PASS: "green", Verdict.UNMEASURED: "yellow", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


def lines(measured: Measured, checks: Sequence[Check], style: Style) -> Iterator[str]:
    """The whole report; fits 80 columns where names are short."""
    yield style(f"{measured.topology.cluster}: {title(checks)}", COLOURS[worst(checks)])
    for link in measured.links:
        verdict = worst(of_cable(checks, link.cable))
        yield ""
        yield f"{style(verdict.upper(), COLOURS[verdict])}  {measured.topology.cables[link.cable]}  {nics(link)}"
        for way in link.ways:
            yield f"  {way.source} → {way.target}  {figures(way)}"
    if measured.cuts is not None:
        yield from _cuts(measured, measured.cuts)
    wrong = [check for check in checks if check.verdict is not Verdict.PASS]
    if wrong:
        yield ""
        for check in wrong:
            yield style(f"{check.verdict}: {check.where}: {check.what}", COLOURS[check.verdict])
            yield f"  expected {check.expected}, seen {check.seen}"
            if check.advice:
                yield f"  {check.advice}"


def title(checks: Sequence[Check]) -> str:
    """The outcome in one line."""
    links = len({check.cable for check in checks if check.cable is not None})
    bad = len({check.cable for check in checks if check.cable is not None and check.verdict is Verdict.FAIL})
    if worst(checks) is Verdict.FAIL:
        return f"not certified: {bad} of {links} links failed" if bad else "not certified"
    rest = {Verdict.UNMEASURED: ", except for what was not measured", Verdict.WARN: ", with warnings"}
    return f"{links} links certified{rest.get(worst(checks), '')}"


def nics(link: LinkFacts) -> str:
    """`MTU 1500, 10000 Mbit/s full`, or both ends' where they differ."""
    told = [
        f"MTU {end.before.mtu}, {f'{end.before.speed} Mbit/s' if end.before.speed else 'speed unknown'}"
        f"{f' {end.before.duplex}' if end.before.duplex else ''}"
        for end in link.ends
    ]
    return " | ".join(dict.fromkeys(told))


def figures(way: Way) -> str:
    """Throughput, latency and loss of one direction."""
    if not (way.rtts or way.small):
        return "no answer"
    rate = "not measured" if way.throughput.mbit is None else f"{way.throughput.mbit:.0f} Mbit/s"
    times = " / ".join(f"{percentile(way.rtts, share):.2f}" for share in (0.5, 0.9, 0.99)) if way.rtts else "?"
    return f"{rate}  {times} ms  {way.lost:.1f} % lost"


def _cuts(measured: Measured, cuts: Sequence[Cut]) -> Iterator[str]:
    yield ""
    yield "milliseconds lost by the pair that lost most"
    for cut in cuts:
        kind = "planned cut" if cut.planned else "cut"
        yield f"  {measured.topology.cables[cut.cable]}  {kind}: {outcome(cut)}"


def outcome(cut: Cut) -> str:
    """What a cut cost, in a few words."""
    if cut.skipped or cut.failed or cut.down is None or cut.up is None:
        return f"not tried, {cut.skipped}" if cut.skipped else cut.failed
    down, up = (max(loss.ms for loss in losses.values()) for losses in (cut.down, cut.up))
    over = ", ".join(sorted({name or "the other cable" for name in (cut.took or {}).values()}))
    return f"{down:.0f} going down, {up:.0f} coming up, over {over}"
