"""Which routing protocols a topology uses."""

from meshctl.topology import Topology

from .igp import Igp
from .openfabric import OpenFabric
from .ospf import Ospf

ALL: tuple[Igp, ...] = (Ospf(), OpenFabric())
"""Those that a run may meet on a host."""


def speaking(topology: Topology) -> tuple[Igp, ...]:
    """Those that run on every host; none where routes are static."""
    return {"ospf": (Ospf(),), "openfabric": (OpenFabric(),), "static": ()}[topology.routing.protocol]
