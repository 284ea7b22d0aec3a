"""Whether bonds do what they are there for, from what the kernel's bonding driver shows in /sys."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshctl.host.base import Host
from meshctl.roles.base import Problem
from meshctl.roles.parsing import parser, understand
from meshctl.topology import Node, Port, Topology

from .parse import Link

NOBODY = "00:00:00:00:00:00"
"""The partner while no LACP packet has come in: the driver then uses one member as if there were no bond at all."""

_READ = 'cd /sys/class/net && exec grep -sH "" $*'
_OF_BOND = ("mode", "active_slave", "ad_partner_mac", "ad_num_ports")
_STATUS = "bonding_slave/mii_status"


@dataclass(frozen=True, slots=True)
class Bond:
    """One bond as the driver shows it; what its mode has no use for is empty."""

    mode: str
    active: str
    partner: str
    """MAC address of the system at the other end, by LACP."""
    ports: int
    """Members in use, by LACP."""
    members: Mapping[str, bool]
    """Each with whether it has link."""


def bonded(node: Node) -> list[Port]:
    """The cables of a host that are several wires."""
    return [port for port in node.ports if port.bond]


async def ask(node: Node, host: Host) -> dict[str, Bond]:
    """All bonds that a host should have and has; no command where it should have none."""
    ports = bonded(node)
    if not ports:
        return {}
    files = [f"{port.nic}/bonding/{name}" for port in ports for name in _OF_BOND]
    files += [f"{plug.nic}/{_STATUS}" for port in ports for plug in port.members]
    told = await host.query(["sh", "-c", _READ, "bonds", *files], ok=(0, 1, 2))
    values = understand(host.name, told.argv, attributes, told.stdout)
    return {port.nic: _bond(port, values) for port in ports if f"{port.nic}/bonding/mode" in values}


@parser
def attributes(text: str) -> dict[str, str]:
    """`grep -H ""` of files below /sys/class/net: path -> content."""
    return dict(line.split(":", 1) for line in text.splitlines())


def _bond(port: Port, values: Mapping[str, str]) -> Bond:
    def of(name: str) -> str:
        return values.get(f"{port.nic}/bonding/{name}", "").strip()

    links = {plug.nic: values.get(f"{plug.nic}/{_STATUS}", "") == "up" for plug in port.members}
    # `mode` is name and number: "802.3ad 4"
    return Bond(of("mode").split(" ")[0], of("active_slave"), of("ad_partner_mac"), int(of("ad_num_ports") or 0), links)


def check(
    topology: Topology, node: Node, bonds: Mapping[str, Bond], links: Mapping[str, Mapping[str, Link]]
) -> Iterator[Problem]:
    """Every fault of one host's bonds; `links` are all hosts', by name."""
    for port in bonded(node):
        if bond := bonds.get(port.nic):
            yield from _mode(node, port, bond)
            yield from _strands(node, port, bond)
            if port.bond and port.bond.mode == "802.3ad" == bond.mode:
                yield from _lacp(topology, node, port, bond, links.get(port.peer, {}))


def _mode(node: Node, port: Port, bond: Bond) -> Iterator[Problem]:
    if port.bond and bond.mode != port.bond.mode:
        yield Problem(
            node.name, f"{port.nic} has another mode", port.bond.mode, bond.mode, _show(port),
            f"No program changes a bond that is there: `ip link del {port.nic}` on {node.name}, then bootstrap again.",
        )  # fmt: skip


def _strands(node: Node, port: Port, bond: Bond) -> Iterator[Problem]:
    for plug in port.members:
        if not bond.members.get(plug.nic, False):
            yield Problem(
                node.name, f"a strand of {_cable(node, port)} is dead: {node.name}:{plug.nic} <-> {plug.peer}",
                "link at both ends", f"{port.nic} sees no link on {plug.nic}", _show(port),
                f"Is the wire in, and is {port.peer} switched on?",
            )  # fmt: skip


def _lacp(topology: Topology, node: Node, port: Port, bond: Bond, far: Mapping[str, Link]) -> Iterator[Problem]:
    alive = sum(bond.members.values())
    mac = far[port.peer_nic].mac if port.peer_nic in far else ""
    if bond.partner in {"", NOBODY}:
        yield Problem(
            node.name, f"LACP aggregates nothing on {_cable(node, port)}", "a partner",
            f"{port.nic} has partner {bond.partner or 'none'}: nobody speaks LACP at the other end", _show(port),
            f"Is {port.peer}:{port.peer_nic} a bond in mode 802.3ad, and each switch between them set to LACP?",
        )  # fmt: skip
    elif bond.ports < alive:
        yield Problem(
            node.name, f"LACP uses {bond.ports} of {alive} strands of {_cable(node, port)}", f"{alive} ports",
            f"{bond.ports} in the active aggregator", _show(port),
            "Strands of one bond have the same speed, and all lead to the same host (or the same group of a switch).",
        )  # fmt: skip
    elif mac and bond.partner != mac and not topology.cables[port.cable].switch:
        yield Problem(
            node.name, f"LACP talks to a stranger on {_cable(node, port)}", f"partner {mac} ({port.peer})",
            f"partner {bond.partner}", _show(port), "Something between the two hosts speaks LACP; is it a switch?",
        )  # fmt: skip


def _cable(node: Node, port: Port) -> str:
    return f"{node.name}:{port.nic} <-> {port.peer}:{port.peer_nic}"


def _show(port: Port) -> str:
    return f"cat /proc/net/bonding/{port.nic}"
