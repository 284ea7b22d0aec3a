"""A topology from an operator's answers instead of live hosts: those so far, and what is wrong with them. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface
from itertools import count
from pathlib import Path
from typing import Any

from meshctl.topology import Finding, Topology, TopologyError, loads
from meshctl.topology.addresses import node_ids
from meshctl.topology.document import Ssh

from .prefixes import free_links, free_loopbacks, networks
from .sheet import Entry, Sheet, mesh, quoted, unknown_uplink, word
from .wiring import full_mesh

MOST_HOSTS = 45
"""Hosts whose pairs are as many as a topology may have cables."""

MANAGEMENT = "eth0"
"""What a topology takes for the management NIC unless it says otherwise."""

_SOURCE = Path("the answers")
OVERLAY = "10.158.0.1/24"
"""The default of incus.network_address, which nobody is asked about."""

LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Uplink:
    """The network behind the OVN routers; None for what isn't answered yet."""

    nic: str
    gateway: str | None = None
    range: str | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """Every answer as it was typed. What has a default and isn't answered yet is None and follows from the others."""

    cluster: str = "mesh"
    login: Mapping[str, Any] = field(default_factory=dict)
    """`ssh` as a topology has it."""
    nodes: Mapping[str, str] = field(default_factory=dict)
    """Management addresses by name."""
    management_nic: str = MANAGEMENT
    disks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cables: Sequence[str] | None = None
    uplink: Uplink | None = None
    loopbacks: str | None = None
    links: str | None = None

    def prefixes(self) -> tuple[str, str]:
        """Loopbacks and links: as answered, else some that keep away from each other and from everything else."""
        numbers = _numbers(self.nodes)
        uplink = (self.uplink.gateway or "") if self.uplink else ""
        used = networks([OVERLAY, *self.nodes.values(), uplink])
        loopbacks = self.loopbacks or str(free_loopbacks(numbers, [*used, *networks([self.links or ""])]))
        return loopbacks, self.links or str(free_links(numbers, [*used, *networks([loopbacks])]))

    def wired(self) -> Sequence[str]:
        """The cables: as answered, else every host to every other, unless there are too many for that."""
        if self.cables is not None:
            return self.cables
        reserved = {self.management_nic, *([self.uplink.nic] if self.uplink else [])}
        return full_mesh(list(self.nodes), reserved) if len(self.nodes) <= MOST_HOSTS else ()

    def content(self) -> dict[str, Any]:
        """The topology file as data. Without a host yet it has one, for the other sections to be checked with."""
        nodes = self.nodes or {"node1": "192.0.2.1"}
        loopbacks, links = self.prefixes()
        content: dict[str, Any] = {
            "cluster": self.cluster,
            "ssh": dict(self.login),
            "nodes": {name: self._node(name, address) for name, address in nodes.items()},
            "cables": list(self.wired()),
            "mesh": {"loopbacks": loopbacks, "links": links},
        }
        if self.uplink:
            gateway = self.uplink.gateway or "203.0.113.1/24"
            content["uplink"] = {
                "nic": self.uplink.nic,
                "gateway": gateway,
                "range": self.uplink.range or _beside(gateway),
            }
        return content

    def _node(self, name: str, address: str) -> dict[str, Any]:
        nic = {} if self.management_nic == MANAGEMENT else {"management_nic": self.management_nic}
        return {"address": address, **nic, "disks": list(self.disks.get(name, ()))}

    def topology(self) -> Topology:
        """What the answers amount to. Raises TopologyError; only the sentences mean something, there is no file yet."""
        return loads(quoted(self.content()), _SOURCE)


def faults(answers: Answers, but: Collection[str] = ()) -> list[str]:
    """What the topology's own validation says of the answers so far, except what waits for other answers.

    `but`: lint rules that can't hold yet.
    """
    try:
        answers.topology()
    except TopologyError as error:
        waiting = tuple(_waiting(answers))
        found = (one for one in error.findings if one.rule not in but and not one.path.startswith(waiting))
        return list(dict.fromkeys(_sentence(one) for one in found))
    return []


def _waiting(answers: Answers) -> Iterator[str]:
    """Where stand-ins are for what isn't answered yet."""
    if not answers.nodes:
        yield "nodes"
    if answers.uplink and answers.uplink.gateway is None:
        yield "uplink.gateway"


def _sentence(finding: Finding) -> str:
    return f"{finding.path}: {finding.message}" if finding.path else finding.message


def topology_text(answers: Answers, today: str = "") -> str:
    """The file, as `discover` writes it. The answers have no faults."""
    content = answers.content()
    sections = [*mesh(content["mesh"]["loopbacks"], content["mesh"]["links"]), ""]
    if uplink := content.get("uplink"):
        sections.append("uplink:    # the network behind the OVN routers")
        sections += [f"  {key}: {word(value)}" for key, value in uplink.items()]
    else:
        sections += unknown_uplink(_next_nic(answers))
    return Sheet(
        head=(
            f"Written by `meshctl init`{f' on {today}' if today else ''}. Look through it, then:",
            "  meshctl validate FILE, meshctl plan FILE, meshctl bootstrap FILE",
            "No host was asked; bootstrap compares it with them before any change.",
        ),
        cluster=answers.cluster,
        ssh=Ssh(**answers.login),
        nodes=[_entry(name, node) for name, node in content["nodes"].items()],
        cables=content["cables"],
        sections="\n".join(sections),
        no_cables="one host has none",
    ).text()


def _entry(name: str, node: Mapping[str, Any]) -> Entry:
    settings = {key: word(node[key]) for key in ("address", "management_nic") if key in node}
    return Entry(name, settings, [(path, "") for path in node["disks"]])


def _next_nic(answers: Answers) -> str:
    """A NIC that the others leave free on all hosts, as the example of an uplink."""
    used = {end.strip().partition(":")[2] for cable in answers.wired() for end in cable.split("<->")}
    return next(nic for nic in (f"eth{i}" for i in range(3, 100)) if nic not in {*used, answers.management_nic})


def with_node(answers: Answers, text: str) -> Answers:
    """One more host, `NAME=ADDRESS` or its address alone."""
    name, _, address = text.strip().rpartition("=")
    return replace(answers, nodes={**answers.nodes, name or next_name(answers): address.strip()})


def taken(answers: Answers, text: str) -> list[str]:
    """What is wrong with one more host before the topology is asked: a mapping can't have a name twice."""
    name = text.strip().rpartition("=")[0]
    return [f"nodes.{name}: the key {name!r} stands here a second time"] if name in answers.nodes else []


def next_name(answers: Answers) -> str:
    """A name for one more host: the last one's, counted up.

    >>> next_name(Answers(nodes={"pve09": "192.0.2.9"})), next_name(Answers())
    ('pve10', 'node1')
    """
    last = ["node0", *answers.nodes][-1]
    stem = last.rstrip("0123456789")
    number = last[len(stem) :]
    first = int(number) + 1 if number else len(answers.nodes) + 1
    names = (f"{stem}{i:0{len(number)}}" for i in count(first))
    return next(name for name in names if name not in answers.nodes)


def next_node(answers: Answers) -> str | None:
    """`NAME=ADDRESS` that would follow the last host; None for the first one."""
    last = [*map(IPv4Address, answers.nodes.values())][-1:]
    return f"{next_name(answers)}={last[0] + 1}" if last and int(last[0]) < 2**32 - 1 else None


def with_disk(answers: Answers, node: str, paths: Iterable[str]) -> Answers:
    """More disks of one host."""
    return replace(answers, disks={**answers.disks, node: (*answers.disks.get(node, ()), *paths)})


def cable(text: str) -> str:
    """As the file has it.

    >>> cable("node1:eth1=node2:eth2")
    'node1:eth1 <-> node2:eth2'
    """
    return " <-> ".join(part.strip() for part in text.split("<->" if "<->" in text else "="))


def _numbers(names: Collection[str]) -> list[int]:
    """The numbers of hosts whose names can be names."""
    usable = [name for name in names if len(name) <= LONGEST_NAME]
    return list(node_ids(dict.fromkeys(usable)).values()) if usable else []


def _beside(gateway: str) -> str:
    """A range that the gateway's network does not refuse, until there is an answer."""
    try:
        router = IPv4Interface(gateway)
    except ValueError:
        return "0.0.0.1-0.0.0.1"  # not looked at: the gateway is refused first
    other = next((one for one in (router.ip + 1, router.ip - 1) if one in router.network), router.ip)
    return f"{other}-{other}"
