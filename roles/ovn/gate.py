"""The questions of OVN's gate to one host."""

import asyncio

from meshctl.host.base import QUERY_TIMEOUT, Host
from meshctl.roles.parsing import understand
from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.topology import Node, Topology

from . import parse
from .central import client_query, select, status
from .databases import databases
from .judge import Look

# A port that is closed, or open to somebody else, must not pass for one that refuses: so it has to speak TLS with our
# certificates as well as refuse to speak without.
_DOORS = (
    "at=$1 ca=$2 cert=$3 key=$4; shift 4; for port; do { "
    'openssl s_client -connect "$at:$port" -CAfile "$ca" -cert "$cert" -key "$key" -verify_return_error '
    '</dev/null >/dev/null 2>&1 || echo "no-tls $port"; '
    'ovsdb-client -t 3 list-dbs "tcp:$at:$port" >/dev/null 2>&1 && echo "plain $port"; '
    "} & done; wait"
)

_CHASSIS = (select("Chassis", "name"), select("Encap", "type", "ip", "chassis_name"))


async def look(host: Host, topology: Topology) -> Look:
    """One host's servers and daemons, in one round trip."""
    both = databases(topology)
    statuses, northd, controller = await asyncio.gather(
        asyncio.gather(*(status(host, database, timeout=QUERY_TIMEOUT) for database in both)),
        host.query(["ovn-appctl", "-T", "3", "-t", "ovn-northd", "status"], ok=None),
        host.query(["ovn-appctl", "-T", "3", "-t", "ovn-controller", "connection-status"], ok=None),
    )
    return Look(
        {database.letter: seen for database, seen in zip(both, statuses, strict=True)},
        northd.stdout.strip().removeprefix("Status: "),
        controller.stdout.strip(),
    )


async def registered(host: Host, topology: Topology) -> tuple[parse.Chassis, ...] | None:
    """Every chassis, as this host's southbound database has them; None when it doesn't answer."""
    answer = await host.query(client_query(databases(topology)[1], *_CHASSIS), ok=None)
    return understand(host.name, answer.argv, parse.chassis, answer.stdout) if answer.ok else None


async def bad_doors(host: Host, node: Node, topology: Topology) -> list[str]:
    """`plain PORT` for a port that answers without TLS, `no-tls PORT` for one that doesn't answer with it."""
    ports = [str(port) for database in databases(topology) for port in (database.port, database.raft_port)]
    argv = ["timeout", "10", "sh", "-c", _DOORS, "sh", str(node.loopback), CA, CERTIFICATE, KEY, *ports]
    return sorted((await host.query(argv)).stdout.splitlines())
