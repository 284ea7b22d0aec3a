"""What hangs together when hosts or cables are missing."""

from collections.abc import Collection

import networkx as nx

from meshctl.topology.model import Topology


def parts(
    topology: Topology, *, without_nodes: Collection[str] = (), without_cables: Collection[int] = ()
) -> list[set[str]]:
    """The connected parts of the mesh, without some hosts (by name) and cables (by index), largest first."""
    graph = _graph(topology, without_nodes, without_cables)
    return sorted(nx.connected_components(graph), key=lambda part: (-len(part), min(part)))


def weak_points(topology: Topology) -> tuple[set[str], set[int]]:
    """Hosts (by name) and cables (by index) without any one of which the mesh falls apart; in linear time."""
    graph = _graph(topology, (), ())
    bridges = {frozenset(bridge) for bridge in nx.bridges(graph)}
    cables = {i for i, cable in enumerate(topology.cables) if frozenset((cable.a.node, cable.b.node)) in bridges}
    return set(nx.articulation_points(graph)), cables


def _graph(topology: Topology, without_nodes: Collection[str], without_cables: Collection[int]) -> "nx.MultiGraph[str]":
    graph: nx.MultiGraph[str] = nx.MultiGraph()
    graph.add_nodes_from(node.name for node in topology.nodes if node.name not in without_nodes)
    graph.add_edges_from(
        (cable.a.node, cable.b.node)
        for i, cable in enumerate(topology.cables)
        if i not in without_cables and not {cable.a.node, cable.b.node} & set(without_nodes)
    )
    return graph
