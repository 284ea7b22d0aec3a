"""From the output of facts.sh to typed facts."""

import json
from collections.abc import Collection, Mapping
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


@parser
def host_facts(output: str, ports: Collection[str] = ()) -> HostFacts:
    """Read all sections; `ports` are NICs that a topology names for cables."""
    found = sections(output)
    devices = {name: rest for name, *rest in (line.split() for line in found["devices", ""].splitlines())}
    return HostFacts(
        hostname=found["hostname", ""],
        os=os_release(found["os", ""]).get("PRETTY_NAME", "an unknown system"),
        kernel=found["kernel", ""],
        architecture=found["architecture", ""],
        cpus=int(found["cpus", ""]),
        cpu=found["cpu", ""],
        memory=int(found["memory", ""].split()[1]) * 1024,
        nics=_nics(json.loads(found["addresses", ""]), devices, ports),
        disks=_disks(found),
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
    addresses = tuple(entry["local"] for entry in link.get("addr_info", ()) if entry.get("scope") == "global")
    return Nic(link["ifname"], link["address"], driver, bus, int(link.get("max_mtu", 0)), addresses)


def _disks(found: Mapping[tuple[str, str], str]) -> tuple[FoundDisk, ...]:
    """Each disk once, by the shortest of the names that say what it is."""
    disks: dict[str, FoundDisk] = {}
    for path, facts in of_sections(found).items():
        ids = [one for one in found["ids", path].split() if not one.split("/")[-1].startswith(("wwn-", "nvme-eui."))]
        stable = min(ids, key=lambda one: (len(one), one), default=path)
        disks.setdefault(facts.real, FoundDisk(facts, stable, found["removable", path] == "1"))
    return tuple(disks.values())
