"""Cables that carry nothing, or only small packets, or only one way."""

from collections.abc import Mapping
from ipaddress import IPv4Interface

import pytest

from meshctl.roles.condition import Part, State
from meshctl.roles.links.parse import Link
from meshctl.roles.links.status import Look, judge
from tests.roles import golden

MESH = golden.topology("triangle")
OFF = Part(State.BROKEN, "host unreachable")
FULL, SMALL, NOTHING = (True, True), (True, False), (False, False)


def looks(*names: str, **cables: tuple[bool, bool]) -> dict[str, Look]:
    """What hosts say; `cable0=SMALL` for both ends of a cable, `cable0_node1=…` for one."""
    return {name: look(name, cables) for name in names or ("node1", "node2", "node3")}


def look(name: str, cables: Mapping[str, tuple[bool, bool]]) -> Look:
    node = MESH.node(name)
    links = {p.nic: Link(p.nic, n, p.mtu, True, True, frozenset({p.address})) for n, p in enumerate(node.ports)}
    links["lo"] = Link("lo", 99, 65536, True, True, frozenset({IPv4Interface(node.loopback)}))
    links["eth3"] = Link("eth3", 98, 1500, True, True, frozenset())
    both = {p.cable: cables.get(f"cable{p.cable}", FULL) for p in node.ports}
    own = {p.cable: cables.get(f"cable{p.cable}_{name}", both[p.cable]) for p in node.ports}
    return Look(links, own)


@pytest.mark.parametrize(
    ("said", "state", "detail", "dead"),
    [
        (looks(), State.HEALTHY, "3 of 3 cables carry their MTU", set()),
        (looks(cable0=SMALL), State.DEGRADED, "2 of 3 cables carry their MTU; too narrow: ", set()),
        (looks(cable0_node1=NOTHING), State.DEGRADED, "2 of 3 cables carry their MTU; too narrow: ", set()),
        (looks(cable0=NOTHING), State.DEGRADED, "2 of 3 cables carry their MTU; dead: ", {0}),
        (looks(cable0=NOTHING, cable1=NOTHING), State.BROKEN, "1 of 3 cables carry their MTU; dead: ", {0, 1}),
    ],
)
def test_cables(said: dict[str, Look], state: State, detail: str, dead: set[int]) -> None:
    found = judge(MESH, said, {})
    assert (found.state, found.dead_cables) == (state, frozenset(dead))
    assert found.detail.startswith(detail)
    assert bool(found.problems) is (state is not State.HEALTHY)


def test_a_host_that_is_off_breaks_nothing() -> None:
    found = judge(MESH, looks("node1", "node2", cable1=NOTHING, cable2=NOTHING), {"node3": OFF})
    assert (found.state, found.dead_cables) == (State.DEGRADED, frozenset({1, 2}))


def test_a_change_that_waits_for_its_confirmation() -> None:
    said = looks()
    said["node2"] = Look(said["node2"].links, said["node2"].answers, unconfirmed=True)
    (finding,) = judge(MESH, said, {}).findings
    assert (finding.disease, finding.host, finding.leftover) == ("unconfirmed-network-change", "node2", True)
