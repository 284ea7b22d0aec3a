"""The databases and northd of one host: looking at them, founding or joining their clusters, starting them."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshctl.host.base import Host
from meshctl.roles.parsing import understand
from meshctl.roles.units import Unit, refuse_masked, units
from meshctl.topology import Node, Topology

from . import parse
from .databases import CONTROLLER, NORTHD, SERVER_ARGUMENTS, UMBRELLAS, Database, databases, northd_arguments

# The second argument is a query over what people make, for a standalone database only.
STORE = (
    'test -e "$1" || { echo absent; exit 0; }; case $(head -c 13 "$1") in '
    '"OVSDB CLUSTER") echo clustered; ovsdb-tool db-local-address "$1"; ovsdb-tool db-cid "$1" 2>/dev/null || true;; '
    '*) echo standalone; ovsdb-tool query "$1" "$2";; esac'
)

# A draft from a killed run must go first: ovsdb-tool does not overwrite.
_DRAFT = 'rm -f "$2"; exec ovsdb-tool "$@"'

START_TIMEOUT = 60.0
"""Seconds for a server to be let into its cluster and to open its port."""

_STATUS_TIMEOUT = 5.0  # a local question; a server that is busy for longer is asked again


@dataclass(frozen=True, slots=True)
class Server:
    """One database of one host, as found."""

    store: parse.Store
    active: bool
    arguments: frozenset[str]
    """Of the running process; empty when none runs."""
    targets: frozenset[str]
    """Where it listens; nowhere also when it isn't in its cluster yet, because then it has no data."""

    def settled(self, database: Database) -> bool:
        """Whether nothing is left to do."""
        return (
            self.store.member
            and self.active
            and self.arguments >= SERVER_ARGUMENTS
            and self.targets == {database.listener}
        )


@dataclass(frozen=True, slots=True)
class Northd:
    """northd as found."""

    unit: Unit
    arguments: frozenset[str]

    def settled(self, topology: Topology) -> bool:
        """Whether it runs, with this cluster's addresses and certificates."""
        return self.unit.active and self.arguments >= northd_arguments(topology)


@dataclass(frozen=True, slots=True)
class Seen:
    """One host's OVN as found."""

    servers: Mapping[str, Server]
    """By letter."""
    northd: Northd
    controller: bool
    """Whether ovn-controller runs."""
    asleep: tuple[str, ...]
    """Units that will not start at boot but should."""


async def look_at_stores(host: Host, topology: Topology) -> dict[str, parse.Store]:
    """What lies on the disk, by letter."""
    both = databases(topology)
    stores = await asyncio.gather(*(_look_at_store(host, database) for database in both))
    return {database.letter: store for database, store in zip(both, stores, strict=True)}


async def _look_at_store(host: Host, database: Database) -> parse.Store:
    tables = ["Logical_Switch", "Logical_Router"] if database.letter == "nb" else []
    question = json.dumps([database.schema, *(select(table, "name") for table in tables)])
    answer = await host.query(["sh", "-c", STORE, "sh", database.file, question])
    return understand(host.name, answer.argv, parse.store, answer.stdout)


async def look(host: Host, topology: Topology, stores: Mapping[str, parse.Store]) -> Seen:
    """Everything else, in one round trip."""
    both = databases(topology)
    seen, running, targets = await asyncio.gather(
        units(host, *(database.unit for database in both), NORTHD, CONTROLLER, *UMBRELLAS),
        running_processes(host, "ovsdb-server,ovn-northd"),
        asyncio.gather(*(_targets(host, database) for database in both)),
    )
    refuse_masked(host, seen.values())
    servers = {
        database.letter: Server(
            stores[database.letter],
            seen[database.unit].active,
            next((arguments for arguments in running if database.file in arguments), frozenset()),
            found,
        )
        for database, found in zip(both, targets, strict=True)
    }
    northd = next((arguments for arguments in running if "ovn-northd" in arguments), frozenset())
    asleep = tuple(unit for unit in UMBRELLAS if not seen[unit].enabled)
    return Seen(servers, Northd(seen[NORTHD], northd), seen[CONTROLLER].active, asleep)


async def running_processes(host: Host, names: str) -> tuple[frozenset[str], ...]:
    """The arguments of the processes of these names; a file may promise what the running process doesn't do yet."""
    return parse.processes((await host.query(["ps", "-C", names, "-o", "args="], ok=(0, 1))).stdout)


@dataclass(frozen=True, slots=True)
class Central:
    """The databases and northd of one host."""

    host: Host
    node: Node
    topology: Topology

    async def converge(self, database: Database, seen: Server, founder: Host) -> None:
        """Make one server a member that listens. A standalone database is copied before it is replaced."""
        if seen.settled(database):
            return
        founds = founder.name == self.host.name
        # A founder that waits to be let in: it lost power before it had founded, and at boot ovn-ctl made it join.
        if seen.store.kind != "clustered" or (founds and not seen.store.member):
            await self._enter(database, seen.store, founder)
        elif not (seen.active and seen.arguments >= SERVER_ARGUMENTS):
            reason = "it runs without TLS or with other files" if seen.active else "it is not running"
            await self.host.run(["systemctl", "restart", database.unit], reason=f"{database.schema}: {reason}")
        what = f"{database.schema} being a member that listens"
        await self.host.until(what, lambda: _open(self.host, database), timeout=START_TIMEOUT, every=0.1)

    async def ready_northd(self, northd: Northd, *, rewritten: bool) -> None:
        """Let systemd know northd's unit, and stop a northd that serves other databases."""
        if rewritten or northd.unit.stale:
            await self.host.run(["systemctl", "daemon-reload"], reason="northd's unit has changed")
        if northd.unit.active and not northd.settled(self.topology):
            reason = "northd runs with other databases or without TLS"
            await self.host.run(["systemctl", "stop", NORTHD], reason=reason)

    async def start_northd(self, northd: Northd) -> None:
        """Start northd where it isn't running with this cluster's addresses."""
        if not northd.settled(self.topology):
            await self.host.run(["systemctl", "start", NORTHD], reason="northd is not running")

    async def _enter(self, database: Database, store: parse.Store, founder: Host) -> None:
        founds = founder.name == self.host.name
        found = "waiting for a cluster that nobody has founded" if store.kind == "clustered" else store.kind
        reason = f"{database.schema} is {found}; it {'founds' if founds else 'joins'} the cluster"
        # By name: stopping ovn-central and starting it at once leaves the servers dead (they find their old pid file).
        await self.host.run(["systemctl", "stop", database.unit], reason=reason)
        if store.kind == "standalone":
            await _save(self.host, database, reason)
        if founds:
            command = self._found(database, store)
        else:
            what = f"{database.schema} on {founder.name}, which it joins"
            await self.host.until(what, lambda: _open(founder, database, mend=False), timeout=START_TIMEOUT, every=0.1)
            command = self._join(database, founder)
        await self.host.run(["sh", "-c", _DRAFT, "sh", *command], reason=reason)
        await self.host.run(["mv", "-f", database.draft, database.file], reason=reason)
        await self.host.run(["systemctl", "start", database.unit], reason=reason)

    def _found(self, database: Database, store: parse.Store) -> list[str]:
        source = database.file if store.kind == "standalone" else database.schema_file
        return ["create-cluster", database.draft, source, database.raft(self.node)]

    def _join(self, database: Database, founder: Host) -> list[str]:
        remote = database.raft(self.topology.node(founder.name))
        return ["join-cluster", database.draft, database.schema, database.raft(self.node), remote]


async def _save(host: Host, database: Database, reason: str) -> None:
    """Copy a standalone database beside itself; the name follows from its content, so that no copy is overwritten."""
    checksum = (await host.query(["cksum", database.file])).stdout.split()[0]
    await host.run(["cp", "-p", database.file, f"{database.file}.standalone-{checksum}"], reason=reason)


async def _open(host: Host, database: Database, *, mend: bool = True) -> str:
    """Whether the server is a member and listens; the leader is told to listen (replicated to all)."""
    seen, targets = await asyncio.gather(status(host, database), _targets(host, database))
    if seen is None:
        return "no answer"
    if not seen.member:
        return f"{seen.status}, leader {seen.leader}"
    if not mend or targets == {database.listener}:
        return ""
    if seen.role == "leader":
        ctl = f"ovn-{database.letter}ctl"
        listens = ", ".join(sorted(targets)) or "nothing but its socket"
        command = [ctl, f"--db={database.socket}", "--timeout=5", "set-connection", database.listener]
        # It fails when another server has become leader since: look again.
        await host.run(command, reason=f"{database.schema} listens on {listens}", ok=None)
    return "a member, but no listener yet"


async def status(
    host: Host,
    database: Database,
    timeout: float = _STATUS_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
) -> parse.ClusterStatus | None:
    """The cluster as the host's server sees it; None when that does not run, or isn't clustered."""
    answer = await host.query(database.status(), timeout=timeout, ok=None)
    try:
        return parse.cluster_status(answer.stdout)
    except ValueError:
        return None


async def _targets(host: Host, database: Database) -> frozenset[str]:
    answer = await host.query(client_query(database, select("Connection", "target")), ok=None)
    try:
        return parse.targets(answer.stdout)
    except ValueError:
        return frozenset()


def client_query(database: Database, *operations: dict[str, Any]) -> list[str]:
    """Ask a host's own server; works on followers, too."""
    transaction = json.dumps([database.schema, *operations])
    return ["ovsdb-client", "-t", "3", "--format=json", "query", database.socket, transaction]


def select(table: str, *columns: str) -> dict[str, Any]:
    """All rows of a table, as an operation of a query."""
    return {"op": "select", "table": table, "where": [], "columns": list(columns)}
