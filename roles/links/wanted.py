"""The links that a host should have: every device with its addresses, MTU and place, whatever writes it down."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface

from meshctl.topology import Node, Port
from meshctl.topology.document import BondSection
from meshctl.topology.model import Vlan

ETHERNET = 1500
"""MTU that a NIC has of itself; a VLAN would take its NIC's, which may be that of a cable with jumbo frames."""


class Kind(StrEnum):
    """What a device is to the kernel."""

    LOOPBACK = "loopback"
    NIC = "nic"
    BOND = "bond"
    VLAN = "vlan"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class Device:
    """One interface. What `kind` makes meaningless is None or empty."""

    name: str
    kind: Kind
    purpose: str
    """For the operator who reads the file: which cable, or what else it is for."""
    mtu: int | None = None
    mac: str | None = None
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    routed: bool = False
    """It carries the mesh's traffic: IPv6 link-local addresses, forwarding, answers that come another way."""
    master: str | None = None
    """The bond or bridge that it is a member of; such a device has no address."""
    members: tuple[str, ...] = ()
    bond: BondSection | None = None
    vlan: Vlan | None = None
    carries: tuple[str, ...] = ()
    """The VLANs on it."""

    @property
    def virtual(self) -> bool:
        """Whether the kernel has it only because somebody made it."""
        return self.kind not in {Kind.LOOPBACK, Kind.NIC}

    @property
    def bare(self) -> bool:
        """Without any address, nor a place in a bond or bridge: up, and for somebody else to use."""
        return not (self.addresses or self.master or self.carries or self.kind is Kind.LOOPBACK)

    @property
    def primary(self) -> str | None:
        """The member that carries everything while it works; both ends of a cable have to mean the same strand."""
        return self.members[0] if self.bond and self.bond.mode == "active-backup" else None


def devices(node: Node) -> tuple[Device, ...]:
    """All that meshctl configures on a host, what is underneath first. The management NIC is never among them."""
    found: dict[str, Device] = {}
    for device in (_loopback(node), *(one for port in node.ports for one in _port(node, port)), *_uplink(node)):
        known = found.get(device.name)
        found[device.name] = _merged(known, device) if known else device
    lowest = [name for name, device in found.items() if not device.virtual]
    bonds = [name for name, device in found.items() if device.bond]
    return tuple(found[name] for name in dict.fromkeys((*lowest, *bonds, *found)))


def _merged(one: Device, other: Device) -> Device:
    """A NIC or bond that several networks use: what is on it, and room for the largest packets."""
    best = other if other.addresses else one
    return replace(
        best, mtu=max((mtu for mtu in (one.mtu, other.mtu) if mtu), default=None), master=one.master or other.master,
        carries=tuple(dict.fromkeys((*one.carries, *other.carries))),
    )  # fmt: skip


def _loopback(node: Node) -> Device:
    what = f"the address of {node.name} that no cable takes down"
    six = (IPv6Interface(node.loopback6),) if node.loopback6 else ()
    return Device("lo", Kind.LOOPBACK, what, addresses=(IPv4Interface(node.loopback), *six))


def _port(node: Node, port: Port) -> Iterable[Device]:
    cable = f"the cable {node.name}:{port.nic} <-> {port.peer}:{port.peer_nic}"
    if port.shared:
        cable = f"the switch of all hosts, {port.address.network}"
    for plug in port.members:
        yield Device(plug.nic, Kind.NIC, f"a strand, to {plug.peer}, of {cable}", port.mtu, master=port.under)
    members = tuple(plug.nic for plug in port.members)
    kind = Kind.BOND if port.bond else Kind.NIC
    own = Device(port.under, kind, cable, port.mtu, port.plugs[0].mac if not members else None,
                 members=members, bond=port.bond)  # fmt: skip
    if port.vlan:
        yield replace(own, purpose="what VLANs are on", carries=(port.nic,))
        yield Device(port.nic, Kind.VLAN, cable, port.mtu, addresses=(port.address,), routed=True, vlan=port.vlan)
    else:
        yield replace(own, addresses=(port.address,), routed=True)


def _uplink(node: Node) -> Iterable[Device]:
    what = "the uplink of the OVN routers; up, without an address"
    made = node.uplinked
    if made is None:
        if node.uplink_nic:
            yield Device(node.uplink_nic, Kind.NIC, what)
        return
    if made.vlan:
        yield Device(made.plug, Kind.NIC, "what VLANs are on", carries=(made.tagged,))
        yield Device(made.tagged, Kind.VLAN, what, ETHERNET, vlan=Vlan(made.vlan, made.plug), master=made.bridge)
    else:
        yield Device(made.plug, Kind.NIC, what, master=made.bridge)
    if made.bridge:
        yield Device(made.bridge, Kind.BRIDGE, what, members=(made.tagged,))


MII = 100
"""Milliseconds between two looks of a bond at its members' carriers; the driver's own default is never."""


def options(device: Device) -> tuple[tuple[str, str], ...]:
    """A device's settings in the words of `ip link`; a bond's mode first (Documentation/networking/bonding.rst)."""
    if device.vlan:
        return (("id", str(device.vlan.id)),)
    if device.kind is Kind.BRIDGE:
        return (("stp_state", "0"),)
    if device.bond is None:
        return ()
    bond, lacp = device.bond, device.bond.mode == "802.3ad"
    found = [("mode", bond.mode), ("miimon", str(MII))]
    if lacp or bond.mode == "balance-xor":
        found.append(("xmit_hash_policy", bond.hash))
    if lacp:
        found += [("lacp_rate", bond.lacp_rate), ("min_links", str(bond.min_links))]
    return tuple(found)
