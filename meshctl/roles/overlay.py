"""The overlay: OVN's network that the instances of all hosts share, in tunnels over the cables."""

from meshctl.topology import Topology
from meshctl.topology.lint.cabling import GENEVE_OVERHEAD


def mtu(topology: Topology) -> int:
    """What fits through every cable with the tunnel around it.

    Incus would take the MTU of the interface that has the encapsulation address, which is lo with 65536 bytes.
    """
    return min((cable.mtu for cable in topology.cables), default=1500) - GENEVE_OVERHEAD
