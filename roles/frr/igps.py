"""Which routing protocols a topology uses."""

from meshctl.topology import Topology

from .igp import Igp
from .ospf import Ospf


def speaking(topology: Topology) -> tuple[Igp, ...]:
    """Those that run on every host."""
    del topology
    return (Ospf(),)
