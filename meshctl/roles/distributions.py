"""The distributions a host may run, as data: which packages, and from where what the distribution doesn't have.

Debian 13 is what the lab runs. The others follow their package indexes and were not run: roles/system/README.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Repository:
    """A third party's apt repository. Its key is only trusted when it has this fingerprint."""

    name: str
    uri: str
    components: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """One release. `packages` is what all layers need, by the names this release uses."""

    id: str
    version: str
    codename: str
    title: str
    packages: tuple[str, ...]
    repositories: tuple[Repository, ...] = ()


_HOST = ("ca-certificates", "chrony", "ethtool", "iproute2", "iputils-ping", "openssl", "procps", "python3")
_ROUTING = ("frr", "frr-pythontools")
_NETWORK = ("openvswitch-switch", "ovn-central", "ovn-host")
_STORAGE = (
    *("ceph-common", "ceph-mds", "ceph-mgr", "ceph-mon", "ceph-osd", "ceph-volume", "lvm2", "udev"),
    # Debian only recommends these; without them Ceph warns that mgr modules "have failed dependencies".
    *("python3-bcrypt", "python3-cherrypy3", "python3-dateutil", "python3-openssl"),
    *("python3-prettytable", "python3-requests", "python3-yaml"),
)
_INSTANCES = (
    *("incus", "incus-client"),
    # What Incus calls, and recommends rather than needs; busybox is the smoke test's image.
    *("acl", "attr", "busybox-static", "dnsmasq-base", "nftables", "rsync", "squashfs-tools", "uidmap", "xz-utils"),
)
_ALL = (*_HOST, *_ROUTING, *_NETWORK, *_STORAGE, *_INSTANCES)

# https://github.com/zabbly/incus: the long-term series, the same one as Debian 13 has.
_ZABBLY = Repository(
    name="zabbly-incus-lts-6.0",
    uri="https://pkgs.zabbly.com/incus/lts-6.0",
    components="main",
    key="https://pkgs.zabbly.com/key.asc",
    fingerprint="4EFC590696CB15B87C73A3AD82CC8797C838DCFD",
)

SUPPORTED = (
    Distribution("debian", "13", "trixie", "Debian 13", _ALL),
    Distribution("debian", "12", "bookworm", "Debian 12", _ALL, (_ZABBLY,)),
    Distribution("ubuntu", "24.04", "noble", "Ubuntu 24.04 LTS", _ALL, (_ZABBLY,)),
    Distribution("ubuntu", "22.04", "jammy", "Ubuntu 22.04 LTS", _ALL, (_ZABBLY,)),
)


def find(os_id: str, version: str) -> Distribution | None:
    """The distribution with these ID and VERSION_ID of os-release(5); None when it is not supported."""
    return next((d for d in SUPPORTED if (d.id, d.version) == (os_id, version)), None)


def titles() -> str:
    """All of them, for messages."""
    return ", ".join(d.title for d in SUPPORTED)


def os_release(text: str) -> dict[str, str]:
    """The assignments of an os-release file, without their quotes."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}
