"""The two databases: names, ports, addresses and options, all of which follow from the topology."""

from dataclasses import dataclass

from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.topology import Node, Topology

NORTHD = "ovn-northd.service"
CONTROLLER = "ovn-controller.service"
UMBRELLAS = ("ovn-central.service", "ovn-host.service")
"""The units that start the others at boot."""

SERVER_ARGUMENTS = frozenset({f"--private-key={KEY}", f"--certificate={CERTIFICATE}", f"--ca-cert={CA}"})
"""Arguments by which a running daemon is known to use the cluster's certificates."""

_FILES = (("key", KEY), ("cert", CERTIFICATE), ("ca-cert", CA))


@dataclass(frozen=True, slots=True)
class Database:
    """One of OVN's databases on any host of a cluster."""

    letter: str
    """`nb` or `sb`, as in the names of files, units and options."""
    schema: str
    port: int
    raft_port: int

    @property
    def unit(self) -> str:
        """The server's systemd unit."""
        return f"ovn-ovsdb-server-{self.letter}.service"

    @property
    def file(self) -> str:
        """Where the server keeps its data."""
        return f"/var/lib/ovn/ovn{self.letter}_db.db"

    @property
    def draft(self) -> str:
        """Where its replacement is prepared."""
        return f"{self.file}.draft"

    @property
    def schema_file(self) -> str:
        """The schema that came with the package."""
        return f"/usr/share/ovn/ovn-{self.letter}.ovsschema"

    @property
    def socket(self) -> str:
        """The server's local door for clients."""
        return f"unix:/var/run/ovn/ovn{self.letter}_db.sock"

    @property
    def control(self) -> str:
        """The server's local door for ovs-appctl."""
        return f"/var/run/ovn/ovn{self.letter}_db.ctl"

    def raft(self, node: Node) -> str:
        """A member's address in the cluster."""
        return f"ssl:{node.loopback}:{self.raft_port}"

    def clients(self, topology: Topology) -> str:
        """Every member's address for clients."""
        return ",".join(f"ssl:{address}:{self.port}" for address in topology.loopback_addresses)

    @property
    def listener(self) -> str:
        """What set-connection wants. One setting for all members, so that it can't name a single host's address."""
        return f"pssl:{self.port}"

    def status(self) -> list[str]:
        """The command that shows the cluster as this member sees it."""
        return ["ovs-appctl", "-t", self.control, "cluster/status", self.schema]


def databases(topology: Topology) -> tuple[Database, Database]:
    """Northbound and southbound."""
    ovn = topology.ovn
    return (
        Database("nb", "OVN_Northbound", ovn.northbound_port, ovn.northbound_raft_port),
        Database("sb", "OVN_Southbound", ovn.southbound_port, ovn.southbound_raft_port),
    )


def central_options(topology: Topology, node: Node) -> list[str]:
    """What ovn-ctl gets on a host, by /etc/default/ovn-central."""
    both = databases(topology)
    options = [option for database in both for option in _database_options(topology, node, database)]
    options += [f"--ovn-northd-ssl-{name}={path}" for name, path in _FILES]
    return options + [f"--ovn-northd-{db.letter}-db={db.clients(topology)}" for db in both]


def northd_arguments(topology: Topology) -> frozenset[str]:
    """Arguments by which a running northd is known to use the options above."""
    lists = {f"--ovn{db.letter}-db={db.clients(topology)}" for db in databases(topology)}
    return SERVER_ARGUMENTS | lists


def _database_options(topology: Topology, node: Node, database: Database) -> list[str]:
    cluster = f"--db-{database.letter}-cluster"
    options = [
        f"{cluster}-local-addr={node.loopback}",
        f"{cluster}-local-port={database.raft_port}",
        f"{cluster}-local-proto=ssl",
    ]
    others = [other for other in topology.nodes if other.name != node.name]
    if others:
        options += [
            f"{cluster}-remote-addr={others[0].loopback}",
            f"{cluster}-remote-port={database.raft_port}",
            f"{cluster}-remote-proto=ssl",
        ]
    return options + [f"--ovn-{database.letter}-db-ssl-{name}={path}" for name, path in _FILES]
