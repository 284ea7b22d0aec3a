"""A topology without one of its nodes is what a file without it would be."""

from dataclasses import replace

import pytest

from meshctl.topology import Topology
from tests.roles import golden


@pytest.mark.parametrize(("cluster", "name"), [("five", "node2"), ("ring", "node4"), ("triangle", "node1")])
def test_nothing_of_it_is_left_and_nothing_else_has_changed(cluster: str, name: str) -> None:
    whole = golden.topology(cluster)
    rest = whole.without(name)
    assert [node.name for node in rest.nodes] == [node.name for node in whole.nodes if node.name != name]
    assert not [cable for cable in rest.cables if name in {cable.a.node, cable.b.node}]
    for node in rest.nodes:
        for port in node.ports:
            cable = rest.cables[port.cable]
            assert {node.name, port.peer} == {cable.a.node, cable.b.node}
            assert port.address.ip in cable.prefix
        assert ports(node.name, rest) == [port for port in ports(node.name, whole) if port.peer != name]


def ports(name: str, topology: Topology) -> list:  # type: ignore[type-arg]
    return [replace(port, cable=0) for port in topology.node(name).ports]
