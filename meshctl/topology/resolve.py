"""From the document to the Topology: numbers, addresses and both ends of every cable."""

import re
from collections import Counter
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from meshctl.topology.addresses import PARALLEL, ends, link_prefix, loopback, node_ids
from meshctl.topology.document import CableSection, Document, NodeSection, UplinkSection
from meshctl.topology.document import Disk as DiskSection
from meshctl.topology.model import Cable, Disk, End, Node, Port, Topology, Uplink
from meshctl.topology.positions import Path as YamlPath

_CABLE = re.compile(r"^\s*([a-z0-9-]+):([A-Za-z0-9._-]{1,15})\s*<->\s*([a-z0-9-]+):([A-Za-z0-9._-]{1,15})\s*$")


class Fault(Exception):  # noqa: N818  (internal, always translated by the loader)
    """The sections don't fit together; `findings` has the YAML path and the sentence of each fault."""

    def __init__(self, findings: list[tuple[YamlPath, str]]) -> None:
        super().__init__(findings)
        self.findings = findings


def resolve(document: Document, source: Path) -> Topology:
    """Number the nodes, allocate addresses, connect the cables. Raises Fault with all that doesn't fit."""
    return _Resolver(document).topology(source)


class _Resolver:
    """Collects every fault before giving up, so that the operator sees all at once."""

    def __init__(self, document: Document) -> None:
        self.doc = document
        self.faults: list[tuple[YamlPath, str]] = []
        self.ids = node_ids({name: section.id for name, section in document.nodes.items()})

    def topology(self, source: Path) -> Topology:
        cables = self._cables()
        loopbacks = {name: self._loopback(name) for name in self.doc.nodes}
        uplink = self._uplink(self.doc.uplink)
        self._check_unique(loopbacks)
        self._check_prefixes(cables)
        if self.faults:
            raise Fault(self.faults)
        nodes = [
            self._node(name, section, address, cables)
            for (name, section), address in zip(self.doc.nodes.items(), loopbacks.values(), strict=True)
            if address is not None
        ]
        doc = self.doc
        return Topology(
            source=source, cluster=doc.cluster, ssh=doc.ssh, nodes=tuple(sorted(nodes, key=lambda n: n.id)),
            cables=tuple(cables), loopbacks=doc.mesh.loopbacks, links=doc.mesh.links, uplink=uplink, ospf=doc.ospf,
            bfd=doc.bfd, ovn=doc.ovn, ceph=doc.ceph, incus=doc.incus, smoke=doc.smoke, packages=doc.packages,
            timeouts=doc.timeouts,
        )  # fmt: skip

    def _cables(self) -> list[Cable]:
        parallel: Counter[tuple[int, int]] = Counter()
        cables = []
        for i, entry in enumerate(self.doc.cables):
            section = entry if isinstance(entry, CableSection) else CableSection(cable=entry)
            ends_ = self._ends(section.cable, ("cables", i))
            if ends_ is None:
                continue
            a, b = ends_
            low, high = sorted((self.ids[a.node], self.ids[b.node]))
            nth = parallel[low, high]
            parallel[low, high] += 1
            prefix = self._prefix(section.prefix, (low, high, nth), ("cables", i))
            if prefix:
                cables.append(Cable(a, b, prefix, section.mtu or self.doc.mesh.mtu, section.cost))
        self._check_plugs(cables)
        return cables

    def _ends(self, text: str, where: YamlPath) -> tuple[End, End] | None:
        match = _CABLE.match(text)
        if not match:
            self.faults.append((where, f"a cable is written `node1:eth1 <-> node2:eth2`; found {text!r}"))
            return None
        a, b = End(match[1], match[2]), End(match[3], match[4])
        for end in (a, b):
            if end.node not in self.doc.nodes:
                self.faults.append((where, f"there is no node {end.node!r}; known: {', '.join(self.doc.nodes)}"))
                return None
        if a.node == b.node:
            self.faults.append((where, f"both ends are in {a.node}"))
            return None
        return (a, b) if self.ids[a.node] < self.ids[b.node] else (b, a)

    def _prefix(self, stated: IPv4Network | None, slot: tuple[int, int, int], where: YamlPath) -> IPv4Network | None:
        if stated is not None:
            if stated.prefixlen not in {30, 31}:
                self.faults.append((where, f"the prefix of a cable is a /30 or /31; found {stated}"))
                return None
            return stated
        prefix = link_prefix(self.doc.mesh.links, *slot)
        if prefix is None:
            reason = (
                f"more than {PARALLEL} cables between two nodes"
                if slot[2] >= PARALLEL
                else f"mesh.links {self.doc.mesh.links} has no /30 left for nodes {slot[0]} and {slot[1]}"
            )
            self.faults.append((where, f"{reason}; state `prefix:` for this cable or use a larger mesh.links"))
        return prefix

    def _check_plugs(self, cables: list[Cable]) -> None:
        used: Counter[End] = Counter(end for cable in cables for end in (cable.a, cable.b))
        for end, count in used.items():
            if count > 1:
                self.faults.append((("cables",), f"{end} is used by {count} cables; a port takes one"))
            section = self.doc.nodes[end.node]
            if end.nic == section.management_nic:
                self.faults.append((("cables",), f"{end} is the management NIC of {end.node}; a cable can't use it"))
            if self.doc.uplink and end.nic == (section.uplink_nic or self.doc.uplink.nic):
                self.faults.append((("cables",), f"{end} is the uplink NIC of {end.node}; a cable can't use it"))

    def _loopback(self, name: str) -> IPv4Address | None:
        section = self.doc.nodes[name]
        address = section.loopback or loopback(self.doc.mesh.loopbacks, self.ids[name])
        if address is None:
            text = f"mesh.loopbacks {self.doc.mesh.loopbacks} has no address for node id {self.ids[name]}"
            self.faults.append((("nodes", name), f"{text}; state `loopback:` or use a larger prefix"))
        return address

    def _check_unique(self, loopbacks: dict[str, IPv4Address | None]) -> None:
        seen: dict[object, str] = {}
        for name, section in self.doc.nodes.items():
            for key, value in (
                ("id", self.ids[name]),
                ("loopback", loopbacks[name]),
                ("address", section.address),
            ):
                if value is not None and (other := seen.setdefault((key == "id", value), name)) != name:
                    self.faults.append(
                        (
                            ("nodes", name, key) if key != "id" else ("nodes", name),
                            f"{key} {value} is {other}'s already",
                        )
                    )

    def _check_prefixes(self, cables: list[Cable]) -> None:
        for i, cable in enumerate(cables):
            for other in cables[:i]:
                if cable.prefix.overlaps(other.prefix):
                    text = f"{cable} has {cable.prefix}, which overlaps {other.prefix} of {other}"
                    self.faults.append((("cables",), f"{text}; state another `prefix:` outside mesh.links"))

    def _uplink(self, section: UplinkSection | None) -> Uplink | None:
        if section is None:
            return None
        try:
            first, last = (IPv4Address(part) for part in section.range.split("-"))
        except (AddressValueError, ValueError):
            self.faults.append((("uplink", "range"), f"`first-last` addresses expected; found {section.range!r}"))
            return None
        network = section.gateway.network
        if first > last or first not in network or last not in network or first <= section.gateway.ip <= last:
            text = f"must lie within {network}, in order, and leave out the gateway {section.gateway.ip}"
            self.faults.append((("uplink", "range"), f"{text}; found {section.range}"))
        return Uplink(section.gateway, first, last, tuple(section.dns))

    def _node(self, name: str, section: NodeSection, address: IPv4Address, cables: list[Cable]) -> Node:
        return Node(
            name=name,
            id=self.ids[name],
            management=str(section.address),
            management_nic=section.management_nic,
            loopback=address,
            ports=tuple(_port(section, cable, name) for cable in cables if name in {cable.a.node, cable.b.node}),
            disks=tuple(_disk(entry) for entry in section.disks),
            uplink_nic=(section.uplink_nic or self.doc.uplink.nic) if self.doc.uplink else None,
            host_key=section.host_key,
        )


def _port(section: NodeSection, cable: Cable, name: str) -> Port:
    addresses = dict(zip((cable.a, cable.b), ends(cable.prefix), strict=True))
    own, peer = (cable.a, cable.b) if cable.a.node == name else (cable.b, cable.a)
    return Port(
        nic=own.nic,
        mac=section.macs.get(own.nic),
        address=_interface(addresses[own], cable.prefix),
        mtu=cable.mtu,
        cost=cable.cost,
        peer=peer.node,
        peer_nic=peer.nic,
        peer_address=_interface(addresses[peer], cable.prefix),
    )


def _interface(address: IPv4Address, prefix: IPv4Network) -> IPv4Interface:
    return IPv4Interface(f"{address}/{prefix.prefixlen}")


def _disk(entry: str | DiskSection) -> Disk:
    section = DiskSection(path=entry) if isinstance(entry, str) else entry
    return Disk(section.path, section.mode, section.device_class)
