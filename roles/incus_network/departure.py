"""A host that is gone for good in what Incus wrote into OVN: no gateway any more, no ports of its lost instances."""

import json
from dataclasses import dataclass
from typing import Any

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.absence import witness
from meshctl.roles.parsing import parser, understand
from meshctl.topology import Node, Topology

from . import nb

_INSTANCES = "/1.0/instances?recursion=1&all-projects=true"
_PORTS = ("--", "--columns=name,external_ids", "list", "Logical_Switch_Port")
_LOCATION = "incus_location"


@dataclass(frozen=True, slots=True)
class Remains:
    """Gateway groups that have the host, and ports there of instances that Incus has no more."""

    groups: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


async def claims(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """What is left once Incus counts the host no more: it removes neither itself."""
    del host
    remains = await _remains(node, witness(node, cluster), cluster.topology)
    gateway = [f"{node.name} as a gateway of the overlay"] if remains.groups else []
    return [*gateway, *(f"OVN's port {port} of an instance that is gone" for port in remains.ports)]


async def forget(node: Node, host: Host, cluster: Cluster) -> None:
    """Remove them, in one transaction."""
    del host
    other = witness(node, cluster)
    remains = await _remains(node, other, cluster.topology)
    commands = [["--", "--if-exists", "lsp-del", port] for port in remains.ports]
    commands += [["--", "ha-chassis-group-remove-chassis", group, node.name] for group in remains.groups]
    if commands:
        begin = ["ovn-nbctl", *nb.client(cluster.topology, node.name), "--timeout=20"]
        words = [word for command in commands for word in command]
        await other.run([*begin, *words], reason=f"{node.name} is gone for good")


async def _remains(node: Node, other: Host, topology: Topology) -> Remains:
    """Nothing while the host, or its successor, is a member: then all of it is in use, or about to be."""
    if node.name in await incusapi.read(other, incusapi.MEMBERS, incusapi.members):
        return Remains()
    listing = await other.query([*nb.command(topology, node.name), *_PORTS])
    *before, last = listing.stdout.strip().splitlines() or [""]
    routers = understand(other.name, listing.argv, nb.routers, "\n".join(before))
    ports = understand(other.name, listing.argv, instance_ports, last)
    known = await incusapi.read(other, _INSTANCES, identities)
    return Remains(
        tuple(sorted(group for group, chassis in routers.gateways.items() if node.name in chassis)),
        tuple(
            sorted(
                port
                for port, location in ports.items()
                if location == node.name and not any(identity in port for identity in known)
            )
        ),
    )


@parser
def instance_ports(output: str) -> dict[str, str]:
    """Ports of instances and the member where Incus made them: `incus-net2-instance-UUID-eth0` → `node1`."""
    table: dict[str, Any] = json.loads(output)
    rows = [dict(zip(table["headings"], row, strict=True)) for row in table["data"]]
    named = {str(row["name"]): dict(row["external_ids"][1]) for row in rows}
    return {name: str(ids[_LOCATION]) for name, ids in named.items() if "-instance-" in name and _LOCATION in ids}


@parser
def identities(data: Any) -> frozenset[str]:
    """The uuids of all instances; one on a member that is offline tells none."""
    return frozenset(str(one["config"]["volatile.uuid"]) for one in data if (one["config"] or {}).get("volatile.uuid"))
