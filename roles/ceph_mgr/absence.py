"""The manager before and after an absence: another one is active first."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.absence import GOODBYE, witness
from meshctl.roles.ceph import Command, ask, start, tell
from meshctl.roles.units import units
from meshctl.topology import Node

from . import parse

TAKEOVER = 90.0
"""Seconds for another manager to load its modules."""

_STAT: Command = {"prefix": "mgr stat"}


async def drain(node: Node, host: Host, cluster: Cluster) -> None:
    """Let another manager take over, wait until it is ready, and stop this one."""
    service = _service(node)
    if not (await units(host, service))[service].runs:
        return
    other = witness(node, cluster)
    (stat,) = await ask(other, _STAT)
    if stat.read(parse.mgr_stat).active == node.name:
        await tell(other, [{"prefix": "mgr fail", "who": node.name}], reason="another manager takes over")

    async def inactive() -> str:
        (stat,) = await ask(other, _STAT)
        seen = stat.read(parse.mgr_stat)
        return "" if seen.available and seen.active != node.name else f"{seen.active or 'none'} is active, not ready"

    await host.until("another active manager", inactive, timeout=TAKEOVER)
    await host.run(["systemctl", "stop", service], reason="another manager is active", timeout=GOODBYE)


async def restore(node: Node, host: Host, cluster: Cluster) -> None:
    """Start the manager, where there is one."""
    del cluster
    seen = await units(host, _service(node))
    if seen[_service(node)].enabled:
        await start(host, seen, _service(node))


def _service(node: Node) -> str:
    return f"ceph-mgr@{node.name}.service"
