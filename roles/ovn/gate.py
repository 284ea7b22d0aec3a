"""The questions of OVN's gate to one host."""

import asyncio

from meshctl.host.base import Host
from meshctl.topology import Node, Topology

from . import parse
from .central import client_query
from .databases import CA, CERTIFICATE, KEY, Database, databases
from .judge import DatabaseLook, Look

# A port that is closed, or open to somebody else, must not pass for one that refuses: so it has to speak TLS with our
# certificates as well as refuse to speak without.
_DOORS = (
    "at=$1 ca=$2 cert=$3 key=$4; shift 4; for port; do { "
    'timeout 5 openssl s_client -connect "$at:$port" -CAfile "$ca" -cert "$cert" -key "$key" -verify_return_error '
    '</dev/null >/dev/null 2>&1 || echo "no-tls $port"; '
    'ovsdb-client -t 3 list-dbs "tcp:$at:$port" >/dev/null 2>&1 && echo "plain $port"; '
    "} & done; wait"
)


async def look(host: Host, topology: Topology) -> Look:
    """Everything that costs little, in one round trip."""
    both = databases(topology)
    southbound = both[1]
    answers, northd, controller, registered = await asyncio.gather(
        asyncio.gather(*(_server(host, database) for database in both)),
        host.query(["ovn-appctl", "-T", "3", "-t", "ovn-northd", "status"], ok=None),
        host.query(["ovn-appctl", "-T", "3", "-t", "ovn-controller", "connection-status"], ok=None),
        host.query(client_query(southbound, *_CHASSIS), ok=None),
    )
    return Look(
        {database.letter: answer for database, answer in zip(both, answers, strict=True)},
        northd.stdout.strip().removeprefix("Status: "),
        controller.stdout.strip(),
        parse.chassis(registered.stdout) if registered.ok else None,
    )


async def bad_doors(host: Host, node: Node, topology: Topology) -> list[str]:
    """`plain PORT` for a port that answers without TLS, `no-tls PORT` for one that doesn't answer with it."""
    ports = [str(port) for database in databases(topology) for port in (database.port, database.raft_port)]
    argv = ["sh", "-c", _DOORS, "sh", str(node.loopback), CA, CERTIFICATE, KEY, *ports]
    return sorted((await host.query(argv)).stdout.splitlines())


async def _server(host: Host, database: Database) -> DatabaseLook:
    where = [["name", "==", database.schema]]
    touch = {"op": "select", "table": "Database", "where": where, "columns": ["connected"]}
    status, connected = await asyncio.gather(
        host.query(database.status(), ok=None),
        host.query(client_query(database, touch, schema="_Server"), ok=None),
    )
    try:
        return DatabaseLook(parse.cluster_status(status.stdout), parse.connected(connected.stdout))
    except (ValueError, LookupError):
        return DatabaseLook(None, None)


_CHASSIS = (
    {"op": "select", "table": "Chassis", "where": [], "columns": ["name"]},
    {"op": "select", "table": "Encap", "where": [], "columns": ["type", "ip", "chassis_name"]},
)
