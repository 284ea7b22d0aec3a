"""From the document to the Topology: numbers, addresses and both ends of every cable."""

import re
from collections import Counter
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from itertools import combinations
from pathlib import Path

from meshctl.topology.addresses import PARALLEL, ends, link_prefix, loopback, loopback6, node_ids
from meshctl.topology.document import CableSection, Document, NodeSection, UplinkSection
from meshctl.topology.document import Disk as DiskSection
from meshctl.topology.model import Cable, Disk, End, Node, Plug, Port, Topology, Uplink, Uplinked, Vlan
from meshctl.topology.positions import Path as YamlPath
from meshctl.topology.positions import shortened

_END = r"([a-z][a-z0-9-]{0,39}):([A-Za-z0-9][A-Za-z0-9._-]{0,14})"  # values.NodeName and NicName
MOST_ON_SWITCH = 45
"""Hosts whose pairs are as many as a topology may have cables."""

LONGEST_NIC = 15
"""IFNAMSIZ without the terminating zero (linux/if.h)."""

_CABLE = re.compile(rf" *{_END} *<-> *{_END} *")


class Fault(Exception):  # noqa: N818  (internal, always translated by the loader)
    """The sections can't be connected; `findings` has the YAML path and the sentence of each fault."""

    def __init__(self, findings: list[tuple[YamlPath, str]]) -> None:
        super().__init__(findings)
        self.findings = findings


def resolve(document: Document, source: Path) -> Topology:
    """Number the nodes, allocate addresses, connect the cables. Raises Fault with all that can't be resolved."""
    return _Resolver(document).topology(source)


@dataclass(frozen=True, slots=True)
class _Strung:
    """A cable with the address of each end."""

    cable: Cable
    addresses: dict[End, IPv4Interface]


class _Resolver:
    """Collects every fault before giving up, so that the operator sees all at once."""

    def __init__(self, document: Document) -> None:
        self.doc = document
        self.faults: list[tuple[YamlPath, str]] = []
        self.ids = node_ids({name: section.id for name, section in document.nodes.items()})

    def topology(self, source: Path) -> Topology:
        strung = [*self._cables(), *self._segment()]
        loopbacks = {name: self._loopback(name) for name in self.doc.nodes}
        self._check_loopbacks6()
        uplink = self._uplink(self.doc.uplink)
        for name, section in self.doc.nodes.items():
            if uplinked := self._uplinked(section):
                self._tagged(uplinked.plug, uplinked.vlan, ("nodes", name))
        if self.faults:
            raise Fault(self.faults)
        nodes = [self._node(name, address, strung) for name, address in loopbacks.items() if address]
        doc = self.doc
        return Topology(
            source=source, cluster=doc.cluster, ssh=doc.ssh, nodes=tuple(sorted(nodes, key=lambda n: n.id)),
            cables=tuple(one.cable for one in strung), loopbacks=doc.mesh.loopbacks, links=doc.mesh.links,
            loopbacks6=doc.mesh.loopbacks6,
            uplink=uplink, routing=doc.routing,
            ospf=doc.ospf, bfd=doc.bfd, ovn=doc.ovn, ceph=doc.ceph, incus=doc.incus, smoke=doc.smoke,
            secrets=doc.secrets, packages=doc.packages, certify=doc.certify, timeouts=doc.timeouts,
        )  # fmt: skip

    def _cables(self) -> list[_Strung]:
        parallel: Counter[tuple[int, int]] = Counter()
        strung = []
        for i, entry in enumerate(self.doc.cables):
            section = entry if isinstance(entry, CableSection) else CableSection(cable=entry)
            plugs = self._plugs(section.cable, ("cables", i))
            if plugs is None:
                continue
            low, high = sorted(self.ids[end.node] for end in plugs)
            addresses = self._addresses(section, plugs, (low, high, parallel[low, high]), ("cables", i))
            parallel[low, high] += 1
            tagged = [End(end.node, self._tagged(end.nic, section.vlan, ("cables", i))) for end in plugs]
            if addresses:
                in_order = sorted(zip(plugs, tagged, strict=True), key=lambda pair: self.ids[pair[0].node])
                (one, a), (two, b) = in_order
                mtu = section.mtu or self.doc.mesh.mtu
                wires = _wires(section, plugs, swapped=one != plugs[0]) or (((one, two),) if section.vlan else ())
                prefix = addresses[one].network
                cable = Cable(a, b, prefix, mtu, section.cost, section.switch, wires, section.bond, section.vlan)
                strung.append(_Strung(cable, {a: addresses[one], b: addresses[two]}))
        return strung

    def _segment(self) -> list[_Strung]:
        """Every pair of hosts on the switch of all, as a cable that shares its NICs and its subnet with others."""
        section = self.doc.segment
        if section is None:
            return []
        prefix = section.prefix or (None if self.doc.cables else self.doc.mesh.links)
        if prefix is None:
            self.faults.append((("segment",), "state `prefix:`; mesh.links is for the cables"))
            return []
        if len(self.doc.nodes) > MOST_ON_SWITCH:
            self.faults.append((("segment",), f"more than {MOST_ON_SWITCH} hosts on one switch"))
            return []
        plugs = {
            End(name, node.segment_nic or section.nic): self._on_segment(name, prefix)
            for name, node in sorted(self.doc.nodes.items(), key=lambda entry: self.ids[entry[0]])
        }
        found = {end: address for end, address in plugs.items() if address}
        mtu = section.mtu or self.doc.mesh.mtu
        return [
            _Strung(Cable(a, b, prefix, mtu, section.cost, switch=True, shared=True), {a: found[a], b: found[b]})
            for a, b in combinations(found, 2)
        ]

    def _on_segment(self, name: str, prefix: IPv4Network) -> IPv4Interface | None:
        if 0 < self.ids[name] < prefix.num_addresses - 1:
            return IPv4Interface(f"{prefix[self.ids[name]]}/{prefix.prefixlen}")
        self.faults.append((("nodes", name), f"{prefix} has no address for node id {self.ids[name]}; use a larger one"))
        return None

    def _tagged(self, nic: str, vlan: int | None, where: YamlPath) -> str:
        """The name of a VLAN on a NIC, as every program calls it by itself."""
        name = f"{nic}.{vlan}" if vlan else nic
        if len(name) > LONGEST_NIC:
            self.faults.append(
                (where, f"the VLAN {name} has a longer name than Linux allows ({LONGEST_NIC}); rename {nic}")
            )
        return name

    def _plugs(self, text: str, where: YamlPath) -> tuple[End, End] | None:
        match = _CABLE.fullmatch(text)
        if not match:
            self.faults.append((where, f"a cable is written `node1:eth1 <-> node2:eth2`; found {shortened(text)}"))
            return None
        a, b = End(match[1], match[2]), End(match[3], match[4])
        for end in (a, b):
            if end.node not in self.doc.nodes:
                self.faults.append(
                    (where, f"there is no node {end.node!r}; known: {', '.join(list(self.doc.nodes)[:10])}")
                )
                return None
        if a.node == b.node:
            self.faults.append((where, f"both ends are in {a.node}"))
            return None
        return a, b

    def _addresses(
        self, section: CableSection, plugs: tuple[End, End], slot: tuple[int, int, int], where: YamlPath
    ) -> dict[End, IPv4Interface] | None:
        """Both ends' addresses, the end with the lower node number first."""
        if section.addresses and section.prefix:
            self.faults.append((where, "state `prefix` or `addresses`, not both"))
            return None
        in_order = sorted(plugs, key=lambda end: self.ids[end.node])
        if section.addresses:
            stated = dict(zip(plugs, section.addresses, strict=True))
            return {end: stated[end] for end in in_order}
        prefix = section.prefix or link_prefix(self.doc.mesh.links, *slot)
        if prefix is None or prefix.prefixlen not in {30, 31}:
            self.faults.append((where, self._no_prefix(section, slot)))
            return None
        hosts = [IPv4Interface(f"{address}/{prefix.prefixlen}") for address in ends(prefix)]
        return dict(zip(in_order, hosts, strict=True))

    def _no_prefix(self, section: CableSection, slot: tuple[int, int, int]) -> str:
        if section.prefix:
            return f"the prefix of a cable is a /30 or /31; found {section.prefix}"
        low, high, parallel = slot
        reason = (
            f"more than {PARALLEL} cables between two nodes"
            if parallel >= PARALLEL
            else f"mesh.links {self.doc.mesh.links} has no /30 left for nodes {low} and {high}"
        )
        return f"{reason}; state `prefix:` for this cable or use a larger mesh.links"

    def _loopback(self, name: str) -> IPv4Address | None:
        address = self.doc.nodes[name].loopback or loopback(self.doc.mesh.loopbacks, self.ids[name])
        if address is None:
            text = f"mesh.loopbacks {self.doc.mesh.loopbacks} has no address for node id {self.ids[name]}"
            self.faults.append((("nodes", name), f"{text}; state `loopback:` or use a larger prefix"))
        return address

    def _loopback6(self, name: str) -> IPv6Address | None:
        prefix = self.doc.mesh.loopbacks6
        return (self.doc.nodes[name].loopback6 or loopback6(prefix, self.ids[name])) if prefix else None

    def _check_loopbacks6(self) -> None:
        prefix = self.doc.mesh.loopbacks6
        for name, section in self.doc.nodes.items():
            if section.loopback6 and not prefix:
                self.faults.append((("nodes", name, "loopback6"), "state mesh.loopbacks6, the prefix that it lies in"))
            elif prefix and not self._loopback6(name):
                text = f"mesh.loopbacks6 {prefix} has no address for node id {self.ids[name]}; use a larger prefix"
                self.faults.append((("nodes", name), text))

    def _uplink(self, section: UplinkSection | None) -> Uplink | None:
        if section is None:
            return None
        try:
            first, last = (IPv4Address(part) for part in section.range.split("-"))
        except (AddressValueError, ValueError):
            self.faults.append(
                (("uplink", "range"), f"`first-last` addresses expected; found {shortened(section.range)}")
            )
            return None
        network = section.gateway.network
        if first > last or first not in network or last not in network or first <= section.gateway.ip <= last:
            text = f"must lie within {network}, in order, and leave out the gateway {section.gateway.ip}"
            self.faults.append((("uplink", "range"), f"{text}; found {section.range}"))
        return Uplink(section.gateway, first, last, tuple(section.dns))

    def _uplinked(self, section: NodeSection) -> Uplinked | None:
        if self.doc.uplink is None:
            return None
        return Uplinked(section.uplink_nic or self.doc.uplink.nic, self.doc.uplink.vlan, self.doc.uplink.bridge)

    def _node(self, name: str, address: IPv4Address, strung: list[_Strung]) -> Node:
        section = self.doc.nodes[name]
        uplinked = self._uplinked(section)
        return Node(
            name=name,
            id=self.ids[name],
            management=str(section.address),
            management_nic=section.management_nic,
            loopback=address,
            loopback6=self._loopback6(name),
            ports=tuple(
                _port(section, i, one, own)
                for i, one in enumerate(strung)
                for own in (one.cable.a, one.cable.b)
                if own.node == name
            ),
            disks=tuple(_disk(entry) for entry in section.disks),
            uplink_nic=(uplinked.bridge or uplinked.tagged) if uplinked else None,
            uplinked=uplinked if uplinked and (uplinked.bridge or uplinked.vlan) else None,
            host_key=section.host_key,
            renderer=section.renderer or self.doc.mesh.renderer,
        )


def _wires(section: CableSection, plugs: tuple[End, End], *, swapped: bool) -> tuple[tuple[End, End], ...]:
    """The strands of a bond, as NICs of `cable.a` and `cable.b`."""
    pairs = [strand.split("<->") for strand in section.bond.strands] if section.bond else []
    wires = ((End(plugs[0].node, one.strip()), End(plugs[1].node, two.strip())) for one, two in pairs)
    return tuple((b, a) if swapped else (a, b) for a, b in wires)


def _port(section: NodeSection, index: int, strung: _Strung, own: End) -> Port:
    cable = strung.cable
    peer = cable.b if own == cable.a else cable.a
    wires = tuple(Plug(one.nic, section.macs.get(one.nic), other) for one, other in _from(own, cable))
    return Port(
        nic=own.nic,
        mac=None if cable.vlan else section.macs.get(own.nic),
        address=strung.addresses[own],
        mtu=cable.mtu,
        cost=cable.cost,
        peer=peer.node,
        peer_nic=peer.nic,
        peer_address=strung.addresses[peer],
        cable=index,
        members=wires if cable.bond else (),
        bond=cable.bond,
        vlan=Vlan(cable.vlan, own.nic.removesuffix(f".{cable.vlan}")) if cable.vlan else None,
        shared=cable.shared,
        wire=wires[0] if wires and not cable.bond else None,
    )


def _from(own: End, cable: Cable) -> list[tuple[End, End]]:
    """Wires whose NICs are not the ends themselves, this host's NIC first."""
    return [(a, b) if own == cable.a else (b, a) for a, b in cable.wires]


def _disk(entry: str | DiskSection) -> Disk:
    section = DiskSection(path=entry) if isinstance(entry, str) else entry
    return Disk(section.path, section.mode, section.device_class)
