"""What OVN's and OVS' commands print, as typed facts. Pure functions; ValueError means "not what I know"."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshctl.roles.parsing import parser

_FIELD = re.compile(r"^(Cluster ID|Address|Status|Role|Leader): (.+)$", re.MULTILINE)
_SERVER = re.compile(r"^ +\S+ \(\S+ at (\S+)\)", re.MULTILINE)
_LONG_ID = re.compile(r"\(([0-9a-f-]{36})\)")


@dataclass(frozen=True, slots=True)
class Store:
    """A database's file on a host."""

    kind: str
    """absent, standalone or clustered."""
    address: str = ""
    """Where a clustered server expects its peers."""
    cluster: str = ""
    """The cluster's id; "" for a server that was never let in."""
    rows: int = 0
    """Logical switches and routers in a standalone northbound database: data that somebody made."""

    @property
    def member(self) -> bool:
        """Whether the file belongs to a cluster that exists."""
        return self.kind == "clustered" and bool(self.cluster)


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """`cluster/status`: the cluster as one member sees it."""

    cluster: str
    status: str
    role: str
    leader: str
    servers: frozenset[str]

    @property
    def member(self) -> bool:
        """Whether the server is in, and knows who leads: it doesn't when it is cut off from the majority."""
        return self.status == "cluster member" and self.leader != "unknown"


@dataclass(frozen=True, slots=True)
class OpenVSwitch:
    """What OVS keeps about its host: `external_ids`, and the files of its TLS (key, certificate, CA)."""

    external_ids: Mapping[str, str]
    ssl: tuple[str, str, str] | None


@dataclass(frozen=True, slots=True)
class Chassis:
    """A row of the southbound database: a host and its tunnel's end."""

    name: str
    encapsulations: frozenset[tuple[str, str]]
    """(type, address)"""


@parser
def store(text: str) -> Store:
    """The answer of `central.STORE`."""
    kind, _, rest = text.strip().partition("\n")
    if kind == "standalone":
        return Store(kind, rows=sum(len(result["rows"]) for result in json.loads(rest or "[]")))
    if kind == "clustered":
        address, _, cluster = rest.strip().partition("\n")
        return Store(kind, address.strip(), cluster.strip())
    if kind == "absent":
        return Store(kind)
    raise ValueError(f"absent, standalone or clustered expected; found {text[:80]!r}")


@parser
def processes(text: str) -> tuple[frozenset[str], ...]:
    """`ps -o args=`: the arguments of every process."""
    return tuple(frozenset(line.split()) for line in text.splitlines())


@parser
def cluster_status(text: str) -> ClusterStatus:
    """`cluster/status`."""
    fields: dict[str, str] = dict(_FIELD.findall(text))
    if "Status" not in fields:
        raise ValueError(f"no cluster status: {text[:80]!r}")
    long_id = _LONG_ID.search(fields.get("Cluster ID", ""))
    return ClusterStatus(
        cluster=long_id[1] if long_id else "",
        status=fields["Status"],
        role=fields.get("Role", ""),
        leader=fields.get("Leader", "unknown"),
        servers=frozenset(_SERVER.findall(text)),
    )


@parser
def open_vswitch(text: str) -> OpenVSwitch:
    """`ovs-vsctl --format=json --columns=external_ids list Open_vSwitch . -- --columns=private_key,… list SSL`."""
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not lines or not lines[0]["data"]:
        raise ValueError("no Open_vSwitch row")
    ids = dict(lines[0]["data"][0][0][1])
    ssl = next((row for table in lines[1:] for row in table["data"]), None)
    return OpenVSwitch(ids, (str(ssl[0]), str(ssl[1]), str(ssl[2])) if ssl else None)


@parser
def targets(text: str) -> frozenset[str]:
    """Where a database listens, from its Connection table."""
    return frozenset(str(row["target"]) for row in rows(text)[0])


@parser
def chassis(text: str) -> tuple[Chassis, ...]:
    """The tables Chassis and Encap, in that order."""
    hosts, encaps = rows(text)
    return tuple(
        Chassis(
            str(host["name"]),
            frozenset((str(e["type"]), str(e["ip"])) for e in encaps if e["chassis_name"] == host["name"]),
        )
        for host in hosts
    )


@parser
def rows(text: str) -> list[list[dict[str, Any]]]:
    """The rows of each selection of an `ovsdb-client query`."""
    return [result["rows"] for result in json.loads(text)]
