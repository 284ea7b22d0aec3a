"""The sections of a topology file that roles read as they stand, every default in one place."""

from ipaddress import IPv4Address, IPv4Interface
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from meshctl.topology.values import (
    MOST_ENTRIES,
    Address,
    AgeRecipient,
    ImageName,
    Interface,
    Milliseconds,
    Name,
    Network,
    PackageName,
    Port,
    Seconds,
)


class Section(BaseModel):
    """A part of the topology file: frozen, and unknown keys are errors."""

    # Built when first needed, and then as a part of the whole document: a third of the time to import this module.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


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
