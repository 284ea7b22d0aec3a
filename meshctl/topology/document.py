"""The topology file as it is written: pydantic models, one per section.

Nodes, cables and addresses are resolved before anybody else sees them (see `model.py`); the sections of `settings.py`
stay as they are. docs/topology.md is generated from these descriptions.
"""

from typing import Literal

from pydantic import Field

from meshctl.topology.settings import Bfd, Ceph, Certify, Incus, Ospf, Ovn, Packages, Secrets, Section, Smoke, Timeouts
from meshctl.topology.values import (
    MOST_CABLES,
    MOST_ENTRIES,
    MOST_NODES,
    Address,
    Address6,
    BondMode,
    DiskPath,
    HostKey,
    Interface,
    LocalPath,
    Mac,
    MeshNetwork,
    Mtu,
    Network,
    Network6,
    NicName,
    NodeName,
    Port,
    RendererName,
    Seconds,
    Strand,
    VlanId,
)


class Ssh(Section):
    """How hosts are reached."""

    user: str = Field(
        "root",
        pattern=r"^[a-z_][a-z0-9_-]{0,31}$",
        description="Login; others than root need sudo without password.",
    )
    port: Port = Field(22, description="TCP port of sshd.")
    identity: LocalPath | None = Field(None, description="Private key file; default: the agent's and ~/.ssh's keys.")
    connect_timeout: Seconds = Field(15, description="Seconds for the TCP connection and the login together.")


class Disk(Section):
    """A disk that becomes one OSD."""

    path: DiskPath = Field(description="Device, preferably under /dev/disk/by-id.")
    mode: Literal["auto", "lvm", "raw"] = Field(
        "auto",
        description="How ceph-volume uses it; auto: LVM where the host has the device mapper, raw elsewhere.",
    )
    device_class: Literal["auto", "hdd", "ssd", "nvme"] = Field(
        "auto", description="CRUSH device class; auto: Ceph decides."
    )


class NodeSection(Section):
    """One host."""

    address: Address = Field(description="Management address, where sshd answers.")
    disks: list[DiskPath | Disk] = Field(
        default_factory=list, max_length=MOST_ENTRIES, description="Disks for OSDs; must be empty."
    )
    id: int | None = Field(
        None,
        ge=1,
        le=16383,
        description="Number that addresses derive from; default: the number its name ends in.",
    )
    loopback: Address | None = Field(None, description="Stable address; default: loopback prefix + id.")
    loopback6: Address6 | None = Field(None, description="The same for IPv6; default: mesh.loopbacks6 + id.")
    management_nic: NicName = Field("eth0", description="NIC of the management address; meshctl never changes it.")
    uplink_nic: NicName | None = Field(None, description="NIC of the OVN uplink; default: uplink.nic.")
    segment_nic: NicName | None = Field(None, description="NIC on the switch of all; default: segment.nic.")
    macs: dict[NicName, Mac] = Field(default_factory=dict, description="MAC addresses that pin NICs by hardware.")
    host_key: HostKey | None = Field(None, description="The host's public SSH key (`ssh-ed25519 AAAA…`), pinned.")
    renderer: RendererName | None = Field(None, description="What keeps this host's links; default: mesh.renderer.")


class BondSection(Section):
    """Several wires that are one cable; the cable's ends name the bonds, which need not exist."""

    strands: list[Strand] = Field(
        min_length=1,
        max_length=16,
        description="The wires, `eth1 <-> eth2` each: a NIC of the first and one of the second host of `cable`.",
    )
    mode: BondMode = Field("802.3ad", description="802.3ad: LACP; active-backup: the first strand, while it works.")
    lacp_rate: Literal["fast", "slow"] = Field("fast", description="LACP every second, or every 30 seconds.")
    hash: Literal["layer2", "layer2+3", "layer3+4"] = Field(
        "layer3+4", description="What a connection's strand follows from, with 802.3ad and balance-xor."
    )
    min_links: int = Field(1, ge=1, le=16, description="Strands without which the bond has no carrier (802.3ad).")


class CableSection(Section):
    """A cable with settings of its own; the short form is only the string."""

    cable: str = Field(description="`node1:eth1 <-> node2:eth2`")
    prefix: Network | None = Field(None, description="The /30 (or /31) of this cable; default: from the links prefix.")
    addresses: tuple[Interface, Interface] | None = Field(
        None, description="The two ends' addresses with prefix length, in the order of `cable`; instead of `prefix`."
    )
    mtu: Mtu | None = Field(None, description="MTU of both ends; default: mesh.mtu.")
    cost: int | None = Field(None, ge=1, le=65535, description="OSPF cost of both ends; default: FRR's.")
    switch: bool = Field(False, description="There is a switch between the two ends; else that is a fault.")
    bond: BondSection | None = Field(None, description="The cable is several wires, bonded.")
    vlan: VlanId | None = Field(None, description="The cable is this VLAN on both NICs (or bonds), `eth1.100`.")


class SegmentSection(Section):
    """One switch for all: a NIC of every host in one flat subnet, instead of cables or beside them."""

    nic: NicName = Field(description="NIC of every host on the switch.")
    prefix: Network | None = Field(
        None, description="The subnet; each node has its id in it. Default: mesh.links, where there are no cables."
    )
    mtu: Mtu | None = Field(None, description="MTU of these NICs; default: mesh.mtu.")
    cost: int | None = Field(None, ge=1, le=65535, description="OSPF cost; default: FRR's.")


class MeshSection(Section):
    """The addresses of the mesh."""

    loopbacks: MeshNetwork = Field(description="Each node gets one /32 of this prefix.")
    links: MeshNetwork = Field(description="Each cable gets one /30 of this prefix.")
    loopbacks6: Network6 | None = Field(
        None, description="Dual stack: each node gets one /128 of this prefix as well, over unnumbered cables."
    )
    mtu: Mtu = Field(1500, description="MTU of every cable.")
    renderer: RendererName = Field(
        "auto", description="What keeps the hosts' links after a reboot; auto: what each host uses already."
    )


class UplinkSection(Section):
    """The physical network behind the OVN routers."""

    nic: NicName = Field(description="NIC of every host on that network; it carries no address of the host.")
    vlan: VlanId | None = Field(None, description="The network is this VLAN on the NIC; meshctl makes `eth3.200`.")
    bridge: NicName | None = Field(
        None,
        description="A Linux bridge that meshctl makes, with the NIC (or VLAN) in it: for who has other guests there.",
    )
    gateway: Interface = Field(description="The network's router, with prefix length.")
    range: str = Field(pattern=r"^[0-9.]{1,15}-[0-9.]{1,15}$", description="`first-last`: addresses OVN may use.")
    dns: list[Address] = Field(default_factory=list, description="Name servers handed to instances.")


class Routing(Section):
    """How every host learns the way to every loopback."""

    protocol: Literal["ospf", "openfabric", "static"] = Field(
        "ospf",
        description="openfabric: fabricd with OSPF's hello and dead intervals; static: no daemon, full mesh only, "
        "a dead cable is noticed by its lost carrier alone.",
    )


class Document(Section):
    """A whole topology file."""

    cluster: NodeName = Field(description="The cluster's name.")
    ssh: Ssh = Ssh()
    nodes: dict[NodeName, NodeSection] = Field(min_length=1, max_length=MOST_NODES, description="The hosts by name.")
    cables: list[str | CableSection] = Field(
        default_factory=list, max_length=MOST_CABLES, description="Every cable: `node1:eth1 <-> node2:eth2`."
    )
    segment: SegmentSection | None = Field(None, description="All hosts on one switch.")
    mesh: MeshSection
    uplink: UplinkSection | None = Field(None, description="Without it there are no OVN networks with a way out.")
    routing: Routing = Routing()
    ospf: Ospf = Ospf()
    bfd: Bfd = Bfd()
    ovn: Ovn = Ovn()
    ceph: Ceph = Ceph()
    incus: Incus = Incus()
    smoke: Smoke = Smoke()
    secrets: Secrets = Secrets()
    packages: Packages = Packages()
    certify: Certify = Certify()
    timeouts: Timeouts = Timeouts()
