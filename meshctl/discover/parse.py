"""From the output of facts.sh to typed facts."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshctl.roles.disks import DiskFacts, of_sections, sections
from meshctl.roles.distributions import os_release
from meshctl.roles.parsing import parser


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC that a cable can be in. `driver` and `bus` (a PCI address, as a rule) are empty for virtual ones."""

    name: str
    mac: str
    driver: str
    bus: str
    max_mtu: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stacked:
    """A bridge, bond or VLAN with addresses, and the NICs that it is built on."""

    name: str
    addresses: tuple[str, ...]
    nics: frozenset[str]


@dataclass(frozen=True, slots=True)
class FoundDisk:
    """A whole disk: what preflight would find out about it, the name that stays, and whether one can pull it out."""

    facts: DiskFacts
    stable: str
    removable: bool


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host; memory is bytes."""

    hostname: str
    os: str
    kernel: str
    architecture: str
    cpus: int
    cpu: str
    memory: int
    nics: tuple[Nic, ...]
    disks: tuple[FoundDisk, ...]
    stacked: tuple[Stacked, ...] = ()


@parser
def host_facts(output: str, ports: Collection[str] = ()) -> HostFacts:
    """Read all sections; `ports` are NICs that a topology names for cables."""
    found = sections(output)
    links = json.loads(found["addresses", ""])
    devices = {name: rest for name, *rest in (line.split() for line in found["devices", ""].splitlines())}
    return HostFacts(
        hostname=found["hostname", ""],
        os=os_release(found["os", ""]).get("PRETTY_NAME", "an unknown system"),
        kernel=found["kernel", ""],
        architecture=found["architecture", ""],
        cpus=int(found["cpus", ""]),
        cpu=found["cpu", ""],
        memory=int(found["memory", ""].split()[1]) * 1024,
        nics=_nics(links, devices, ports),
        disks=_disks(found),
        stacked=tuple(_stacked(links)),
    )


def _nics(links: list[dict[str, Any]], devices: Mapping[str, list[str]], ports: Collection[str]) -> tuple[Nic, ...]:
    """Physical NICs and those of the topology.

    Where none is physical (a container, a lab), also the ends of veth pairs that no bridge has; with a topology only
    those with an address.
    """
    ethernet = [link for link in links if link.get("link_type") == "ether"]
    wanted = [link for link in ethernet if link["ifname"] in {*devices, *ports}]
    pairs = [link for link in ethernet if link.get("linkinfo", {}).get("info_kind") == "veth" and "master" not in link]
    if ports:
        pairs = [link for link in pairs if any(a.get("scope") == "global" for a in link.get("addr_info", ()))]
    chosen = wanted if devices else [link for link in ethernet if link in wanted or link in pairs]
    return tuple(_nic(link, devices.get(link["ifname"], [])) for link in chosen)


def _nic(link: dict[str, Any], device: list[str]) -> Nic:
    driver, bus = device if len(device) == 2 else ("", "")  # noqa: PLR2004
    return Nic(link["ifname"], link["address"], driver, bus, int(link.get("max_mtu", 0)), _addresses(link))


def _stacked(links: list[dict[str, Any]]) -> Iterator[Stacked]:
    """What has addresses and is built on others: VLANs name what is below them, members what is above."""
    below: dict[str, set[str]] = {}
    for link in links:
        if link.get("linkinfo", {}).get("info_kind") == "vlan" and "link" in link:
            below.setdefault(link["ifname"], set()).add(link["link"])
        if "master" in link:
            below.setdefault(link["master"], set()).add(link["ifname"])
    for link in links:
        addresses = _addresses(link)
        if link["ifname"] in below and addresses:
            yield Stacked(link["ifname"], addresses, frozenset(_lowest(link["ifname"], below)))


def _lowest(name: str, below: Mapping[str, set[str]]) -> set[str]:
    return {one for part in below[name] for one in _lowest(part, below)} if name in below else {name}


def _addresses(link: dict[str, Any]) -> tuple[str, ...]:
    return tuple(entry["local"] for entry in link.get("addr_info", ()) if entry.get("scope") == "global")


def _disks(found: Mapping[tuple[str, str], str]) -> tuple[FoundDisk, ...]:
    """Each disk once, by the shortest of the names that say what it is."""
    disks: dict[str, FoundDisk] = {}
    for path, facts in of_sections(found).items():
        ids = [one for one in found["ids", path].split() if not one.split("/")[-1].startswith(("wwn-", "nvme-eui."))]
        stable = min(ids, key=lambda one: (len(one), one), default=path)
        disks.setdefault(facts.real, FoundDisk(facts, stable, found["removable", path] == "1"))
    return tuple(disks.values())
