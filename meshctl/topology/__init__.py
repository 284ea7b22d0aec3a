"""What the operator wrote, checked and resolved."""

from meshctl.topology.errors import Finding, TopologyError
from meshctl.topology.loader import load, loads, warnings, warnings_of
from meshctl.topology.model import Cable, Disk, End, Node, Plug, Port, Topology, Uplink

__all__ = [
    "Cable",
    "Disk",
    "End",
    "Finding",
    "Node",
    "Plug",
    "Port",
    "Topology",
    "TopologyError",
    "Uplink",
    "load",
    "loads",
    "warnings",
    "warnings_of",
]
