"""Several wires as one cable."""

from collections.abc import Iterator

from meshctl.topology.lint.rules import Hit, Severity, rule
from meshctl.topology.model import Topology

_GROUPED = {"802.3ad": "an LACP group", "balance-rr": "a static group", "balance-xor": "a static group"}
"""Modes that send one station's frames on several ports: a switch must know that these ports belong together."""

_ONE_SIDED = frozenset({"balance-tlb", "balance-alb"})


@rule(Severity.ERROR)
def bond_name(topology: Topology) -> Iterator[Hit]:
    """A bond has a name of its own.

    The bond is made by meshctl. With the name of one of the host's NICs it could not be made, or that NIC would be
    taken for it.
    """
    for i, cable in enumerate(topology.cables):
        for end in (cable.a, cable.b) if cable.bond else ():
            node = topology.node(end.node)
            taken = {plug.nic for plug in node.plugs} | {node.management_nic, node.uplink_nic, "lo"}
            if end.nic in taken:
                yield ("cables", i), f"{end} is a NIC; call the bond otherwise, for example bond{i}"


@rule(Severity.ERROR)
def bond_min_links(topology: Topology) -> Iterator[Hit]:
    """A bond has as many strands as it needs to be up.

    With fewer it never gets a carrier, and the cable stays dead although every wire works.
    """
    for i, cable in enumerate(topology.cables):
        if cable.bond and cable.bond.min_links > len(cable.strands):
            text = f"min_links is {cable.bond.min_links}, and there are {len(cable.strands)} strands"
            yield ("cables", i, "bond"), text


@rule(Severity.WARNING)
def bond_of_one(topology: Topology) -> Iterator[Hit]:
    """A bond has several strands.

    With one it costs a layer and saves nothing: the cable dies with its only wire, as it would without the bond.
    """
    for i, cable in enumerate(topology.cables):
        if cable.bond and len(cable.strands) == 1:
            yield ("cables", i, "bond"), f"{cable} is a bond of one strand"


@rule(Severity.WARNING)
def bond_mode_direct(topology: Topology) -> Iterator[Hit]:
    """A bond between two hosts has a mode that both ends take part in.

    balance-tlb and balance-alb steer a switch by what they answer to ARP; another bond at the other end drops what
    comes in on a strand that it does not use. balance-rr delivers out of order, which TCP takes for losses.
    """
    for i, cable in enumerate(topology.cables):
        if cable.bond and cable.bond.mode in _ONE_SIDED and not cable.switch:
            yield (
                ("cables", i, "bond"),
                f"{cable.bond.mode} is made for switches; 802.3ad uses all strands between hosts",
            )
        elif cable.bond and cable.bond.mode == "balance-rr":
            yield ("cables", i, "bond"), "balance-rr delivers packets out of order; 802.3ad does not"


@rule(Severity.WARNING)
def bond_through_switch(topology: Topology) -> Iterator[Hit]:
    """A switch between bonded hosts is configured for it.

    Without a port group the switch sees one address on several ports, and sends what is meant for it to whichever it
    heard last; LACP never aggregates.
    """
    for i, cable in enumerate(topology.cables):
        if cable.bond and cable.switch and cable.bond.mode in _GROUPED:
            text = f"{cable.bond.mode} through a switch needs {_GROUPED[cable.bond.mode]} there for each end of {cable}"
            yield ("cables", i, "bond"), text
