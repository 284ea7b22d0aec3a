"""The links that a host should have: every device with its addresses, MTU and place, whatever writes it down."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface

from meshctl.topology import Node
from meshctl.topology.document import BondSection


class Kind(StrEnum):
    """What a device is to the kernel."""

    LOOPBACK = "loopback"
    NIC = "nic"
    BOND = "bond"


@dataclass(frozen=True, slots=True)
class Device:
    """One interface. What `kind` makes meaningless is None or empty."""

    name: str
    kind: Kind
    purpose: str
    """For the operator who reads the file: which cable, or what else it is for."""
    mtu: int | None = None
    mac: str | None = None
    addresses: tuple[IPv4Interface, ...] = ()
    routed: bool = False
    """It carries the mesh's traffic: IPv6 link-local addresses, forwarding, answers that come another way."""
    master: str | None = None
    """The bond that it is a member of; such a NIC has nothing else."""
    members: tuple[str, ...] = ()
    bond: BondSection | None = None

    @property
    def virtual(self) -> bool:
        """Whether the kernel has it only because somebody made it."""
        return self.kind not in {Kind.LOOPBACK, Kind.NIC}

    @property
    def primary(self) -> str | None:
        """The member that carries everything while it works; both ends of a cable have to mean the same strand."""
        return self.members[0] if self.bond and self.bond.mode == "active-backup" else None


def devices(node: Node) -> tuple[Device, ...]:
    """All that meshctl configures on a host, what is underneath first. The management NIC is never among them."""
    return tuple(_devices(node))


def _devices(node: Node) -> Iterable[Device]:
    yield Device(
        "lo", Kind.LOOPBACK, f"the address of {node.name} that no cable takes down",
        addresses=(IPv4Interface(node.loopback),),
    )  # fmt: skip
    for port in node.ports:
        cable = f"the cable {node.name}:{port.nic} <-> {port.peer}:{port.peer_nic}"
        for plug in port.members:
            strand = f"a strand, to {plug.peer}, of {cable}"
            yield Device(plug.nic, Kind.NIC, strand, port.mtu, master=port.nic)
        yield Device(
            port.nic, Kind.BOND if port.bond else Kind.NIC, cable, port.mtu, port.mac, (port.address,), routed=True,
            members=tuple(plug.nic for plug in port.members), bond=port.bond,
        )  # fmt: skip
    if node.uplink_nic:
        yield Device(node.uplink_nic, Kind.NIC, "the uplink of the OVN routers; up, without an address")


MII = 100
"""Milliseconds between two looks of a bond at its members' carriers; the driver's own default is never."""


def options(device: Device) -> tuple[tuple[str, str], ...]:
    """A bond's settings in the words of the kernel's driver (Documentation/networking/bonding.rst), mode first."""
    if device.bond is None:
        return ()
    bond, lacp = device.bond, device.bond.mode == "802.3ad"
    found = [("mode", bond.mode), ("miimon", str(MII))]
    if lacp or bond.mode == "balance-xor":
        found.append(("xmit_hash_policy", bond.hash))
    if lacp:
        found += [("lacp_rate", bond.lacp_rate), ("min_links", str(bond.min_links))]
    return tuple(found)
