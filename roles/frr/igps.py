"""Which routing protocols a topology uses."""

from meshctl.topology import Topology

from .igp import Igp
from .openfabric import OpenFabric
from .ospf import Ospf
from .ospf6 import Ospf6

ALL: tuple[Igp, ...] = (Ospf(), Ospf6(), OpenFabric())
"""Those that a run may meet on a host."""


def speaking(topology: Topology) -> tuple[Igp, ...]:
    """Those that run on every host; none where routes are static."""
    dual = topology.loopbacks6 is not None
    if topology.routing.protocol == "openfabric":
        return (OpenFabric(dual=dual),)
    if topology.routing.protocol == "ospf":
        return (Ospf(), Ospf6()) if dual else (Ospf(),)
    return ()
