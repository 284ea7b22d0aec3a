"""From what Incus, OVN and the uplink say to what is wrong. Pure."""

from collections.abc import Iterable, Mapping

from meshctl.host.base import Result
from meshctl.roles.base import Problem
from meshctl.roles.incusapi import Thing, Wanted
from meshctl.topology import Node, Topology

from . import nb, wanted

_ANSWERED = 1
"""Exit status of `arping -D`: somebody has the address."""

_SILENCE = 0


def connection(topology: Topology, host: str, config: Mapping[str, str]) -> list[Problem]:
    """Incus accepts any endpoint without a word: compared here, and proved by its router in the database."""
    key = f"{wanted.PREFIX}northbound_connection"
    expected, seen = nb.connection(topology), config.get(key, "")
    if expected == seen:
        return []
    advice = "Run bootstrap: it sets the key. If it comes back, somebody else sets it."
    return [
        Problem(host, "Incus looks for OVN elsewhere", expected, seen or "unset", f"incus config get {key}", advice)
    ]


def networks(topology: Topology, host: str, seen: Mapping[str, Thing]) -> list[Problem]:
    """Each one Created on all members, and configured as the topology has it."""
    both = (wanted.uplink(topology), wanted.overlay(topology))
    return [problem for network in both if network for problem in _network(host, network, seen.get(network.name))]


def _network(host: str, network: Wanted, seen: Thing | None) -> list[Problem]:
    command = f"incus network show {network.name}"
    if seen is None:
        advice = "Run bootstrap: it makes it."
        return [Problem(host, f"there is no network {network.name}", network.kind, "not there", command, advice)]
    if not seen.created_on(network.per_member):
        expected, found = f"Created on {_list(network.per_member)}", f"{seen.status} on {_list(seen.locations)}"
        advice = "Run bootstrap again: it makes a broken network anew, and defines it where it is missing."
        return [Problem(host, f"network {network.name} is not everywhere", expected, found, command, advice)]
    return [
        Problem(
            host,
            f"{key} of network {network.name} differs",
            value,
            seen.config.get(key, "unset"),
            command,
            "Run bootstrap: it sets the key. To keep the other value, state it in the topology.",
        )
        for key, value in network.config.items()
        if seen.config.get(key) != value
    ]


def nic(topology: Topology, host: str, devices: Mapping[str, Mapping[str, str]], name: str) -> list[Problem]:
    """Some NIC in the default profile; a user's own is as good as ours."""
    if name in devices:
        return []
    what, seen = "the default profile has no NIC", _list(devices) or "no device"
    advice = "Run bootstrap: it adds one. A NIC of your own with that name is as good."
    return [Problem(host, what, f"{name} on {topology.incus.network}", seen, "incus profile show default", advice)]


def router(topology: Topology, host: str, listing: Result) -> list[Problem]:
    """The overlay's router is in the northbound database, and every host can be its gateway."""
    command, found = " ".join(listing.argv), _routers(listing)
    if found is None:
        said = (listing.stderr or listing.stdout).strip()[:200] or f"exit status {listing.status}"
        advice = "Look at the gates of ovn and pki first; with both fine, the network between the loopbacks is cut."
        return [Problem(host, "OVN's northbound database does not answer over TLS", "a listing", said, command, advice)]
    name = found.router(str(topology.incus.network_address))
    if name is None:
        return [_no_router(topology, host, found, command)]
    return [*_gateways(topology, host, found, name, command), *_rivals(host, found, name, command)]


def missing_gateways(topology: Topology, listing: Result) -> frozenset[str]:
    """Hosts that are no gateway chassis of the overlay's router; none when there is no router to judge."""
    found = _routers(listing)
    name = found.router(str(topology.incus.network_address)) if found else None
    return frozenset(node.name for node in topology.nodes) - found.chassis(name) if found and name else frozenset()


def _routers(listing: Result) -> nb.Routers | None:
    try:
        return nb.routers(listing.stdout) if listing.ok else None
    except ValueError:
        return None


def _no_router(topology: Topology, host: str, found: nb.Routers, command: str) -> Problem:
    return Problem(
        host,
        f"OVN has no router for the network {topology.incus.network}",
        f"a router port with {topology.incus.network_address}",
        _list(found.ports) or "no port",
        command,
        "Incus talks to another database, or the network is a leftover: incus network delete, then bootstrap.",
    )


def _gateways(topology: Topology, host: str, found: nb.Routers, name: str, command: str) -> list[Problem]:
    hosts, seen = {node.name for node in topology.nodes}, found.chassis(name)
    if topology.uplink is None or seen == hosts:
        return []
    what = f"not every host can be the gateway of {name}"
    advice = "An evacuated host is missing until it is restored; otherwise restart incus on the missing one."
    return [Problem(host, what, _list(hosts), _list(seen) or "none", command, advice)]


def _rivals(host: str, found: nb.Routers, name: str, command: str) -> list[Problem]:
    """Meshctl doesn't remove them: it can't know whose they are."""
    return [
        Problem(
            host,
            f"OVN's router {rival} has the address of {name} on the uplink, and takes its packets",
            f"only {name}",
            rival,
            command,
            f"An Incus that was set up anew leaves its routers behind. If no Incus uses it: ovn-nbctl lr-del {rival}",
            final=True,
        )
        for rival in sorted(found.rivals(name))
    ]


def arp(topology: Topology, node: Node) -> list[str]:
    """A probe for the gateway's MAC (RFC 5227: from 0.0.0.0, so it leaves no trace), sent up to twice.

    Through busybox, which is on every host for the smoke test's image; -D exits with 1 when somebody answers, with 0
    when nobody does, and with 2 when it can't ask (the NIC is down, or isn't there).
    """
    if topology.uplink is None or node.uplink_nic is None:
        return []
    target = str(topology.uplink.gateway.ip)
    return ["busybox", "arping", "-q", "-D", "-c", "2", "-w", "2", "-I", node.uplink_nic, target]


def uplink(topology: Topology, answers: Mapping[str, Result | None]) -> list[Problem]:
    """The gateway answers each host that was asked, since each may have to be the router's gateway chassis."""
    return [
        Problem(
            node.name,
            f"the uplink's gateway does not answer on {node.uplink_nic}",
            f"an ARP reply from {topology.uplink.gateway.ip}",
            _unanswered(answer),
            " ".join(answer.argv),
            "Check the cable, and that the gateway is up and on this network.",
        )
        for node in topology.nodes
        if topology.uplink and (answer := answers[node.name]) and answer.status != _ANSWERED
    ]


def _unanswered(answer: Result) -> str:
    return "silence" if answer.status == _SILENCE else answer.stderr.strip() or f"exit status {answer.status}"


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
