"""Whether the NICs and addresses that the topology names are what the host has: pure functions.

What is plugged into them is the wiring role's business.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, ip_address

from meshctl.roles.base import Problem
from meshctl.topology import Node, Plug, Port, Topology

from .parse import HostFacts, Nic


def check(topology: Topology, node: Node, facts: HostFacts) -> Iterator[Problem]:
    """Problems with a host's NICs."""
    yield from _inside_mesh(topology, node)
    if facts.nics is None:
        yield Problem(
            node.name, "there is no `ip` command", "iproute2", "nothing", "command -v ip",
            "apt-get install iproute2", final=True,
        )  # fmt: skip
        return
    for port in node.ports:
        for plug in port.plugs:
            yield from _plug(node, port, plug, facts.nics)
    if node.uplink_plug and node.uplink_plug not in facts.nics:
        yield _missing(node, node.uplink_plug, facts.nics, "the uplink")
    yield from _management(node, facts.nics)
    yield from _foreign(topology, node, facts.nics, known=facts.ours | {node.management})


def notes(node: Node, facts: HostFacts) -> Iterator[str]:
    """What can't be told without changing something."""
    if facts.nics is not None and not _owner(facts.nics, node.management):
        yield f"no NIC has {node.management}; the way there translates addresses"


def _plug(node: Node, port: Port, plug: Plug, nics: Mapping[str, Nic]) -> Iterator[Problem]:
    cable = f"{node.name}:{plug.nic} <-> {plug.peer}"
    nic = next((nic for nic in _in_question(plug, nics) if plug.mac in {nic.mac, nic.permanent}), nics.get(plug.nic))
    if nic is None:
        yield _missing(node, plug.nic, nics, f"the cable {cable}")
        return
    if plug.mac and plug.mac not in {nic.mac, nic.permanent}:
        yield Problem(
            node.name, f"{plug.nic} is not the NIC of the topology", plug.mac, nic.mac, f"ip link show {plug.nic}",
            f"Correct `macs` of {node.name}, or which NIC the cable is in.", final=True,
        )  # fmt: skip
    if nic.max_mtu and nic.max_mtu < port.mtu:
        yield Problem(
            node.name, f"{plug.nic} can't do the MTU of {cable}", str(port.mtu), f"at most {nic.max_mtu}",
            f"ip -d link show {plug.nic}", "State a smaller `mtu:` for this cable.", final=True,
        )  # fmt: skip


def _in_question(plug: Plug, nics: Mapping[str, Nic]) -> list[Nic]:
    """All, the one that has the name first: a bond has the address of one of its NICs."""
    return sorted(nics.values(), key=lambda nic: nic.name != plug.nic)


def _missing(node: Node, name: str, nics: Mapping[str, Nic], purpose: str) -> Problem:
    there = ", ".join(nic for nic in nics if nic != "lo")
    return Problem(
        node.name, f"there is no NIC {name} for {purpose}", name, there or "no NIC at all", "ip -br link",
        "Name the NIC as the host does.", final=True,
    )  # fmt: skip


def _management(node: Node, nics: Mapping[str, Nic]) -> Iterator[Problem]:
    owner = _owner(nics, node.management)
    used = {nic: "a cable" for port in node.ports for nic in (port.nic, *(plug.nic for plug in port.plugs))}
    if node.uplink_plug and node.uplink_nic:
        used |= dict.fromkeys((node.uplink_plug, node.uplink_nic), "the uplink")
    if owner and owner in used:
        yield Problem(
            node.name, "the management address sits on a NIC of the mesh", f"a NIC of its own for {node.management}",
            f"{owner}, which is for {used[owner]}", "ip -br addr",
            "Move the management address, or the cable, to another NIC: configuring this one would cut SSH.",
            final=True,
        )  # fmt: skip
    elif owner and owner != node.management_nic:
        yield Problem(
            node.name, "the management NIC has another name", f"{node.management} on {node.management_nic}",
            f"{node.management} on {owner}", "ip -br addr", f"State `management_nic: {owner}` for {node.name}.",
            final=True,
        )  # fmt: skip


def _inside_mesh(topology: Topology, node: Node) -> Iterator[Problem]:
    for name in ("loopbacks", "links"):
        prefix = getattr(topology, name)
        if IPv4Address(node.management) in prefix:
            yield Problem(
                node.name, "the management address lies inside the mesh", f"an address outside mesh.{name} {prefix}",
                node.management, "ip -br addr", "Choose another prefix: the mesh's routes would cover this address.",
                final=True,
            )  # fmt: skip


def _foreign(topology: Topology, node: Node, nics: Mapping[str, Nic], *, known: frozenset[str]) -> Iterator[Problem]:
    """Addresses of the mesh's prefixes on NICs that are not part of the mesh.

    `known` are those that the links role takes back, and the management address, which has a message of its own.
    """
    ours = {nic for port in node.ports for nic in (port.nic, *(plug.nic for plug in port.plugs))} | {"lo"}
    for nic in nics.values():
        for address in (ip_address(text) for text in nic.addresses if nic.name not in ours):
            if address.version == 4 and str(address) not in known:  # noqa: PLR2004
                for name in ("loopbacks", "links"):
                    if address in getattr(topology, name):
                        yield _conflict(topology, node, nic, str(address), name)


def _conflict(topology: Topology, node: Node, nic: Nic, address: str, name: str) -> Problem:
    return Problem(
        node.name, f"{address} on {nic.name} conflicts with the mesh",
        f"nobody but meshctl uses mesh.{name} {getattr(topology, name)}", f"{address} on {nic.name}", "ip -br addr",
        "Choose another prefix in the topology, or remove the address.", final=True,
    )  # fmt: skip


def _owner(nics: Mapping[str, Nic], address: str) -> str | None:
    return next((nic.name for nic in nics.values() if address in nic.addresses), None)
