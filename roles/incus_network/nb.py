"""What Incus wrote into OVN's northbound database, read over TLS from all of its addresses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshctl.roles.parsing import parser
from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.topology import Topology

_PORTS = ("--columns=name,networks", "list", "Logical_Router_Port")
_GROUPS = ("--columns=name,ha_chassis", "list", "HA_Chassis_Group")
_CHASSIS = ("--columns=_uuid,chassis_name", "list", "HA_Chassis")


def connection(topology: Topology, without: str = "") -> str:
    """All northbound databases, in the form that Incus, ovn-nbctl and northd share; `without` one node's."""
    addresses = [node.loopback for node in topology.nodes if node.name != without]
    return ",".join(f"ssl:{address}:{topology.ovn.northbound_port}" for address in addresses)


def command(topology: Topology, without: str = "") -> list[str]:
    """Lists router ports and gateway groups; any address may answer, because a follower's view is good enough."""
    options = (*client(topology, without), "--timeout=5", "--no-leader-only", "--format=json", "--data=json")
    return ["ovn-nbctl", *options, *_PORTS, "--", *_GROUPS, "--", *_CHASSIS]


def client(topology: Topology, without: str = "") -> tuple[str, ...]:
    """The options of ovn-nbctl that reach the databases."""
    return (f"--db={connection(topology, without)}", "-p", KEY, "-c", CERTIFICATE, "-C", CA)


@dataclass(frozen=True, slots=True)
class Routers:
    """Logical router ports by name with their networks, and each gateway group's chassis."""

    ports: Mapping[str, frozenset[str]]
    gateways: Mapping[str, frozenset[str]]

    def router(self, address: str) -> str | None:
        """The router whose inside has this address (`10.158.0.1/24`): `incus-net2-lr`.

        An Incus that was set up anew leaves its predecessor's routers behind; the one with most gateways is in use.
        """
        inside = "-lrp-int"
        ports = (name for name, networks in self.ports.items() if name.endswith(inside) and address in networks)
        routers = (name.removesuffix(inside) for name in ports)
        return max(routers, key=lambda name: len(self.chassis(name)), default=None)

    def rivals(self, router: str) -> frozenset[str]:
        """Other routers with the same address on the uplink: both would answer for it."""
        outside = "-lrp-ext"
        own = self.ports.get(router + outside, frozenset())
        sharing = (name for name, networks in self.ports.items() if name.endswith(outside) and networks & own)
        return frozenset(name.removesuffix(outside) for name in sharing) - {router}

    def chassis(self, router: str) -> frozenset[str]:
        """The hosts that can be the router's gateway. Incus calls both after the network: `incus-net2`."""
        return self.gateways.get(router.removesuffix("-lr"), frozenset())


@parser
def routers(output: str) -> Routers:
    """The output of `command`: one JSON table per line. Raises ValueError when it is something else."""
    ports, groups, chassis = (_rows(json.loads(line)) for line in output.splitlines() if line.strip())
    names = {_one(row["_uuid"]): str(row["chassis_name"]) for row in chassis}
    return Routers(
        {str(row["name"]): frozenset(map(str, _many(row["networks"]))) for row in ports},
        {
            str(row["name"]): frozenset(
                names[_one(entry)] for entry in _many(row["ha_chassis"]) if _one(entry) in names
            )
            for row in groups
        },
    )


def _rows(table: Any) -> list[dict[str, Any]]:
    return [dict(zip(table["headings"], row, strict=True)) for row in table["data"]]


def _many(value: Any) -> list[Any]:
    """A column of OVSDB's JSON: `["set", […]]`, or the only element by itself (RFC 7047, 5.1)."""
    return list(value[1]) if isinstance(value, list) and value[:1] == ["set"] else [value]


def _one(value: Any) -> str:
    """`["uuid", "…"]`."""
    return str(value[1])
