"""A topology file from a survey: commented, and ready to bootstrap. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meshctl.roles.disks import DiskFacts
from meshctl.roles.segments import Segment
from meshctl.topology import End
from meshctl.topology.addresses import node_ids
from meshctl.topology.document import Ssh

from .parse import Nic
from .prefixes import free_links, free_loopbacks, networks
from .sheet import Entry, Sheet, mesh, scalar, unknown_uplink
from .survey import Found, Survey, unfit

_JUMBO = 9000


@dataclass(frozen=True, slots=True)
class Frame:
    """What no host can tell."""

    cluster: str
    ssh: Ssh
    pin_macs: bool = False
    today: str = ""
    sections: str = ""
    """Taken over as they are: `mesh`, `uplink` and the like of a topology that was there."""
    nodes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """What that topology says of nodes and no host can tell."""


KEPT_OF_NODES = ("id", "loopback", "uplink_nic", "host_key")
_WRITTEN = frozenset({"cluster", "ssh", "nodes", "cables"})
_SECTION = re.compile(r"^([a-z_]+):", re.MULTILINE)


def kept(text: str) -> str:
    """The sections of a topology file that are not written anew, with their comments inside."""
    starts = list(_SECTION.finditer(text))
    ends = [*(start.start() for start in starts), len(text)][1:]
    parts = [text[m.start() : end].strip() for m, end in zip(starts, ends, strict=True) if m[1] not in _WRITTEN]
    return "\n\n".join(parts)


def topology_text(survey: Survey, frame: Frame) -> str:
    """The whole file, with a line break at its end. Nothing that hosts say of themselves can leave its comment."""
    return Sheet(
        head=tuple(_head(survey, frame)),
        cluster=frame.cluster,
        ssh=frame.ssh,
        nodes=[_node(survey, host, frame) for host in survey.hosts],
        cables=[cable_text(cable) for cable in survey.cables()],
        sections=frame.sections or "\n".join(_mesh(survey)),
    ).text()


def _head(survey: Survey, frame: Frame) -> Iterator[str]:
    yield f"Found by `meshctl discover`{f' on {frame.today}' if frame.today else ''}. Look through it, then:"
    yield "  meshctl validate FILE, meshctl plan FILE, meshctl bootstrap FILE"
    for host in survey.hosts:
        facts = host.facts
        yield ""
        yield f"{host.name}: {facts.os}, Linux {facts.kernel}, {facts.architecture}, {_size(facts.memory)} memory,"
        yield f"  {facts.cpus} CPUs{f' ({facts.cpu})' if facts.cpu else ''}"
        for nic in facts.nics:
            yield f"  {nic.name:<15} {nic.mac}  {_nic(survey, host, nic)}"
        for disk in facts.disks:
            yield f"  {disk.facts.path:<15} {_disk(disk.facts)}; {unfit(disk) or 'empty'}"
    for oddity in survey.oddities():
        yield f"LOOK: {oddity}"


def _nic(survey: Survey, host: Found, nic: Nic) -> str:
    end = End(host.name, nic.name)
    ear = survey.ears.get(end)
    speed = f"{ear.speed} Mbit/s" if ear and ear.speed else ""
    hardware = " ".join(filter(None, (nic.driver, nic.bus, speed)))
    return f"{hardware}{'  ' if hardware else ''}{purpose(survey, host, nic)}"


def purpose(survey: Survey, host: Found, nic: Nic) -> str:
    """What a NIC is there for, as far as that can be seen."""
    end = End(host.name, nic.name)
    if nic.name in host.management_nics:
        return f"management, {host.address}{f' on {host.management}' if nic.name != host.management else ''}"
    if cable := next((one for one in survey.cables() if end in one.ends), None):
        return f"cable to {next(other for other in cable.ends if other != end)}"
    if nic.name == survey.uplink():
        return "uplink"
    ear = survey.ears.get(end)
    return "link" if ear and ear.carrier else "no link"


def _node(survey: Survey, host: Found, frame: Frame) -> Entry:
    settings = {"address": host.address}
    if host.management not in {"eth0", ""}:
        settings["management_nic"] = host.management
    settings |= {key: scalar(value) for key, value in frame.nodes.get(host.name, {}).items()}
    if frame.pin_macs:
        nics = sorted({end.nic for cable in survey.cables() for end in cable.ends if end.node == host.name})
        macs = {nic: survey.ears[End(host.name, nic)].mac for nic in nics}
        settings["macs"] = f"{{{', '.join(f'{nic}: {scalar(mac)}' for nic, mac in macs.items())}}}"
    return Entry(host.name, settings, [(disk.stable, _disk(disk.facts)) for disk in host.usable])


def cable_text(cable: Segment) -> str:
    """As a topology writes it."""
    a, b = cable.ends
    return f"{a} <-> {b}"


def _mesh(survey: Survey) -> Iterator[str]:
    numbers = node_ids({host.name: None for host in survey.hosts}).values()
    elsewhere = [address for host in survey.hosts for nic in host.facts.nics for address in nic.addresses]
    used = networks([*elsewhere, *(host.address for host in survey.hosts)])
    yield from mesh(free_loopbacks(numbers, used), free_links(numbers, used))
    ends = [survey.nic(end) for cable in survey.cables() for end in cable.ends]
    if ends and all(nic and nic.max_mtu >= _JUMBO for nic in ends):
        yield f"  # mtu: {_JUMBO}    # every NIC can do it"
    yield ""
    if nic := survey.uplink():
        yield from unknown_uplink(nic, "the same on all hosts, and on a network of its own")
    else:
        yield from unknown_uplink()


def _disk(disk: DiskFacts) -> str:
    named = " ".join(filter(None, (disk.model, disk.serial)))
    return f"{disk.size / 1e9:.1f} GB{f', {named}' if named else ''}"


def _size(number: int) -> str:
    return f"{number / (1 << 30):.1f} GiB"
