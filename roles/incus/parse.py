"""What Incus and a host say about membership, as typed facts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshctl.roles.parsing import parser


@dataclass(frozen=True, slots=True)
class Server:
    """One daemon's `/1.0`. All members of a cluster have the same certificate, so `fingerprint` names the cluster."""

    name: str
    clustered: bool
    fingerprint: str
    config: Mapping[str, str] = field(repr=False)

    @property
    def joined_before(self) -> bool:
        """Whether somebody began to found or join a cluster: nothing else sets this key on a standalone server."""
        return "cluster.https_address" in self.config


@dataclass(frozen=True, slots=True)
class Key:
    """A setting that every member has a value of its own for, as a joining one must state it."""

    entity: str
    name: str
    key: str


@parser
def server(data: Any) -> Server:
    """`/1.0`."""
    environment = data["environment"]
    return Server(
        name=environment["server_name"],
        clustered=environment["server_clustered"],
        fingerprint=environment.get("certificate_fingerprint", ""),
        config=dict(data["config"]),
    )


@parser
def member_keys(data: Any) -> tuple[Key, ...]:
    """`/1.0/cluster`: what a joining member must state."""
    return tuple(Key(entry["entity"], entry["name"], entry["key"]) for entry in data["member_config"] or ())


@parser
def names(data: Any) -> tuple[str, ...]:
    """The last parts of a list of API paths, without what Incus has by itself."""
    paths = [str(path).split("?")[0] for path in data]
    return tuple(path.rsplit("/", 1)[1] for path in paths if not path.endswith("/default"))


@parser
def client_certificates(data: Any) -> tuple[str, ...]:
    """`/1.0/certificates?recursion=1`: names of the trusted ones that a user added; members' own are of type server."""
    return tuple(entry["name"] for entry in data if entry["type"] != "server")


@parser
def table(output: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a table as `incus admin sql` draws it, without its head."""
    rows = [line.strip("|").split("|") for line in output.splitlines() if line.startswith("|")]
    return tuple(tuple(cell.strip() for cell in row) for row in rows[1:])


@parser
def raft(output: str) -> dict[str, str]:
    """The table of address and role of the database's nodes; a role of 0 votes."""
    return {row[0]: row[1] for row in table(output)}


@parser
def instances(output: str) -> dict[str, int]:
    """The table of how many instances each member has."""
    return {name: int(count) for name, count in table(output)}


@dataclass(frozen=True, slots=True)
class Remains:
    """What an unreachable daemon has on disk."""

    certificate: str
    """SHA-256 of the cluster's certificate; empty when there is none."""
    instances: tuple[str, ...]
    """Instances, custom volumes and buckets."""


@parser
def remains(output: str) -> Remains:
    """The output of `evidence.sh`."""
    lines = output.split()
    sums = [line.removeprefix("sum:") for line in lines if line.startswith("sum:")]
    return Remains(sums[0] if sums else "", tuple(line for line in lines if not line.startswith("sum:")))
