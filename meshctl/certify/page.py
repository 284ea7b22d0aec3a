"""The certificate as one HTML page that needs nothing else: the topology as a picture, links coloured by verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from meshctl.topology import Node, Topology

from .facts import LinkFacts, Measured
from .text import figures, nics, outcome, title
from .verdicts import Check, Verdict, of_cable, worst

WIDTH, _TOP = 860, 50
_RADIUS = 200.0
_BOW = 64.0
"""Pixels between the middles of two cables of the same pair."""


@dataclass(frozen=True, slots=True)
class Box:
    """A host in the picture; x and y are its middle."""

    node: Node
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """A cable in the picture: an SVG path, and where its label stands."""

    cable: str
    verdict: Verdict
    path: str
    x: float
    y: float
    label: str


def page(measured: Measured, checks: Sequence[Check], when: datetime) -> str:
    """The whole page. Every text in it is escaped."""
    env = Environment(
        loader=PackageLoader("meshctl.certify"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    boxes = layout(measured.topology.nodes)
    values: dict[str, Any] = {
        "cluster": measured.topology.cluster,
        "title": title(checks),
        "verdict": worst(checks),
        "when": f"{when:%Y-%m-%d %H:%M:%S %Z}",
        "width": WIDTH,
        "height": round(max(box.y for box in boxes)) + _TOP,
        "boxes": boxes,
        "lines": drawn(measured, checks, boxes),
        "links": [(link, measured.topology.cables[link.cable], worst(of_cable(checks, link.cable)))
                  for link in measured.links],
        "cuts": [(cut, measured.topology.cables[cut.cable]) for cut in measured.cuts or ()],
        "clocks": measured.clocks,
        "wrong": [check for check in checks if check.verdict is not Verdict.PASS],
        "checks": checks,
        "figures": figures,
        "nics": nics,
        "outcome": outcome,
    }  # fmt: skip
    return env.get_template("page.html.j2").render(values)


def layout(nodes: Sequence[Node]) -> tuple[Box, ...]:
    """The hosts on a circle, the first one on top."""
    step = 2 * math.pi / len(nodes)
    return tuple(
        Box(node, WIDTH / 2 + 1.35 * _RADIUS * math.sin(i * step), _TOP + _RADIUS * (1 - math.cos(i * step)))
        for i, node in enumerate(nodes)
    )


def drawn(measured: Measured, checks: Sequence[Check], boxes: Sequence[Box]) -> tuple[Line, ...]:
    """Every cable; several between two hosts are bowed, so that each is seen."""
    at = {box.node.name: box for box in boxes}
    ends = [tuple(sorted((cable.a.node, cable.b.node))) for cable in measured.topology.cables]
    found = []
    for link in measured.links:
        pair = ends[link.cable]
        number, of = ends[: link.cable].count(pair), ends.count(pair)
        verdict = worst(of_cable(checks, link.cable))
        bow = (number - (of - 1) / 2) * _BOW
        found.append(_line(measured.topology, link, (at[pair[0]], at[pair[1]]), bow, verdict))
    return tuple(found)


def _line(topology: Topology, link: LinkFacts, ends: tuple[Box, Box], bow: float, verdict: Verdict) -> Line:
    one, two = ends
    dx, dy = two.x - one.x, two.y - one.y
    length = math.hypot(dx, dy) or 1.0
    # A quadratic curve passes half way between its chord and its control point.
    x, y = (one.x + two.x) / 2 - dy / length * bow, (one.y + two.y) / 2 + dx / length * bow
    control = (x - dy / length * bow, y + dx / length * bow)
    path = f"M{one.x:.1f} {one.y:.1f}Q{control[0]:.1f} {control[1]:.1f} {two.x:.1f} {two.y:.1f}"
    rates = [way.throughput.mbit for way in link.ways]
    known = [rate for rate in rates if rate is not None]
    label = f"{min(known):.0f} Mbit/s" if link.answers and len(known) == len(rates) else str(verdict)
    return Line(str(topology.cables[link.cable]), verdict, path, x, y, label)
