"""Each fault by its name, on the link that has it, and on no other."""

from dataclasses import replace
from typing import Any

import pytest

from meshctl.certify.facts import LinkFacts, Measured, Throughput
from meshctl.certify.probes import Loss
from meshctl.certify.verdicts import Check, Verdict, allowed, judge, of_cable, worst
from meshctl.topology import Topology
from meshctl.topology.settings import Bfd, Certify
from tests.unit.certify.measurements import NOTHING, PINGED, SOME, TRIANGLE, cut, healthy, link, with_link


def wrong(measured: Measured) -> list[Check]:
    return [check for check in judge(measured) if check.verdict is not Verdict.PASS]


def asking(**wishes: float) -> Topology:
    return replace(TRIANGLE, certify=Certify.model_validate(wishes))


def test_a_healthy_cluster_passes() -> None:
    checks = judge(healthy())
    assert worst(checks) is Verdict.PASS
    assert {check.cable for check in checks} == {None, 0, 1, 2}


def spoilt_end(**nic: Any) -> LinkFacts:
    """The first link with other values at its first end, from the beginning."""
    good = link(0)
    end = good.ends[0]
    bad = replace(end, before=replace(end.before, **nic), pinged=replace(end.pinged, **nic),
                  after=replace(end.after, **nic))  # fmt: skip
    return replace(good, ends=(bad, good.ends[1]))


@pytest.mark.parametrize(
    ("nic", "what", "seen"),
    [
        ({"mtu": 1400}, "MTU", "1400"),
        ({"carrier": False}, "signal", "no carrier"),
        ({"carrier": False, "up": False}, "signal", "switched off"),
        ({"duplex": "half"}, "duplex", "half"),
        ({"speed": 1000}, "speed", "1000 and 10000 Mbit/s"),
    ],
)
def test_ends(nic: dict[str, object], what: str, seen: str) -> None:
    found = wrong(with_link(spoilt_end(**nic)))
    assert [(check.cable, check.what, check.seen, check.verdict) for check in found] == [(0, what, seen, "fail")]


@pytest.mark.parametrize(
    ("later", "what", "verdict"),
    [({"errors": 3}, "new errors", "fail"), ({"drops": 3}, "new drops", "warn"),
     ({"carrier_changes": 4}, "carrier lost while measuring", "fail")],
)  # fmt: skip
def test_counters_that_grew(later: dict[str, int], what: str, verdict: str) -> None:
    good = link(0)
    end = replace(good.ends[1], after=replace(PINGED, **later))  # type: ignore[arg-type]
    found = wrong(with_link(replace(good, ends=(good.ends[0], end))))
    assert [(check.where, check.what, check.verdict) for check in found] == [("node2:eth2", what, verdict)]


def spoilt_way(**values: object) -> LinkFacts:
    """The first link with another second direction."""
    good = link(0)
    return replace(good, ways=(good.ways[0], replace(good.ways[1], **values)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"full": False}, "a packet of the whole MTU, unfragmented"),
        ({"rtts": (0.1,) * 297}, "lost"),
        ({"rtts": (2.0,) * 300}, "round trip, median"),
        ({"rtts": (0.1,) * 290 + (50.0,) * 10}, "round trip, 99th percentile"),
        ({"throughput": Throughput(100.0)}, "throughput"),
    ],
)
def test_ways(values: dict[str, object], what: str) -> None:
    (found,) = wrong(with_link(spoilt_way(**values)))
    assert (found.cable, found.where, found.what) == (0, "node2:eth2 → node1:eth1", what)
    assert found.verdict is Verdict.FAIL


def test_throughput_that_nobody_could_measure() -> None:
    bare = spoilt_way(throughput=Throughput(None, missing="iperf3 is not installed on node1"))
    (found,) = wrong(with_link(bare))
    assert found.verdict is Verdict.UNMEASURED
    assert found.seen == "not measured: iperf3 is not installed on node1"
    strict = asking(throughput=500)
    assert [check.verdict for check in wrong(with_link(bare, strict))] == ["fail"]


def test_the_limit_of_the_test_is_no_fault_of_the_link() -> None:
    slow = spoilt_way(throughput=Throughput(15.0))
    assert wrong(with_link(slow, asking(rate=20))) == []


def test_a_link_that_is_dead_in_one_direction_says_which() -> None:
    good = link(0)
    deaf = replace(PINGED, received=0)
    ways = tuple(replace(way, full=False, small=False, rtts=()) for way in good.ways)
    dead = replace(good, ends=(good.ends[0], replace(good.ends[1], pinged=deaf, after=deaf)), ways=(ways[0], ways[1]))
    found = wrong(with_link(dead))
    assert [check.what for check in found] == ["answers", "answers"]
    assert found[0].seen == "nothing came back; 0 of 620 packets arrived at node2:eth2"
    assert "This direction is dead" in found[0].advice
    assert "The other direction" in found[1].advice


def test_clocks_apart() -> None:
    whole = healthy()
    late = replace(whole, clocks=(*whole.clocks[:2], replace(whole.clocks[2], ms=200.0)))
    (found,) = wrong(late)
    assert (found.cable, found.where, found.what) == (None, "node1 and node3", "clocks apart")
    unsure = replace(late, clocks=tuple(replace(clock, error=100.0) for clock in late.clocks))
    assert wrong(unsure) == []


def test_what_a_cut_may_cost() -> None:
    plain = cut(0, planned=False)
    silent = replace(plain, far_carrier=True)
    fast = replace(TRIANGLE, bfd=Bfd(profile="fast"))
    blind = replace(TRIANGLE, bfd=Bfd(profile="none"))
    assert allowed(TRIANGLE, plain) == 100
    assert [allowed(topology, silent) for topology in (TRIANGLE, fast, blind)] == [1000, 250, 4100]
    assert allowed(asking(failover_silent=77), silent) == 77
    assert allowed(TRIANGLE, cut(0, planned=True)) == 0


def test_cuts_that_cost_too_much() -> None:
    whole = healthy()
    assert whole.cuts is not None
    slow = replace(whole.cuts[0], down={**NOTHING, ("node1", "node2"): Loss(30, 305.0, 63)})
    lossy = replace(whole.cuts[1], down=SOME, up=SOME)
    found = wrong(replace(whole, cuts=(slow, lossy)))
    assert [(check.what, check.expected, check.seen) for check in found] == [
        ("cut, down", "at most 100 ms", "305 ms, 30 packets"),
        ("planned cut, down", "nothing lost", "72 ms, 7 packets"),
        ("planned cut, up again", "nothing lost", "72 ms, 7 packets"),
    ]
    assert worst(of_cable(found, 1)) is Verdict.PASS


def test_cuts_that_were_not_tried_or_did_not_end() -> None:
    whole = healthy()
    bare = replace(cut(2, planned=False), down=None, up=None, took=None)
    cuts = (replace(bare, skipped="it is the last path of node3"), replace(bare, failed="waited 11 s for answers"))
    found = wrong(replace(whole, cuts=cuts))
    assert [check.verdict for check in found] == ["warn", "fail"]
