"""What is wrong with OVN, seen from what the hosts say. Pure functions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshctl.roles.base import Problem
from meshctl.topology import Node, Topology

from .databases import Database, databases
from .parse import Chassis, ClusterStatus


@dataclass(frozen=True, slots=True)
class Look:
    """What the gate found on a host."""

    servers: Mapping[str, ClusterStatus | None]
    """By the database's letter; None where the server doesn't answer."""
    northd: str
    """active, standby, or what it said instead."""
    controller: str
    """connected, not connected, or what it said instead."""


def judge(topology: Topology, looks: Mapping[str, Look], chassis: tuple[Chassis, ...] | None) -> Iterator[Problem]:
    """Every fault: clusters, northd, controllers, and chassis unless nobody could be asked for them (None)."""
    for database in databases(topology):
        servers = {name: look.servers[database.letter] for name, look in looks.items()}
        yield from _servers(topology, database, servers)
        yield from _leaders(topology, database, servers)
    yield from _northd(topology, looks)
    yield from _controllers(looks)
    if chassis is not None:
        yield from _chassis(topology, chassis)


def door_problem(node: Node, fault: str, port: str) -> Problem:
    """A port that isn't as it should be: `plain` answers without TLS, `no-tls` does not answer with it."""
    name, expected = f"OVN's port {port}", "TLS with the cluster's certificates, and nothing else"
    if fault == "plain":
        return Problem(
            node.name,
            name,
            expected,
            seen="answers without TLS",
            command=f"ovsdb-client -t 3 list-dbs tcp:{node.loopback}:{port}",
            advice="Look for `ptcp:` in `ovn-nbctl get-connection` and `ovn-sbctl get-connection`.",
            final=True,
        )
    return Problem(
        node.name,
        name,
        expected,
        seen="no TLS handshake",
        command=f"openssl s_client -connect {node.loopback}:{port}",
        advice="Is the server running, is a firewall in between, do the certificates fit (`meshctl verify`: pki)?",
    )


def _servers(topology: Topology, database: Database, servers: Mapping[str, ClusterStatus | None]) -> Iterator[Problem]:
    voters = frozenset(database.raft(node) for node in topology.nodes)
    for name, server in servers.items():
        if server is None:
            yield _server_problem(name, database, "a member of the cluster", "no answer")
        elif not server.member:
            seen = f"{server.status}, leader {server.leader}"
            yield _server_problem(name, database, "cluster member that knows its leader", seen)
        elif server.servers != voters:
            yield _server_problem(name, database, f"voters {_list(voters)}", _list(server.servers))


def _server_problem(host: str, database: Database, expected: str, seen: str) -> Problem:
    return Problem(
        host,
        f"{database.schema} server",
        expected=expected,
        seen=seen,
        command=" ".join(database.status()),
        advice=f"Read `systemctl status {database.unit}` and /var/log/ovn/ovsdb-server-{database.letter}.log.",
    )


def _leaders(topology: Topology, database: Database, servers: Mapping[str, ClusterStatus | None]) -> Iterator[Problem]:
    statuses = {name: server for name, server in servers.items() if server}
    leaders = [name for name, status in statuses.items() if status.role == "leader"]
    clusters = {status.cluster for status in statuses.values()}
    if statuses and (len(leaders) != 1 or len(clusters) != 1):
        yield Problem(
            topology.nodes[0].name,
            f"{database.schema} cluster",
            expected="one cluster with one leader",
            seen=f"leaders: {_list(leaders)}; clusters: {_list(clusters)}",
            command=" ".join(database.status()),
            advice="Two clusters means that one host founded its own: see roles/ovn/README.md.",
        )


def _northd(topology: Topology, looks: Mapping[str, Look]) -> Iterator[Problem]:
    active = [name for name, look in looks.items() if look.northd == "active"]
    for name, look in looks.items():
        if look.northd not in {"active", "standby"}:
            yield _daemon_problem(name, "ovn-northd", "active or standby", look.northd, "status")
    if len(active) != 1:
        yield _daemon_problem(topology.nodes[0].name, "ovn-northd", "active exactly once", _list(active), "status")


def _controllers(looks: Mapping[str, Look]) -> Iterator[Problem]:
    for name, look in looks.items():
        if look.controller != "connected":
            yield _daemon_problem(name, "ovn-controller", "connected", look.controller, "connection-status")


def _daemon_problem(host: str, daemon: str, expected: str, seen: str, question: str) -> Problem:
    return Problem(
        host,
        daemon,
        expected=expected,
        seen=seen or "no answer",
        command=f"ovn-appctl -t {daemon} {question}",
        advice=f"Read /var/log/ovn/{daemon}.log.",
    )


def unknown_chassis(host: str) -> Problem:
    """The host's own southbound database doesn't say who is registered."""
    return Problem(
        host,
        "southbound database",
        expected="the list of all chassis",
        seen="no answer",
        command="ovn-sbctl --no-leader-only show",
        advice="Read /var/log/ovn/ovsdb-server-sb.log.",
    )


def _chassis(topology: Topology, registered: tuple[Chassis, ...]) -> Iterator[Problem]:
    for node in topology.nodes:
        end = (topology.ovn.encapsulation, str(node.loopback))
        rows = [row for row in registered if row.name == node.name]
        if len(rows) != 1 or rows[0].encapsulations != {end}:
            seen = "; ".join(_list(f"{kind} {address}" for kind, address in row.encapsulations) for row in rows)
            yield _chassis_problem(node.name, f"once, with {end[0]} {end[1]}", seen or "not registered")
    names = {node.name for node in topology.nodes}
    for row in registered:
        if row.name not in names:
            yield _chassis_problem(topology.nodes[0].name, "only the nodes of the topology", f"{row.name!r}, too")


def _chassis_problem(host: str, expected: str, seen: str) -> Problem:
    return Problem(
        host,
        "chassis in the southbound database",
        expected=expected,
        seen=seen,
        command="ovn-sbctl --no-leader-only show",
        advice="A leftover of a removed or renamed host goes with `ovn-sbctl chassis-del NAME`.",
    )


def _list(values: Iterable[str]) -> str:
    return ", ".join(sorted(values)) or "none"
