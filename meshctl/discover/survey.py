"""Asking all hosts, letting them find each other, and what follows for the topology."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from meshctl.errors import HostError
from meshctl.host.base import Host
from meshctl.roles.disks import LOOK, describe
from meshctl.roles.parsing import understand
from meshctl.roles.probing import Ear, probe
from meshctl.roles.segments import Kind, Segment, segments
from meshctl.topology import End

from .parse import FoundDisk, HostFacts, Nic, host_facts

SCRIPT = LOOK + Path(__file__).with_name("facts.sh").read_bytes()

SMALLEST_OSD = 5 << 30
"""Bytes; ceph-volume refuses less than 5 GB."""

_NODE_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_NOBODYS = {"localhost", "debian", "ubuntu", "host", "server"}
_LOOK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """A host: its name in the topology, the address that it was reached at, and what is in it."""

    name: str
    address: str
    facts: HostFacts

    @property
    def management(self) -> str:
        """The NIC, bridge, bond or VLAN that has the address; "" when none has (the way there translates addresses)."""
        owners = [(one.name, one.addresses) for one in self.facts.nics]
        owners += [(one.name, one.addresses) for one in self.facts.stacked]
        return next((name for name, addresses in owners if self.address in addresses), "")

    @property
    def management_nics(self) -> frozenset[str]:
        """The NICs by which the address is reached: not for cables."""
        stacked = (one.nics for one in self.facts.stacked if one.name == self.management)
        return next(stacked, frozenset({self.management} - {""}))

    @property
    def usable(self) -> list[FoundDisk]:
        """Disks that may become OSDs."""
        return [disk for disk in self.facts.disks if not unfit(disk)]


@dataclass(frozen=True, slots=True)
class Survey:
    """All hosts, what every NIC heard, and who shares a segment with whom."""

    hosts: tuple[Found, ...]
    ears: Mapping[End, Ear]
    segments: tuple[Segment, ...]

    def nic(self, end: End) -> Nic | None:
        """The NIC at an end, if it is one of these hosts'."""
        facts = next((host.facts for host in self.hosts if host.name == end.node), None)
        return next((nic for nic in facts.nics if nic.name == end.nic), None) if facts else None

    def cables(self) -> list[Segment]:
        """What can be cables of the mesh, in the order of the hosts. The management NICs stay out of it."""
        order = [host.name for host in self.hosts]
        management = self.management()
        found = [one for one in self.segments if one.kind is Kind.CABLE and not management & set(one.ends)]
        return sorted(found, key=lambda one: [(order.index(end.node), end.nic) for end in one.ends])

    def management(self) -> frozenset[End]:
        """The NICs by which the hosts are reached."""
        return frozenset(End(host.name, nic) for host in self.hosts for nic in host.management_nics)

    def uplink(self) -> str | None:
        """The NIC that has the same name on all hosts and a network of its own: OVN's way out, most likely."""
        for segment in self.segments:
            names = {end.nic for end in segment.ends}
            apart = not self.management() & set(segment.ends)
            if segment.kind is Kind.SWITCH and len(names) == 1 and apart and len(segment.ends) == len(self.hosts):
                return names.pop()
        return None

    def oddities(self) -> Iterator[str]:
        """What is plugged in a way that no topology has."""
        uplink, management = self.uplink(), self.management()
        for segment in self.segments:
            ends = [str(end) for end in segment.ends]
            if segment.kind is Kind.ONE_WAY:
                yield f"{ends[0]} <-> {ends[1]} works in one direction only, from {ends[0]} to {ends[1]}"
            elif segment.kind is Kind.LOOP:
                yield f"{' and '.join(ends)}: a loop"
            elif segment.kind is Kind.SWITCH and not management & set(segment.ends):
                if {end.nic for end in segment.ends} != {uplink}:
                    yield f"{', '.join(ends)} are on one switch, which is no cable of a mesh"
            elif segment.kind is Kind.SWITCH and (more := [str(e) for e in segment.ends if e not in management]):
                yield f"{', '.join(more)} plugged into the management network"
        heard = {end for segment in self.segments for end in segment.ends} | management
        for end, ear in self.ears.items():
            if ear.carrier and end not in heard:
                yield f"{end} has link, but none of these hosts at the other end"


async def survey(
    hosts: Mapping[str, Host],
    addresses: Mapping[str, str],
    named: Mapping[str, str],
    ports: Mapping[str, Sequence[str]],
) -> Survey:
    """Look at all hosts and let them find each other; nothing on them is different afterwards.

    All arguments are by the same keys; `named` has the names that the operator gave, `ports` the NICs that a topology
    names for cables, whatever kind of device they are. Raises HostError when one can't be asked.
    """
    looks = await asyncio.gather(*(_look(host, ports.get(key, ())) for key, host in hosts.items()))
    looked = dict(zip(hosts, looks, strict=True))
    names = names_for([(looked[key].hostname, named.get(key)) for key in hosts])
    found = tuple(Found(name, addresses[key], looked[key]) for key, name in zip(hosts, names, strict=True))
    by_name = dict(zip(names, hosts.values(), strict=True))
    ears = await probe(
        by_name, {one.name: dict.fromkeys(nic.name for nic in one.facts.nics) for one in found}, others=True
    )
    if ears is None:
        raise HostError(found[0].name, "nothing may be sent, so cables can't be found")
    return Survey(found, ears, tuple(segments(ears)))


async def _look(host: Host, ports: Sequence[str]) -> HostFacts:
    argv = ["sh", "-s"]
    result = await host.query(argv, stdin=SCRIPT, timeout=_LOOK_SECONDS)
    return understand(host.name, argv, partial(host_facts, ports=ports), result.stdout)


def names_for(hosts: Sequence[tuple[str, str | None]]) -> list[str]:
    """A name for each (hostname, name that the operator gave): all by their hostnames, or else node1, node2, ….

    >>> names_for([("pve1", None), ("pve2", None)]), names_for([("debian", None), ("debian", "b")])
    (['pve1', 'pve2'], ['node1', 'b'])
    """
    short = [hostname.split(".")[0].lower() for hostname, _ in hosts]
    once = Counter(short)
    fine = all(_NODE_NAME.fullmatch(name) and name not in _NOBODYS and once[name] == 1 for name in short)
    own = short if fine else [f"node{i}" for i in range(1, len(hosts) + 1)]
    return [given or name for name, (_, given) in zip(own, hosts, strict=True)]


def unfit(disk: FoundDisk) -> str:
    """Why a disk can't become an OSD; "" when it can."""
    facts = disk.facts
    if contents := describe(facts):
        return contents
    if disk.removable:
        return "removable"
    if facts.read_only or not facts.readable:
        return "read-only" if facts.read_only else "can't be read"
    return "" if facts.size >= SMALLEST_OSD else "too small for an OSD"
