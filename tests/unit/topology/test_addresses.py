from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.topology.addresses import PARALLEL, ends, link_prefix, loopback, node_ids, pair_index

LINKS = IPv4Network("10.0.0.0/8")


def test_pairs_are_counted_without_gaps_whatever_the_order() -> None:
    pairs = [(i, j) for j in range(2, 30) for i in range(1, j)]
    assert [pair_index(i, j) for i, j in pairs] == list(range(len(pairs)))
    assert [pair_index(j, i) for i, j in pairs] == list(range(len(pairs)))


@given(st.sets(st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(0, PARALLEL - 1)), max_size=40))
def test_no_two_cables_share_a_prefix(slots: set[tuple[int, int, int]]) -> None:
    wanted = {(min(i, j), max(i, j), k) for i, j, k in slots if i != j}
    prefixes = [link_prefix(LINKS, *slot) for slot in wanted]
    assert len(set(prefixes)) == len(wanted)
    assert all(prefix is not None and prefix.subnet_of(LINKS) for prefix in prefixes)


@pytest.mark.parametrize(
    ("links", "slot"),
    [("192.168.0.0/28", (1, 3, 0)), ("192.168.0.0/31", (1, 2, 0)), ("10.0.0.0/8", (1, 2, PARALLEL))],
)
def test_no_room_is_said(links: str, slot: tuple[int, int, int]) -> None:
    assert link_prefix(IPv4Network(links), *slot) is None


def test_the_last_slot_of_a_prefix_is_used() -> None:
    assert link_prefix(IPv4Network("192.168.0.0/28"), 1, 2, 3) == IPv4Network("192.168.0.12/30")


def test_ends_of_30_and_31() -> None:
    assert [str(a) for a in ends(IPv4Network("10.0.0.4/30"))] == ["10.0.0.5", "10.0.0.6"]
    assert [str(a) for a in ends(IPv4Network("10.0.0.4/31"))] == ["10.0.0.4", "10.0.0.5"]


@pytest.mark.parametrize(
    ("explicit", "expected"),
    [
        ({"node1": None, "node3": None}, {"node1": 1, "node3": 3}),
        ({"a": None, "b": None}, {"a": 1, "b": 2}),
        ({"a1": None, "b1": None}, {"a1": 1, "b1": 2}),
        ({"pve0": None, "pve1": None}, {"pve0": 1, "pve1": 2}),
        ({"a": 7, "b": None}, {"a": 7, "b": 1}),
        ({"a": 1, "b": None}, {"a": 1, "b": 2}),
        ({"n2": None, "x": 2}, {"n2": 1, "x": 2}),
    ],
)
def test_node_numbers(explicit: dict[str, int | None], expected: dict[str, int]) -> None:
    assert node_ids(explicit) == expected


def test_a_removed_node_renumbers_nobody() -> None:
    full = node_ids(dict.fromkeys(["node1", "node2", "node3", "node4"]))
    assert node_ids(dict.fromkeys(["node1", "node3", "node4"])) == {k: v for k, v in full.items() if k != "node2"}


def test_loopback_outside_the_prefix_is_said() -> None:
    assert loopback(IPv4Network("10.50.1.0/29"), 8) is None
    assert str(loopback(IPv4Network("10.50.1.0/29"), 7)) == "10.50.1.7"
