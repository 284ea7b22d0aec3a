"""The topology file as it is written: pydantic models, one per section, every default in one place.

Roles read the sections at the end (`ospf`, `bfd`, `ceph`, …) as they stand; nodes, cables and addresses are resolved
first (see `model.py`). docs/topology.md is generated from these descriptions.
"""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

# RFC 1123 labels: the names become hostnames, Ceph ids and Incus server names.
NodeName = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")]
# IFNAMSIZ is 16 with the terminating zero (linux/if.h); no '/', ':' or white space (dev_valid_name in net/core/dev.c).
NicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]
# Pool, network and profile names of Ceph and Incus, kept to what both accept.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
# No part begins with a dot: /dev/../etc/passwd is no disk.
DiskPath = Annotated[str, StringConstraints(pattern=r"^/dev(/[A-Za-z0-9_:+@-][A-Za-z0-9._:+@-]*)+$", max_length=255)]
Strand = Annotated[
    str, StringConstraints(pattern=r"^ *[A-Za-z0-9][A-Za-z0-9._-]{0,14} *<-> *[A-Za-z0-9][A-Za-z0-9._-]{0,14} *$")
]
# 0 and 4095 are reserved (IEEE 802.1Q table 9-2).
VlanId = Annotated[int, Field(ge=1, le=4094)]
# Names of the kernel's bonding driver; `broadcast` is left out: everything arrives twice, and OSPF takes it ill.
BondMode = Literal["802.3ad", "active-backup", "balance-rr", "balance-xor", "balance-tlb", "balance-alb"]
Mac = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$", to_lower=True)]
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]{1,127}$")]
# No control characters: the path stands in error messages and logs.
LocalPath = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,1024}$")]
HostKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9@.-]{1,63} [A-Za-z0-9+/=]{1,4096}( [ -~]{0,255})?$")]
AgeRecipient = Annotated[
    str, StringConstraints(pattern=r"^(age1[02-9ac-hj-np-z]{58}|ssh-(ed25519|rsa) [A-Za-z0-9+/]{60,1400}={0,2})$")
]
ImageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/+-]{0,255}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
# What a directly wired mesh never reaches; the lint rules compare everything with everything.
MOST_NODES, MOST_CABLES, MOST_ENTRIES = 250, 1000, 250
# What keeps a host's links after a reboot; auto: what the host uses for its management NIC.
RendererName = Literal["auto", "networkd", "netplan", "ifupdown", "ifupdown2", "slackware"]
# RFC 791 asks for 576 of every host; 9216 is the largest jumbo frame common switches and cards carry.
Mtu = Annotated[int, Field(ge=1280, le=9216)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
Milliseconds = Annotated[float, Field(gt=0, le=600000)]


def _written(value: Any) -> Any:
    """Addresses are written as addresses: the number 5 would be taken for 0.0.0.5."""
    if isinstance(value, int | float | bytes):
        raise ValueError("Input should be an address like 192.0.2.1")  # noqa: TRY004  (pydantic reports ValueError)
    return value


Address = Annotated[IPv4Address, BeforeValidator(_written)]
Network = Annotated[IPv4Network, BeforeValidator(_written)]
Interface = Annotated[IPv4Interface, BeforeValidator(_written)]


class Section(BaseModel):
    """A part of the topology file: frozen, and unknown keys are errors."""

    # Built when first needed, and then as a part of the whole document: a third of the time to import this module.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


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
    management_nic: NicName = Field("eth0", description="NIC of the management address; meshctl never changes it.")
    uplink_nic: NicName | None = Field(None, description="NIC of the OVN uplink; default: uplink.nic.")
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


class MeshSection(Section):
    """The addresses of the mesh."""

    loopbacks: Network = Field(description="Each node gets one /32 of this prefix.")
    links: Network = Field(description="Each cable gets one /30 of this prefix.")
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


class Ospf(Section):
    """FRR's OSPF."""

    area: Address = Field(IPv4Address("0.0.0.0"), description="Area of every link.")  # noqa: S104  (an area id)
    hello: int = Field(1, ge=1, le=65535, description="Hello interval, seconds.")
    dead: int = Field(4, ge=1, le=65535, description="Dead interval, seconds.")
    retransmit: int = Field(1, ge=1, le=65535, description="Retransmit interval, seconds.")
    authentication: Literal["none", "hmac-sha-256"] = Field(
        "none", description="Packets are signed with a key of the cluster's own, which meshctl makes."
    )
    redistribute: list[Network] = Field(
        default_factory=list,
        max_length=MOST_ENTRIES,
        description="Kernel routes inside these prefixes are advertised (/32s of VMs).",
    )

    @property
    def signed(self) -> bool:
        """Whether packets are signed."""
        return self.authentication != "none"

    @property
    def missed(self) -> int:
        """Hellos in a dead interval, and at least two."""
        return max(2, -(-self.dead // self.hello))


class Bfd(Section):
    """Bidirectional forwarding detection on every link; a dead link is noticed after multiplier x interval."""

    profile: Literal["default", "fast", "none"] = Field(
        "default",
        description="default: 300 ms x 3; fast: 50 ms x 3; none: only OSPF's hellos notice a link that dies silently.",
    )
    interval: int | None = Field(
        None, ge=10, le=60000, description="Transmit and receive interval, milliseconds; default: the profile's."
    )
    multiplier: int | None = Field(
        None, ge=2, le=255, description="Packets missed before a link is down; default: the profile's."
    )

    @property
    def enabled(self) -> bool:
        """Whether there are BFD sessions at all."""
        return self.profile != "none"

    @property
    def every(self) -> int:
        """Milliseconds between two packets."""
        return self.interval or (50 if self.profile == "fast" else 300)

    @property
    def misses(self) -> int:
        """Packets missed before a link is down."""
        return self.multiplier or 3


class Ovn(Section):
    """OVN's central databases and tunnels."""

    northbound_port: Port = Field(6641, description="Northbound database.")
    southbound_port: Port = Field(6642, description="Southbound database.")
    northbound_raft_port: Port = Field(6643, description="Northbound cluster traffic.")
    southbound_raft_port: Port = Field(6644, description="Southbound cluster traffic.")
    encapsulation: Literal["geneve"] = Field("geneve", description="Tunnel protocol.")


class Ceph(Section):
    """Ceph's daemons and pool."""

    pool: Name = Field("incus", description="RBD pool for Incus.")
    replicas: int | None = Field(
        None, ge=1, le=10, description="Copies; default: 3, or the number of nodes with disks if fewer."
    )
    osd_memory_target: int | None = Field(
        None,
        ge=939524096,
        description="Bytes per OSD; default: a fifth of the memory shared by the host's OSDs.",
    )


class Incus(Section):
    """The Incus cluster."""

    port: Port = Field(8443, description="API and cluster traffic.")
    remote_pool: Name = Field("remote", description="Storage pool on Ceph.")
    local_pool: Name = Field("local", description="Storage pool on each host's own disk (dir).")
    uplink: Name = Field("UPLINK", description="Physical network that OVN networks use.")
    network: Name = Field("overlay", description="OVN network of the default profile.")
    network_address: Interface = Field(
        IPv4Interface("10.158.0.1/24"), description="Address of the OVN network's router, with prefix length."
    )


class Smoke(Section):
    """The last gate: instances on every host that reach each other."""

    image: ImageName | None = Field(
        None, description="`server:alias` of an image; default: one built on the spot from busybox."
    )


class Secrets(Section):
    """How the operator's state folder keeps the CA's private key."""

    age_recipients: list[AgeRecipient] = Field(
        default_factory=list,
        max_length=20,
        description="Public keys of those who may issue certificates; the CA's key is encrypted to them (age). "
        "None: it lies plain, mode 0600.",
    )


class Packages(Section):
    """Where packages come from."""

    extra: list[PackageName] = Field(default_factory=list, description="More packages for every host.")
    install: bool = Field(True, description="false: meshctl only checks that everything is there.")


class Certify(Section):
    """What `meshctl certify` asks of every link, and how much it may burden them."""

    throughput: int | None = Field(
        None,
        ge=1,
        description="Mbit/s that each direction carries at least; default: 70 % of the NIC's speed or of `rate`.",
    )
    rate: int = Field(1000, ge=1, description="Mbit/s that the throughput test sends at most.")
    seconds: int = Field(3, ge=1, le=60, description="How long it sends, per direction.")
    latency_median: Milliseconds = Field(1, description="Round trip on an idle link, median, milliseconds.")
    latency_p99: Milliseconds = Field(5, description="The same, 99th percentile.")
    loss: float = Field(0.1, ge=0, le=100, description="Percent of the packets that may be lost.")
    clock: Milliseconds = Field(50, description="Milliseconds that two clocks may be apart.")
    failover_carrier: Milliseconds = Field(
        100, description="Milliseconds of loss when a cable goes down and both ends lose their carrier."
    )
    failover_silent: Milliseconds | None = Field(
        None,
        description="The same when an end keeps its carrier; default: what BFD or OSPF needs to notice, and 100.",
    )


class Timeouts(Section):
    """Deadlines in seconds; every wait has one."""

    command: Seconds = Field(60, description="A command that changes a host, unless it has a deadline of its own.")
    gate: Seconds = Field(120, description="A layer's gate.")
    packages: Seconds = Field(1200, description="Installing packages on one host.")


class Document(Section):
    """A whole topology file."""

    cluster: NodeName = Field(description="The cluster's name.")
    ssh: Ssh = Ssh()
    nodes: dict[NodeName, NodeSection] = Field(min_length=1, max_length=MOST_NODES, description="The hosts by name.")
    cables: list[str | CableSection] = Field(
        max_length=MOST_CABLES, description="Every cable: `node1:eth1 <-> node2:eth2`."
    )
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
