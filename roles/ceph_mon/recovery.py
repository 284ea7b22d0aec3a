"""The monitors' map without those that are gone, so that the survivor is a majority by itself.

Upstream's way ("Removing monitors from an unhealthy cluster"): the map is taken out of the stopped monitor's store,
cut, and put back. The store is copied first.
https://docs.ceph.com/en/reef/rados/operations/add-or-rm-mons/#removing-monitors-from-an-unhealthy-cluster
"""

from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, CommandTimeout, ParseError
from meshctl.host.base import Host
from meshctl.roles.ceph import ask, mon_socket
from meshctl.roles.recovery import COPIES, COPYING, Stand, Standing
from meshctl.topology import Node

from . import parse

QUORUM = 120.0
"""Seconds until the survivor leads."""

_SURGERY = (Path(__file__).parent / "surgery.sh").read_text()


async def standing(node: Node, host: Host, cluster: Cluster) -> Standing:
    """What the monitor says over its own socket, which needs no quorum."""
    del cluster
    try:
        (answer,) = await ask(host, {"prefix": "mon_status", "to": mon_socket(node.name)})
        status = answer.read(parse.mon_status)
    except (CommandError, CommandTimeout, ParseError):
        return Standing(Stand.LOST, "the monitor does not answer")
    known = ", ".join(sorted(status.monmap))
    if status.quorum == {node.name} and set(status.monmap) == {node.name}:
        return Standing(Stand.ALONE, f"{node.name} is the only monitor")
    if status.quorum:
        return Standing(Stand.HELD, f"the monitors {', '.join(sorted(status.quorum))} have a quorum")
    return Standing(Stand.LOST, f"{status.state}: no majority of {known}")


async def recover(node: Node, host: Host, cluster: Cluster) -> None:
    """Stop it, copy its store, cut the map, start it, and wait until it leads."""
    if (await standing(node, host, cluster)).stand is not Stand.ALONE:
        argv = ["sh", "-c", _SURGERY, "sh", node.name, COPIES]
        reason = "the other monitors are gone for good: its map has to do without them"
        await host.run(argv, reason=reason, timeout=COPYING)

    async def alone() -> str:
        seen = await standing(node, host, cluster)
        return "" if seen.stand is Stand.ALONE else seen.detail

    await host.until("the surviving monitor leading alone", alone, timeout=QUORUM)
