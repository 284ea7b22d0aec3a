"""The topology as the rest of the program sees it: frozen, resolved, nothing left to default or to look up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Literal

from meshctl.topology.document import BondSection, Routing, Ssh
from meshctl.topology.settings import Bfd, Ceph, Certify, Incus, Ospf, Ovn, Packages, Secrets, Smoke, Timeouts
from meshctl.topology.values import RendererName


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that becomes one OSD; `auto` leaves the choice to what the host can do."""

    path: str
    mode: Literal["auto", "lvm", "raw"]
    device_class: Literal["auto", "hdd", "ssd", "nvme"]


@dataclass(frozen=True, slots=True)
class End:
    """One plug of a cable."""

    node: str
    nic: str

    def __str__(self) -> str:
        return f"{self.node}:{self.nic}"


@dataclass(frozen=True, slots=True)
class Cable:
    """A cable between two hosts with its point-to-point prefix; `a` has the prefix's first address."""

    a: End
    b: End
    prefix: IPv4Network
    mtu: int
    cost: int | None
    switch: bool = False
    wires: tuple[tuple[End, End], ...] = ()
    """The plugs of each strand, in the order of `a` and `b`, when they are other NICs than the ends themselves."""
    bond: BondSection | None = None
    vlan: int | None = None
    shared: bool = False
    """Two of the hosts that are all on one switch: the NICs and the subnet are those of other pairs, too."""

    def __str__(self) -> str:
        return f"{self.a} <-> {self.b}"

    @property
    def strands(self) -> tuple[tuple[End, End], ...]:
        """What is plugged into what: one pair, or one for each strand of a bond."""
        return self.wires or ((self.a, self.b),)


@dataclass(frozen=True, slots=True)
class Plug:
    """A NIC that something is plugged into, and where the other end of that wire is."""

    nic: str
    mac: str | None
    peer: End


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN that meshctl makes on a NIC or bond."""

    id: int
    under: str


@dataclass(frozen=True, slots=True)
class Port:
    """A host's own end of a cable, with all that configuring it needs."""

    nic: str
    mac: str | None
    address: IPv4Interface
    mtu: int
    cost: int | None
    peer: str
    peer_nic: str
    peer_address: IPv4Interface
    cable: int
    """Index into the topology's `cables`."""
    members: tuple[Plug, ...] = ()
    """The NICs of a bond, in the order of the strands."""
    bond: BondSection | None = None
    vlan: Vlan | None = None
    shared: bool = False
    """Other ports have the same NIC and address, and lead to other hosts on the same switch."""
    wire: Plug | None = None
    """The NIC under a VLAN, and where its wire leads; None where that is a bond, or `nic` itself."""

    @property
    def under(self) -> str:
        """The NIC or bond that carries it: `nic` itself where there is no VLAN."""
        return self.vlan.under if self.vlan else self.nic

    @property
    def plugs(self) -> tuple[Plug, ...]:
        """The NICs that the cable's wires are plugged into."""
        return self.members or (self.wire or Plug(self.nic, self.mac, End(self.peer, self.peer_nic)),)


@dataclass(frozen=True, slots=True)
class Uplinked:
    """How a host's uplink is made of its NIC."""

    plug: str
    vlan: int | None
    bridge: str | None

    @property
    def tagged(self) -> str:
        """The NIC, or the VLAN on it."""
        return f"{self.plug}.{self.vlan}" if self.vlan else self.plug


@dataclass(frozen=True, slots=True)
class Node:
    """One host."""

    name: str
    id: int
    management: str
    management_nic: str
    loopback: IPv4Address
    ports: tuple[Port, ...]
    disks: tuple[Disk, ...]
    uplink_nic: str | None
    host_key: str | None
    uplinked: Uplinked | None = None
    """How `uplink_nic` is made, where it is more than a NIC."""
    loopback6: IPv6Address | None = None
    """Its address where the mesh routes IPv6 as well."""
    renderer: RendererName = "auto"
    """What keeps its links after a reboot; `auto`: what it uses already."""

    @property
    def uplink_plug(self) -> str | None:
        """The NIC that the uplink's cable is plugged into."""
        return self.uplinked.plug if self.uplinked else self.uplink_nic

    @property
    def plugs(self) -> tuple[Plug, ...]:
        """The NICs that cables are plugged into, each once."""
        return tuple({plug.nic: plug for port in self.ports for plug in port.plugs}.values())

    def with_cables(self, index: Mapping[int, int]) -> "Node":
        """The same host with only these of its cables, by their old index, under their new one."""
        ports = (replace(port, cable=index[port.cable]) for port in self.ports if port.cable in index)
        return replace(self, ports=tuple(ports))

    @property
    def management_address(self) -> IPv4Address:
        """`management` as an address."""
        return IPv4Address(self.management)


@dataclass(frozen=True, slots=True)
class Uplink:
    """The physical network behind the OVN routers."""

    gateway: IPv4Interface
    first: IPv4Address
    last: IPv4Address
    dns: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole cluster. `nodes` is in order of node ids; the first one is where clusters are founded."""

    source: Path
    cluster: str
    ssh: Ssh
    nodes: tuple[Node, ...]
    cables: tuple[Cable, ...]
    loopbacks: IPv4Network
    links: IPv4Network
    loopbacks6: IPv6Network | None
    uplink: Uplink | None
    routing: Routing
    ospf: Ospf
    bfd: Bfd
    ovn: Ovn
    ceph: Ceph
    incus: Incus
    smoke: Smoke
    secrets: Secrets
    packages: Packages
    certify: Certify
    timeouts: Timeouts

    def node(self, name: str) -> Node:
        """The node of that name; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def without(self, name: str) -> "Topology":
        """The same cluster without a node and its cables. All others keep their addresses."""
        kept = [i for i, cable in enumerate(self.cables) if name not in {cable.a.node, cable.b.node}]
        index = {old: new for new, old in enumerate(kept)}
        nodes = (node.with_cables(index) for node in self.nodes if node.name != name)
        return replace(self, nodes=tuple(nodes), cables=tuple(self.cables[i] for i in kept))

    @property
    def notice(self) -> float:
        """Milliseconds after which a link that dies silently is noticed: by BFD, or else by missing hellos."""
        return self.bfd.every * self.bfd.misses if self.bfd.enabled else 1000 * self.ospf.dead

    @property
    def loopback_addresses(self) -> tuple[IPv4Address, ...]:
        """Every node's loopback, in the order of `nodes`."""
        return tuple(node.loopback for node in self.nodes)

    @property
    def osd_count(self) -> int:
        """How many OSDs the whole cluster has."""
        return sum(len(node.disks) for node in self.nodes)

    @property
    def replicas(self) -> int:
        """Copies of every object: as stated, or 3, or fewer where fewer nodes have disks."""
        with_disks = sum(1 for node in self.nodes if node.disks)
        return self.ceph.replicas or max(1, min(3, with_disks))
