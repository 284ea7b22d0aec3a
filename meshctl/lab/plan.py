"""The lab that a topology asks for: pure, and small enough to be kept as JSON beside the running lab."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshctl.lab.errors import LabError

if TYPE_CHECKING:
    from meshctl.topology import End, Node, Topology

Segments = Sequence[frozenset["End"]]

DISK_SIZE = 8 << 30
CABLE_MTU = 9500  # the panel's ends; a cable has no MTU of its own, only NICs do, and none of them has this one


@dataclass(frozen=True, slots=True)
class NicPlan:
    """A NIC of a host, and the bridge in the lab that its other end is plugged into."""

    name: str
    mac: str
    bridge: str
    panel: str


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """A disk: the path that the topology names, the file behind it, bytes."""

    path: str
    file: str
    size: int


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host. `management` has the prefix length; `mesh` names the NICs that cables are plugged into."""

    name: str
    management: str
    management_nic: str
    loopback: str
    nics: tuple[NicPlan, ...]
    mesh: tuple[str, ...]
    disks: tuple[DiskPlan, ...]

    def nic(self, name: str) -> NicPlan:
        """The NIC of that name."""
        return next(n for n in self.nics if n.name == name)


@dataclass(frozen=True, slots=True)
class CablePlan:
    """A cable: the bridge that stands for it, and its two plugs as (host, NIC, panel end)."""

    bridge: str
    a: tuple[str, str, str]
    b: tuple[str, str, str]

    def joins(self, node: str, nic: str | None) -> bool:
        """Tell whether it ends at that host, and at that NIC if one is given."""
        return any(end[0] == node and nic in (None, end[1]) for end in (self.a, self.b))

    def __str__(self) -> str:
        return f"{self.a[0]}:{self.a[1]} <-> {self.b[0]}:{self.b[1]}"


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """A switch of the mesh, where NICs lead to many others, with its plugs as (host, NIC, panel end)."""

    bridge: str
    plugs: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class LabPlan:
    """The whole lab.

    `controller` is the lab's own address on the management bridge, with its prefix length.

    `image` is the folder of the image called `image_name`: the lab keeps it when the recipe changes.
    `userspace_ovs`: the kernel has no Open vSwitch, so the hosts' mesh NICs are bridged by the shim.
    """

    name: str
    image_name: str
    image: str
    ssh_user: str
    ssh_port: int
    controller: str
    gateway: str | None
    userspace_ovs: bool
    hosts: tuple[HostPlan, ...]
    cables: tuple[CablePlan, ...]
    switches: tuple[SwitchPlan, ...] = ()

    def host(self, name: str) -> HostPlan:
        """The host of that name."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(h.name for h in self.hosts)
        raise LabError(f"lab {self.name} has no host {name}", advice=f"It has {known}.")

    def to_json(self) -> str:
        """Readable JSON; `from_json` gives the same plan again."""
        return json.dumps(asdict(self), indent=1) + "\n"


def from_json(text: str) -> LabPlan:
    """The plan that `LabPlan.to_json` wrote."""
    raw: dict[str, Any] = json.loads(text)
    hosts = tuple(_host_from(h) for h in raw.pop("hosts"))
    cables = tuple(CablePlan(c["bridge"], tuple(c["a"]), tuple(c["b"])) for c in raw.pop("cables"))
    switches = tuple(
        SwitchPlan(one["bridge"], tuple(tuple(plug) for plug in one["plugs"])) for one in raw.pop("switches", ())
    )
    return LabPlan(**raw, hosts=hosts, cables=cables, switches=switches)


def load(path: Path) -> LabPlan | None:
    """The plan in that file; None if there is no such lab."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return from_json(text)
    except (KeyError, TypeError, ValueError) as e:
        raise LabError(
            f"{path} is from another version of meshctl",
            advice="Take the lab down and boot it again: `meshctl lab down`, `meshctl lab up`.",
        ) from e


def _host_from(raw: dict[str, Any]) -> HostPlan:
    nics = tuple(NicPlan(**n) for n in raw.pop("nics"))
    disks = tuple(DiskPlan(**d) for d in raw.pop("disks"))
    return HostPlan(**raw | {"mesh": tuple(raw["mesh"])}, nics=nics, disks=disks)


def from_topology(
    topology: "Topology", name: str, image: tuple[str, Path], *, userspace_ovs: bool, disk_size: int = DISK_SIZE
) -> LabPlan:
    """What has to be built so that the topology finds every address, NIC and disk that it names.

    `image` is the image's name and folder.
    """
    network = _management_network([n.management for n in topology.nodes])
    from meshctl.topology.segments import segments  # noqa: PLC0415  (supervisors need no topology, and start fast)

    shared = segments(topology)
    cables, switches = tuple(_cables(topology, shared)), tuple(_switches(topology, shared))
    hosts = tuple(
        _host(node, network.network.prefixlen, _nics(name, i, node, _bridges(cables, switches)), disk_size)
        for i, node in enumerate(topology.nodes)
    )
    gateway = str(topology.uplink.gateway) if topology.uplink else None
    taken = [n.management for n in topology.nodes] + ([gateway.split("/")[0]] if gateway else [])
    controller = _free_address(network, taken)
    return LabPlan(
        name,
        image[0],
        str(image[1]),
        topology.ssh.user,
        topology.ssh.port,
        str(controller),
        gateway,
        userspace_ovs,
        hosts,
        cables,
        switches,
    )


def _cables(topology: "Topology", segments: Segments) -> Iterable[CablePlan]:
    """One for each wire: a bond has several."""
    pairs = {segment for segment in segments if len(segment) == 2}  # noqa: PLR2004
    for i, cable in enumerate(topology.cables):
        for n, (a, b) in enumerate(cable.strands):
            name = f"cable{i}" if len(cable.strands) == 1 else f"cable{i}s{n}"
            if frozenset((a, b)) in pairs:
                pairs -= {frozenset((a, b))}
                yield CablePlan(name, _plug(topology, a.node, a.nic), _plug(topology, b.node, b.nic))


def _switches(topology: "Topology", segments: Segments) -> Iterable[SwitchPlan]:
    """Where a NIC leads to more than one other, there is a switch."""
    shared = [segment for segment in segments if len(segment) > 2]  # noqa: PLR2004
    for number, segment in enumerate(shared, 1):
        ends = sorted(segment, key=lambda end: (end.node, end.nic))
        yield SwitchPlan(f"switch{number}", tuple(_plug(topology, end.node, end.nic) for end in ends))


Plugged = tuple[str, tuple[tuple[str, str, str], ...]]
"""A bridge and the plugs in it."""


def _bridges(cables: Iterable[CablePlan], switches: Iterable[SwitchPlan]) -> list[Plugged]:
    return [*((c.bridge, (c.a, c.b)) for c in cables), *((one.bridge, one.plugs) for one in switches)]


def _plug(topology: "Topology", node: str, nic: str) -> tuple[str, str, str]:
    return (node, nic, panel_end(topology, node, nic))


def panel_end(topology: "Topology", node: str, nic: str) -> str:
    """The near end of a host's cable. NIC names may be as long as the kernel allows, so it can't contain them."""
    index = [n.name for n in topology.nodes].index(node)
    ports = [p.nic for p in topology.nodes[index].plugs]
    return f"h{index}p{ports.index(nic)}"


def _host(node: "Node", prefixlen: int, nics: tuple[NicPlan, ...], disk_size: int) -> HostPlan:
    disks = tuple(DiskPlan(d.path, f"disk{i}.img", disk_size) for i, d in enumerate(node.disks))
    return HostPlan(
        node.name,
        f"{node.management}/{prefixlen}",
        node.management_nic,
        str(node.loopback),
        nics,
        tuple(p.nic for p in node.plugs),
        disks,
    )


def _nics(lab: str, index: int, node: "Node", bridges: Iterable[Plugged]) -> tuple[NicPlan, ...]:
    nics = [_nic(lab, node, node.management_nic, "management", f"h{index}m")]
    for bridge, plugs in bridges:
        nics += [_nic(lab, node, nic, bridge, end) for n, nic, end in plugs if n == node.name]
    if node.uplink_plug and node.uplink_plug not in {n.name for n in nics}:
        nics.append(_nic(lab, node, node.uplink_plug, "uplink", f"h{index}u"))
    return tuple(nics)


def _nic(lab: str, node: "Node", nic: str, bridge: str, end: str) -> NicPlan:
    """The MAC the topology states, or one that is the same after every boot and differs between labs."""
    stated = {p.nic: p.mac for p in node.plugs}.get(nic)
    digest = hashlib.sha256(f"{lab}/{node.name}/{nic}".encode()).hexdigest()
    derived = ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])
    return NicPlan(nic, stated or derived, bridge, end)


def _management_network(addresses: list[str]) -> IPv4Interface | IPv6Interface:
    """The smallest network with all hosts in it, but at least the usual /24 or /64."""
    try:
        parsed = [ip_address(a) for a in addresses]
    except ValueError as e:
        raise LabError(
            f"the lab needs management addresses, not names: {e}",
            advice="Nothing resolves names inside a lab; write the addresses into the topology.",
        ) from e
    if len({a.version for a in parsed}) > 1:
        raise LabError("the lab needs management addresses of one family, IPv4 or IPv6, not both")
    length = 24 if parsed[0].version == 4 else 64  # noqa: PLR2004
    while True:
        network = ip_interface(f"{parsed[0]}/{length}")
        if all(a in network.network for a in parsed):
            return network
        length -= 1


def _free_address(network: IPv4Interface | IPv6Interface, taken: Iterable[str]) -> IPv4Interface | IPv6Interface:
    """An address that no host has, from the upper end, where people seldom put hosts."""
    used = {ip_address(t) for t in taken}
    net = network.network
    last = net.num_addresses - 2
    for offset in range(last, 0, -1):
        address = net.network_address + offset
        if address not in used:
            return ip_interface(f"{address}/{net.prefixlen}")
    raise LabError(f"no address is free for the controller in {net}")
