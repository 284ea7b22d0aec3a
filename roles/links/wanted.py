"""The links that a host should have: every device with its addresses, MTU and place, whatever writes it down."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface

from meshctl.topology import Node


class Kind(StrEnum):
    """What a device is to the kernel."""

    LOOPBACK = "loopback"
    NIC = "nic"


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

    @property
    def virtual(self) -> bool:
        """Whether the kernel has it only because somebody made it."""
        return self.kind not in {Kind.LOOPBACK, Kind.NIC}


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
        yield Device(port.nic, Kind.NIC, cable, port.mtu, port.mac, (port.address,), routed=True)
    if node.uplink_nic:
        yield Device(node.uplink_nic, Kind.NIC, "the uplink of the OVN routers; up, without an address")
