"""What a single value in a topology file may be: words that mean nothing to a shell or to a daemon, and numbers.

The patterns are pydantic's (Rust's): `$` is the end of the text, whatever it ends with.
"""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

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


def _four(value: Any) -> Any:
    """IPv6 alone isn't supported yet: OVN, Ceph and Incus would have to listen on IPv6 loopbacks."""
    if isinstance(value, str) and ":" in value:
        raise ValueError("the mesh needs an IPv4 prefix here; for IPv6 beside it state mesh.loopbacks6")
    return _written(value)


Address = Annotated[IPv4Address, BeforeValidator(_written)]
Network = Annotated[IPv4Network, BeforeValidator(_written)]
MeshNetwork = Annotated[IPv4Network, BeforeValidator(_four)]
Interface = Annotated[IPv4Interface, BeforeValidator(_written)]
Address6 = Annotated[IPv6Address, BeforeValidator(_written)]
Network6 = Annotated[IPv6Network, BeforeValidator(_written)]
