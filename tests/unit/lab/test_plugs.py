"""Where plugs are: what moves, and what hangs loose afterwards."""

from pathlib import Path

import pytest

from meshctl.lab import plugs
from meshctl.lab.plan import from_topology
from meshctl.lab.plugs import Plugs
from tests.roles import golden

TRIANGLE: Plugs = {"cable0": ("h0p0", "h1p1"), "cable1": ("h1p0", "h2p1"), "cable2": ("h0p1", "h2p0")}
ALL = {end for ends in TRIANGLE.values() for end in ends}


def test_a_cable_that_is_plugged_elsewhere_leaves_its_old_far_end_loose() -> None:
    after = plugs.connected(TRIANGLE, "h1p0", "h2p0")
    assert after == {"cable0": ("h0p0", "h1p1"), "cable1": ("h1p0", "h2p0"), "cable2": ("h0p1",)}
    assert plugs.moves(TRIANGLE, after, ALL)[:3] == [
        "link set h2p0 down nomaster",
        "link set h2p1 down nomaster",
        "link set h2p0 master cable1",
    ]


def test_two_loose_ends_take_a_loose_cable() -> None:
    loose = {"cable0": ("h0p0", "h1p1"), "cable1": ("h1p0",), "cable2": ("h0p1",)}
    assert plugs.connected(loose, "h2p0", "h2p1") == {**loose, "cable1": ("h2p0", "h2p1")}


def test_swapped_plugs_change_places() -> None:
    after = plugs.swapped(TRIANGLE, "h2p0", "h2p1")
    assert after == {"cable0": ("h0p0", "h1p1"), "cable1": ("h1p0", "h2p0"), "cable2": ("h0p1", "h2p1")}
    assert plugs.swapped(after, "h2p0", "h2p1") == TRIANGLE


def test_a_switch_takes_any_number() -> None:
    after, switch = plugs.shared(TRIANGLE, ("h0p0", "h1p1", "h2p0"))
    assert (after[switch], after["cable0"], after["cable2"]) == (("h0p0", "h1p1", "h2p0"), (), ("h0p1",))
    assert plugs.is_switch(switch)


@pytest.mark.parametrize(("alias", "ends"), [("-", ()), ("h0p0", ("h0p0",)), ("h0p0,h1p1", ("h0p0", "h1p1"))])
def test_the_kernel_keeps_what_is_plugged(alias: str, ends: tuple[str, ...]) -> None:
    lab = from_topology(golden.topology("triangle"), "x", ("full", Path("/image")), userspace_ovs=True)
    told = plugs.plugged(lab, {"cable0": {"ifalias": alias}, "cable1": {}, "h0p0": {"ifalias": "node1:eth1"}})
    assert told == {**plugs.as_planned(lab), "cable0": ends}
    assert plugs.said({"cable0": ends}) == [f"link set cable0 alias {alias}"]


def test_plug_is_pulled_out_of_a_switch_and_put_back() -> None:
    lab = from_topology(golden.topology("vlans"), "x", ("full", Path("/image")), userspace_ovs=True)
    planned = plugs.as_planned(lab)
    assert planned == {"switch1": ("h0p0", "h1p0", "h2p0")}
    without = plugs.pulled(planned, ["h1p0"])
    assert without == {"switch1": ("h0p0", "h2p0")}
    assert plugs.moves(planned, without, {"h1p0"}) == ["link set h1p0 down nomaster", *plugs.said(without)]
    back = plugs.put_back(without, ["h1p0"], planned)
    assert set(back["switch1"]) == set(planned["switch1"])
