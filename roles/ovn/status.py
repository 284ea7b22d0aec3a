"""Voters and leaders of both databases, who forwards to the uplink, and who is registered as what."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meshctl.cluster import Cluster
from meshctl.errors import HostError
from meshctl.host.base import Host
from meshctl.roles.condition import Condition, Disease, Finding, Part, Quorum, State, judged, nobody, split, told
from meshctl.roles.parsing import parser, understand
from meshctl.topology import Node, Topology

from . import gate, parse
from .central import client_query, select
from .databases import Database, databases
from .judge import Look as Daemons
from .judge import judge as judge_daemons

STALE_RAFT_MEMBER = Disease(
    "stale-raft-member",
    "A database counts a voter that is no host of the cluster: it takes fewer failures than it seems.",
)
CHASSIS_TWICE = Disease(
    "chassis-twice", "A host is registered as two chassis, or under another name: its instances' ports are on neither."
)
WRONG_ENCAPSULATION = Disease(
    "wrong-encapsulation-address", "A host's tunnels end at an address that isn't its loopback: instances can't talk."
)
DISEASES = (STALE_RAFT_MEMBER, CHASSIS_TWICE, WRONG_ENCAPSULATION)

OVS = ("ovs-vsctl", "-t", "3", "--format=json", "--columns=external_ids", "list", "Open_vSwitch", ".")
_NAMES = {"nb": "OVN's northbound database", "sb": "OVN's southbound database"}
_REGISTERED = (
    select("Chassis", "_uuid", "name", "hostname"),
    select("Encap", "type", "ip", "chassis_name"),
    {**select("Port_Binding", "chassis", "logical_port"), "where": [["type", "==", "chassisredirect"]]},
)


@dataclass(frozen=True, slots=True)
class Chassis:
    """A row of the southbound database. `ends` are its tunnels' addresses; at the `gateway` routers meet the uplink."""

    name: str
    hostname: str
    ends: frozenset[str]
    gateway: bool


@dataclass(frozen=True, slots=True)
class Look:
    """One host; `chassis` is what its southbound database has, None when it doesn't answer."""

    daemons: Daemons
    external_ids: Mapping[str, str] = field(default_factory=dict)
    chassis: tuple[Chassis, ...] | None = None


async def condition(cluster: Cluster) -> Condition:
    """Every host is asked about its own daemons and its own copy of the southbound database."""
    topology = cluster.topology
    answers, silent = split(await cluster.each(lambda _node, host: told(_look(host, topology))))
    return judge(topology, answers, silent) if answers else nobody(silent)


async def _look(host: Host, topology: Topology) -> Look:
    daemons, switch, registered = await asyncio.gather(
        gate.look(host, topology),
        host.query(OVS, ok=None),
        told(host.query(client_query(databases(topology)[1], *_REGISTERED), ok=None)),
    )
    ids = understand(host.name, OVS, parse.open_vswitch, switch.stdout).external_ids if switch.ok else {}
    if isinstance(registered, HostError) or not registered.ok:
        return Look(daemons, ids)
    return Look(daemons, ids, understand(host.name, registered.argv, chassis, registered.stdout))


@parser
def chassis(text: str) -> tuple[Chassis, ...]:
    """The answer to `_REGISTERED`."""
    hosts, encaps, ports = parse.rows(text)
    gateways = {str(port["chassis"]) for port in ports}
    return tuple(
        Chassis(
            str(host["name"]),
            str(host["hostname"]),
            frozenset(str(end["ip"]) for end in encaps if end["chassis_name"] == host["name"]),
            str(host["_uuid"]) in gateways,
        )
        for host in hosts
    )


def judge(topology: Topology, looks: Mapping[str, Look], silent: Mapping[str, Part]) -> Condition:
    """What the answers mean."""
    quorums = tuple(quorum(topology, database, looks) for database in databases(topology))
    daemons = {name: look.daemons for name, look in looks.items()}
    rows = next((look.chassis for look in looks.values() if look.chassis is not None), None)
    encapsulation = topology.ovn.encapsulation
    registered = None
    if rows is not None:
        ends = ((row.name, frozenset((encapsulation, end) for end in row.ends)) for row in rows)
        registered = tuple(parse.Chassis(name, encapsulations) for name, encapsulations in ends)
    problems = list(judge_daemons(topology, daemons, registered)) if looks else []
    roles = {name: _roles(name, look, rows) for name, look in looks.items()}
    held = all(quorum.alive for quorum in quorums)  # one member that hears its leader proves the majority
    state = State.DEGRADED if problems or silent else State.HEALTHY
    return Condition(
        state if held else State.BROKEN,
        "; ".join(_told(quorum) for quorum in quorums) + f"; {len(rows or ())} chassis",
        nodes={**judged(looks, problems, {name: ", ".join(said) for name, said in roles.items()}), **silent},
        findings=tuple(diagnose(topology, looks)),
        quorums=quorums,
        carries={name: tuple(f"OVN's {role}" for role in said) for name, said in roles.items()},
        problems=tuple(problems),
    )


def quorum(topology: Topology, database: Database, looks: Mapping[str, Look]) -> Quorum:
    """The voters as the leader sees them, or as most who answer do; a voter that is no node goes by its address."""
    names = {database.raft(node): node.name for node in topology.nodes}
    statuses = {name: status for name, look in looks.items() if (status := look.daemons.servers[database.letter])}
    members = {name: status for name, status in statuses.items() if status.member}
    leader = next((name for name, status in members.items() if status.role == "leader"), None)
    views = [statuses[leader].servers] if leader else [status.servers for status in statuses.values()]
    voters = max(views, key=len, default=frozenset(names))
    return Quorum(
        _NAMES[database.letter],
        frozenset(names.get(address, address.removeprefix("ssl:")) for address in voters),
        frozenset(members),
        leader,
    )


def _told(quorum: Quorum) -> str:
    letters = next(letters for letters, name in _NAMES.items() if name == quorum.name)
    alive = f"{letters} {len(quorum.alive & quorum.voters)}/{len(quorum.voters)} voters"
    return f"{alive}, led by {quorum.leader}" if quorum.leader else f"{alive}, no leader"


def _roles(name: str, look: Look, rows: tuple[Chassis, ...] | None) -> list[str]:
    leads = [
        f"{letter} leader" for letter, status in look.daemons.servers.items() if status and status.role == "leader"
    ]
    northd = ["active northd"] if look.daemons.northd == "active" else []
    gateway = ["uplink gateway"] if any(row.gateway and row.name == name for row in rows or ()) else []
    return [*leads, *northd, *gateway]


def diagnose(topology: Topology, looks: Mapping[str, Look]) -> Iterator[Finding]:
    """The diseases of this layer."""
    nodes = {node.name: node for node in topology.nodes}
    for database in databases(topology):
        yield from _stale(database, quorum(topology, database, looks), frozenset(nodes), looks)
    for name, look in looks.items():
        yield from _encapsulation(nodes[name], look)
        yield from _identity(nodes[name], look)
    for name, look in looks.items():
        if look.chassis is not None:
            yield from _twice(topology, name, look)
            break


def _stale(database: Database, seen: Quorum, nodes: frozenset[str], looks: Mapping[str, Look]) -> Iterator[Finding]:
    host = seen.leader or next(iter(looks), "")
    for stranger in sorted(seen.voters - nodes):
        kick = f"ovn-appctl -t {database.control} cluster/kick {database.schema} ssl:{stranger}"
        yield Finding(
            STALE_RAFT_MEMBER.name,
            host,
            f"{seen.name} has {len(seen.voters)} voters, and ssl:{stranger} is no host of the topology",
            f"If that server is gone for good, on any member: `{kick}`",
            " ".join(database.status()),
        )


def _encapsulation(node: Node, look: Look) -> Iterator[Finding]:
    seen = look.external_ids.get("ovn-encap-ip")
    if seen is not None and seen != str(node.loopback):
        yield Finding(
            WRONG_ENCAPSULATION.name,
            node.name,
            f"its tunnels end at {seen}, not at its loopback {node.loopback}",
            "`meshctl bootstrap` sets it right.",
            "ovs-vsctl get Open_vSwitch . external_ids:ovn-encap-ip",
        )


def _identity(node: Node, look: Look) -> Iterator[Finding]:
    """With the same address the second name is refused ("OVNSB commit failed"), and the host hears of no change."""
    seen = look.external_ids.get("system-id")
    if seen is not None and seen != node.name:
        yield Finding(
            CHASSIS_TWICE.name,
            node.name,
            f"its system-id is {seen}, so it registers as another chassis beside {node.name}",
            f"`ovs-vsctl set open . external_ids:system-id={node.name}` there; /etc/openvswitch/system-id.conf, which "
            "counts at the next boot, is written by `meshctl bootstrap`.",
            "ovs-vsctl get open . external_ids:system-id; tail /var/log/ovn/ovn-controller.log",
        )


def _twice(topology: Topology, host: str, look: Look) -> Iterator[Finding]:
    nodes = {node.name: str(node.loopback) for node in topology.nodes}
    for row in look.chassis or ():
        if row.name not in nodes:
            of = next((name for name, address in nodes.items() if row.hostname == name or address in row.ends), "")
            yield Finding(
                CHASSIS_TWICE.name,
                host,
                f"the chassis {row.name} ({', '.join(sorted(row.ends)) or 'no tunnel'}) is no host of the topology"
                + (f"; {of} registered it" if of else ""),
                f"If {of or 'its host'} has another system-id now (`ovs-vsctl get open . external_ids:system-id`): "
                f"`ovn-sbctl chassis-del {row.name}` on the southbound leader; else `meshctl bootstrap` first.",
                "ovn-sbctl --no-leader-only show",
            )
