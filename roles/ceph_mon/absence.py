"""A monitor before and after an absence: out of the quorum first, stopped afterwards."""

from contextlib import suppress

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, ParseError, WaitError
from meshctl.host.base import Host
from meshctl.roles.absence import GOODBYE, RETURN, witness
from meshctl.roles.ceph import ask, mon_socket, start
from meshctl.roles.units import units
from meshctl.topology import Node

from . import parse

BY_ITSELF = 20.0
"""Seconds in which a monitor that has just started finds the quorum; one that was told to stay out never does."""

ELECTION = 60.0


async def spare(node: Node, cluster: Cluster) -> list[str]:
    """What the monitors say to `ceph mon ok-to-stop`."""
    (answer,) = await ask(witness(node, cluster), {"prefix": "mon ok-to-stop", "ids": [node.name]}, ok=None)
    return [] if answer.status == 0 else [answer.error.strip() or "`ceph mon ok-to-stop` says no"]


async def drain(node: Node, host: Host, cluster: Cluster) -> None:
    """Leave the quorum while all live, so that the others elect at once, and stop when they have.

    A monitor that is merely stopped costs the others an election timeout, during which no placement group peers.
    """
    service = _service(node)
    if not (await units(host, service))[service].runs:
        return
    if node.name in await _quorum(node, host):
        argv = ["ceph", "daemon", f"mon.{node.name}", "quorum", "exit"]
        await host.run(argv, reason="the others elect a leader without it")
    other = next(other for other in cluster.topology.nodes if other.name != node.name)

    async def together() -> str:
        quorum = await _quorum(other, cluster.host(other))
        return "" if quorum and node.name not in quorum else f"the quorum is {', '.join(sorted(quorum)) or 'none'}"

    await host.until(f"a quorum without {node.name}", together, timeout=ELECTION, every=0.1)
    await host.run(["systemctl", "stop", service], reason="the others have a quorum without it", timeout=GOODBYE)


async def restore(node: Node, host: Host, cluster: Cluster, *, by_itself: float = BY_ITSELF) -> None:
    """Start the monitor and have it in the quorum."""
    del cluster
    service = _service(node)
    await start(host, await units(host, service), service)

    async def outside() -> str:
        quorum = await _quorum(node, host)
        return "" if node.name in quorum else f"the quorum is {', '.join(sorted(quorum)) or 'none'}"

    with suppress(WaitError):
        await host.until("the quorum", outside, timeout=by_itself, every=0.2)
        return
    argv = ["ceph", "daemon", f"mon.{node.name}", "quorum", "enter"]
    await host.run(argv, reason="it was told to stay out of the quorum")
    await host.until("the quorum", outside, timeout=RETURN, every=0.2)


def _service(node: Node) -> str:
    return f"ceph-mon@{node.name}.service"


async def _quorum(node: Node, host: Host) -> frozenset[str]:
    """Who is in the quorum as this host's monitor sees it; nobody when it doesn't answer."""
    try:
        (answer,) = await ask(host, {"prefix": "mon_status", "to": mon_socket(node.name)})
        return answer.read(parse.mon_status).quorum
    except (CommandError, ParseError):
        return frozenset()
