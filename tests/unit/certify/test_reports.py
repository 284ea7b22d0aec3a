"""The three forms of a certificate."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from meshctl.certify.document import as_json
from meshctl.certify.facts import Measured, Throughput
from meshctl.certify.page import drawn, layout, page
from meshctl.certify.text import lines
from meshctl.certify.verdicts import judge
from tests.roles import golden
from tests.unit.certify.measurements import TRIANGLE, healthy, link, plugged, way, with_link
from tests.unit.cli.schemas import check

WHEN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def plain(text: str, _colour: str) -> str:
    return text


def sick() -> Measured:
    good = link(0)
    return with_link(replace(good, ways=(good.ways[0], replace(good.ways[1], throughput=Throughput(8.0)))))


def test_text_of_a_healthy_cluster() -> None:
    measured = healthy()
    text = list(lines(measured, judge(measured), plain))
    assert text[:5] == [
        "triangle: 3 links certified",
        "",
        "PASS  node1:eth1 <-> node2:eth2  MTU 1500, 10000 Mbit/s full",
        "  node1:eth1 → node2:eth2  940 Mbit/s  0.25 / 0.37 / 0.40 ms  0.0 % lost",
        "  node2:eth2 → node1:eth1  940 Mbit/s  0.25 / 0.37 / 0.40 ms  0.0 % lost",
    ]
    assert "  node1:eth1 <-> node2:eth2  cut: 72 going down, 0 coming up, over node3" in text
    assert max(map(len, text)) <= 80


def test_text_names_what_failed() -> None:
    text = "\n".join(lines(sick(), judge(sick()), plain))
    assert text.startswith("triangle: not certified: 1 of 3 links failed\n\nFAIL  node1:eth1 <-> node2:eth2")
    assert "fail: node2:eth2 → node1:eth1: throughput\n  expected at least 700 Mbit/s, seen 8 Mbit/s" in text


def test_json_is_what_its_schema_says() -> None:
    for measured in (healthy(), sick(), replace(healthy(), cuts=None)):
        found = as_json(measured, judge(measured))
        check(json.dumps({"schema": "meshctl/certify/1", **found}), "meshctl/certify/1")
    assert as_json(sick(), judge(sick()))["ok"] is False


def test_page_needs_nothing_else_and_has_every_link_in_its_colour() -> None:
    text = page(sick(), judge(sick()), WHEN)
    assert not re.search(r"(src|href)=|url\(|https?://|@import", text)
    assert text.count('<g class="link fail"><title>node1:eth1 &lt;-&gt; node2:eth2: fail</title>') == 1
    assert text.count('<g class="link pass"><title>') == 2
    picture = ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])  # noqa: S314  (our own)
    assert len(picture.findall(".//path")) == 3


def test_names_in_the_page_are_escaped() -> None:
    strange = replace(healthy(), topology=replace(TRIANGLE, cluster="<script>alert(1)</script>"))
    assert "<script>" not in page(strange, judge(strange), WHEN)


def test_parallel_cables_are_drawn_beside_each_other() -> None:
    dual = golden.topology("dual")
    links = tuple(
        replace(link(i, dual), ends=(plugged(cable.a), plugged(cable.b)), ways=(way(cable.a, cable.b),) * 2)
        for i, cable in enumerate(dual.cables)
    )
    measured = replace(healthy(), topology=dual, links=links, cuts=None)
    found = drawn(measured, judge(measured), layout(dual.nodes))
    assert len({(round(line.x), round(line.y)) for line in found}) == len(dual.cables)
