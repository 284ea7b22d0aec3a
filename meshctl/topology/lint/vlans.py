"""VLANs, and NICs that several networks share."""

from collections.abc import Iterator

from meshctl.topology.lint.rules import Hit, Severity, rule
from meshctl.topology.model import End, Topology


@rule(Severity.ERROR)
def vlan_mtu(topology: Topology) -> Iterator[Hit]:
    """A VLAN's packets fit into the NIC below it.

    The kernel refuses a larger MTU on a VLAN than on its NIC, and the NIC has the MTU of the cable that uses it
    untagged.
    """
    untagged = {end: cable for cable in topology.cables if not cable.vlan for end in (cable.a, cable.b)}
    for i, cable in enumerate(topology.cables):
        for end, nic in _under(cable.vlan, cable.a, cable.b):
            below = untagged.get(nic)
            if below and below.mtu < cable.mtu:
                yield ("cables", i), f"{end} has MTU {cable.mtu}, and {nic} without VLAN only {below.mtu}"


def _under(vlan: int | None, *ends: End) -> Iterator[tuple[End, End]]:
    """Ends with a VLAN, and the NICs or bonds below them."""
    for end in ends if vlan else ():
        yield end, End(end.node, end.nic.removesuffix(f".{vlan}"))


@rule(Severity.ERROR)
def bond_differs(topology: Topology) -> Iterator[Hit]:
    """A bond that carries several VLANs is the same for all of them.

    There is one bond of that name on the host. What the second cable says of it would silently win, or lose.
    """
    for node in topology.nodes:
        first = {port.under: port for port in reversed(node.ports) if port.bond}
        for port in node.ports:
            known = first.get(port.under, port)
            same = [plug.nic for plug in known.members] == [plug.nic for plug in port.members]
            alike = known.bond and port.bond and known.bond.mode == port.bond.mode and known.bond.hash == port.bond.hash
            if not (known is port or (same and alike)):
                text = f"{node.name}:{port.under} is another bond in {topology.cables[known.cable]}"
                yield ("cables", port.cable), text


@rule(Severity.WARNING)
def shared_wire(topology: Topology) -> Iterator[Hit]:
    """Cables between the same hosts are wires of their own.

    VLANs on the same wire look like two ways to OSPF, and fail together.
    """
    seen: dict[frozenset[End], int] = {}
    for i, cable in enumerate(topology.cables):
        wires = frozenset(end for strand in cable.strands for end in strand)
        if seen.setdefault(wires, i) != i:
            yield ("cables", i), f"{cable} and {topology.cables[seen[wires]]} are one wire: both fail with it"


@rule(Severity.ERROR)
def uplink_reserved(topology: Topology) -> Iterator[Hit]:
    """The uplink is not on the management NIC.

    meshctl never changes the management NIC, not even by a VLAN on it. Make the VLAN (`eth0.200`) where that NIC is
    configured, and name it as the uplink's NIC.
    """
    for node in topology.nodes:
        if node.uplink_plug == node.management_nic:
            yield ("uplink", "nic"), f"{node.uplink_plug} is the management NIC of {node.name}"


@rule(Severity.ERROR)
def bridge_name(topology: Topology) -> Iterator[Hit]:
    """The uplink's bridge has a name of its own.

    meshctl makes the bridge. With the name of a NIC it could not, or what is there already would be taken for it.
    """
    for node in topology.nodes:
        if node.uplinked and node.uplinked.bridge:
            taken = {plug.nic for plug in node.plugs} | {port.nic for port in node.ports}
            if node.uplinked.bridge in taken | {node.management_nic, node.uplinked.plug, node.uplinked.tagged, "lo"}:
                yield ("uplink", "bridge"), f"{node.uplinked.bridge} is a NIC of {node.name}; call the bridge otherwise"
